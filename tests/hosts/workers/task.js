// A task for a worker or a process: runs a round with the default store, closes the client, and
// counts the mirror by another client. Resolves to the origin of the wasm and the counts, or to the
// error.
export async function run({ init, openDelta }, { endpoint, token, account }) {
  try {
    const wasmOrigin = await init();
    const open = () => openDelta({ endpoint, token: () => token, account });
    const first = await open();
    const { pages, added } = await first.orgContacts().sync();
    await first.close();
    const second = await open();
    const count = await second.orgContacts().count();
    await second.close();
    const databases = (await globalThis.indexedDB.databases()).map(({ name }) => name);
    return { wasmOrigin, pages, added, count, databases: databases.length };
  } catch (error) {
    return { error: `${error?.code} ${error?.message}` };
  }
}
