// A `DeltaStore` with the layout of src/web/indexed_db.rs, one value per row. It is written in
// JavaScript like segment-store.mjs, so that the two differ only in the layout.
import { begin, openDatabase, rangeAfter, readAll, resultOf } from "./idb.mjs";
import { hashOf } from "./segment.mjs";

const identity = (value) => value;

/**
 * `isText`: rows are stored as JSON. `isShort`: the keys of rows begin with a number instead of the
 * key of the query. A real store would record the number of each query; here the number is a hash.
 */
export async function openRows(name, { isText = false, isShort = false } = {}) {
  const owner = isShort ? hashOf : identity;
  const [encode, decode] = isText
    ? [JSON.stringify, (text) => text && JSON.parse(text)]
    : [identity, identity];
  const db = await openDatabase(name, 1, (created) => {
    created.createObjectStore("state");
    created.createObjectStore("items");
  });
  return {
    load: (key) => resultOf(begin(db, "readonly").state.get(key)),

    async rows(key, ids) {
      const { items, end } = begin(db, "readonly");
      const requests = ids.map((id) => items.get([owner(key), id]));
      await end;
      return requests.map(({ result }) => decode(result));
    },

    async commit(key, { expect, state, put, remove }) {
      const { state: states, items, transaction, end } = begin(db, "readwrite");
      let isConflict = false;
      const stored = states.get(key);
      stored.onsuccess = () => {
        isConflict = stored.result?.revision !== expect;
        if (isConflict) transaction.abort();
      };
      for (const [id, row] of put) items.put(encode(row), [owner(key), id]);
      for (const id of remove) items.delete([owner(key), id]);
      states.put(state, key);
      return end.then(
        () => true,
        (error) => {
          if (isConflict) return false;
          throw error;
        },
      );
    },

    async scan(key, { after, limit }) {
      const { items } = begin(db, "readonly");
      const range = rangeAfter(owner(key), after);
      const [keys, rows] = await Promise.all([
        resultOf(items.getAllKeys(range, limit)),
        resultOf(items.getAll(range, limit)),
      ]);
      return rows.map((row, index) => [keys[index][1], decode(row)]);
    },

    async clear(prefix) {
      const { state, items, end } = begin(db, "readwrite");
      for (const key of await resultOf(state.getAllKeys())) {
        if (!key.startsWith(prefix)) continue;
        state.delete(key);
        items.delete(rangeAfter(owner(key)));
      }
      await end;
    },

    /** All items of a query. Not part of the contract. Side rows do not occur in the benchmarks. */
    async all(key) {
      const rows = await readAll(begin(db, "readonly").items, owner(key), 2000, (row) => decode(row).item.id);
      return rows.map((row) => decode(row).item);
    },

    /** The keys that have a state. Not part of the contract. */
    keys: () => resultOf(begin(db, "readonly").state.getAllKeys()),

    close: () => db.close(),
  };
}
