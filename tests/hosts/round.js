// Runs a first round and reports the origin of the wasm. Copied into each project unchanged.
import { init, openDelta } from "deltalink";

export async function round({ endpoint, token, store }) {
  try {
    const wasmOrigin = await init();
    const client = await openDelta({
      endpoint,
      token: () => token,
      ...(store ? { store } : { account: "fixture" }),
    });
    const contacts = client.orgContacts();
    const { pages, added } = await contacts.sync();
    const count = await contacts.count();
    await client.close();
    return { wasmOrigin, pages, added, count };
  } catch (error) {
    return { error: `${error?.code} ${error?.message}` };
  }
}
