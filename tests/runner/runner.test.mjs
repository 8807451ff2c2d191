// The test runner: how it parses the output of programs and treats expected failures.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { applyExpected } from "./expected.mjs";
import { isCutShort, problem, readCargo, readTap } from "./read.mjs";

const CARGO = `
running 3 tests
test rate::a_permit_comes_back ... ok
test a_page_is_committed_once ... FAILED
test needs_a_corpus ... ignored

failures:

---- a_page_is_committed_once stdout ----
seed 7

thread 'a_page_is_committed_once' (4321) panicked at tests/model.rs:87:9:
assertion \`left == right\` failed: revision
  left: 1
 right: 2
note: run with \`RUST_BACKTRACE=1\` environment variable to display a backtrace


failures:
    a_page_is_committed_once

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s
`;

test("the output of cargo gives each test, with place and message of a failed one", () => {
  assert.deepEqual(readCargo(CARGO), [
    { name: "rate::a_permit_comes_back", outcome: "passed" },
    {
      name: "a_page_is_committed_once",
      outcome: "failed",
      place: "tests/model.rs:87",
      message: "assertion `left == right` failed: revision\n  left: 1\n right: 2",
    },
    { name: "needs_a_corpus", outcome: "skipped" },
  ]);
});

const BROWSER = `running 2 tests
test browser::pages_come_in_order ... FAIL
test browser::a_closed_client_says_so ... ok

failures:

---- browser::pages_come_in_order output ----
    error output:
        panicked at tests/browser.rs:120:5:
        assertion failed: pages.is_empty()

        Stack:

        Error
            at http://127.0.0.1:1/x.js:1:1

failures:

    browser::pages_come_in_order

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 filtered out; finished in 1.2s
`;

test("the output of a browser gives each test, with place and message of a failed one", () => {
  const [failed, passed] = readCargo(BROWSER);
  assert.deepEqual(failed, {
    name: "browser::pages_come_in_order",
    outcome: "failed",
    place: "tests/browser.rs:120",
    message: "assertion failed: pages.is_empty()",
  });
  assert.equal(passed.outcome, "passed");
});

/** The TAP output of node for a test file. */
function tapOf(source) {
  const folder = mkdtempSync(join(tmpdir(), "deltalink-runner-"));
  try {
    const file = join(folder, "some.test.mjs");
    writeFileSync(
      file,
      `import assert from "node:assert/strict";\nimport { describe, test } from "node:test";\n${source}`,
    );
    // With this variable node would report to the parent test process instead of printing TAP.
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
    const { stdout } = spawnSync(process.execPath, ["--test", "--test-reporter=tap", file], {
      encoding: "utf8",
      env,
    });
    return readTap(stdout, `${folder}/`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("the output of node gives tests, subtests, skipped ones and the line of a failed assertion", () => {
  const tests = tapOf(`
    test("passes # with a sign", () => {});
    test("later", { todo: true }, () => {});
    describe("a group", () => {
      test("fails in it", () => {
        assert.equal(1, 2, "one is 'two'");
      });
    });
    test("a parent", async (t) => {
      await t.test("a child", () => assert.deepEqual({ a: 1 }, { a: 2 }));
    });
  `);
  assert.deepEqual(
    tests.map(({ name, outcome, place }) => [name, outcome, place]),
    [
      ["passes # with a sign", "passed", undefined],
      ["later", "skipped", undefined],
      ["fails in it", "failed", "some.test.mjs:8"],
      ["a child", "failed", "some.test.mjs:12"],
    ],
  );
  assert.equal(tests[2].message, "one is 'two'\n1 !== 2");
  assert.match(tests[3].message, /^Expected values to be strictly deep-equal:\n/);
});

test("the output of node gives a failure for a file that cannot be loaded and for an unhandled rejection", () => {
  const [broken] = tapOf("import { nothing } from './nowhere.mjs';");
  assert.equal(broken.outcome, "failed");
  const [unhandled] = tapOf(
    "test('rejects', async () => { Promise.reject(new Error('nobody')); await new Promise((resolve) => setImmediate(resolve)); });",
  );
  assert.deepEqual([unhandled.outcome, unhandled.message], ["failed", "nobody"]);
});

test("an expected failure has its own count, and fails once its test passes or is gone", () => {
  const tests = [
    { name: "known", outcome: "failed", message: "x" },
    { name: "repaired", outcome: "passed" },
    { name: "new", outcome: "failed", message: "y" },
  ];
  const list = ["known", "repaired", "gone"].map((test) => ({ suite: "package", test, issue: "#11" }));
  const judged = applyExpected("package", tests, [...list, { suite: "native", test: "new", issue: "#11" }]);
  assert.deepEqual(
    judged.map(({ name, outcome }) => [name, outcome]),
    [
      ["known", "expected"],
      ["repaired", "failed"],
      ["new", "failed"],
      ["gone", "failed"],
    ],
  );
  assert.equal(judged[1].message, "passed now: remove it from the list");
  assert.equal(judged[3].message, "the suite package has no test of this name");
});

test("an entry of the list without an engine applies to each engine", () => {
  const tests = [{ name: "known", outcome: "failed", message: "x" }];
  const list = [{ suite: "browser", test: "known", issue: "#11" }];
  assert.equal(applyExpected("browser, WebKit", tests, list)[0].outcome, "expected");
  assert.equal(applyExpected("browserless", tests, list)[0].outcome, "failed");
});

test("the runner distinguishes a program that crashed from one with failed tests", () => {
  const failed =
    "error: test failed\n  process didn't exit successfully: `target/debug/deps/a-1` (exit status: 101)\n";
  const aborted = failed.replace("exit status: 101", "signal: 6, SIGABRT: process abort signal");
  assert.equal(isCutShort(CARGO + failed), false);
  assert.equal(isCutShort(CARGO + aborted), true);
  assert.equal(isCutShort(`${CARGO}error: could not compile \`deltalink\` (test "model")`), true);
  assert.equal(isCutShort("TAP version 13\nnot ok 1 - a\n# pass 0\n"), false);
  assert.equal(isCutShort("TAP version 13\nnot ok 1 - a\n"), true);
  assert.equal(isCutShort(BROWSER), false);
});

test("the message of any other program is its output from the first error on", () => {
  assert.equal(
    problem("Compiling a\nerror[E0308]: mismatched types\n --> src/lib.rs:3:5\n"),
    "error[E0308]: mismatched types\n --> src/lib.rs:3:5",
  );
  assert.equal(
    problem("/x/a.mjs\n  3:7  error  'b' is not defined  no-undef\n"),
    "/x/a.mjs\n  3:7  error  'b' is not defined  no-undef",
  );
});
