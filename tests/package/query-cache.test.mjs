// The same options give the same query object, through the packed package in Node.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openDelta } from "deltalink";
import { fakeGraph } from "deltalink/testing";
import { until } from "../wait.mjs";

async function open() {
  const graph = await fakeGraph({ populate: { contacts: 3 } });
  const client = await openDelta({ fetch: graph.fetch, token: graph.token, store: "memory" });
  return { graph, client };
}

test("equal options give the same query object and status, whatever their order and form", async () => {
  const { client } = await open();
  const start = new Date("2026-11-01T00:00:00Z");
  const one = client.events({ start, end: "2026-12-01T00:00:00Z", name: "x" });
  assert.equal(client.events({ name: "x", end: "2026-12-01T00:00:00Z", start: new Date(start) }), one);
  assert.equal(client.events({ name: "x", end: "2026-12-01T00:00:00Z", start }).status, one.status);
  assert.equal(
    client.track("/users/delta", { select: ["id"] }),
    client.track("/users/delta", { select: ["id"] }),
  );
  await client.close();
});

test("different options give different objects, even if the key is the same", async () => {
  const { client } = await open();
  const contacts = client.orgContacts();
  for (const options of [{ name: "x" }, { refresh: false }, { select: ["mail"] }])
    assert.notEqual(client.orgContacts(options), contacts, JSON.stringify(options));
  assert.equal(client.orgContacts({ refresh: false }).key, contacts.key);
  assert.notEqual(client.track("/users/delta"), client.track("/groups/delta"));
  // Inherited options count.
  const inherited = Object.create({ name: "x" });
  assert.equal(client.orgContacts(inherited).key, client.orgContacts({ name: "x" }).key);
  assert.notEqual(client.orgContacts(inherited), contacts);
  await client.close();
});

test("invalid options that JSON omits are rejected, even after a call with valid ones", async () => {
  const { client } = await open();
  client.orgContacts({});
  for (const options of [{ select: () => {} }, { select: Symbol("x") }, { refresh: NaN }, { name: 1n }])
    assert.throws(() => client.orgContacts(options), { code: "bad-request" });
  const cyclic = {};
  cyclic.self = cyclic;
  assert.throws(() => client.orgContacts(cyclic), { code: "bad-request" });
  await client.close();
});

test("more than thirty queries within a second, each with `start: new Date()`, are refused with the reason", async () => {
  const { client } = await open();
  const call = (ms) =>
    client.events({ start: new Date(1_795_000_000_000 + ms), end: "2027-12-01T00:00:00Z" });
  for (let ms = 0; ms < 30; ms += 1) call(ms);
  assert.throws(() => call(30), { code: "bad-request", message: /start: new Date\(\).*options\.window/ });
  // Calls with different options in between do not hide the mistake.
  const both = (ms) => [
    call(ms),
    client.events({ start: new Date(2e12 + ms), end: "2040-01-01", name: "x" }),
  ];
  assert.throws(() => {
    for (let ms = 1000; ms < 1100; ms += 1) both(ms);
  }, /start: new Date/);
  // One start with many ends is not a mistake.
  for (let day = 1; day < 50; day += 1)
    client.events({ start: "2026-01-01", end: new Date(1_795_000_000_000 + day * 86_400_000), name: "y" });
  // Starts that are hours apart are not a mistake: a calendar may fetch many windows ahead.
  for (let week = 0; week < 100; week += 1) call(week * 7 * 86_400_000 * 0.1 + 1e9);
  await client.close();
});

test("a query that was never synced is new, then idle, and new again after clear()", async () => {
  const { client } = await open();
  const contacts = client.orgContacts();
  assert.deepEqual(contacts.status.get(), { phase: "new" });
  await contacts.sync();
  assert.equal(contacts.status.get().phase, "idle");
  await contacts.clear();
  await until(() => contacts.status.get().phase === "new");
  assert.equal(contacts.status.get().lastSyncedAt, undefined);
  await client.close();
});
