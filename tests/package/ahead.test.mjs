// The page that is requested ahead, through the packed package in Node.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clientOf, page, text } from "./responses.mjs";
import { MemoryStore } from "./memory-store.mjs";
import { event, turn, until } from "../wait.mjs";

const LINK = "https://graph.microsoft.com/v1.0/users/delta?$skiptoken=";
const numberOf = (url) => Number(new URL(url).searchParams.get("$skiptoken"));

/** The page of one item for this URL. The third page is the last. */
const threePages = (url) => {
  const number = numberOf(url) + 1;
  return page(
    [{ id: `user ${number}` }],
    number < 3 ? { next: `/users/delta?$skiptoken=${number}` } : { delta: "/users/delta?$deltatoken=1" },
  );
};
const iterate = (query, options) => query.round(options)[Symbol.asyncIterator]();
const busy = (after) => new Response("", { status: 429, headers: { "Retry-After": String(after) } });

test("the next page is requested while the current one still arrives", async () => {
  let pipe;
  const client = await clientOf((url) => {
    if (numberOf(url) > 0) return threePages(url);
    const body = new ReadableStream({ start: (controller) => void (pipe = controller) });
    return new Response(body, { headers: { "content-type": "application/json" } });
  });
  const syncing = client.track("/users/delta").sync();
  await until(() => pipe !== undefined);
  const send = (text) => pipe.enqueue(new TextEncoder().encode(text));
  send(`{"@odata.nextLink":"${LINK}`);
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.equal(client.requests.length, 1, "half a link does not count");
  send('1","value":[{"id":"user 1"');
  await until(() => client.requests.length === 2);
  send("}]}");
  pipe.close();
  const report = await syncing;
  assert.deepEqual([report.outcome, report.pages, report.requests, report.added], ["complete", 3, 3, 3]);
  await client.close();
});

test("while a page is stored, the page after the next one is requested too, but none beyond that", async () => {
  const store = new MemoryStore();
  const storing = event();
  const gate = event();
  const { commit } = store;
  store.commit = async (key, batch) => {
    if (batch.put.length) {
      storing.fire();
      await gate.fired;
    }
    return commit.call(store, key, batch);
  };
  const fivePages = (url) => {
    const number = numberOf(url) + 1;
    const link = number < 5 ? `"@odata.nextLink":"${LINK}${number}"` : `"@odata.deltaLink":"${LINK}d"`;
    return text(`{${link},"value":[{"id":"user ${number}"}]}`);
  };
  const client = await clientOf(fivePages, { store, account: "alex" });
  const syncing = client.track("/users/delta").sync();
  await storing.fired;
  await until(() => client.requests.length === 3);
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.equal(client.requests.length, 3);
  gate.fire();
  const report = await syncing;
  assert.deepEqual([report.outcome, report.pages, report.requests, report.added], ["complete", 5, 5, 5]);
  await client.close();
});

test("a throttle of the page ahead applies to the scope at once, even if the round ends before that page", async () => {
  const client = await clientOf((url) => (numberOf(url) === 1 ? busy(60) : threePages(url)));
  const users = client.track("/users/delta");
  const pages = iterate(users);
  await pages.next();
  await until(() => client.requests.length === 2);
  await pages.return();
  for (let turns = 0; turns < 20; turns++) await turn();
  const groups = assert.rejects(client.track("/groups/delta").sync(), { code: "closed" });
  const again = assert.rejects(users.sync(), { code: "closed" });
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.equal(client.requests.length, 2, "neither another query nor the next round sends a request");
  assert.equal(users.status.get().phase, "waiting");
  await client.close();
  await Promise.all([groups, again]);
});

test("a refused look-ahead does not count against a newer token", async () => {
  let token = "A";
  const reasons = [];
  const client = await clientOf(
    (url, count) => {
      const isRefused = numberOf(url) === 1 && client.requests[count - 1].token === "A";
      return isRefused ? new Response("", { status: 401 }) : threePages(url);
    },
    { token: ({ reason }) => (reasons.push(reason), token) },
  );
  const users = client.track("/users/delta");
  const pages = iterate(users);
  await pages.next();
  await until(() => client.requests.length === 2);
  token = "B";
  let last;
  for (let next; !(next = await pages.next()).done;) last = next.value.last;
  assert.ok(last);
  assert.deepEqual(new Set(reasons), new Set(["start", "expired"]), "B was never refused");
  await client.close();
});

test("an abort while a request reads the throttle time sends no request", async () => {
  const store = new MemoryStore();
  const reading = event();
  const gate = event();
  const { load } = store;
  store.load = async (key) => {
    if (key.includes("not before")) {
      reading.fire();
      await gate.fired;
    }
    return load.call(store, key);
  };
  const client = await clientOf(threePages, { store, account: "alex" });
  const stop = new AbortController();
  const pages = iterate(client.track("/users/delta"), { signal: stop.signal });
  const first = assert.rejects(pages.next(), (reason) => reason === "enough");
  await reading.fired;
  gate.fire();
  await Promise.resolve();
  stop.abort("enough");
  await first;
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.equal(client.requests.length, 0);
  await client.close();
});

test("the stored throttle time is read once a second at most, not before each request", async () => {
  const store = new MemoryStore();
  const { load } = store;
  let reads = 0;
  store.load = async (key) => {
    reads += Number(key.includes("not before"));
    return load.call(store, key);
  };
  const client = await clientOf(threePages, { store, account: "alex" });
  const before = Date.now();
  assert.equal((await client.track("/users/delta").sync()).requests, 3);
  const seconds = Math.floor((Date.now() - before) / 1000);
  assert.ok(reads >= 1 && reads <= 1 + seconds, `${reads} reads`);
  await client.close();
});

test("a consumer that delays a page holds no permit, and gets the next page without another request", async () => {
  const client = await clientOf(threePages);
  const rounds = Array.from({ length: 8 }, (_, name) =>
    iterate(client.track("/users/delta", { name: `${name}` })),
  );
  for (const pages of rounds) await pages.next();
  const before = client.requests.length;
  assert.equal((await client.track("/groups/delta").sync()).outcome, "complete");
  assert.ok(client.requests.length > before);
  await Promise.all(rounds.map((pages) => pages.next()));
  const second = client.requests.filter(({ url }) => numberOf(url) === 1);
  assert.equal(second.length, rounds.length + 1, "the second page once for each round");
  await client.close();
});
