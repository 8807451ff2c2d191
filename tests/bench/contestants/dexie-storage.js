import Dexie from "dexie";

/** Rows and the link in a dexie database, with the durability of deltalink. */
export async function openDexie(name) {
  const db = new Dexie(name, { chromeTransactionDurability: "relaxed" });
  db.version(1).stores({ items: "id", state: "" });
  await db.open();
  return {
    link: () => db.state.get("link"),
    count: () => db.items.count(),
    ids: () => db.items.toCollection().primaryKeys(),
    all: () => db.items.toArray(),
    forgetLink: () => db.state.delete("link"),
    commit: ({ put, remove, link }) =>
      db.transaction("rw", db.items, db.state, async () => {
        await db.items.bulkPut(put);
        if (remove.length) await db.items.bulkDelete(remove);
        await db.state.put(link, "link");
      }),
  };
}
