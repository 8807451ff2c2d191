// The iterator of a round: several next() in flight, return() and throw() during a next(), and the
// results of page.ack().
import assert from "node:assert/strict";
import { test } from "node:test";
import { clientOf, page } from "./responses.mjs";
import { MemoryStore } from "./memory-store.mjs";
import { event, turn, until } from "../wait.mjs";

const END = { value: undefined, done: true };
const LEFT = {
  name: "DeltaError",
  code: "aborted",
  message: "the round was left before this page was acknowledged; the next round delivers it again",
};

const threePages = (url, count) =>
  page(
    [{ id: `user ${count}` }],
    count % 3 ? { next: `/users/delta?$skiptoken=${count}` } : { delta: `/users/delta?$deltatoken=${count}` },
  );

const iterate = (query, options) => query.round(options)[Symbol.asyncIterator]();
const indexOf = ({ value }) => value?.index;

/** A store whose commits of rows wait for `release()`, then fail with `failure` if it is set. */
class SlowStore extends MemoryStore {
  begun = event();
  failure;
  #gate = event();

  release() {
    this.#gate.fire();
  }

  async commit(key, batch) {
    if (batch.put.length) {
      this.begun.fire();
      await this.#gate.fired;
      if (this.failure) throw this.failure;
    }
    return super.commit(key, batch);
  }
}

const slowClient = async () => {
  const store = new SlowStore();
  return { store, client: await clientOf(threePages, { store, account: "alex" }) };
};

/**
 * A client whose requests hang until `respond()` is called. `signals` are those of its requests.
 */
async function hangingClient(options) {
  const signals = [];
  let hangs = true;
  const fetch = (url, { signal }) => {
    signals.push(signal);
    return hangs ? new Promise(() => {}) : threePages(url, signals.length);
  };
  const client = await clientOf(undefined, { fetch, ...options });
  return { client, signals, respond: () => (hangs = false) };
}

/** The two ways to leave a round during a next(). */
const WAYS = {
  "return()": async (pages, waiting) => {
    assert.deepEqual(await pages.return("a value"), { value: "a value", done: true });
    assert.deepEqual(await waiting, END);
  },
  "throw()": async (pages, waiting) => {
    const error = new RangeError("of the consumer");
    await assert.rejects(pages.throw(error), (thrown) => thrown === error);
    assert.deepEqual(await waiting, END);
  },
};

for (const [name, leave] of Object.entries(WAYS)) {
  test(`${name} ends a next() that waits for the lock, and the lock is free afterwards`, async () => {
    const client = await clientOf(threePages);
    const users = client.track("/users/delta");
    const first = iterate(users);
    await first.next();
    const second = users.round();
    const pages = second[Symbol.asyncIterator]();
    const waiting = pages.next();
    await turn();
    await leave(pages, waiting);
    assert.equal(second.report.outcome, "partial");
    assert.notEqual(users.status.get().phase, "following");
    await first.return();
    assert.equal((await users.sync()).outcome, "complete");
    await client.close();
  });

  test(`${name} ends a next() that waits for a request: the request is aborted, lock and permit are released`, async () => {
    const { client, signals, respond } = await hangingClient();
    // The limit of requests in flight for /users is eight.
    const queries = Array.from({ length: 8 }, (_, index) =>
      client.track("/users/delta", { name: `query ${index}` }),
    );
    const rounds = queries.map((query) => iterate(query));
    const waiting = rounds.map((pages) => pages.next());
    await until(() => signals.length === 8);
    for (const [index, pages] of rounds.entries()) await leave(pages, waiting[index]);
    assert.ok(signals.every(({ aborted }) => aborted));
    respond();
    assert.equal(queries[0].status.get().phase, "new");
    assert.equal((await queries[0].sync()).outcome, "complete");
    await client.close();
  });

  test(`${name} ends a next() that waits for a back-off`, async () => {
    const throttled = () => new Response("", { status: 429, headers: { "Retry-After": "200" } });
    const client = await clientOf(throttled);
    const users = client.track("/users/delta");
    const pages = iterate(users);
    const waiting = pages.next();
    await until(() => users.status.get().phase === "waiting");
    await leave(pages, waiting);
    assert.equal(users.status.get().phase, "new");
    assert.equal(client.requests.length, 1);
    assert.ok(!process.getActiveResourcesInfo().includes("Timeout"), "the timer is cleared");
    await client.close();
  });

  test(`${name} ends a next() that waits for a token`, async () => {
    const requested = event();
    const client = await clientOf(threePages, { token: () => (requested.fire(), new Promise(() => {})) });
    const users = client.track("/users/delta");
    const pages = iterate(users);
    const waiting = pages.next();
    await requested.fired;
    await leave(pages, waiting);
    await client.close();
  });

  test(`${name} ends a next() that waits for a manual acknowledgement, which then rejects`, async () => {
    const client = await clientOf(threePages);
    const users = client.track("/users/delta");
    const pages = iterate(users, { ack: "manual" });
    const { value } = await pages.next();
    await leave(pages, pages.next());
    await assert.rejects(value.ack(), LEFT);
    assert.equal(await users.count(), 0);
    assert.equal((await users.sync()).outcome, "complete");
    await client.close();
  });

  test(`${name} ends a next() that waits for listeners`, async () => {
    const client = await clientOf(threePages);
    const users = client.track("/users/delta");
    const called = event();
    users.on("change", () => (called.fire(), new Promise(() => {})));
    const pages = iterate(users);
    await pages.next();
    const waiting = pages.next();
    await called.fired;
    await leave(pages, waiting);
    assert.equal(await users.count(), 1);
    await client.close();
  });

  test(`${name} waits for a commit that has begun, and the commit is announced`, async () => {
    const { store, client } = await slowClient();
    const users = client.track("/users/delta");
    const received = [];
    users.on("change", (changes) => void received.push(...changes.map(({ id }) => id)));
    const pages = iterate(users);
    await pages.next();
    const waiting = pages.next();
    await store.begun.fired;
    const leaving = leave(pages, waiting);
    assert.deepEqual(await waiting, END, "next() does not wait for the commit");
    assert.equal(await users.count(), 0);
    store.release();
    await leaving;
    assert.equal(await users.count(), 1);
    assert.deepEqual(received, ["user 1"]);
    assert.equal(client.requests.length, 2, "a page and the one after it");
    await client.close();
  });
}

test("return() before the first next() ends the round", async () => {
  const client = await clientOf(threePages);
  const users = client.track("/users/delta");
  const round = users.round();
  const pages = round[Symbol.asyncIterator]();
  assert.deepEqual(await pages.return(1), { value: 1, done: true });
  assert.deepEqual(await pages.next(), END);
  assert.equal(round.report.outcome, "partial");
  assert.equal(client.requests.length, 0);
  await client.close();
});

test("return() during the commit of the last page completes the round", async () => {
  const client = await clientOf(threePages);
  const users = client.track("/users/delta");
  const round = users.round();
  for await (const { last, ack } of round) {
    if (!last) continue;
    ack();
    break;
  }
  assert.equal(round.report.outcome, "complete");
  assert.ok(users.status.get().lastSyncedAt instanceof Date);
  await client.close();
});

test("several next() in flight get the pages in order, each acknowledging the page before", async () => {
  const client = await clientOf(threePages);
  const users = client.track("/users/delta");
  const pages = iterate(users);
  const calls = Array.from({ length: 5 }, () => pages.next());
  assert.equal(indexOf(await calls[0]), 0);
  assert.equal(indexOf(await calls[1]), 1);
  assert.deepEqual((await Promise.all(calls)).map(indexOf), [0, 1, 2, undefined, undefined]);
  assert.deepEqual(await calls[4], END);
  assert.equal(await users.count(), 3);
  await client.close();
});

test("an error rejects the first next() in flight; the others, and all later ones, get the end", async () => {
  const client = await clientOf((url, count) =>
    count === 1 ? threePages(url, count) : new Response("", { status: 403 }),
  );
  const users = client.track("/users/delta");
  const pages = iterate(users);
  const calls = Array.from({ length: 4 }, () => pages.next());
  assert.equal(indexOf(await calls[0]), 0);
  await assert.rejects(calls[1], { code: "forbidden" });
  assert.deepEqual(await Promise.all([calls[2], calls[3], pages.next()]), [END, END, END]);
  await client.close();
});

test("page.ack() returns the same promise each time", async () => {
  const client = await clientOf(threePages);
  const pages = iterate(client.track("/users/delta"));
  const { value } = await pages.next();
  const acknowledged = value.ack();
  assert.equal(value.ack(), acknowledged);
  await acknowledged;
  assert.equal(value.ack(), acknowledged);
  await pages.return();
  await client.close();
});

test("page.ack() of a page that next() has acknowledged resolves, even after the consumer has left the round", async () => {
  const client = await clientOf(threePages);
  const users = client.track("/users/delta");
  const pages = iterate(users);
  const first = (await pages.next()).value;
  await pages.next();
  await first.ack();
  await pages.return();
  await first.ack();
  assert.equal(await users.count(), 1);
  await client.close();
});

test("an abort between two pages releases the lock at once; ack() and the next next() reject with its reason", async () => {
  const client = await clientOf(threePages);
  const users = client.track("/users/delta");
  const stop = new AbortController();
  const round = users.round({ ack: "manual", signal: stop.signal });
  const pages = round[Symbol.asyncIterator]();
  const { value } = await pages.next();
  stop.abort("enough");
  assert.equal((await users.sync()).outcome, "complete");
  const isReason = (reason) => reason === "enough";
  await assert.rejects(value.ack(), isReason);
  await assert.rejects(pages.next(), isReason);
  assert.deepEqual(await pages.next(), END);
  assert.equal(round.report.outcome, "partial");
  await client.close();
});

test("a commit that fails rejects ack() and the next() that waits for it", async () => {
  const { store, client } = await slowClient();
  store.failure = new Error("disk full");
  const users = client.track("/users/delta");
  const pages = iterate(users);
  const { value } = await pages.next();
  const acknowledged = value.ack();
  const next = pages.next();
  store.release();
  await assert.rejects(acknowledged, { code: "store" });
  await assert.rejects(next, { code: "store" });
  assert.deepEqual(await pages.next(), END);
  await client.close();
});

test("the iterator inherits from the AsyncIterator of the host: iterable, and disposable if the host supports it", async () => {
  const client = await clientOf(threePages);
  const pages = iterate(client.track("/users/delta"));
  assert.equal(pages[Symbol.asyncIterator](), pages);
  const ofHost = (async function* () {})();
  if (Symbol.asyncDispose) assert.equal(Symbol.asyncDispose in pages, Symbol.asyncDispose in ofHost);
  await pages.return();
  await client.close();
});
