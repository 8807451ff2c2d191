// Counts the pages of a long round that are still in memory:
// node --expose-gc held-pages.mjs <endpoint> <token>
import { openDelta } from "deltalink";
import { turn } from "../wait.mjs";

const [endpoint, token] = process.argv.slice(2);
const client = await openDelta({ endpoint, token: () => token, store: "memory" });
const pages = [];
for await (const page of client.orgContacts({ mirror: false }).round()) {
  pages.push(new WeakRef(page.changes[0].item));
  if (pages.length === 50) {
    let held = 50;
    // A WeakRef keeps its target until the end of the macrotask. A leaked page survives every
    // collection.
    for (let collections = 0; held > 3 && collections < 20; collections++) {
      await turn();
      globalThis.gc();
      await turn();
      held = pages.filter((page) => page.deref()).length;
    }
    console.log(held);
    break;
  }
}
await client.close();
