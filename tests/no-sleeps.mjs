// Fails if a test sets a timer: a test waits for a state or an event, never for a time to pass.
// Only one file per host and language may set timers, in functions named after their purpose.
import { execFileSync } from "node:child_process";

const TIMER = [
  String.raw`\bsleep\(`,
  String.raw`\bset(Timeout|Interval)\b`,
  "waitForTimeout",
  "timers/promises",
  String.raw`(scheduler|Atomics)\.wait\b`,
].join("|");
const ALLOWED = [
  "tests/wait.mjs",
  "tests/browser/kit.js",
  "tests/fake-graph/src/main.rs",
  "tests/no-sleeps.mjs",
  "tests/types/facade/stubs/deltalink.d.ts",
];

const root = new URL("..", import.meta.url);
const args = [
  "grep",
  "--untracked",
  "-nE",
  TIMER,
  "--",
  "tests/*.mjs",
  "tests/*.js",
  "tests/*.ts",
  "tests/*.rs",
  "tests/*.html",
];
const found = grep(args).filter((line) => !ALLOWED.includes(line.split(":", 1)[0]));
for (const line of found) console.error(line);
if (found.length) {
  console.error(
    "no-sleeps: wait for a state or an event: `until`, `event` or `turn` of tests/wait.mjs; `delayed` simulates a slow network, store or user.",
  );
  process.exitCode = 1;
}

/** Returns the lines that `git grep` finds. It exits with 1 if there are none. */
function grep(args) {
  try {
    return execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim().split("\n");
  } catch (error) {
    if (error.status === 1) return [];
    throw error;
  }
}
