// Throttles and the limit of concurrent requests, through the packed package in Node.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openDelta } from "deltalink";
import { fakeGraph } from "deltalink/testing";
import { requestsOf, startFake, waitForPendingRequests } from "../fake.mjs";
import { delayed, event, fakeTimers } from "../wait.mjs";
import { fileStore } from "./documented.mjs";
import { open, quick, statusUntil } from "./kit.mjs";
import { MemoryStore } from "./memory-store.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

const populate = { contacts: 30, events: 30, users: 10, around: "2026-11-21T00:00:00Z" };
const weeks = { start: "2026-11-01", end: "2026-12-20" };

test("the end of a throttle survives a reload and is shared by the queries of its scope", async () => {
  const folder = await mkdtemp(join(tmpdir(), "deltalink-"));
  const world = await fake.world({ populate });
  await world.faults({
    match: { collection: "contacts" },
    fault: { name: "status", status: 429, code: "TooManyRequests", headers: { "Retry-After": "2" } },
  });
  const account = "alex@contoso.example";
  const first = await open(world, { store: fileStore(join(folder, "s")), account });
  const contacts = first.orgContacts();
  void contacts.sync().catch(() => {});
  const waiting = await statusUntil(contacts, ({ phase }) => phase === "waiting");
  assert.equal(waiting.waitReason, "throttled");
  const throttledUntil = waiting.waitUntil.getTime();
  const [refused] = await requestsOf(world);
  assert.ok(throttledUntil >= refused.at + 2000);
  assert.ok(throttledUntil <= Date.now() + 2000);
  // Simulates a reload.
  await first.close();
  const second = await open(world, { store: fileStore(join(folder, "s")), account });
  const queries = [second.events(weeks), second.track("/users/delta"), second.orgContacts()];
  const [mailbox, users] = await Promise.all(queries.map((query) => query.sync()));
  assert.deepEqual(mailbox.waits, [], "other limits");
  assert.deepEqual([...new Set(users.waits.map(({ reason }) => reason))], ["throttled"], "the same limits");
  const early = (await requestsOf(world)).filter(
    ({ collection, status, at }) =>
      ["contacts", "users"].includes(collection) && status !== 429 && at < throttledUntil,
  );
  assert.deepEqual(early, []);
  await second.close();
  await rm(folder, { recursive: true });
});

test("from the second round on, the throttle time is read together with the record", async (context) => {
  const timers = fakeTimers(context, Date.now());
  const graph = await fakeGraph({ populate: { users: 3 } });
  const store = new MemoryStore();
  const load = store.load.bind(store);
  let pending = 0;
  let together = 0;
  let failures = 0;
  store.load = async (key) => {
    pending += 1;
    together = Math.max(together, pending);
    await undefined;
    pending -= 1;
    if (failures && key.includes(" | not before | ")) {
      failures -= 1;
      throw new Error("the disk is busy");
    }
    return load(key);
  };
  const { fetch, token } = graph;
  const client = await openDelta({ fetch, token, store, account: "a", retry: { base: 1 } });
  const users = client.track("/users/delta");
  await users.sync();
  assert.equal(together, 1, "the first token decides about the scope");
  timers.tick(2000);
  await users.sync();
  assert.equal(together, 2);
  timers.tick(2000);
  failures = 1;
  await users.sync();
  assert.equal(failures, 0, "the request has read it again");
  await client.close();
});

test("the longer of two concurrent throttles is stored", async () => {
  const states = new Map();
  const store = {
    load: async (key) => states.get(key),
    rows: async (key, ids) => ids.map(() => undefined),
    commit: async (key, { expect, state }) =>
      states.get(key)?.revision === expect && Boolean(states.set(key, state)),
    scan: async () => [],
    clear: async () => {},
  };
  const waits = [1, 60];
  const bothInFlight = event();
  let requests = 0;
  // Responds only when both requests are in flight.
  const fetch = async () => {
    if ((requests += 1) === 2) bothInFlight.fire();
    await bothInFlight.fired;
    return new Response("", { status: 429, headers: { "Retry-After": String(waits.shift() ?? 1) } });
  };
  const client = await openDelta({
    token: () => "t",
    store,
    account: "a",
    fetch,
    retry: { ...quick, maxWait: 10 },
  });
  await Promise.allSettled(["a", "b"].map((name) => client.orgContacts({ name }).sync()));
  const [throttle] = [...states]
    .filter(([key]) => key.includes(" | not before | "))
    .map(([, state]) => state);
  assert.ok(throttle.until - Date.now() > 50_000, `${throttle.until - Date.now()} ms`);
  await client.close();
});

test("a store that refuses a throttle record is called a limited number of times", async () => {
  let commits = 0;
  const store = {
    load: async () => undefined,
    rows: async () => [],
    commit: async () => ((commits += 1), false),
    scan: async () => [],
    clear: async () => {},
  };
  const fetch = async () => new Response("", { status: 429, headers: { "Retry-After": "60" } });
  const client = await openDelta({
    token: () => "t",
    store,
    account: "a",
    fetch,
    retry: { ...quick, maxWait: 10 },
  });
  await assert.rejects(client.orgContacts().sync(), { code: "throttled" });
  assert.equal(commits, 2);
  await client.close();
});

test("a stored throttle that is too long or from the future is ignored", async () => {
  const world = await fake.world({ populate });
  const now = Date.now();
  for (const { until, at } of [
    { until: now + 30 * 86400e3, at: now },
    { until: now + 7200e3, at: now + 3600e3 },
    { until: "soon", at: {} },
    {},
  ]) {
    const states = new Map();
    const store = {
      load: async (key) =>
        key.includes(" | not before | ") ? { revision: "r", until, at } : states.get(key),
      rows: async (key, ids) => ids.map(() => undefined),
      commit: async (key, { state }) => Boolean(states.set(key, state)),
      scan: async () => [],
      clear: async () => {},
    };
    const client = await open(world, { store, account: "a" });
    const { outcome, waits } = await client.orgContacts().sync();
    assert.deepEqual([outcome, waits], ["complete", []]);
    await client.close();
  }
});

/** Returns a `fetch` with a delay, and the counts of its requests. */
function countingFetch(ms) {
  const counts = { maximum: 0, inFlight: 0 };
  const slowFetch = async (url, init) => {
    counts.inFlight += 1;
    counts.maximum = Math.max(counts.maximum, counts.inFlight);
    try {
      const response = await fetch(url, init);
      await delayed(ms);
      return response;
    } finally {
      counts.inFlight -= 1;
    }
  };
  return { fetch: slowFetch, counts };
}

test("at most four requests of a mailbox are in flight, and queries alternate", async () => {
  const world = await fake.world({ populate: { ...populate, events: 60 } });
  const { fetch, counts } = countingFetch(10);
  const client = await open(world, { fetch });
  const queries = Array.from({ length: 12 }, (_, index) => client.events({ ...weeks, name: `q${index}` }));
  const pages = [];
  await Promise.all(
    queries.map(async (query, index) => {
      for await (const page of query.round()) pages.push([index, page.index]);
    }),
  );
  assert.equal(counts.maximum, 4);
  // No query gets its second page before all queries have their first one.
  const firsts = pages
    .slice(0, 12)
    .map(([index]) => index)
    .sort((one, other) => one - other);
  assert.deepEqual(
    firsts,
    queries.map((_, index) => index),
  );
  await client.close();
});

test("after a throttle the concurrency of a mailbox grows by one per response", async (t) => {
  // Without jitter, so that only the limit orders the requests.
  t.mock.method(Math, "random", () => 0);
  const world = await fake.world({ populate });
  await world.faults({
    match: { collection: "events" },
    times: 4,
    fault: { name: "status", status: 429, code: "ApplicationThrottled", headers: { "Retry-After": "1" } },
  });
  // For each request: the number in flight, and the number of successful responses before it.
  const begun = [];
  let inFlight = 0;
  let successes = 0;
  const watching = async (url, init) => {
    inFlight += 1;
    begun.push([inFlight, successes]);
    try {
      const response = await fetch(url, init);
      // Waits until every other permitted request has begun.
      await waitForPendingRequests(fake);
      successes += response.status === 200 ? 1 : 0;
      return response;
    } finally {
      inFlight -= 1;
    }
  };
  const client = await open(world, { fetch: watching });
  const queries = Array.from({ length: 8 }, (_, index) => client.events({ ...weeks, name: `q${index}` }));
  const rounds = queries.map((query) => query.sync());
  await Promise.all(queries.map((query) => statusUntil(query, ({ phase }) => phase === "waiting")));
  const before = begun.length;
  assert.ok(before <= 8, `${before} requests before the throttle was known to all`);
  assert.equal(inFlight, 0);
  await Promise.all(rounds);
  const repeated = begun.slice(before);
  assert.deepEqual(
    repeated.slice(0, 2),
    [
      [1, 0],
      [1, 1],
    ],
    "the second request begins after the first has its response",
  );
  for (const [now, responses] of repeated)
    assert.ok(now <= Math.min(4, responses + 1), `${now} in flight after ${responses} responses`);
  assert.ok(
    repeated.some(([now]) => now === 4),
    "the concurrency reaches its limit again",
  );
  await client.close();
});
