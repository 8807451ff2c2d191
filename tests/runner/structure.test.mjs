// The suite "structure": which lines, files and imports it reports.
import assert from "node:assert/strict";
import { test } from "node:test";
import { cycles, imports, rustModules } from "../structure/cycles.mjs";
import { fileProblems, lineProblems } from "../structure/lines.mjs";

const word = (length) => "x".repeat(length);

test("a file may have 600 lines", () => {
  assert.deepEqual(fileProblems("a.rs", "\n".repeat(600)), []);
  assert.deepEqual(fileProblems("a.rs", "\n".repeat(601)), ["a.rs: 601 lines, at most 600 are allowed"]);
});

test("a line of code may have 110 columns, a line of comment 100", () => {
  assert.deepEqual(lineProblems("a.mjs", `${word(110)}\n// ${word(97)}\n`), []);
  assert.deepEqual(lineProblems("a.mjs", `a;\n${word(111)}\n// ${word(98)}\n/**\n * ${word(98)}\n */`), [
    "a.mjs:2: 111 columns, at most 110 are allowed",
    "a.mjs:3: 101 columns, at most 100 are allowed",
    "a.mjs:5: 101 columns, at most 100 are allowed",
  ]);
});

test("long literals, URLs, diagrams and rows of tables may make a line longer", () => {
  for (const line of [
    `call("${word(120)}");`,
    `const html = \`<p>\${rows.map((row) => \`<b>\${row}</b>${word(80)}\`)}${word(80)}\`;`,
    `const pattern = /${word(120)}/;`,
    `// see https://example.com/${word(100)}`,
    `// | ${word(120)} |`,
    `// \`\`\`text\n// ${word(120)}\n// \`\`\``,
  ])
    assert.deepEqual(lineProblems("a.mjs", line), [], line);
  assert.deepEqual(lineProblems("a.rs", `call(r#"${word(60)}"${word(60)}"#);`), []);
  assert.equal(lineProblems("a.rs", `call('"', ${word(110)}, '"');`).length, 1, "a quote in a char literal");
  assert.equal(lineProblems("a.mjs", `call("${word(10)}", ${word(110)});`).length, 1, "a short literal");
});

test("files that import each other in a cycle are reported, even if only for types", () => {
  const sources = new Map([
    ["src/env.ts", 'import type { Mailbox } from "./mailbox";'],
    ["src/mailbox.ts", 'import { send } from "./queue.ts";\n// import "./index"'],
    ["src/queue.ts", 'export { type Env } from "./env";'],
    ["src/index.ts", 'const later = import("./env");'],
  ]);
  const cycle = ["src/env.ts", "src/mailbox.ts", "src/queue.ts", "src/env.ts"];
  assert.deepEqual(cycles(imports(sources)), [cycle]);
});

test("a declaration file imports declarations, not the code of the same name", () => {
  const sources = new Map([
    ["index.js", 'import { lock } from "./locks.js";'],
    ["locks.js", ""],
    ["index.d.ts", 'import { Lock } from "./locks.js";'],
    ["locks.d.ts", ""],
  ]);
  assert.deepEqual([...imports(sources).get("index.d.ts")], ["locks.d.ts"]);
});

test("modules of Rust that name each other in a cycle are reported; parents, children and tests are not", () => {
  const sources = new Map([
    ["src/protocol/page.rs", "use super::{error::Error, query::{self, Query}};"],
    ["src/protocol/query.rs", "mod options;\n#[cfg(test)]\nmod tests { use super::super::page; }"],
    ["src/protocol/query/options.rs", "use super::Query;\nfn f() -> crate::protocol::error::Error {}"],
    ["src/protocol/query/tests.rs", "use crate::protocol::page;"],
    ["src/protocol/error.rs", "// use super::page;"],
  ]);
  assert.deepEqual(cycles(rustModules(sources)), []);
  sources.set("src/protocol/error.rs", "use super::page::Page;");
  assert.deepEqual(cycles(rustModules(sources)), [["protocol::page", "protocol::error", "protocol::page"]]);
});
