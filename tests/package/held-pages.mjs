// How many pages of a long round are still held in memory: node --expose-gc held-pages.mjs <endpoint> <token>
import { openDelta } from "deltalink";

const [endpoint, token] = process.argv.slice(2);
const client = await openDelta({ endpoint, token: () => token, store: "memory" });
const pages = [];
for await (const page of client.orgContacts({ mirror: false }).round()) {
  pages.push(new WeakRef(page.changes[0].item));
  if (pages.length === 50) {
    // A WeakRef holds its target until the end of the turn.
    await new Promise((resolve) => setTimeout(resolve, 10));
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
    globalThis.gc();
    console.log(pages.filter((page) => page.deref()).length);
    break;
  }
}
await client.close();
