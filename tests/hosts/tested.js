// Replaces round.js: runs the round on the fake Graph of the package, like the tests of a user.
import { init, openDelta } from "deltalink";
import { fakeGraph, storeContract } from "deltalink/testing";

export async function round({ store }) {
  try {
    const wasmOrigin = await init();
    const graph = await fakeGraph({ populate: { contacts: 25 } });
    const client = await openDelta({
      fetch: graph.fetch,
      token: graph.token,
      ...(store && { store }),
      retry: { base: 1 },
    });
    const contacts = client.orgContacts();
    graph.fault("network");
    graph.fault({ name: "cut", n: 40 }, { kind: "next" });
    const { pages, added, retries } = await contacts.sync();
    graph.remove("contacts", graph.items("contacts")[0].id);
    graph.expireLinks();
    const { ghosts } = await contacts.sync();
    const count = (await contacts.count()) + ghosts;
    await client.close();
    if (retries !== 2 || storeContract(() => {}).length < 10) throw new Error(`${retries} retries`);
    return { wasmOrigin, pages, added, count };
  } catch (error) {
    return { error: `${error?.code} ${error?.message}` };
  }
}
