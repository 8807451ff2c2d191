// Runs the suites, two at a time if they need different resources, and prints the result of each.
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { root } from "./command.mjs";
import { applyExpected, readList } from "./expected.mjs";

const LOGS = "target/test-logs";
/** The number of failures that are printed for a suite. Its log has all of them. */
const FAILURES = 10;

/**
 * A suite: `name`, `budget` in seconds, `run(log)` which resolves to `{ tests, notes }`, and
 * - `needs`: resources that it uses alone, such as a browser or cargo's lock,
 * - `after`: suites that must pass first if they are selected,
 * - `requires`: suites that must pass first and are selected with it.
 */
export async function runAll(suites) {
  const list = readList(root);
  const concurrency = availableParallelism() > 1 ? 2 : 1;
  const waiting = [...suites];
  const running = new Map();
  const done = new Map();
  let begun = 0;
  mkdirSync(`${root}${LOGS}`, { recursive: true });

  const names = new Set(suites.map(({ name }) => name));
  const before = ({ after = [], requires = [] }) => [...after, ...requires].filter((name) => names.has(name));
  const busy = () => new Set([...running.keys()].flatMap(({ needs = [] }) => needs));
  const isReady = (suite) =>
    before(suite).every((name) => done.has(name)) && !(suite.needs ?? []).some((need) => busy().has(need));

  while (waiting.length || running.size) {
    for (let next; running.size < concurrency && (next = waiting.find(isReady));) {
      waiting.splice(waiting.indexOf(next), 1);
      const suite = next;
      begun += 1;
      const broken = before(suite).find((name) => done.get(name).failed || done.get(name).notRun);
      if (broken) {
        done.set(suite.name, { name: suite.name, notRun: broken });
        console.log(`[${begun}/${suites.length}] ${suite.name}: not run, because ${broken} failed`);
        continue;
      }
      console.log(`[${begun}/${suites.length}] ${suite.name} …`);
      running.set(
        suite,
        runOne(suite, list).then((result) => {
          running.delete(suite);
          done.set(suite.name, result);
        }),
      );
    }
    if (running.size) await Promise.race(running.values());
  }
  return printSummary([...done.values()]);
}

async function runOne(suite, list) {
  const { name, budget } = suite;
  const log = `${LOGS}/${name.replace(/\W+/g, "-")}.log`;
  writeFileSync(`${root}${log}`, "");
  const start = Date.now();
  const { tests, notes = [] } = await suite.run(`${root}${log}`).catch((error) => ({
    tests: [{ name, outcome: "failed", message: error.stack }],
  }));
  const seconds = (Date.now() - start) / 1000;
  const judged = applyExpected(name, tests, list);
  const count = (outcome) => judged.filter((test) => test.outcome === outcome).length;
  const result = {
    name,
    log,
    seconds,
    passed: count("passed"),
    failed: count("failed"),
    skipped: count("skipped"),
    expected: count("expected"),
  };
  const limit = seconds > budget ? `, OVER its budget of ${budget} s` : ` of ${budget} s`;
  const time = `${seconds.toFixed(1).padStart(6)} s${limit}`;
  const counts = `${String(result.passed).padStart(4)} passed ${String(result.failed).padStart(3)} failed`;
  console.log(`${result.failed ? "FAILED " : "ok     "} ${name.padEnd(26)} ${counts} ${time}`);
  for (const test of judged.filter(({ outcome }) => outcome === "expected"))
    printIndented(`expected failure: ${test.name} (${test.issue})`);
  const failures = judged.filter(({ outcome }) => outcome === "failed");
  for (const { name, place, message } of failures.slice(0, FAILURES)) {
    printIndented([place, name].filter(Boolean).join("  "));
    printIndented(message, 12);
  }
  if (failures.length > FAILURES) printIndented(`and ${failures.length - FAILURES} more`);
  for (const note of notes) printIndented(note);
  if (failures.length) printIndented(`the whole log: ${log}`);
  return result;
}

function printIndented(text, by = 8) {
  console.log(text.replace(/^/gm, " ".repeat(by)));
}

/** Prints one line for each failed suite and the totals. Returns the exit code. */
function printSummary(results) {
  const sum = (count) => results.reduce((total, result) => total + (result[count] ?? 0), 0);
  const notRun = results.filter((result) => result.notRun);
  console.log("");
  for (const { name, failed, log } of results.filter(({ failed }) => failed))
    console.log(`failed: ${name}, ${failed} tests, ${log}`);
  for (const { name, notRun: broken } of notRun) console.log(`not run: ${name}, because ${broken} failed`);
  console.log(`time: ${sum("seconds").toFixed(0)} s of suites in ${process.uptime().toFixed(0)} s`);
  if (sum("expected")) console.log(`expected failures: ${sum("expected")}`);
  if (sum("skipped")) console.log(`skipped: ${sum("skipped")}`);
  console.log(`${sum("passed")} passed, ${sum("failed")} failed`);
  return sum("failed") || notRun.length ? 1 : 0;
}
