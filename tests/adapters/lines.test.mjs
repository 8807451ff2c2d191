// The adapters stay small, because the package itself implements the rules.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const LIMIT = 100;
const linesOf = async (path) =>
  (await readFile(new URL(`../../${path}`, import.meta.url), "utf8")).trimEnd().split("\n").length;

for (const name of ["react", "vue", "tanstack-db"])
  test(`deltalink/${name} has at most ${LIMIT} lines`, async (context) => {
    const lines = await linesOf(`pkg-template/${name}.js`);
    context.diagnostic(`lines: deltalink/${name} ${lines}`);
    assert.ok(lines <= LIMIT, `${lines} lines`);
  });
