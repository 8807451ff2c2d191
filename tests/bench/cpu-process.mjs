// Measures the CPU time of one contestant in a separate Node process. Bodies come from memory.
import { join } from "node:path";
import { summarize } from "./checksum.js";
import { World } from "./world.mjs";

const { way, kind, pages, size, folder } = JSON.parse(process.argv[2]);
const ROOT = "http://127.0.0.1:9/w1/v1.0";
/** The number of rounds in one run. */
const ROUNDS = 5;
const FIRST = "the first page";
const world = new World(ROOT, { kind, pages, size });
const bodies = new Map();
for (let url = FIRST; url;) {
  const body = Buffer.concat(world.respond(url === FIRST ? "" : url.slice(url.indexOf("?"))));
  bodies.set(url, body);
  url = JSON.parse(body)["@odata.nextLink"];
}

/** Responds to a request like the server. The link of every page but the first has a token. */
const respond = async (input) => {
  const url = String(input.url ?? input);
  const body = bodies.get(/deltatoken|skiptoken/.test(url) ? url : FIRST);
  return new Response(body, { headers: { "Content-Type": "application/json" } });
};

/** Opens the reference: parses each page and puts its items into a Map. */
async function openReference() {
  const copy = new Map();
  return {
    async round() {
      for (let url = ROOT; url;) {
        const body = await (await respond(url)).json();
        for (const item of body.value) copy.set(item.id, item);
        url = body["@odata.nextLink"];
      }
    },
    rows: async () => [...copy.values()],
    close() {},
  };
}

async function openDeltalink() {
  const { openDelta } = await import(join(folder, "node.js"));
  const expiresOn = new Date(Date.now() + 3_600_000);
  const token = async () => ({ accessToken: "a-bench-token", expiresOn });
  const client = await openDelta({ endpoint: ROOT, store: "memory", fetch: respond, token });
  const options = way === "feed" ? { mirror: false } : {};
  const window = { start: "2026-11-01", end: "2026-12-01", pageSize: size };
  const query =
    kind === "users" ? client.track("/users/delta", options) : client.events({ ...window, ...options });
  const copy = new Map();
  return {
    async round() {
      if (way === "sync") return void (await query.sync());
      for await (const page of query.round()) {
        // The consumer of a feed stores the items.
        if (way === "feed") for (const change of page.changes) copy.set(change.id, change.item);
      }
    },
    rows: async () => (way === "feed" ? [...copy.values()] : query.all()),
    close: () => client.close(),
  };
}

/** The mean CPU time of first rounds into empty mirrors, in milliseconds. */
async function run() {
  let cpuTime = 0;
  for (let rounds = 0; rounds < ROUNDS; rounds++) {
    const mirror = await (way === "reference" ? openReference() : openDeltalink());
    const before = process.cpuUsage();
    await mirror.round();
    const { user, system } = process.cpuUsage(before);
    cpuTime += (user + system) / 1000;
    const { count, sum } = summarize(await mirror.rows());
    if (count !== world.expected.count || sum !== world.expected.sum)
      throw new Error(`the rows of ${way} differ from those of the server`);
    await mirror.close();
  }
  return cpuTime / ROUNDS;
}

process.on("message", () => {
  run().then(
    (value) => process.send({ value }),
    (error) => process.send({ error: String(error.stack ?? error) }),
  );
});
