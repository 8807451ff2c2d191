// Reading the mirror: chunks, side rows, complete occurrences.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openDelta } from "deltalink";

/** A store of one query, whatever its key, that counts what it is asked. */
function storeOf(rows, state = { revision: "e.1" }) {
  const sorted = Object.entries(rows).sort(([one], [other]) => (one < other ? -1 : 1)).map(([id, item]) => [id, { generation: 1, item }]);
  const asked = { load: 0, rows: 0, scan: 0 };
  return {
    asked,
    state,
    rowsNow: sorted,
    async load() {
      asked.load += 1;
      return this.state;
    },
    async rows(_key, ids) {
      asked.rows += 1;
      return ids.map((id) => this.rowsNow.find(([other]) => other === id)?.[1]);
    },
    commit: async () => true,
    async scan(_key, { after, limit }) {
      asked.scan += 1;
      return this.rowsNow.filter(([id]) => after === undefined || id > after).slice(0, limit);
    },
    clear: async () => {},
  };
}

async function contacts(store) {
  const client = await openDelta({ token: () => "t", account: "a", endpoint: "http://127.0.0.1:9", store });
  return client.orgContacts();
}

async function listed(query, options) {
  const items = [];
  for await (const item of query.items(options)) items.push(item);
  return items;
}

const numbered = (count) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`id${String(n).padStart(5, "0")}`, { n }]));

test("items come from after an id, as many as wanted, and no more is read than that", async () => {
  const store = storeOf(numbered(1203));
  const query = await contacts(store);
  assert.deepEqual((await listed(query)).map(({ n }) => n), Array.from({ length: 1203 }, (_, n) => n));
  assert.equal(store.asked.scan, 3);
  assert.deepEqual((await listed(query, { after: "id00009", limit: 3 })).map(({ n }) => n), [10, 11, 12]);
  assert.equal(store.asked.scan, 4);
  assert.equal((await listed(query, { limit: 700 })).length, 700);
  assert.deepEqual(await listed(query, { after: "id01202" }), []);
  assert.equal(await query.count(), 1203);
});

test("no reader shows a side row, and none is counted", async () => {
  const store = storeOf({ ...numbered(3), "\0m1": { id: "m1" }, "\0m2": { id: "m2" } });
  const query = await contacts(store);
  assert.deepEqual(await query.all(), [{ n: 0 }, { n: 1 }, { n: 2 }]);
  assert.deepEqual(await listed(query, { limit: 2 }), [{ n: 0 }, { n: 1 }], "past the side rows, which come first");
  assert.equal(await query.get("\0m1"), undefined);
  assert.equal(await query.count(), 3);
  store.state = { revision: "e.2", count: 41 };
  assert.equal(await query.count(), 41, "the state knows it");
});

const calendar = {
  single: { id: "single", type: "singleInstance", subject: "Lunch" },
  exception: { id: "exception", type: "exception", seriesMasterId: "m1", subject: "Moved" },
  first: { id: "first", type: "occurrence", seriesMasterId: "m1", start: "s1", end: "e1" },
  named: { id: "named", type: "occurrence", seriesMasterId: "m1", start: "s2", end: "e2", subject: "Its own", location: null },
  fetched: { id: "fetched", type: "occurrence", seriesMasterId: "m2", start: "s3", end: "e3" },
  lonely: { id: "lonely", type: "occurrence", seriesMasterId: "nobody", start: "s4", end: "e4" },
  m1: { id: "m1", "@odata.etag": "W/1", type: "seriesMaster", subject: "Standup", location: { displayName: "Room 1" }, start: "s0", end: "e0" },
  "\0m2": { id: "m2", "@odata.etag": "W/2", type: "seriesMaster", subject: "Review", start: "s0", end: "e0" },
};
const shown = {
  single: calendar.single,
  exception: calendar.exception,
  first: { ...calendar.first, subject: "Standup", location: { displayName: "Room 1" } },
  named: calendar.named,
  fetched: { ...calendar.fetched, subject: "Review" },
  lonely: calendar.lonely,
};

test("complete occurrences have what their series says and they do not, and no master stands beside them", async () => {
  const query = await contacts(storeOf(calendar));
  const expected = Object.keys(shown).sort().map((id) => shown[id]);
  assert.deepEqual(await listed(query, { occurrences: "complete" }), expected);
  assert.deepEqual(await query.all({ occurrences: "complete" }), expected);
  // Of chunks too, whose masters are in other ones.
  assert.deepEqual(await listed(query, { occurrences: "complete", limit: 2 }), expected.slice(0, 2));
  assert.equal((await listed(query)).length, 7, "as sent");
});

test("a master fetched by itself goes before one of the round", async () => {
  const query = await contacts(storeOf({ ...calendar, "\0m1": { id: "m1", subject: "Newer" } }));
  const [, , first] = await listed(query, { occurrences: "complete" });
  assert.deepEqual(first, { ...calendar.first, subject: "Newer" });
});

test("an occurrence and its master are of one revision", async () => {
  const store = storeOf(calendar);
  const { rows } = store;
  let moves = 1;
  // A round commits between the chunk and the masters.
  store.rows = async function (...question) {
    if (moves-- > 0) {
      this.state = { revision: `e.${moves + 100}` };
      this.rowsNow = this.rowsNow.map(([id, row]) => [id, { ...row, item: { ...row.item, mark: 2 } }]);
    }
    return rows.apply(this, question);
  };
  const query = await contacts(store);
  const items = await listed(query, { occurrences: "complete" });
  assert.ok(items.every(({ mark }) => mark === 2), JSON.stringify(items));
  moves = 1e9;
  await assert.rejects(listed(query, { occurrences: "complete" }), { code: "conflict", retryable: true, message: /a round commits faster than the mirror can be read/ });
});

test("all is of one revision, or says that it can't be", async () => {
  const store = storeOf(numbered(700));
  const { scan } = store;
  let moves = 1;
  store.scan = async function (...question) {
    const rows = await scan.apply(this, question);
    if (moves-- > 0) {
      this.state = { revision: `e.${moves + 100}` };
      this.rowsNow = this.rowsNow.map(([id, row]) => [id, { ...row, item: { n: -1 } }]);
    }
    return rows;
  };
  const query = await contacts(store);
  assert.ok((await query.all()).every(({ n }) => n === -1));
  moves = 1e9;
  await assert.rejects(query.all(), { code: "conflict", message: /use items\(\), which reads it in chunks/ });
});

test("wrong options of items and all are refused", async () => {
  const query = await contacts(storeOf({}));
  for (const [options, words] of [
    [null, "the options of items() must be an object"],
    [{ limit: 0 }, "options.limit must be a whole number of at least 1"],
    [{ limit: 1.5 }, "options.limit must be a whole number"],
    [{ after: 7 }, "options.after must be the id of an item"],
    [{ occurrences: true }, 'options.occurrences must be "complete"'],
    [{ page: 1 }, "options.page is no option of items(): the options are after, limit, occurrences"],
  ]) {
    await assert.rejects(listed(query, options), (error) => error.code === "bad-request" && error.message.includes(words), words);
  }
  await assert.rejects(query.all({ limit: 1 }), { code: "bad-request", message: /options\.limit is no option of all\(\)/ });
});

test("a row without an item is passed over", async () => {
  const store = storeOf(numbered(1));
  store.rowsNow.push(["x", null], ["y", {}]);
  assert.deepEqual(await (await contacts(store)).all(), [{ n: 0 }]);
  assert.equal(await (await contacts(store)).get("y"), undefined);
});

test("an error that a store rejects with comes through as it is, with the round's report", async () => {
  const { DeltaError } = await import("deltalink");
  const full = new DeltaError("the disk of this Worker is full", { code: "quota", retryable: true });
  const query = await contacts({ ...storeOf({}), load: () => Promise.reject(full) });
  await assert.rejects(query.count(), (error) => error === full);
  await assert.rejects(query.reset(), (error) => error === full);
  await assert.rejects(query.sync(), (error) => error === full && error.report.outcome === "failed");
  assert.equal(query.status.get().error, full);
});
