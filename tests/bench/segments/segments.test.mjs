// Both stores keep the contract of `DeltaStore`, and the segment store reads the same rows as a
// model.
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { test } from "node:test";
import { storeContract } from "../../../pkg-template/contract.js";
import { openRows } from "./row-store.mjs";
import { openSegments } from "./segment-store.mjs";

const VARIANTS = {
  "pages from 50 rows": {},
  "every commit with rows is a page": { minimum: 1 },
  "compacted after each page": { minimum: 1, compactAfter: 1, sortedRows: 3 },
  "nothing in memory": { minimum: 2, sortedRows: 3, cache: 0 },
  objects: { minimum: 2, format: "objects", sortedRows: 3, compactAfter: 3 },
  "an index of IndexedDB": { minimum: 2, index: true, compactAfter: 3 },
};

function contract(title, open) {
  let opened = 0;
  const stores = [];
  const reopen = async (name) => {
    const store = await open(name);
    stores.push(store);
    return Object.assign(store, { name });
  };
  const rules = storeContract(() => reopen(`contract ${title} ${(opened += 1)}`), {
    reopen: ({ name }) => reopen(name),
  });
  for (const { name, run } of rules) test(`${title}: ${name}`, run);
}

contract("rows", openRows);
contract("rows with short keys", (name) => openRows(name, { isShort: true }));
contract("rows as JSON", (name) => openRows(name, { isText: true }));
for (const [title, options] of Object.entries(VARIANTS))
  contract(`segments, ${title}`, (name) => openSegments(name, options));

/** A generator of pseudo-random integers from 0 to below its argument. */
function random(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

for (const [title, options] of Object.entries(VARIANTS)) {
  test(`segments, ${title}: after random commits and compactions, reads equal those of a Map`, async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const below = random(seed);
      const name = `model ${title} ${seed}`;
      const model = new Map();
      // Half of the databases begin with the layout of row-store.mjs.
      const rows = seed % 2 ? await openRows(name) : undefined;
      let store = rows;
      for (let step = 0; step < 40; step++) {
        if (!store || step === 6) {
          rows?.close();
          store = await openSegments(name, { ...options, minimum: 4 });
          await compareWith(store, model, below);
        }
        const expect = step ? `r${step - 1}` : undefined;
        const batch = { expect, state: { revision: `r${step}` }, ...randomChanges(step, below) };
        assert.equal(await store.commit("key", batch), true);
        for (const [id, row] of batch.put) model.set(id, row);
        for (const id of batch.remove) model.delete(id);
        if (store !== rows && below(8) === 0) await store.compact("key");
        await compareWith(store, model, below);
      }
      await store.compacted();
      store.close();
    }
  });
}

function randomChanges(step, below) {
  const ids = new Set(Array.from({ length: below(9) }, () => `id ${below(30)}`));
  const [put, remove] = [[], []];
  for (const id of ids) {
    if (below(3)) put.push([id, { round: step, item: { id, step } }]);
    else remove.push(id);
  }
  return { put, remove };
}

async function compareWith(store, model, below) {
  const all = Array.from({ length: 31 }, (_, number) => `id ${number}`);
  for (const ids of [all, all.slice(below(28)).slice(0, 3)])
    assert.deepEqual(
      await store.rows("key", ids),
      ids.map((id) => model.get(id)),
    );
  const sorted = [...model].sort(([one], [other]) => (one < other ? -1 : 1));
  const limit = 1 + below(12);
  const found = [];
  for (let chunk; chunk === undefined || chunk.length === limit; found.push(...chunk))
    chunk = await store.scan("key", { after: found.at(-1)?.[0], limit });
  assert.deepEqual(found, sorted);
  const items = new Map((await store.all("key")).map((item) => [item.id, item]));
  assert.deepEqual(items, new Map(sorted.map(([id, { item }]) => [id, item])));
}
