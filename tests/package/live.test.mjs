// Live queries of one process, through the packed package in Node. Timers and dates are mocked, so
// that an interval passes at once. The fake Graph is in the same process, because sockets would use
// the mocked timers too. tests/tabs/live.test.mjs has several tabs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeltaError, openDelta } from "deltalink";
import { fakeGraph } from "deltalink/testing";
import { fakeTimers, until } from "../wait.mjs";
import { fakeNetwork, statusUntil } from "./kit.mjs";

const makeGraph = () => fakeGraph({ populate: { contacts: 5 } });
const open = (graph, more) =>
  openDelta({
    fetch: graph.fetch,
    token: graph.token,
    store: "memory",
    retry: { base: 1, attempts: 1 },
    ...more,
  });
const FORBIDDEN = { name: "status", status: 403, code: "Forbidden" };
const EVERY = 60_000;
/** Whether a query rests between two rounds. */
const isResting = ({ phase, nextRoundAt }) => phase === "idle" && nextRoundAt !== undefined;

/** Replaces the timers and the clock; `pass(query)` goes to the time of its next round. */
function replaceClock(context) {
  const timers = fakeTimers(context, Date.now());
  return {
    tick: (ms) => timers.tick(ms),
    /** Goes to the next round, and waits until it has ended. */
    async pass(query) {
      const before = await statusUntil(query, isResting);
      timers.tick(before.nextRoundAt - Date.now());
      return statusUntil(query, (status) => isResting(status) && status.nextRoundAt > before.nextRoundAt);
    },
  };
}

/** Runs a round of another client. A request that was due before has been sent when it ends. */
async function waitForDueRequests() {
  const graph = await makeGraph();
  const client = await open(graph);
  await client.orgContacts().sync();
  await client.close();
}

/** The factor of the interval, without its jitter of 10 %. */
function factor({ nextRoundAt }) {
  const interval = (nextRoundAt - Date.now()) / EVERY;
  const factor = [1, 2, 4, 8].find((factor) => Math.abs(interval / factor - 1) < 0.101);
  return factor ?? interval;
}

test("a live query runs a round at once, and one at each interval, which doubles while nothing changes", async (context) => {
  const graph = await makeGraph();
  const client = await open(graph);
  const contacts = client.orgContacts();
  const { pass } = replaceClock(context);
  const live = contacts.live();
  assert.equal(factor(await statusUntil(contacts, isResting)), 1);
  assert.equal(await contacts.count(), 5);
  const factors = [];
  for (let round = 0; round < 4; round += 1) factors.push(factor(await pass(contacts)));
  assert.deepEqual(factors, [2, 4, 8, 8]);
  graph.add("contacts", { displayName: "Kim" });
  assert.equal(factor(await pass(contacts)), 1, "a change resets the interval");
  assert.equal(await contacts.count(), 6);
  live.stop();
  await client.close();
});

test("syncNow() resolves to the report of the round, and rejects with the error that ended it", async () => {
  const graph = await makeGraph();
  const client = await open(graph);
  const contacts = client.orgContacts();
  const live = contacts.live();
  assert.equal((await live.syncNow()).outcome, "complete");
  graph.fault(FORBIDDEN);
  await assert.rejects(live.syncNow(), { name: "DeltaError", code: "forbidden" });
  assert.equal((await live.syncNow()).outcome, "complete");
  live.stop();
  await assert.rejects(live.syncNow(), { code: "closed", message: /call live\(\) again/ });
  await client.close();
});

test("a new handle within a second of stop() causes no request, and no round runs after the last stop()", async (context) => {
  const graph = await makeGraph();
  const client = await open(graph);
  const contacts = client.orgContacts();
  const { tick } = replaceClock(context);
  const first = contacts.live();
  await statusUntil(contacts, isResting);
  const before = graph.requests().length;
  first.stop();
  tick(900);
  const second = contacts.live({ every: 5000 });
  await waitForDueRequests();
  assert.equal(graph.requests().length, before);
  second.stop();
  tick(1000);
  assert.equal(contacts.status.get().nextRoundAt, undefined);
  tick(86_400_000);
  await waitForDueRequests();
  assert.equal(graph.requests().length, before);
  await client.close();
});

test("the shortest interval of all handles of a query applies, and a disposed handle no longer counts", async (context) => {
  const graph = await makeGraph();
  const client = await open(graph);
  const contacts = client.orgContacts();
  replaceClock(context);
  const slow = contacts.live({ every: 8 * EVERY });
  const fast = client.orgContacts().live({ every: EVERY });
  assert.equal(factor(await statusUntil(contacts, isResting)), 1);
  fast[Symbol.dispose ?? Symbol.for("Symbol.dispose")]();
  assert.equal(factor(contacts.status.get()), 8);
  slow.stop();
  await client.close();
});

test("a signal stops a handle, and live() throws the reason of an aborted signal", async (context) => {
  const graph = await makeGraph();
  const client = await open(graph);
  const contacts = client.orgContacts();
  const { tick } = replaceClock(context);
  const stop = new AbortController();
  contacts.live({ signal: stop.signal });
  await statusUntil(contacts, isResting);
  stop.abort("enough");
  tick(1000);
  assert.equal(contacts.status.get().nextRoundAt, undefined);
  assert.throws(
    () => contacts.live({ signal: stop.signal }),
    (thrown) => thrown === "enough",
  );
  await client.close();
});

test("a live query that needs a sign-in pauses until resume(), and continues then", async (context) => {
  const graph = await makeGraph();
  let isSignedIn = false;
  const refuse = () =>
    Promise.reject(Object.assign(new Error("again"), { errorCode: "interaction_required" }));
  const client = await open(graph, { token: () => (isSignedIn ? graph.token() : refuse()) });
  const contacts = client.orgContacts();
  const { tick } = replaceClock(context);
  contacts.live();
  const { error } = await statusUntil(contacts, ({ phase }) => phase === "needs-auth");
  assert.equal(error.code, "interaction");
  tick(86_400_000);
  await waitForDueRequests();
  assert.equal(graph.requests().length, 0);
  isSignedIn = true;
  client.resume();
  await statusUntil(contacts, isResting);
  assert.equal(await contacts.count(), 5);
  await client.close();
});

test("failures back off, and the status shows the error and the next attempt", async (context) => {
  const graph = await makeGraph();
  const client = await open(graph);
  const contacts = client.orgContacts();
  const { pass, tick } = replaceClock(context);
  graph.fault(FORBIDDEN, { times: 2 });
  contacts.live();
  const hasFailed = ({ phase, nextRoundAt }) => phase === "failed" && nextRoundAt !== undefined;
  const first = await statusUntil(contacts, hasFailed);
  assert.equal(first.error.code, "forbidden");
  assert.equal(factor(first), 2);
  tick(first.nextRoundAt - Date.now());
  assert.equal(
    factor(
      await statusUntil(contacts, (status) => hasFailed(status) && status.nextRoundAt > first.nextRoundAt),
    ),
    4,
  );
  const second = contacts.status.get();
  tick(second.nextRoundAt - Date.now());
  assert.equal(factor(await statusUntil(contacts, isResting)), 1);
  await pass(contacts);
  await client.close();
});

test("a live query without network waits offline instead of being new, and says so until it is back", async (context) => {
  const graph = await makeGraph();
  const network = fakeNetwork(context, false);
  const { tick } = replaceClock(context);
  const client = await open(graph);
  const contacts = client.orgContacts();
  const phases = [];
  contacts.status.subscribe(({ phase, waitReason }) => phases.push([phase, waitReason].join(" ").trim()));
  const live = contacts.live();
  await statusUntil(contacts, ({ waitReason }) => waitReason === "offline");
  assert.equal(graph.requests().length, 0);
  network.set(true);
  await statusUntil(contacts, isResting);
  network.set(false);
  const { phase, waitReason, lastSyncedAt } = contacts.status.get();
  assert.deepEqual([phase, waitReason], ["waiting", "offline"]);
  assert.ok(lastSyncedAt instanceof Date);
  // syncNow() runs a round all the same. The status of the round prevails while it runs.
  await live.syncNow();
  assert.equal(contacts.status.get().waitReason, "offline");
  network.set(true);
  await statusUntil(contacts, isResting);
  network.set(false);
  // A tab leaves the query a second after the last handle was stopped.
  live.stop();
  tick(1000);
  assert.equal(contacts.status.get().phase, "idle");
  assert.deepEqual(
    phases.filter((phase, index) => phase !== phases[index - 1]),
    [
      "new",
      "waiting offline",
      "new",
      "syncing",
      "idle",
      "waiting offline",
      "syncing",
      "waiting offline",
    ].concat(["idle", "waiting offline", "idle"]),
  );
  await client.close();
});

test("a round that waits when the network is lost says offline, and its own reason when it is back", async (context) => {
  const graph = await makeGraph();
  const network = fakeNetwork(context, true);
  const client = await open(graph, { retry: { base: 1 } });
  const contacts = client.orgContacts();
  graph.fault({ name: "throttle", retryAfter: 20 });
  const live = contacts.live();
  const throttled = await statusUntil(contacts, ({ waitReason }) => waitReason === "throttled");
  network.set(false);
  const { phase, waitReason, waitUntil, progress } = contacts.status.get();
  assert.deepEqual([phase, waitReason, waitUntil], ["waiting", "offline", undefined]);
  assert.deepEqual(progress, throttled.progress, "the round still runs");
  network.set(true);
  assert.equal(contacts.status.get().waitReason, "throttled");
  live.stop();
  await client.close();
});

test("twenty live queries of a client run at most four rounds at once", async () => {
  const graph = await makeGraph();
  let running = 0;
  let most = 0;
  const client = await open(graph, {
    fetch: async (url, init) => {
      running += 1;
      most = Math.max(most, running);
      try {
        return await graph.fetch(url, init);
      } finally {
        running -= 1;
      }
    },
  });
  const queries = Array.from({ length: 20 }, (_, index) => client.orgContacts({ name: `q${index}` }));
  for (const query of queries) query.live();
  await Promise.all(queries.map((query) => statusUntil(query, isResting)));
  assert.ok(most <= 4, `${most} at once`);
  await client.close();
});

test("close() ends live queries and rejects a pending syncNow()", async () => {
  const graph = await makeGraph();
  graph.fault("hang");
  const client = await open(graph);
  const live = client.orgContacts().live();
  const waiting = live.syncNow();
  const rejected = assert.rejects(waiting, { code: "closed" });
  const contacts = client.orgContacts();
  await client.close();
  await rejected;
  assert.throws(() => contacts.live(), { code: "closed" });
});

test("live() refuses an interval below 5 seconds and unknown options, and names the option", async () => {
  const graph = await makeGraph();
  const client = await open(graph);
  const contacts = client.orgContacts();
  for (const [options, message] of [
    [{ every: 4999 }, /options\.every must be a number of milliseconds of at least 5000, got 4999/],
    [{ every: "60000" }, /options\.every .* got a string/],
    [{ hidden: "never" }, /options\.hidden must be "slow" or "pause", got "never"/],
    [{ interval: 5000 }, /options\.interval is not an option of live\(\)/],
    [{ signal: {} }, /options\.signal must be an AbortSignal/],
  ])
    assert.throws(
      () => contacts.live(options),
      (thrown) =>
        thrown instanceof DeltaError && thrown.code === "bad-request" && message.test(thrown.message),
    );
  await client.close();
});

test("syncNow() in a listener rejects before the first await, and causes no deadlock after it", async () => {
  const graph = await makeGraph();
  const client = await open(graph);
  const contacts = client.orgContacts();
  const live = contacts.live();
  const outcomes = [];
  let isAwaited = false;
  contacts.on("change", async () => {
    if (isAwaited) await null;
    outcomes.push(
      await live.syncNow().then(
        ({ outcome }) => outcome,
        ({ code }) => code,
      ),
    );
  });
  await live.syncNow();
  await until(() => outcomes.length === 1 || outcomes.length);
  isAwaited = true;
  graph.add("contacts", { displayName: "Kim" });
  await live.syncNow();
  await until(() => outcomes.length === 2 || outcomes.length);
  assert.deepEqual(outcomes, ["bad-request", "complete"]);
  live.stop();
  await client.close();
});

test("clear() of a live query fills its mirror again at once", async () => {
  const graph = await makeGraph();
  const client = await open(graph);
  const contacts = client.orgContacts();
  const live = contacts.live();
  await statusUntil(contacts, isResting);
  await contacts.clear();
  await statusUntil(contacts, isResting);
  await until(async () => (await contacts.count()) === 5);
  live.stop();
  await client.close();
});
