// What every host runs: a round of a full mirror, and where the wasm came from. Copied into each
// project as it is.
import { init, openDelta } from "deltalink";

export async function round({ endpoint, token, store }) {
  try {
    const rung = await init();
    const client = await openDelta({
      endpoint,
      token: () => token,
      ...(store ? { store } : { account: "fixture" }),
    });
    const contacts = client.orgContacts();
    const { pages, added } = await contacts.sync();
    const count = await contacts.count();
    await client.close();
    return { rung, pages, added, count };
  } catch (error) {
    return { error: `${error?.code} ${error?.message}` };
  }
}
