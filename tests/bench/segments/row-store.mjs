// A `DeltaStore` with the layout of src/web/indexed_db.rs, one value per row, so that a comparison
// with segment-store.mjs shows the layout alone.
import { begin, openDatabase, rangeAfter, readAll, settled } from "./idb.mjs";
import { hashOf } from "./segment.mjs";

const same = (value) => value;

/**
 * `isText`: rows are stored as JSON. `isShort`: the keys of rows have a number for the key of the
 * query. A product would store who has which number; a hash is enough to measure.
 */
export async function openRows(name, { isText = false, isShort = false } = {}) {
  const owner = isShort ? hashOf : same;
  const [encode, decode] = isText ? [JSON.stringify, (text) => text && JSON.parse(text)] : [same, same];
  const db = await openDatabase(name, 1, (created) => {
    created.createObjectStore("state");
    created.createObjectStore("items");
  });
  return {
    load: (key) => settled(begin(db, "readonly").state.get(key)),

    async rows(key, ids) {
      const { items, end } = begin(db, "readonly");
      const requests = ids.map((id) => items.get([owner(key), id]));
      await end;
      return requests.map(({ result }) => decode(result));
    },

    async commit(key, { expect, state, put, remove }) {
      const { state: states, items, transaction, end } = begin(db, "readwrite");
      let isOther = false;
      const stored = states.get(key);
      stored.onsuccess = () => {
        isOther = stored.result?.revision !== expect;
        if (isOther) transaction.abort();
      };
      for (const [id, row] of put) items.put(encode(row), [owner(key), id]);
      for (const id of remove) items.delete([owner(key), id]);
      states.put(state, key);
      return end.then(
        () => true,
        (error) => {
          if (isOther) return false;
          throw error;
        },
      );
    },

    async scan(key, { after, limit }) {
      const { items } = begin(db, "readonly");
      const range = rangeAfter(owner(key), after);
      const [keys, rows] = await Promise.all([
        settled(items.getAllKeys(range, limit)),
        settled(items.getAll(range, limit)),
      ]);
      return rows.map((row, at) => [keys[at][1], decode(row)]);
    },

    async clear(prefix) {
      const { state, items, end } = begin(db, "readwrite");
      for (const key of await settled(state.getAllKeys())) {
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
    keys: () => settled(begin(db, "readonly").state.getAllKeys()),

    close: () => db.close(),
  };
}
