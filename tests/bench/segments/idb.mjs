// Promises for IndexedDB, as the stores of this folder use them.

export const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Opens a database and creates its object stores with `create`. */
export function openDatabase(name, version, create) {
  const opening = indexedDB.open(name, version);
  opening.onupgradeneeded = () => create(opening.result);
  return settled(opening);
}

/** Begins a transaction over all object stores. Returns these by their names, and `end`. */
export function begin(db, mode) {
  const names = [...db.objectStoreNames];
  const transaction = db.transaction(names, mode, { durability: "relaxed" });
  const end = new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
  // A transaction that is aborted before its end is awaited must not count as unhandled.
  end.catch(() => {});
  const stores = Object.fromEntries(names.map((store) => [store, transaction.objectStore(store)]));
  return { ...stores, transaction, end };
}

/** The key range of the rows of a query after an id. Arrays sort after strings. */
export const rangeAfter = (key, after) =>
  after === undefined
    ? IDBKeyRange.bound([key], [key, []])
    : IDBKeyRange.bound([key, after], [key, []], true, false);

/**
 * Reads a range in chunks of `size` values: Firefox cannot return much more than 100 MB at once.
 */
export async function readAll(store, key, size, keyOf) {
  const all = [];
  for (let after; ;) {
    const chunk = await settled(store.getAll(rangeAfter(key, after), size));
    for (const value of chunk) all.push(value);
    if (chunk.length < size) return all;
    after = keyOf(chunk.at(-1));
  }
}
