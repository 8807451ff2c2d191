// No test waits for a time to pass: timers of the tests stand in one file per language, behind names that say what they are for.
import { execFileSync } from "node:child_process";

const TIMER = String.raw`\bsleep\(|\bsetTimeout\b|\bsetInterval\b|waitForTimeout|timers/promises|scheduler\.wait|Atomics\.wait`;
const ALLOWED = ["tests/wait.mjs", "tests/fake-graph/src/main.rs", "tests/no-sleeps.mjs"];

const root = new URL("..", import.meta.url);
const args = ["grep", "--untracked", "-nE", TIMER, "--", "tests/*.mjs", "tests/*.js", "tests/*.ts", "tests/*.rs", "tests/*.html"];
const found = grep(args).filter((line) => !ALLOWED.includes(line.split(":", 1)[0]));
for (const line of found) console.error(line);
if (found.length) {
  console.error("A test waits for a state or an event: see `until`, `event` and `turn` in tests/wait.mjs; `delayed` is for a slow host.");
  process.exitCode = 1;
}

/** git's `grep` exits with 1 where it finds nothing. */
function grep(args) {
  try {
    return execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim().split("\n");
  } catch (error) {
    if (error.status === 1) return [];
    throw error;
  }
}
