// Every loop over the results of a store, a token source or a fetch is bounded.
import assert from "node:assert/strict";
import { test } from "node:test";
import "fake-indexeddb/auto";
import { clientOf, page } from "./responses.mjs";
import { MemoryStore } from "./memory-store.mjs";

const busy = () => new Response("", { status: 429, headers: { "Retry-After": "60" } });
const done = () => page([{ id: "user 1" }], { delta: "/users/delta?$deltatoken=1" });
const retry = { base: 1, cap: 2, maxWait: 10 };

/**
 * A memory store whose methods a test replaces. Throws after `maxCalls` calls, to end an endless
 * loop.
 */
function storeWith(methods, maxCalls = 1000) {
  const calls = { load: 0, rows: 0, commit: 0, scan: 0, clear: 0 };
  const inner = new MemoryStore();
  const method =
    (name) =>
    async (...values) => {
      if ((calls[name] += 1) > maxCalls) throw new Error(`${name}() is called without end`);
      return methods[name] ? methods[name](inner, ...values) : inner[name](...values);
    };
  return { calls, inner, ...Object.fromEntries(Object.keys(calls).map((name) => [name, method(name)])) };
}

const isThrottle = (key) => key.includes(" | not before | ");

test("the round ends after a store has refused the throttle record twice", async () => {
  const store = storeWith({ commit: async () => false });
  const client = await clientOf(busy, { store, account: "alex", retry });
  await assert.rejects(client.track("/users/delta").sync(), { code: "throttled" });
  assert.ok(store.calls.commit <= 2 && store.calls.load < 10, JSON.stringify(store.calls));
  await client.close();
});

test("the round ends if the store reports an earlier throttle of another client each time", async () => {
  let revision = 0;
  const store = storeWith({
    load: async (inner, key) =>
      isThrottle(key) ? { revision: String((revision += 1)), until: 1, at: 0 } : undefined,
    commit: async () => false,
  });
  const client = await clientOf(busy, { store, account: "alex", retry });
  await assert.rejects(client.track("/users/delta").sync(), { code: "throttled" });
  assert.ok(store.calls.commit <= 2, JSON.stringify(store.calls));
  await client.close();
});

test("an unreadable throttle record does not end a round", async () => {
  for (const stored of [
    { revision: 7, until: 1, at: 1 },
    { revision: {}, until: "soon" },
    7,
    "later",
    [],
    { until: Infinity, at: NaN, revision: "1" },
  ]) {
    const store = storeWith({ load: async (inner, key) => (isThrottle(key) ? stored : inner.load(key)) });
    const client = await clientOf(
      (url, count) =>
        count === 1 ? new Response("", { status: 429, headers: { "Retry-After": "0" } }) : done(),
      { store, account: "alex" },
    );
    assert.equal((await client.track("/users/delta").sync()).outcome, "complete", JSON.stringify(stored));
    await client.close();
  }
  const client = await clientOf(busy, { store: "indexeddb", account: "alex", retry });
  await assert.rejects(client.track("/users/delta").sync(), { code: "throttled" });
  await client.close();
  const { name } = (await indexedDB.databases()).find(({ name }) => name.includes("alex"));
  await spoil(name);
  const again = await clientOf(busy, { store: "indexeddb", account: "alex", retry });
  await assert.rejects(again.track("/users/delta").sync(), { code: "throttled" });
  await again.close();
});

/** Replaces the revision of every stored throttle record by a number. */
async function spoil(name) {
  const opening = indexedDB.open(name);
  const database = await new Promise((resolve) => (opening.onsuccess = () => resolve(opening.result)));
  for (const store of database.objectStoreNames) {
    const transaction = database.transaction(store, "readwrite");
    const cursors = transaction.objectStore(store).openCursor();
    cursors.onsuccess = () => {
      const cursor = cursors.result;
      if (!cursor) return;
      if (cursor.value?.until) {
        const place = cursor.source.keyPath ? [] : [cursor.key];
        cursor.source.put({ ...cursor.value, revision: 7 }, ...place);
      }
      cursor.continue();
    };
    await new Promise((resolve) => (transaction.oncomplete = resolve));
  }
  database.close();
}

test('all(), count() and a sweep reject with the code "store" if scan() of the store never ends', async () => {
  const chunk = (from) =>
    Array.from({ length: 500 }, (_, index) => [
      `${from} ${String(index).padStart(3, "0")}`,
      { round: 1, item: { id: "x" } },
    ]);
  // Returns two chunks alternately, without end.
  const endless = async (inner, key, { after = "" }) => (after.startsWith("a") ? chunk("b") : chunk("a"));
  const broken = {
    code: "store",
    message: "scan() of options.store returned the same row twice",
  };
  const store = storeWith({ scan: endless });
  const client = await clientOf(done, { store, account: "alex" });
  const users = client.track("/users/delta");
  await users.sync();
  await assert.rejects(users.all(), broken);
  await users.reset();
  await assert.rejects(users.sync(), broken);
  await client.close();
  const uncounted = storeWith({
    scan: endless,
    load: async () => ({ format: 1, phase: "fresh", revision: "0.1" }),
  });
  const other = await clientOf(done, { store: uncounted, account: "alex" });
  await assert.rejects(other.track("/users/delta").count(), broken);
  await assert.rejects(async () => {
    for await (const item of other.track("/users/delta").items()) void item;
  }, broken);
  await other.close();
});

test("reading a mirror that changes each time ends with conflict", async () => {
  let revision = 0;
  const store = storeWith({
    load: async () => ({ format: 1, phase: "fresh", revision: `0.${(revision += 1)}` }),
  });
  const client = await clientOf(done, { store, account: "alex" });
  await assert.rejects(client.track("/users/delta").all(), { code: "conflict" });
  assert.ok(store.calls.scan < 20);
  await client.close();
});

test("a token source that is always busy, and tokens that are always refused, end the round", async () => {
  const refused = () => new Response("", { status: 401 });
  for (const [token, respond, code] of [
    [
      () => Promise.reject(Object.assign(new Error("busy"), { retryable: true, status: 503 })),
      done,
      "network",
    ],
    [
      () =>
        Promise.reject(
          Object.assign(new Error("busy"), { retryable: true, status: 429, retryAt: new Date(0) }),
        ),
      done,
      "network",
    ],
    [() => Promise.reject(new TypeError("fetch failed")), done, "network"],
    [() => "a-token", refused, "unauthorized"],
    [({ reason }) => `a-token-${reason}-${Math.random()}`, refused, "unauthorized"],
  ]) {
    let calls = 0;
    const counted = (request) => {
      assert.ok((calls += 1) < 100, "the source is called without end");
      return token(request);
    };
    const client = await clientOf(respond, { token: counted });
    await assert.rejects(client.track("/users/delta").sync(), { code });
    assert.ok(calls < 20, `${calls} calls`);
    await client.close();
  }
});

test("the round ends if Graph throttles, fails or resets every request", async () => {
  for (const [respond, what] of [
    [() => new Response("", { status: 429 }), "throttled"],
    [() => new Response("", { status: 429, headers: { "Retry-After": "0" } }), "throttled"],
    [() => new Response("", { status: 503, headers: { "Retry-After": "0" } }), "network"],
    [() => new Response("", { status: 410 }), "resync"],
    [
      () =>
        new Response("", {
          status: 410,
          headers: { Location: "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=2" },
        }),
      "resync",
    ],
  ]) {
    const client = await clientOf((url, count) => (assert.ok(count < 200), respond()));
    const error = await client
      .track("/users/delta")
      .sync()
      .catch((error) => error);
    assert.ok(error.name === "DeltaError", `${what}: ${error}`);
    assert.ok(client.requests.length < 50, `${client.requests.length} requests`);
    await client.close();
  }
});
