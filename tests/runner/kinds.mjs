// The kinds of suites: a command that passes or fails as a whole, a test program, and a test
// program in each engine.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { startFake } from "../fake.mjs";
import { ci, env, root, run } from "./command.mjs";
import { isCutShort, problem, readCargo, readTap } from "./read.mjs";

const corpus = process.env.CORPUS ?? `${root}../shared/corpus`;
/** Without a corpus the test of real responses passes, but counts as skipped. */
const isCorpusMissing = !existsSync(`${corpus}/index.tsv`);

/** The result of a suite whose tool or engine is missing: skipped, or failed in CI. */
function notInstalled(name, what) {
  const message = `${what} is not installed; run make setup`;
  if (ci) return { tests: [{ name, outcome: "failed", message }] };
  return { tests: [{ name, outcome: "skipped" }], notes: [`skipped: ${message}`] };
}

/** A command that passes or fails as a whole. `tool` is a program that make setup installs. */
export function check(name, command, more = {}) {
  const { variables, tool, ...suite } = more;
  return {
    name,
    ...suite,
    async run(log) {
      if (tool && !existsSync(`${env.TOOLS}/bin/${tool}`)) return notInstalled(name, tool);
      const { code, output } = await run(command, log, variables);
      return { tests: [{ name, outcome: code === 0 ? "passed" : "failed", message: problem(output) }] };
    },
  };
}

/** Tests of `cargo test`. `notes` turns the output into lines that the runner prints. */
export function cargo(name, command, more = {}) {
  return {
    name,
    ...more,
    run: async (log) => resultOf(name, await run(command, log), readCargo, more.notes),
  };
}

/** Tests of `node --test`. */
export function node(name, command, more = {}) {
  const { variables, ...suite } = more;
  const read = (output) => readTap(output, root);
  return {
    name,
    ...suite,
    run: async (log) => {
      const ended = await run(`node --test --test-reporter=tap ${command}`, log, variables);
      return resultOf(name, ended, read, more.notes);
    },
  };
}

function resultOf(name, { code, output }, read, notes = () => []) {
  const tests = read(output);
  const failed = tests.some(({ outcome }) => outcome === "failed");
  // A program that fails without a failed test, or before its last test, counts as a failed test.
  if (code !== 0 && (!failed || isCutShort(output))) {
    tests.push({ name, outcome: "failed", message: `ended with ${code}\n${problem(output)}` });
  }
  if (code === 0 && tests.length === 0)
    tests.push({ name, outcome: "failed", message: "the suite ran no test" });
  const corpusTest =
    isCorpusMissing &&
    tests.find((test) => /every_real_response/.test(test.name) && test.outcome === "passed");
  if (!corpusTest) return { tests, notes: notes(output) };
  corpusTest.outcome = "skipped";
  return { tests, notes: [...notes(output), `skipped: ${corpusTest.name}, there is no corpus at ${corpus}`] };
}

const ENGINES = [
  { engine: "Chromium", driver: "CHROMEDRIVER", path: env.CHROMIUM && env.CHROMEDRIVER },
  { engine: "Firefox", driver: "GECKODRIVER", path: env.FIREFOX && `${env.TOOLS}/bin/geckodriver` },
  { engine: "WebKit", driver: "SAFARIDRIVER", path: env.WEBKITDRIVER, before: "xvfb-run -a " },
];

/** Fails a suite that ran more or fewer tests than the same suite in another engine. */
class Counts {
  #counts = new Map();

  /** Compares nothing if a test failed, because an engine may stop at a failed test. */
  check(suite, engine, tests) {
    if (tests.some(({ outcome }) => outcome === "failed")) return;
    this.#counts.set(engine, tests.length);
    const unequal = [...this.#counts].find(([, count]) => count !== tests.length);
    if (!unequal) return;
    const message = `${engine} ran ${tests.length} tests, ${unequal[0]} ${unequal[1]}`;
    tests.push({ name: suite, outcome: "failed", message });
  }
}

/** Tests of `node --test`, run once for each engine with its name in the variable ENGINE. */
export function nodeInEngines(suite, command, { budgets, ...more }) {
  const counts = new Counts();
  return ENGINES.map(({ engine, path }) => {
    const name = `${suite}, ${engine}`;
    const settings = { ...more, variables: { ENGINE: engine }, needs: [engine], budget: budgets[engine] };
    const inEngine = node(name, command, settings);
    return {
      ...inEngine,
      async run(log) {
        if (!path || !existsSync(path)) return notInstalled(name, `${engine} or its driver`);
        const result = await inEngine.run(log);
        counts.check(name, engine, result.tests);
        return result;
      },
    };
  });
}

/** The wasm tests, compiled once and run in each engine. */
export function engines({ quick, budgets }) {
  const counts = new Counts();
  let fake;
  let programs;
  const compile = {
    name: "browser, build",
    needs: ["cargo"],
    after: ["build"],
    budget: budgets.build,
    quick: true,
    async run(log) {
      fake = await startFixedFake(isCorpusMissing ? [] : ["--static", corpus]);
      const command =
        "cargo test --locked --no-run --message-format=json-render-diagnostics" +
        " --target wasm32-unknown-unknown -p deltalink --features http-tests" +
        " --test browser --test http --test scenarios";
      // This optimization makes the scenarios take two thirds of the time in each engine.
      const variables = { FAKE_ORIGIN: fake.origin, CARGO_PROFILE_DEV_OPT_LEVEL: "1" };
      const { code, output } = await run(command, log, variables);
      programs = [...output.matchAll(/"executable":"([^"]+\.wasm)"/g)].map(([, path]) => path);
      const isBuilt = code === 0 && programs.length === 3;
      return {
        tests: [{ name: "browser, build", outcome: isBuilt ? "passed" : "failed", message: problem(output) }],
      };
    },
  };
  const suites = ENGINES.map(({ engine, driver, path, before = "" }) => ({
    name: `browser, ${engine}`,
    needs: [engine],
    requires: ["browser, build"],
    budget: budgets[engine],
    quick: quick.includes(engine),
    async run(log) {
      const name = `browser, ${engine}`;
      if (!path || !existsSync(path)) return notInstalled(name, `${engine} or its driver`);
      const variables = {
        [driver]: path,
        WASM_BINDGEN_TEST_ONLY_WEB: "1",
        WASM_BINDGEN_TEST_TIMEOUT: "300",
        WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1",
      };
      const results = [];
      // Runs all programs, even after one that failed.
      for (const program of programs) {
        const ended = await run(`${before}wasm-bindgen-test-runner ${program}`, log, variables);
        results.push(resultOf(`${name}, ${program.match(/([^/]+)-\w+\.wasm$/)[1]}`, ended, readCargo));
      }
      const tests = results.flatMap((result) => result.tests);
      counts.check(name, engine, tests);
      return { tests, notes: results.flatMap((result) => result.notes) };
    },
  }));
  return { suites: [compile, ...suites], end: () => fake?.stop() };
}

/**
 * Starts the fake Graph at the port of the last run if that is free. The tests contain its origin,
 * so with the same port cargo does not compile them again.
 */
async function startFixedFake(args) {
  const file = `${root}target/test-logs/fake-port`;
  mkdirSync(`${root}target/test-logs`, { recursive: true });
  const port = existsSync(file) ? readFileSync(file, "utf8") : "0";
  const fake = await startFake("--port", port, ...args).catch(() => startFake(...args));
  writeFileSync(file, new URL(fake.origin).port);
  return fake;
}
