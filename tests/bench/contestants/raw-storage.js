const STORES = ["items", "state"];

const resultOf = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Rows and the link in IndexedDB without a library. A commit only awaits its transaction. */
export async function openRaw(name) {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore("items", { keyPath: "id" });
    opening.result.createObjectStore("state");
  };
  const db = await resultOf(opening);
  const read = (store, request) => resultOf(request(db.transaction(store).objectStore(store)));
  const write = (work) =>
    new Promise((resolve, reject) => {
      const transaction = db.transaction(STORES, "readwrite", { durability: "relaxed" });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      work(transaction.objectStore("items"), transaction.objectStore("state"));
    });
  return {
    link: () => read("state", (state) => state.get("link")),
    count: () => read("items", (items) => items.count()),
    ids: () => read("items", (items) => items.getAllKeys()),
    all: () => read("items", (items) => items.getAll()),
    forgetLink: () => write((_, state) => state.delete("link")),
    commit: ({ put, remove, link }) =>
      write((items, state) => {
        for (const item of put) items.put(item);
        for (const id of remove) items.delete(id);
        state.put(link, "link");
      }),
  };
}
