// Tests that must fail until an issue is closed: tests/expected-failures.json lists each as
// { suite, test, issue }.
import { readFileSync } from "node:fs";

export const LIST = "tests/expected-failures.json";

export function readList(root) {
  const list = JSON.parse(readFileSync(`${root}${LIST}`, "utf8"));
  for (const { suite, test, issue } of list) {
    if (![suite, test, issue].every((value) => typeof value === "string" && value))
      throw new Error(`${LIST}: suite, test and issue must be strings`);
  }
  return list;
}

/** Whether an entry is for a suite. `browser` stands for that suite in each engine. */
const isOf = (entry, suite) =>
  entry.suite === suite || (entry.suite === "browser" && suite.startsWith("browser, "));

/**
 * Marks listed tests that failed as `expected`. Adds a failure for each listed test that passed or
 * does not exist.
 */
export function applyExpected(suite, tests, list) {
  const entries = list.filter((entry) => isOf(entry, suite));
  const known = new Set(tests.map(({ name }) => name));
  const missing = entries.filter(({ test }) => !known.has(test));
  return [
    ...tests.map((test) => {
      const entry = entries.find((entry) => entry.test === test.name);
      if (!entry) return test;
      if (test.outcome === "failed") return { ...test, outcome: "expected", issue: entry.issue };
      return {
        name: test.name,
        outcome: "failed",
        place: LIST,
        message: `${test.outcome} now: remove it from the list`,
      };
    }),
    ...missing.map(({ test }) => ({
      name: test,
      outcome: "failed",
      place: LIST,
      message: `the suite ${suite} has no test of this name`,
    })),
  ];
}
