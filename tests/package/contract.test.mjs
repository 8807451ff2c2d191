// Tests storeContract(), the contract of custom stores, with a broken store for each rule.
// tests/contract/ and tests/browser/contract.rs check the stores in Rust by the same rules.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { storeContract } from "deltalink/testing";
import { MemoryStore } from "./memory-store.mjs";
import { delayed, turn } from "../wait.mjs";
import { fileStore } from "./documented.mjs";

let folder;
before(async () => (folder = await mkdtemp(join(tmpdir(), "deltalink-"))));
after(() => rm(folder, { recursive: true }));

let files = 0;
const onDisk = () => {
  const file = join(folder, `${files++}.json`);
  return { file, ...fileStore(file) };
};

for (const { name, run } of storeContract(() => new MemoryStore())) test(`memory: ${name}`, run);
for (const { name, run } of storeContract(onDisk, { reopen: ({ file }) => fileStore(file) }))
  test(`disk: ${name}`, run);

/**
 * A store that is broken on purpose. `change` gets a working one and returns the changed methods.
 */
function broken(change) {
  return () => {
    const good = new MemoryStore();
    const works = Object.fromEntries(
      ["load", "rows", "commit", "scan", "clear"].map((name) => [name, (...values) => good[name](...values)]),
    );
    return { ...works, ...change(good) };
  };
}

/** A store that returns and stores objects without copies. */
function careless(change) {
  return () => {
    const states = new Map();
    const tables = new Map();
    const rowsOf = (key) => tables.get(key) ?? tables.set(key, new Map()).get(key);
    const store = {
      load: async (key) => states.get(key),
      rows: async (key, ids) => ids.map((id) => rowsOf(key).get(id)),
      async commit(key, { expect, state, put, remove }) {
        if (states.get(key)?.revision !== expect) return false;
        states.set(key, state);
        for (const [id, row] of put) rowsOf(key).set(id, row);
        for (const id of remove) rowsOf(key).delete(id);
        return true;
      },
      scan: async (key, { after, limit }) => {
        const ids = [...rowsOf(key).keys()].sort().filter((id) => after === undefined || id > after);
        return ids.slice(0, limit).map((id) => [id, rowsOf(key).get(id)]);
      },
      clear: async (prefix) => {
        for (const map of [states, tables])
          for (const key of map.keys()) if (key.startsWith(prefix)) map.delete(key);
      },
    };
    return { ...store, ...change(store, states, rowsOf) };
  };
}

/** A store that changes each id. */
const changingIds = (change) =>
  broken((good) => ({
    rows: (key, ids) => good.rows(key, ids.map(change)),
    commit: (key, { put, remove, ...batch }) =>
      good.commit(key, {
        ...batch,
        put: put.map(([id, row]) => [change(id), row]),
        remove: remove.map(change),
      }),
  }));
/** A store that changes each key. */
const changingKeys = (change) =>
  broken((good) => ({
    load: (key) => good.load(change(key)),
    rows: (key, ids) => good.rows(change(key), ids),
    commit: (key, batch) => good.commit(change(key), batch),
    scan: (key, range) => good.scan(change(key), range),
  }));
/** A store that changes each row that it stores. */
const changingRows = (change) =>
  broken((good) => ({
    commit: (key, { put, ...batch }) =>
      good.commit(key, { ...batch, put: put.map(([id, row]) => [id, change(row)]) }),
  }));

const BROKEN = [
  [
    "an unknown key",
    "returns null for a missing state",
    broken((good) => ({ load: async (key) => (await good.load(key)) ?? null })),
  ],
  [
    "an unknown key",
    "returns a state before the first commit",
    broken((good) => ({ load: async (key) => (await good.load(key)) ?? { revision: "" } })),
  ],
  [
    "load() and rows() return",
    "stores only the revision of the state",
    broken((good) => ({
      commit: (key, { state: { revision }, ...batch }) => good.commit(key, { ...batch, state: { revision } }),
    })),
  ],
  [
    "load() and rows() return",
    "does not say whether it accepted a commit",
    broken((good) => ({ commit: async (...values) => void (await good.commit(...values)) })),
  ],
  [
    "a commit replaces the state",
    "merges the state",
    broken((good) => ({
      commit: async (key, { state, ...batch }) =>
        good.commit(key, { ...batch, state: { ...(await good.load(key)), ...state } }),
    })),
  ],
  [
    "a commit replaces the state",
    "does not remove",
    broken((good) => ({ commit: (key, batch) => good.commit(key, { ...batch, remove: [] }) })),
  ],
  [
    "a commit replaces the state",
    "empties the table first",
    careless((store, states, rowsOf) => ({
      commit: (key, batch) => (rowsOf(key).clear(), store.commit(key, batch)),
    })),
  ],
  [
    "a commit that expects no state",
    "accepts an undefined revision for any stored one",
    broken((good) => ({
      commit: async (key, batch) =>
        good.commit(key, { ...batch, expect: batch.expect ?? (await good.load(key))?.revision }),
    })),
  ],
  [
    "a commit that expects another revision",
    "does not compare",
    broken((good) => ({
      commit: async (key, batch) => good.commit(key, { ...batch, expect: (await good.load(key))?.revision }),
    })),
  ],
  [
    "a commit that expects another revision",
    "ignores the case of revisions",
    careless((store, states) => ({
      commit: (key, batch) =>
        store.commit(key, {
          ...batch,
          expect:
            batch.expect?.toLowerCase() === states.get(key)?.revision
              ? states.get(key)?.revision
              : batch.expect,
        }),
    })),
  ],
  [
    "a refused commit writes nothing",
    "writes the rows before it compares",
    careless((store, states, rowsOf) => ({
      commit(key, batch) {
        for (const [id, row] of batch.put) rowsOf(key).set(id, row);
        return store.commit(key, batch);
      },
    })),
  ],
  [
    "exactly one of several concurrent commits is",
    "compares and writes in two steps",
    careless((store, states, rowsOf) => ({
      async commit(key, { expect, state, put, remove }) {
        if (states.get(key)?.revision !== expect) return false;
        await turn();
        states.set(key, state);
        for (const [id, row] of put) rowsOf(key).set(id, row);
        for (const id of remove) rowsOf(key).delete(id);
        return true;
      },
    })),
  ],
  [
    "rows() returns rows in the order",
    "returns them in its own order",
    broken((good) => ({ rows: (key, ids) => good.rows(key, [...ids].sort()) })),
  ],
  [
    "rows() returns rows in the order",
    "leaves out missing rows",
    broken((good) => ({ rows: async (key, ids) => (await good.rows(key, ids)).filter(Boolean) })),
  ],
  [
    "scan() in chunks",
    "returns one row too few",
    broken((good) => ({
      scan: async (key, { after, limit }) => await good.scan(key, { after, limit: Math.max(1, limit - 1) }),
    })),
  ],
  [
    "scan() in chunks",
    "returns all rows and ignores the limit",
    broken((good) => ({ scan: (key, { after }) => good.scan(key, { after, limit: 1e6 }) })),
  ],
  [
    "scan() in chunks",
    "begins with the given id",
    careless((store, states, rowsOf) => ({
      scan: async (key, { after, limit }) =>
        [...rowsOf(key)]
          .sort(([one], [other]) => (one < other ? -1 : 1))
          .filter(([id]) => after === undefined || id >= after)
          .slice(0, limit),
    })),
  ],
  [
    "scan() always has the same order",
    "orders rows by their last change",
    careless((store, states, rowsOf) => ({
      async commit(key, batch) {
        for (const [id] of batch.put) rowsOf(key).delete(id);
        return store.commit(key, batch);
      },
      scan: async (key, { after, limit }) => {
        const rows = [...rowsOf(key)];
        const from = after === undefined ? 0 : rows.findIndex(([id]) => id === after) + 1;
        return structuredClone(rows.slice(from, from + limit));
      },
    })),
  ],
  [
    "scan() always has the same order",
    "starts again after a removed id",
    careless((store, states, rowsOf) => ({
      scan: async (key, { after, limit }) => {
        const rows = [...rowsOf(key)].sort(([one], [other]) => (one < other ? -1 : 1));
        return rows.slice(rows.findIndex(([id]) => id === after) + 1).slice(0, limit);
      },
    })),
  ],
  ["similar ids", "ignores case", changingIds((id) => id.toLowerCase())],
  [
    "similar ids",
    "treats ids as numbers",
    changingIds((id) => (id.trim() !== "" && Number.isFinite(Number(id)) ? String(Number(id)) : id)),
  ],
  ["similar ids", "truncates them", changingIds((id) => id.slice(0, 255))],
  ["similar ids", "ends them at a NUL", changingIds((id) => id.split("\0")[0])],
  ["similar ids", "normalizes them", changingIds((id) => id.normalize())],
  [
    "similar ids",
    "keeps rows as properties of an object",
    careless((store, states, rowsOf) => ({
      async commit(key, batch) {
        const rows = Object.fromEntries(rowsOf(key));
        for (const [id, row] of batch.put) rows[id] = row;
        return store.commit(key, { ...batch, put: Object.entries(rows) });
      },
    })),
  ],
  [
    "keys with a common prefix",
    "truncates keys at a bar",
    changingKeys((key) => key.split(" | ").slice(0, 3).join(" | ")),
  ],
  ["keys with a common prefix", "ignores case", changingKeys((key) => key.toLowerCase())],
  [
    "clear() deletes the keys",
    "uses the prefix as a pattern",
    careless((store, states, rowsOf) => ({
      clear: async (prefix) => {
        const pattern = new RegExp(
          `^${prefix.replace(/[|.]/g, "\\$&").replace(/_/g, ".").replace(/%/g, ".*")}`,
        );
        for (const key of [...states.keys()])
          if (pattern.test(key)) {
            states.delete(key);
            rowsOf(key).clear();
          }
      },
    })),
  ],
  [
    "clear() deletes the keys",
    "leaves the rows",
    careless((store, states) => ({
      clear: async (prefix) => {
        for (const key of states.keys()) if (key.startsWith(prefix)) states.delete(key);
      },
    })),
  ],
  [
    "clear() deletes the keys",
    "deletes only the key that equals the prefix",
    careless((store, states, rowsOf) => ({
      clear: async (prefix) => {
        states.delete(prefix);
        rowsOf(prefix).clear();
      },
    })),
  ],
  [
    "data is returned exactly",
    "drops null",
    changingRows((row) =>
      JSON.parse(JSON.stringify(row, (_, value) => (value === null ? undefined : value))),
    ),
  ],
  [
    "data is returned exactly",
    "keeps only generation and item",
    changingRows(({ generation, item }) => ({ generation, item })),
  ],
  [
    "data is returned exactly",
    "rounds numbers",
    changingRows((row) =>
      JSON.parse(JSON.stringify(row, (_, value) => (typeof value === "number" ? Math.trunc(value) : value))),
    ),
  ],
  ["changing a returned object", "returns its own objects", careless(() => ({}))],
  [
    "a row of a megabyte",
    "truncates long strings",
    changingRows((row) =>
      JSON.parse(
        JSON.stringify(row, (_, value) => (typeof value === "string" ? value.slice(0, 65_535) : value)),
      ),
    ),
  ],
  [
    "a commit may write two thousand rows",
    "writes at most a thousand",
    broken((good) => ({
      commit: (key, batch) => good.commit(key, { ...batch, put: batch.put.slice(0, 1000) }),
    })),
  ],
  [
    "scan() during a commit",
    "writes row by row",
    careless((store, states, rowsOf) => ({
      async commit(key, { put, ...batch }) {
        const done = await store.commit(key, { ...batch, put: [] });
        for (const [index, pair] of done ? put.entries() : []) {
          if (index % 20 === 0) await delayed(2);
          rowsOf(key).set(...pair);
        }
        return done;
      },
    })),
  ],
  ["two open stores", "has its own data", () => new MemoryStore(), { reopen: () => new MemoryStore() }],
  [
    "exactly one of several concurrent commits by two open stores",
    "has a lock for each opening",
    ...twoLocks(),
  ],
];

/**
 * Two openings of one table. Each runs its own commits one after the other, but does not wait for
 * those of the other opening.
 */
function twoLocks() {
  const opened = (shared) => {
    let tail = Promise.resolve();
    const commit = (key, batch) => {
      const done = tail.then(async () => {
        const matches = (await shared.load(key))?.revision === batch.expect;
        await turn();
        return matches && shared.commit(key, { ...batch, expect: (await shared.load(key))?.revision });
      });
      tail = done;
      return done;
    };
    const store = Object.fromEntries(
      ["load", "rows", "scan", "clear"].map((name) => [name, (...values) => shared[name](...values)]),
    );
    return { ...store, commit, shared };
  };
  return [() => opened(new MemoryStore()), { reopen: ({ shared }) => opened(shared) }];
}

for (const [rule, fault, open, options] of BROKEN) {
  test(`a store that ${fault} breaks: ${rule}`, async () => {
    const rules = storeContract(open, options).filter(({ name }) => name.startsWith(rule));
    assert.equal(rules.length, 1, "there is one such rule");
    await assert.rejects(rules[0].run(), /: must (be|not have) .*, got |scan\(\) does not end/s);
  });
}

test("every rule has a store that breaks it", () => {
  const rules = storeContract(() => new MemoryStore(), { reopen: (store) => store });
  const isCovered = ({ name }) => BROKEN.some(([rule]) => name.startsWith(rule));
  assert.deepEqual(
    rules.filter((rule) => !isCovered(rule)).map(({ name }) => name),
    [],
  );
});
