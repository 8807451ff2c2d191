// The contestants of this folder: deltalink on its own store, on row-store.mjs, and on
// segment-store.mjs.
import { openDelta } from "deltalink";
import { storeContract } from "../../../pkg-template/contract.js";
import { openRows } from "./row-store.mjs";
import { openSegments } from "./segment-store.mjs";

const STORES = {
  rows: openRows,
  text: (name) => openRows(name, { isText: true }),
  short: (name) => openRows(name, { isShort: true }),
  segments: openSegments,
  small: (name) => openSegments(name, { cache: 1_000_000 }),
  objects: (name) => openSegments(name, { format: "objects" }),
  index: (name) => openSegments(name, { index: true }),
};

export async function open({ name, root, kind, start, end, select, pageSize, token, way }) {
  const store = await STORES[way]?.(`bench segments ${name}`);
  const expiresOn = new Date(Date.now() + 3_600_000);
  const client = await openDelta({
    endpoint: root,
    account: name,
    token: async () => ({ accessToken: token, expiresOn }),
    store,
  });
  const query =
    kind === "users" ? client.track("/users/delta", { select }) : client.events({ start, end, pageSize });
  /** The key of the only query. */
  const key = async () => (await store.keys())[0];
  return {
    round: async () => void (await query.sync()),
    /** all() of the package, which scans a store of the caller in chunks. */
    all: () => query.all(),
    /** Reads all items in one transaction, like the package reads its own store. */
    bulk: async () => (store ? store.all(await key()) : query.all()),
    reset: () => query.reset(),
    get: (id) => query.get(id),
    compact: async () => store?.compact?.(await key()),
    /** The size of the databases of this origin, in bytes. */
    usage: async () => (await navigator.storage.estimate()).usage,
    /** Fails unless the store keeps the contract. Returns the number of rules. */
    async contract() {
      if (!store) return 0;
      let opened = 0;
      const reopen = async (database) => Object.assign(await STORES[way](database), { database });
      const rules = storeContract(() => reopen(`contract ${(opened += 1)}`), {
        reopen: ({ database }) => reopen(database),
      });
      for (const { run } of rules) await run();
      return rules.length;
    },
  };
}
