// Every suite, its time, and one last line: N passed, M failed.
//
// With CI=true no suite and no engine may be skipped. On a desk a missing engine is named and its tests count as skipped.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { startFake } from "./fake.mjs";

const root = new URL("..", import.meta.url).pathname;
const ci = process.env.CI === "true";
const env = await environment();
// Words of suites' names: `node tests/run.mjs native browser` runs those alone.
const only = process.argv.slice(2);
const suites = [];
const corpus = process.env.CORPUS ?? `${root}../shared/corpus`;
/** The tests of real answers pass where there are none; that they did nothing is said and counted here. */
const withoutCorpus = existsSync(`${corpus}/index.tsv`) ? undefined : `skipped: 1 test of real answers, there is no corpus at ${corpus}`;

// ---- the suites

check("format", "cargo fmt --all --check");
check("clippy, native", "cargo clippy --quiet --locked --workspace --all-targets -- -D warnings");
check("build", "scripts/build.sh");
// After the build: the browser tests compile in what it bundles.
check("clippy, wasm", "cargo clippy --quiet --locked -p deltalink --target wasm32-unknown-unknown --lib --test browser --test schedules -- -D warnings");
check("eslint", "node_modules/.bin/eslint . --max-warnings 0");
check("types, TypeScript 5.9", "node_modules/.bin/tsc -p tests/types");
check("types, current TypeScript", "node node_modules/typescript-7/bin/tsc -p tests/types");
check("types, without the DOM", "node_modules/.bin/tsc -p tests/types/no-dom && node node_modules/typescript-7/bin/tsc -p tests/types/no-dom");
check("types, README", "node tests/readme.mjs");
check("types, dashboard", "node_modules/.bin/tsc -p www --noEmit");
check("types, edge example", "node_modules/.bin/tsc -p www/edge && node_modules/.bin/tsc -p tests/edge");
counted("native", "cargo test --quiet --locked --workspace", real(cargo));
counted("planted bugs", "cargo test --quiet --locked --features planted --test model -- --nocapture planted", told(cargo, /^seed.*finds that.*$/gm));
engines();
counted("package", "node --test --test-reporter=tap tests/package/", tap);
check("publint", "node_modules/.bin/publint run dist/deltalink.tgz --strict");
check("attw", "node_modules/.bin/attw dist/deltalink.tgz --profile esm-only --quiet");
counted("edge", "node --test --test-timeout=300000 --test-concurrency=2 --test-reporter=tap tests/edge/", told(tap, /^# (storm|schedules): .*$/gm));
counted("hosts", "node --test --test-timeout=120000 --test-reporter=tap tests/hosts/", tap);
counted("peers", "node --test --test-reporter=tap tests/peers/", tap);
counted("msal", "node --test --test-timeout=60000 --test-reporter=tap tests/msal/", tap);
counted("tabs", "node --test --test-timeout=120000 --test-reporter=tap tests/tabs/", tap);
counted("kill", "node --test --test-timeout=400000 --test-concurrency=2 --test-reporter=tap tests/kill/", kills);
check("soak, 20 s", "node tests/soak/soak.mjs", { MINUTES: "0.33" });
counted("dashboard", "node --test --test-reporter=tap tests/dashboard/", tap);
check("check-demo", "node tests/check-demo.mjs");
check("size", "node scripts/size.mjs");
await runAll();

// ---- how they run

async function runAll() {
  const total = { passed: 0, failed: 0, skipped: 0 };
  const broken = [];
  for (const [name, work] of suites) {
    if (only.length && !only.some((word) => name.includes(word))) continue;
    const start = Date.now();
    const result = { skipped: 0, ...(await work()) };
    for (const count of Object.keys(total)) total[count] += result[count];
    const seconds = ((Date.now() - start) / 1000).toFixed(1);
    console.log(`${result.failed ? "FAILED" : "ok    "} ${name.padEnd(26)} ${String(result.passed).padStart(4)} passed ${String(result.failed).padStart(3)} failed ${seconds.padStart(7)} s`);
    if (result.failed) broken.push(name);
    if (result.output) console.log(result.output.replace(/^/gm, "       "));
  }
  if (broken.length) console.log(`failed: ${broken.join(", ")}`);
  if (total.skipped) console.log(`skipped: ${total.skipped}`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exitCode = total.failed ? 1 : 0;
}

function check(name, command, more) {
  add(name, async () => {
    const { code, output } = await run(command, more);
    return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, output: code === 0 ? "" : output };
  });
}

function counted(name, command, read) {
  add(name, async () => {
    const { code, output } = await run(command);
    const result = read(output);
    // A crash between two tests fails, whatever was counted before it.
    if (code !== 0 && result.failed === 0) result.failed = 1;
    if (code === 0 && result.passed === 0) result.failed = 1;
    return { ...result, output: result.failed ? output : result.note };
  });
}

/** The same tests in three engines, against one fake Graph; the same number of them in each. */
function engines() {
  const counts = new Map();
  const kinds = [
    ["Chromium", "--chrome", "--chromedriver", env.CHROMIUM && env.CHROMEDRIVER, ""],
    ["Firefox", "--firefox", "--geckodriver", env.FIREFOX && `${env.TOOLS}/bin/geckodriver`, ""],
    ["WebKit", "--safari", "--safaridriver", env.WEBKITDRIVER, "xvfb-run -a "],
  ];
  for (const [name, flag, option, driver, before] of kinds) {
    add(`browser, ${name}`, async () => {
      if (!driver || !existsSync(driver)) {
        if (ci) return { passed: 0, failed: 1, output: `${name} is not installed` };
        return { passed: 0, failed: 0, skipped: 1, output: `skipped: ${name} is not installed (make setup says what to install)` };
      }
      const fake = await startFake(...(withoutCorpus ? [] : ["--static", corpus]));
      try {
        const command = `${before}wasm-pack test --mode no-install --headless ${flag} ${option} ${driver} -- --locked --test browser --test schedules`;
        const { code, output } = await run(command, { FAKE_ORIGIN: fake.origin, WASM_BINDGEN_TEST_TIMEOUT: "300", WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" });
        const result = real(cargo)(output);
        if (code !== 0 && result.failed === 0) result.failed = 1;
        counts.set(name, result.passed + result.failed);
        if (new Set(counts.values()).size > 1) {
          result.failed += 1;
          return { ...result, output: `${output}\nthe engines ran different numbers of tests: ${[...counts].map((pair) => pair.join(" ")).join(", ")}` };
        }
        return { ...result, output: result.failed ? output : result.note };
      } finally {
        await fake.stop();
      }
    });
  }
}

function add(name, work) {
  suites.push([name, work]);
}

function cargo(output) {
  const lines = [...output.matchAll(/test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/g)];
  const sum = (at) => lines.reduce((total, line) => total + Number(line[at]), 0);
  return { passed: sum(1), failed: sum(2), skipped: sum(3) };
}

function tap(output) {
  const last = (word) => Number([...output.matchAll(new RegExp(`^# ${word} (\\d+)$`, "gm"))].at(-1)?.[1] ?? 0);
  return { passed: last("pass"), failed: last("fail") + last("cancelled"), skipped: last("skipped") + last("todo") };
}

/** Where pages were killed, and how often. */
function kills(output) {
  const told = [...output.matchAll(/^# ((?:renderer|process|tabs): .*)$/gm)].map(([, line]) => line);
  return { ...tap(output), note: told.sort().join(", ") };
}

/** Counts the test of real answers as skipped where there are none. */
function real(read) {
  return (output) => {
    const result = read(output);
    return withoutCorpus && result.passed ? { ...result, passed: result.passed - 1, skipped: result.skipped + 1, note: withoutCorpus } : result;
  };
}

/** Prints these lines too. */
function told(read, lines) {
  return (output) => ({ ...read(output), note: (output.match(lines) ?? []).join("\n") });
}

function run(command, more = {}) {
  return new Promise((resolve) => {
    const child = spawn("bash", ["-c", command], { cwd: root, env: { ...process.env, ...env, ...more, FAKE_GRAPH: `${root}target/debug/fake-graph` }, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
    child.on("close", (code) => resolve({ code, output }));
  });
}

/** What scripts/env.sh knows about this machine. */
async function environment() {
  const names = ["TOOLS", "PATH", "CHROMIUM", "CHROMEDRIVER", "FIREFOX", "WEBKITDRIVER"];
  const child = spawn("bash", ["-c", `. scripts/env.sh; printf '%s\\n' ${names.map((name) => `"$${name}"`).join(" ")}`], { cwd: root });
  let output = "";
  for await (const text of child.stdout) output += text;
  const values = output.split("\n");
  return Object.fromEntries(names.map((name, at) => [name, values[at]]));
}
