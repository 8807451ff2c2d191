import { openDB } from "idb";

const STORES = ["items", "state"];

/** Rows and the link in a database, by idb. */
export async function openIdb(name) {
  const db = await openDB(name, 1, {
    upgrade(created) {
      created.createObjectStore("items", { keyPath: "id" });
      created.createObjectStore("state");
    },
  });
  return {
    link: () => db.get("state", "link"),
    count: () => db.count("items"),
    ids: () => db.getAllKeys("items"),
    all: () => db.getAll("items"),
    forgetLink: () => db.delete("state", "link"),
    async commit({ put, remove, link }) {
      const transaction = db.transaction(STORES, "readwrite", { durability: "relaxed" });
      const items = transaction.objectStore("items");
      await Promise.all([
        ...put.map((item) => items.put(item)),
        ...remove.map((id) => items.delete(id)),
        transaction.objectStore("state").put(link, "link"),
        transaction.done,
      ]);
    },
  };
}
