const STORES = ["items", "state"];

const settled = (request) =>
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
  const db = await settled(opening);
  const ask = (store, question) => settled(question(db.transaction(store).objectStore(store)));
  const write = (work) =>
    new Promise((resolve, reject) => {
      const transaction = db.transaction(STORES, "readwrite", { durability: "relaxed" });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      work(transaction.objectStore("items"), transaction.objectStore("state"));
    });
  return {
    link: () => ask("state", (state) => state.get("link")),
    count: () => ask("items", (items) => items.count()),
    ids: () => ask("items", (items) => items.getAllKeys()),
    all: () => ask("items", (items) => items.getAll()),
    forgetLink: () => write((_, state) => state.delete("link")),
    commit: ({ put, remove, link }) =>
      write((items, state) => {
        for (const item of put) items.put(item);
        for (const id of remove) items.delete(id);
        state.put(link, "link");
      }),
  };
}
