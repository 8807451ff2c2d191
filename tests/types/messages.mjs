// Compiles the mistakes in messages/mistakes.ts with both compilers. Each must be reported in the
// line after its comment, with a message that contains the comment.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

const root = new URL("../..", import.meta.url).pathname;
const lines = readFileSync(`${root}tests/types/messages/mistakes.ts`, "utf8").split("\n");
/** The expected texts by the number of the line. */
const expected = new Map(
  lines.flatMap((line, index) => (index > 0 && line.startsWith("// ") ? [[index + 2, line.slice(3)]] : [])),
);
for (const compiler of ["typescript/bin/tsc", "typescript-7/bin/tsc"]) {
  const command = [`node_modules/${compiler}`, "-p", "tests/types/messages", "--pretty", "false"];
  const { stdout } = spawnSync(process.execPath, command, { cwd: root, encoding: "utf8" });
  const reported = new Map(
    stdout.split(/\n(?! )/).flatMap((error) => {
      const [, line] = /mistakes\.ts\((\d+),/.exec(error) ?? [];
      return line ? [[Number(line), error]] : [];
    }),
  );
  assert.deepEqual([...reported.keys()], [...expected.keys()], `${compiler} reports other lines:\n${stdout}`);
  for (const [line, text] of expected) {
    // The compilers list the members of a union in different orders.
    const swapped = text.replace(
      /'([^'|]*\()?(\w+) \| (\w+)/,
      (_, before = "", a, b) => `'${before}${b} | ${a}`,
    );
    const message = reported.get(line);
    assert.ok(message.includes(text) || message.includes(swapped), `${compiler}: ${message}\nlacks: ${text}`);
  }
}
