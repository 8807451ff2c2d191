import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { requestsOf, startFake } from "../fake.mjs";

const run = promisify(execFile);
const script = new URL("one-page.mjs", import.meta.url).pathname;

test("a round of N pages completes in N processes and requests each page once", async () => {
  const fake = await startFake();
  const folder = await mkdtemp(join(tmpdir(), "deltalink-"));
  try {
    const world = await fake.world({ populate: { contacts: 57 } });
    const file = join(folder, "store.json");
    const seen = [];
    let processes = 0;
    let outcome;
    while (outcome !== "complete") {
      assert.ok(++processes <= 6, "more processes than pages");
      const { stdout } = await run(process.execPath, [script, world.root, world.tokens.delegated, file]);
      const [page, end] = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      assert.equal(page.index, processes - 1);
      seen.push(...page.ids);
      outcome = end.outcome;
      assert.equal(end.count, seen.length);
    }
    assert.equal(processes, 6);
    const log = await requestsOf(world);
    assert.equal(log.length, 6);
    assert.equal(new Set(log.map(({ url }) => url)).size, 6);
    assert.deepEqual(seen.sort(), (await world.table("contacts")).map(({ id }) => id).sort());
  } finally {
    await fake.stop();
    await rm(folder, { recursive: true });
  }
});

test("a long round keeps only its last pages in memory", async () => {
  const fake = await startFake();
  try {
    const world = await fake.world({ populate: { contacts: 120 }, options: { page_size: 2 } });
    const held = new URL("held-pages.mjs", import.meta.url).pathname;
    const { stdout } = await run(process.execPath, ["--expose-gc", held, world.root, world.tokens.delegated]);
    assert.ok(Number(stdout) <= 3, `${stdout} of 50 pages are held`);
  } finally {
    await fake.stop();
  }
});
