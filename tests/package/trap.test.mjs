// A trap in the wasm ends one client's instance: its pending promises reject with `internal`, other
// clients continue, and the next call starts a new instance. The tests use the packed wasm with
// memory that cannot grow and a stack of 6 KB, so that data exhausts either. No known data makes it
// panic, but a failed allocation ends in the same instruction as a panic, `unreachable`.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init } from "deltalink";
import { clientOf, page, text, week } from "./responses.mjs";
import { confined, packedWasm, withStack } from "./confined.mjs";
import { MemoryStore } from "./memory-store.mjs";
import { turn, until } from "../wait.mjs";

/** A stack for rounds, but too small to compare items of 60 levels. */
const STACK = 6 * 1024;
const HUGE = "x".repeat(20_000_000);
const TRAPPED = {
  name: "DeltaError",
  code: "internal",
  retryable: true,
  message: "a defect of deltalink ended this call; everything committed is intact; call again",
};

before(async () => assert.equal(await init(confined(withStack(await packedWasm(), STACK), 64)), "given"));

const users = (url, count) =>
  page(
    [{ id: `user ${count}` }],
    count < 3 ? { next: `/users/delta?$skiptoken=${count}` } : { delta: `/users/delta?$deltatoken=${count}` },
  );

/** Starts a round of another client. Returns the check that this client and its listener work. */
async function startOther() {
  const client = await clientOf(users);
  const query = client.track("/users/delta");
  const received = [];
  query.on("change", (changes) => void received.push(...changes));
  const pages = query.round()[Symbol.asyncIterator]();
  assert.equal((await pages.next()).value.index, 0);
  return async () => {
    assert.equal((await pages.next()).value.index, 1);
    assert.equal((await pages.next()).value.last, true);
    assert.equal((await pages.next()).done, true);
    assert.deepEqual([await query.count(), received.length, client.requests.length], [3, 3, 3]);
    assert.equal((await query.sync()).kind, "incremental");
    await client.close();
  };
}

const isTrapped = (error) => {
  const { name, code, retryable, message, cause } = error;
  assert.deepEqual({ name, code, retryable, message }, TRAPPED);
  assert.ok(cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError, String(cause));
  return true;
};

/** A store whose reads hang while `hangs` is true. */
class HangingStore extends MemoryStore {
  hangs = false;
  scan(...values) {
    return this.hangs ? new Promise(() => {}) : super.scan(...values);
  }
}

test("a live query continues after a trap, in the next instance", async () => {
  const client = await clientOf(users);
  const query = client.track("/users/delta");
  const live = query.live();
  assert.equal((await live.syncNow()).kind, "full");
  const view = query.view();
  const stop = view.subscribe(() => {});
  await until(() => view.get().total === 3 || view.get().total);
  assert.throws(() => client.track("/users/delta", { name: HUGE }), isTrapped);
  // The mirror in memory was lost with the instance. The new one has the items that the server
  // sends now.
  assert.equal((await live.syncNow()).kind, "full");
  await until(() => view.get().total === 1 || view.get().total);
  stop();
  live.stop();
  await client.close();
});

test("a trap in an export throws, rejects pending calls, and the next call works", async () => {
  const checkOther = await startOther();
  const store = new HangingStore();
  const client = await clientOf(users, { store, account: "alex" });
  const query = client.track("/users/delta");
  const round = query.round();
  const pages = round[Symbol.asyncIterator]();
  await pages.next();
  store.hangs = true;
  const pending = [query.all(), query.items()[Symbol.asyncIterator]().next(), pages.next()];
  const ends = Promise.all(pending.slice(0, 2).map((promise) => assert.rejects(promise, isTrapped)));
  await pending[2];
  const last = pages.next();
  assert.throws(() => client.track("/users/delta", { name: HUGE }), isTrapped);
  await ends;
  await assert.rejects(last, isTrapped);
  assert.equal(query.status.get().phase, "failed");
  assert.ok(round.report.startedAt instanceof Date);
  store.hangs = false;
  assert.equal((await query.sync()).outcome, "complete");
  assert.equal(await query.count(), (await query.all()).length);
  await client.close();
  await checkOther();
});

test("a trap in a task rejects its round, and the next round continues", async () => {
  const checkOther = await startOther();
  let tokens = 0;
  // A huge token does not fit into the memory of the task.
  const client = await clientOf(users, { token: () => ((tokens += 1) === 2 ? HUGE : "a-token") });
  const query = client.track("/users/delta");
  const other = client.track("/groups/delta");
  const pages = other.round({ ack: "manual" })[Symbol.asyncIterator]();
  await pages.next();
  const unacknowledged = pages.next();
  const round = query.round();
  const seen = [];
  const loop = (async () => {
    for await (const { index } of round) seen.push(index);
  })();
  await assert.rejects(loop, isTrapped);
  assert.equal(query.status.get().phase, "failed");
  assert.equal(query.status.get().error.code, "internal");
  assert.ok(round.report.startedAt instanceof Date);
  await assert.rejects(unacknowledged, isTrapped, "the other round of this client ran in the same instance");
  assert.equal((await other.sync()).outcome, "complete", "it has released its lock");
  const report = await query.sync();
  assert.equal(report.outcome, "complete");
  await client.close();
  await checkOther();
});

test("a stack overflow in a task rejects the sync, and the next call works", async () => {
  const checkOther = await startOther();
  let levels = 60;
  const nested = (leaf) => `${'{"a":'.repeat(levels)}${leaf}${"}".repeat(levels)}`;
  const link = "https://graph.microsoft.com/v1.0/me/calendarView/delta?$deltatoken=";
  const respond = (url, count) =>
    text(`{"value":[{"id":"event 1","x":${nested(count)}}],"@odata.deltaLink":"${link}${count}"}`);
  const client = await clientOf(respond, { store: new MemoryStore(), account: "alex" });
  const events = client.events(week);
  const listened = [];
  events.on("change", (changes) => void listened.push(...changes));
  assert.equal((await events.sync()).outcome, "complete", "nothing to compare with yet");
  for (let times = 0; times < 3; times++) {
    await assert.rejects(
      events.sync(),
      (error) => isTrapped(error) && /out of bounds/.test(error.cause.message),
    );
    assert.equal(events.status.get().phase, "failed");
  }
  levels = 2;
  assert.equal((await events.sync()).outcome, "complete");
  assert.deepEqual((await events.all())[0].x.a.a, client.requests.length);
  assert.equal(listened.length, 2, "listeners outlive the instance");
  await client.close();
  await checkOther();
});

/** An object of this many levels. Reading the innermost property calls `onRead`. */
function nestedObject(levels, onRead) {
  const innermost = {
    get a() {
      onRead();
      return "stored";
    },
  };
  return Array.from({ length: levels - 1 }).reduce((inner) => ({ a: inner }), innermost);
}

/**
 * Runs a round that compares an item of this many levels. Reading the innermost level fires the
 * signal of the round: little of the stack is left at that point.
 */
async function abortInAComparison(open, levels) {
  const stop = new AbortController();
  const store = new MemoryStore();
  const link = "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=1";
  let x = `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
  const fetch = async () => text(`{"value":[{"id":"user 1","x":${x}}],"@odata.deltaLink":"${link}"}`);
  const client = await open({ token: () => "a-token", store, account: "alex", fetch });
  const query = client.track("/users/delta");
  await query.sync();
  const [[, row]] = await store.all(query.key);
  const stored = { id: "user 1", x: nestedObject(levels, () => stop.abort("enough")) };
  store.rows = async () => [{ ...row, item: stored }];
  const pages = query.round({ signal: stop.signal })[Symbol.asyncIterator]();
  const error = await pages.next().catch((error) => error);
  delete store.rows;
  x = 1;
  return { client, query, error };
}

test("a stack overflow in the closure of an event rejects pending calls, and the next call works", async (t) => {
  const checkOther = await startOther();
  const wasm = await packedWasm();
  const { stackTraceLimit } = Error;
  t.after(() => (Error.stackTraceLimit = stackTraceLimit));
  Error.stackTraceLimit = 100;
  // With some size of the stack, the comparison fits and the closure that the signal calls does
  // not.
  const candidates = Array.from({ length: 10 }, (_, step) => STACK - 16 * step);
  let isFound = false;
  for (const stack of candidates) {
    if (isFound) break;
    const { init, openDelta } = await import(`../node_modules/deltalink/node.js?stack=${stack}`);
    await init(withStack(wasm, stack));
    for (let levels = 5; ; levels++) {
      const { client, query, error } = await abortInAComparison(openDelta, levels);
      const overflowed = error.code === "internal";
      if (overflowed) {
        isTrapped(error);
        isFound = /\bget a\b/.test(error.cause.stack);
        assert.equal((await query.sync()).outcome, "complete");
      }
      await client.close();
      if (overflowed) break;
    }
  }
  assert.ok(isFound, "none of the stacks overflowed in the closure");
  await checkOther();
});

/** Makes the host throw in the next microtask of the wasm, as if the host's stack were full. */
function failingHost(t) {
  const { queueMicrotask } = globalThis;
  t.after(() => (globalThis.queueMicrotask = queueMicrotask));
  let failures = 0;
  globalThis.queueMicrotask = () => {
    failures += 1;
    globalThis.queueMicrotask = queueMicrotask;
    throw new RangeError("Maximum call stack size exceeded");
  };
  return () => failures;
}

test("an exception of the host in the closure of an event rejects pending calls, and the next call works", async (t) => {
  const checkOther = await startOther();
  let hangs = true;
  const client = await clientOf((url, count) => (hangs ? new Promise(() => {}) : users(url, count)));
  const query = client.track("/users/delta");
  const joined = assert.rejects(client.track("/groups/delta").sync(), isTrapped);
  const stop = new AbortController();
  const pages = query.round({ signal: stop.signal })[Symbol.asyncIterator]();
  const waiting = pages.next();
  await until(() => client.requests.length === 2);
  // The closure that listens to the signal of the round wakes its task.
  const failures = failingHost(t);
  stop.abort("enough");
  assert.equal(failures(), 1);
  await assert.rejects(waiting, isTrapped);
  await joined;
  hangs = false;
  assert.equal((await query.sync()).outcome, "complete");
  await client.close();
  await checkOther();
});

test("an exception of the host in a timer rejects pending calls, and the next call works", async (t) => {
  const checkOther = await startOther();
  let hangs = true;
  // The request hangs, so its timer fires.
  const client = await clientOf((url, count) => (hangs ? new Promise(() => {}) : users(url, count)), {
    retry: { timeout: 30, base: 1, cap: 2 },
  });
  const query = client.track("/users/delta");
  const syncing = query.sync();
  await until(() => client.requests.length === 1);
  const failed = failingHost(t);
  await assert.rejects(syncing, isTrapped);
  assert.equal(failed(), 1);
  hangs = false;
  assert.equal((await query.sync()).outcome, "complete");
  await client.close();
  await checkOther();
});

test("after a trap a client can be closed and forgotten, and its rounds hold no lock", async () => {
  const store = new MemoryStore();
  for (const end of ["close", "forget"]) {
    const client = await clientOf(users, { store, account: "alex" });
    const query = client.track("/users/delta");
    const pages = query.round()[Symbol.asyncIterator]();
    await pages.next();
    const following = query.sync();
    assert.throws(() => client.track("/users/delta", { name: HUGE }), isTrapped);
    await assert.rejects(pages.next(), isTrapped);
    const result = await following.catch((error) => error);
    assert.ok(result.outcome === "complete" || result.code === "internal");
    assert.equal((await query.sync()).outcome, "complete");
    await client[end]();
    await assert.rejects(query.sync(), { code: "closed" });
    assert.equal((await store.load(query.key)) === undefined, end === "forget");
    await turn();
  }
});

test("the end of an instance stops its requests and timers", async () => {
  const signals = [];
  const fetch = (url, { signal }) => (signals.push(signal), new Promise(() => {}));
  const client = await clientOf(users, { fetch });
  const syncing = assert.rejects(client.track("/users/delta").sync(), isTrapped);
  await until(() => signals.length === 1);
  assert.throws(() => client.track("/users/delta", { name: HUGE }), isTrapped);
  await syncing;
  assert.ok(signals[0].aborted, "the request is no longer in flight");
  const timers = process.getActiveResourcesInfo().filter((name) => name === "Timeout");
  assert.deepEqual(timers, []);
  await client.close();
});
