// Promises for IndexedDB, for the stores of this folder.

export const resultOf = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Opens a database and creates its object stores with `create`. */
export function openDatabase(name, version, create) {
  const opening = indexedDB.open(name, version);
  opening.onupgradeneeded = () => create(opening.result);
  return resultOf(opening);
}

/**
 * Begins a transaction over all object stores. Returns the object stores by their names, and `end`,
 * a promise that resolves when the transaction completes.
 */
export function begin(db, mode) {
  const names = [...db.objectStoreNames];
  const transaction = db.transaction(names, mode, { durability: "relaxed" });
  const end = new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
  // An abort before the caller awaits `end` must not become an unhandled rejection.
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
    const chunk = await resultOf(store.getAll(rangeAfter(key, after), size));
    for (const value of chunk) all.push(value);
    if (chunk.length < size) return all;
    after = keyOf(chunk.at(-1));
  }
}
