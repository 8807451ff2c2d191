// A mirror that 0.1.0 stored under another key of the same query, in a store of the caller.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openDelta } from "deltalink";
import { fakeGraph } from "deltalink/testing";
import { event } from "../wait.mjs";
import { MemoryStore } from "./memory-store.mjs";

const AS_GIVEN = { startDateTime: "2026-11-01", endDateTime: "2026-12-01T01:00:00+01:00" };
const CANONICAL = { startDateTime: "2026-11-01T00:00:00Z", endDateTime: "2026-12-01T00:00:00Z" };
const RAW = { occurrences: "raw" };

/** A store with a mirror under the key that 0.1.0 gave it, and `open()` for a client of it. */
async function storeOf010() {
  const around = "2026-11-15T00:00:00Z";
  const graph = await fakeGraph({ populate: { events: 20, around }, settings: { pageSize: 50 } });
  const store = new MemoryStore();
  const open = async () => {
    const { fetch, token } = graph;
    const client = await openDelta({ fetch, token, account: "ada", store, retry: { attempts: 1 } });
    return { client, view: (query) => client.track("/me/calendarView/delta", { query }) };
  };
  const { client, view } = await open();
  const current = view(CANONICAL);
  await current.sync();
  const count = await current.count(RAW);
  const old = current.key.replace(/[^|]*$/, (parameters) =>
    parameters
      .replace("2026-11-01T00:00:00Z", "2026-11-01")
      .replace("2026-12-01T00:00:00Z", "2026-12-01T01:00:00%2B01:00"),
  );
  const put = await store.scan(current.key, { limit: 1000 });
  await store.commit(old, { state: await store.load(current.key), put, remove: [] });
  await store.clear(current.key);
  await client.close();
  return { graph, store, open, count, old };
}

test("a read takes the mirror over, and the next round continues at its link", async () => {
  const { graph, open, count } = await storeOf010();
  const { client, view } = await open();
  const events = view(AS_GIVEN);
  assert.ok(count > 0);
  assert.deepEqual(
    await Promise.all([events.count(RAW), events.all(RAW).then(({ length }) => length)]),
    [count, count],
    "reads that begin meanwhile wait for the takeover",
  );
  const before = graph.requests().length;
  assert.equal((await events.sync()).kind, "incremental");
  assert.equal(graph.requests().length, before + 1);
  await client.close();
});

test("if the store refuses the copy, the mirror is empty and the next round lists everything", async () => {
  const { store, open, count, old } = await storeOf010();
  const commit = store.commit.bind(store);
  let refusals = 0;
  store.commit = async (key, batch) => {
    if (key !== old && refusals === 0 && batch.put.length === count) {
      refusals += 1;
      throw new Error("no room left");
    }
    return commit(key, batch);
  };
  const { client, view } = await open();
  const events = view(AS_GIVEN);
  assert.equal(await events.count(RAW), 0);
  assert.equal(refusals, 1);
  const report = await events.sync();
  assert.deepEqual([report.kind, report.outcome, await events.count(RAW)], ["full", "complete", count]);
  await client.close();
});

test("a round that is aborted during the copy does not stop it", async () => {
  const { store, open, count, old } = await storeOf010();
  const scan = store.scan.bind(store);
  const [reached, continues] = [event(), event()];
  store.scan = async (key, range) => {
    if (key === old) {
      reached.fire();
      await continues.fired;
    }
    return scan(key, range);
  };
  const { client, view } = await open();
  const events = view(AS_GIVEN);
  const stop = new AbortController();
  const round = events.sync({ signal: stop.signal });
  await reached.fired;
  stop.abort(new Error("left"));
  await assert.rejects(round, { message: "left" });
  continues.fire();
  assert.equal(await events.count(RAW), count);
  assert.equal((await events.sync()).kind, "incremental");
  await client.close();
});
