// Measures fifty clients in one process, each after a round: node --expose-gc clients.mjs
import { clientOf, page } from "./responses.mjs";

const COUNT = 50;
const respond = () => page([{ id: "user 1" }], { delta: "/users/delta?$deltatoken=1" });

/** The bytes in use by kind, after a garbage collection. */
function memory() {
  globalThis.gc();
  const { rss, external, arrayBuffers } = process.memoryUsage();
  return { rss, external, arrayBuffers };
}

// The first client compiles the module.
const clients = [await clientOf(respond)];
await clients[0].track("/users/delta").sync();
const before = memory();
const start = performance.now();
for (let made = 0; made < COUNT; made++) clients.push(await clientOf(respond));
const opened = performance.now();
for (const client of clients.slice(1)) await client.track("/users/delta").sync();
const synced = performance.now();
const after = memory();
const megabytes = (kind) => (after[kind] - before[kind]) / 2 ** 20;
const result = {
  count: COUNT,
  openMs: (opened - start) / COUNT,
  roundMs: (synced - opened) / COUNT,
  rss: megabytes("rss"),
  external: megabytes("external"),
  arrayBuffers: megabytes("arrayBuffers"),
};
console.log(JSON.stringify(result));
for (const client of clients) await client.close();
