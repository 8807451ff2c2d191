// Parses the output of test programs into tests with name, outcome and, for a failure, message and
// place.

/**
 * `outcome` is `passed`, `failed` or `skipped`. A failed test has a `message` and a `place`
 * (file:line).
 */
const test = (name, outcome, more = {}) => ({ name, outcome, ...more });

const MESSAGE_LINES = 12;

/** The first lines of a message, without empty ones and without common indentation. */
export function shortened(text, lines = MESSAGE_LINES) {
  const all = text.split("\n").filter((line) => line.trim());
  const indent = Math.min(...all.map((line) => line.match(/^ */)[0].length));
  const cut = all.slice(0, lines).map((line) => line.slice(indent).slice(0, 300));
  return (all.length > lines ? [...cut, `(${all.length - lines} more lines in the log)`] : cut).join("\n");
}

/** A path relative to the root of the repository, or unchanged if it is outside. */
const local = (path, root) => path.replace(/^file:\/\//, "").replace(root, "");

/** Parses the output of `cargo test` and of wasm-bindgen's runner, which prints the same lines. */
export function readCargo(output) {
  const failures = panics(output);
  const tests = [];
  for (const [, name, outcome] of output.matchAll(
    /^test (\S.*?)(?: - should panic)? \.\.\. (ok|FAIL(?:ED)?|ignored)\b.*$/gm,
  )) {
    if (outcome === "ok") tests.push(test(name, "passed"));
    else if (outcome === "ignored") tests.push(test(name, "skipped"));
    else
      tests.push(
        test(name, "failed", failures.get(name) ?? { message: "the test failed without a message" }),
      );
  }
  return tests;
}

/** Parses the blocks `---- name stdout ----` into the place and message of each test's panic. */
function panics(output) {
  const found = new Map();
  const blocks = output.split(/^---- (.+?) (?:stdout|output) ----$/m);
  for (let index = 1; index < blocks.length; index += 2) {
    const text = blocks[index + 1].split(/^failures:$/m)[0];
    const panic = text.match(/panicked at (\S+?:\d+):\d+:\n([^]*)/);
    const message = (panic?.[2] ?? text.replace(/^\s*error output:\n/, "")).split(
      /^\s*(?:note: run with|stack backtrace:|Stack:)/m,
    )[0];
    found.set(blocks[index], { place: panic?.[1], message: shortened(message.trimEnd()) });
  }
  return found;
}

/**
 * Parses the TAP that node's reporter writes. A `describe` is not a test. A test that failed only
 * because subtests failed is left out, since its subtests are listed.
 */
export function readTap(output, root = "") {
  const tests = [];
  const lines = output.split("\n");
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index].match(/^\s*(not )?ok \d+(?: - (.*?))?(?: # (SKIP|TODO)\b.*)?$/);
    if (!line) continue;
    const [, not, name = "", directive] = line;
    const details = yaml(lines, index + 1);
    if (details.type === "suite" && details.failureType !== "hookFailed") continue;
    if (details.failureType === "subtestsFailed") continue;
    const plain = name.replace(/\\([\\#])/g, "$1");
    if (directive) tests.push(test(plain, "skipped"));
    else if (!not) tests.push(test(plain, "passed"));
    else tests.push(test(plain, "failed", failureOf(details, root)));
  }
  return tests;
}

/**
 * The message of a failed test, and its place: the line of the failed assertion if the stack has
 * it, otherwise the line of the test.
 */
function failureOf({ location = "", error = "the test failed without a message", stack = "" }, root) {
  const begins = local(location, root).replace(/:\d+$/, "");
  const file = begins.replace(/:\d+$/, "");
  const deeper = stack.split("\n").map((line) => line.match(/\(?(?:file:\/\/)?([^\s()]+):(\d+):\d+\)?$/));
  const own = deeper.find((found) => found && local(found[1], root) === file);
  return { place: own ? `${file}:${own[2]}` : begins, message: shortened(error) };
}

/**
 * The fields of the YAML block after a TAP line. Node writes quoted strings and `|-` blocks only.
 */
function yaml(lines, from) {
  const fields = {};
  if (lines[from]?.trim() !== "---") return fields;
  const indent = lines[from].match(/^ */)[0].length;
  for (let index = from + 1; index < lines.length && lines[index].trim() !== "..."; index++) {
    const field = lines[index].slice(indent).match(/^(\w+): (.*)$/);
    if (!field) continue;
    const [, name, value] = field;
    if (!/^\|-?$/.test(value)) {
      fields[name] = value.replace(/^'(.*)'$/, (_, text) => text.replaceAll("''", "'"));
      continue;
    }
    const block = [];
    while (lines[index + 1]?.startsWith(" ".repeat(indent + 2)) || lines[index + 1] === "")
      block.push(lines[++index].slice(indent + 2));
    fields[name] = block.join("\n");
  }
  return fields;
}

/**
 * Whether a test program stopped before its last test. The tests that never ran are missing from
 * its output, so an expected failure must not hide this.
 */
export function isCutShort(output) {
  if (/could not compile `/.test(output)) return true;
  // libtest exits with 101 after failed tests.
  if (/process didn't exit successfully: [^\n]*\((?!exit status: 101\))/.test(output)) return true;
  return !/^# pass \d+$|^test result: /m.test(output);
}

/** The first error in the output of a compiler, linter or script, with the lines after it. */
export function problem(output) {
  const lines = output.split("\n").filter((line) => line.trim());
  const first = lines.findIndex((line) => /\berror\b|\bError\b|\bFAIL/.test(line));
  // eslint and prettier name the file in the line before.
  const from = first > 0 && /^\S+\.\w+$/.test(lines[first - 1]) ? first - 1 : first;
  return shortened((first < 0 ? lines.slice(-MESSAGE_LINES) : lines.slice(from)).join("\n"));
}
