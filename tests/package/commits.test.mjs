// Slow commits, during which an abort, a sync or a sign-out happens.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clientOf, page } from "./responses.mjs";
import { MemoryStore } from "./memory-store.mjs";
import { event, turn } from "../wait.mjs";

/** A store whose commits wait for `release()`: those with rows, or with `all` every one. */
class SlowStore extends MemoryStore {
  begun = event();
  commits = 0;
  #all;
  #gate = event();

  constructor({ all = false } = {}) {
    super();
    this.#all = all;
  }

  release() {
    this.#gate.fire();
  }

  async commit(key, batch) {
    this.commits += 1;
    if (this.#all || batch.put.length) {
      this.begun.fire();
      await this.#gate.fired;
    }
    return super.commit(key, batch);
  }
}

/** Responds with one of three pages by its link: a page may be requested more than once. */
const threePages = (url) => {
  const number = Number(new URL(url).searchParams.get("$skiptoken")) + 1;
  return page(
    [{ id: `user ${number}` }],
    number < 3 ? { next: `/users/delta?$skiptoken=${number}` } : { delta: "/users/delta?$deltatoken=1" },
  );
};

/** A sync that is aborted while its first commit is in flight. */
async function abortDuringCommit(users, store) {
  const stop = new AbortController();
  const first = users.sync({ signal: stop.signal });
  await store.begun.fired;
  stop.abort("enough");
  await assert.rejects(first, (reason) => reason === "enough");
}

/** Whether a promise is still pending after all tasks that were ready have run. */
async function isPending(promise) {
  let isSettled = false;
  const settle = () => (isSettled = true);
  promise.then(settle, settle);
  for (let turns = 0; turns < 20; turns++) await turn();
  return !isSettled;
}

test("a sync after the abort of a slow commit waits for the commit, without a conflict or a repeated page", async () => {
  const store = new SlowStore();
  const client = await clientOf(threePages, { store, account: "alex" });
  const users = client.track("/users/delta");
  await abortDuringCommit(users, store);
  const second = users.sync();
  assert.ok(await isPending(second));
  assert.equal(client.requests.length, 2, "a page and the one after it: the next round has not begun");
  store.release();
  const report = await second;
  assert.deepEqual([report.outcome, report.resumed, report.pages], ["complete", true, 2]);
  const urls = client.requests.map(({ url }) => url);
  assert.deepEqual([urls.length, new Set(urls).size], [4, 3], "only the aborted look-ahead is repeated");
  assert.equal(await users.count(), 3);
  await client.close();
});

test("a round after the abort of a slow commit does not deliver its page again", async () => {
  const store = new SlowStore();
  const client = await clientOf(threePages, { store, account: "alex" });
  const users = client.track("/users/delta");
  const stop = new AbortController();
  const pages = users.round({ signal: stop.signal })[Symbol.asyncIterator]();
  const { value: first } = await pages.next();
  const acknowledged = first.ack();
  await store.begun.fired;
  stop.abort("enough");
  await assert.rejects(pages.next(), (reason) => reason === "enough");
  const seen = [];
  const again = (async () => {
    for await (const { changes } of users.round()) seen.push(...changes.map(({ id }) => id));
  })();
  assert.ok(await isPending(again));
  store.release();
  await acknowledged;
  await again;
  assert.deepEqual(seen, ["user 2", "user 3"]);
  await client.close();
});

test("reset() waits for the commit of an aborted round", async () => {
  const store = new SlowStore();
  const client = await clientOf(threePages, { store, account: "alex" });
  const users = client.track("/users/delta");
  await abortDuringCommit(users, store);
  const reset = users.reset();
  assert.ok(await isPending(reset));
  store.release();
  await reset;
  assert.equal((await store.load(users.key)).phase, "fresh");
  await client.close();
});

test("forget() during a first commit deletes the rows of that commit", async () => {
  const store = new SlowStore();
  const client = await clientOf(threePages, { store, account: "alex" });
  const users = client.track("/users/delta");
  const syncing = assert.rejects(users.sync(), { code: "closed" });
  await store.begun.fired;
  const forgotten = client.forget();
  await syncing;
  assert.ok(await isPending(forgotten));
  store.release();
  await forgotten;
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.equal(await store.load(users.key), undefined, "no link");
  assert.deepEqual(await store.all(users.key), [], "no rows");
  assert.deepEqual([store.commits, client.requests.length], [1, 2]);
});

test("forget() deletes the rows that a hung store writes after it", async () => {
  const store = new SlowStore();
  const retry = { base: 1, cap: 2, timeout: 20 };
  const client = await clientOf(threePages, { store, account: "alex", retry });
  const users = client.track("/users/delta");
  const syncing = assert.rejects(users.sync(), { code: "closed" });
  await store.begun.fired;
  await client.forget();
  await syncing;
  const cleared = new Promise((resolve) => {
    store.clear = async (prefix) => resolve(await MemoryStore.prototype.clear.call(store, prefix));
  });
  store.release();
  await cleared;
  assert.equal(await store.load(users.key), undefined, "no link");
  assert.deepEqual(await store.all(users.key), [], "no rows");
});

test("forget() during the write of a throttle record deletes that too", async () => {
  const store = new SlowStore({ all: true });
  const busy = () => new Response("", { status: 429, headers: { "Retry-After": "60" } });
  const client = await clientOf(busy, { store, account: "alex" });
  const keys = new Set();
  const { commit } = store;
  store.commit = (key, batch) => (keys.add(key), commit.call(store, key, batch));
  const users = client.track("/users/delta");
  const syncing = assert.rejects(users.sync(), { code: "closed" });
  await store.begun.fired;
  const forgotten = client.forget();
  await syncing;
  store.release();
  await forgotten;
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.equal(keys.size, 1);
  for (const key of keys) assert.equal(await store.load(key), undefined);
});

test("close() waits for a commit that has begun", async () => {
  const store = new SlowStore();
  const client = await clientOf(threePages, { store, account: "alex" });
  const users = client.track("/users/delta");
  const syncing = assert.rejects(users.sync(), { code: "closed" });
  await store.begun.fired;
  const closed = client.close();
  await syncing;
  assert.ok(await isPending(closed));
  store.release();
  await closed;
  assert.equal((await store.load(users.key)).phase, "paging");
});
