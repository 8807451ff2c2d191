// deltalink/testing, the fake Graph in the package, as the tests of an app use it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { openDelta } from "deltalink";
import { fakeGraph } from "deltalink/testing";
import { until } from "../wait.mjs";

const DAY = 86_400_000;
const QUICK = { base: 1, cap: 1 };
/** The names of all faults in testing.d.ts, in the same order. */
const FAULTS = [
  ...readFileSync(new URL("../../pkg-template/testing.d.ts", import.meta.url), "utf8")
    .match(/^export type FakeFaults =$[^;]*(?:;(?!\n\n)[^;]*)*/m)[0]
    .matchAll(/name: ("[^;}]*")/g),
].flatMap(([, names]) => names.split(" | ").map((name) => JSON.parse(name.trim())));

async function usersOf(graph, more) {
  const client = await openDelta({
    fetch: graph.fetch,
    token: graph.token,
    store: "memory",
    retry: QUICK,
    ...more,
  });
  return client.track("/users/delta");
}

/** Compares the mirror with the items of the fake Graph. */
async function same(query, graph, collection) {
  const sortedIds = (items) => items.map(({ id }) => id).sort();
  assert.deepEqual(sortedIds(await query.all()), sortedIds(graph.items(collection)));
}

test("a mirror follows additions, edits and removals in the fake Graph", async () => {
  const graph = await fakeGraph({ populate: { users: 25 } });
  const users = await usersOf(graph);
  assert.equal((await users.sync()).added, 25);
  const id = graph.add("users", { displayName: "Kim" });
  const [first, second] = graph.items("users");
  graph.edit("users", first.id, { jobTitle: "Baker" });
  graph.remove("users", second.id);
  const { added, changed, removed } = await users.sync();
  assert.deepEqual({ added, changed, removed }, { added: 1, changed: 1, removed: 1 });
  assert.equal((await users.get(id)).displayName, "Kim");
  assert.equal((await users.get(first.id)).jobTitle, "Baker");
  assert.equal(await users.get(second.id), undefined);
  await same(users, graph, "users");
});

test("a soft-deleted object can be restored", async () => {
  const graph = await fakeGraph({ populate: { users: 3 } });
  const users = await usersOf(graph);
  await users.sync();
  const reasons = [];
  users.on("change", (changes) => void reasons.push(...changes.map(({ type, reason }) => reason ?? type)));
  const [{ id }] = graph.items("users");
  graph.remove("users", id, { soft: true });
  await users.sync();
  graph.restore("users", id);
  await users.sync();
  assert.deepEqual(reasons, ["changed", "upsert"]);
});

test("a mirror follows the random changes of churn(), which returns the changed ids", async () => {
  const graph = await fakeGraph({ populate: { users: 40 } });
  const users = await usersOf(graph);
  await users.sync();
  assert.ok(graph.churn("users", 30).length >= 30);
  await users.sync();
  await same(users, graph, "users");
});

test("events have a window and series", async () => {
  const graph = await fakeGraph();
  const client = await openDelta({ fetch: graph.fetch, token: graph.token, store: "memory" });
  const window = { start: "2026-11-01T00:00:00Z", end: "2026-11-30T00:00:00Z" };
  graph.add(
    "events",
    { subject: "Stand-up", type: "seriesMaster", start: "2026-11-02T09:00:00Z", end: "2026-11-02T09:15:00Z" },
    { count: 4, everyDays: 7 },
  );
  graph.add("events", { subject: "Later", start: "2026-12-02T09:00:00Z", end: "2026-12-02T10:00:00Z" });
  const events = client.events(window);
  await events.sync();
  const occurrences = await events.all({ occurrences: "complete" });
  assert.deepEqual(
    occurrences.map(({ subject }) => subject),
    ["Stand-up", "Stand-up", "Stand-up", "Stand-up"],
  );
  assert.equal(graph.items("events", window).filter(({ type }) => type === "occurrence").length, 4);
});

test("an expired link leads to a full round, which removes ghosts", async () => {
  const graph = await fakeGraph({ populate: { users: 12 } });
  const users = await usersOf(graph);
  await users.sync();
  const [{ id }] = graph.items("users");
  graph.expireLinks("users");
  graph.remove("users", id);
  const { kind, ghosts } = await users.sync();
  assert.deepEqual({ kind, ghosts }, { kind: "full", ghosts: 1 });
  graph.fault({ name: "reset", spelling: 12 });
  assert.equal((await users.sync()).kind, "full");
});

test("throttles, errors and broken connections occur the requested number of times, and are in the log", async () => {
  const graph = await fakeGraph({ populate: { users: 12 } });
  const users = await usersOf(graph);
  graph.fault({ name: "throttle", retryAfter: 0.01 });
  graph.fault("network");
  graph.fault({ name: "status", status: 504 }, { kind: "next", times: 2 });
  graph.fault({ name: "cut", n: 30 }, { kind: "next" });
  assert.equal((await users.sync()).retries, 5);
  assert.deepEqual(
    graph.requests().map(({ status, fault }) => fault ?? status),
    ["throttle", "network", 200, "status", "status", "cut", 200],
  );
  graph.clearRequests();
  graph.fault("network", { times: Infinity });
  await assert.rejects(users.sync(), { code: "network" });
  graph.clearFaults();
  assert.equal((await users.sync()).outcome, "complete");
});

test("fault() returns the function that removes the fault, and no other one", async () => {
  const graph = await fakeGraph({ populate: { users: 2 } });
  const users = await usersOf(graph);
  const remove = graph.fault("network", { times: Infinity });
  graph.fault({ name: "status", status: 403 });
  await assert.rejects(users.sync(), { code: "network" });
  remove();
  await assert.rejects(users.sync(), { code: "forbidden" });
  assert.equal((await users.sync()).outcome, "complete");
  remove();
});

test("a throttle longer than maxWait ends the round, and the error has its retryAt", async () => {
  const graph = await fakeGraph({ populate: { users: 2 } });
  const users = await usersOf(graph, { retry: { ...QUICK, maxWait: 1000 } });
  graph.fault({ name: "throttle", retryAfter: 40 });
  await assert.rejects(
    users.sync(),
    ({ code, retryAt }) => code === "throttled" && retryAt > Date.now() + 30_000,
  );
});

test("the signal of the caller ends a request that hangs", async () => {
  const graph = await fakeGraph({ populate: { users: 2 } });
  const users = await usersOf(graph);
  for (const fault of ["hang", { name: "delay", ms: 60_000 }, { name: "slow", bytesPerSecond: 1 }]) {
    graph.fault(fault);
    const stop = new AbortController();
    const { length } = graph.requests();
    const round = users.sync({ signal: stop.signal });
    const reason = new Error("enough");
    await until(() => graph.requests().length > length);
    stop.abort(reason);
    await assert.rejects(round, (error) => error === reason);
  }
});

test("a slow response is complete", async () => {
  const graph = await fakeGraph({
    populate: { users: 5 },
    settings: { bytesPerSecond: 20_000, latencyMs: 1 },
  });
  const users = await usersOf(graph);
  assert.equal((await users.sync()).added, 5);
});

test("the clock of the fake Graph can be advanced, which expires links", async () => {
  let now = Date.UTC(2026, 10, 22);
  const graph = await fakeGraph({ populate: { users: 3 }, now: () => now });
  const users = await usersOf(graph);
  await users.sync();
  now += DAY;
  assert.equal((await users.sync()).kind, "incremental");
  graph.advance(8 * DAY);
  assert.deepEqual(graph.now, new Date(Date.UTC(2026, 11, 1)));
  assert.equal((await users.sync()).kind, "full");
});

test("the token source renews a revoked token, and an app-only token reads recordings", async () => {
  const graph = await fakeGraph({ populate: { users: 3, recordings: 4 } });
  const users = await usersOf(graph);
  await users.sync();
  graph.revokeTokens();
  await users.sync();
  assert.deepEqual(
    graph
      .requests()
      .slice(-2)
      .map(({ status }) => status),
    [401, 200],
  );
  const client = await openDelta({ fetch: graph.fetch, token: graph.appToken, store: "memory" });
  assert.equal((await client.callRecordings({ organizer: graph.user.id }).sync()).added, 4);
});

test("the same seed, clock and calls return the same responses", async () => {
  const logOf = async (seed) => {
    const graph = await fakeGraph({
      seed,
      populate: { contacts: 20, events: 9, drive: 5 },
      now: () => Date.UTC(2026, 10, 22),
    });
    graph.churn("contacts", 10);
    const response = await graph.fetch("https://graph.microsoft.com/v1.0/contacts/delta", {
      headers: { authorization: `Bearer ${graph.token()}` },
    });
    return { text: await response.text(), items: graph.items("contacts") };
  };
  assert.deepEqual(await logOf(7), await logOf(7));
  assert.notDeepEqual(await logOf(7), await logOf(8));
});

test("the fake Graph serves another root, and refuses requests to any other", async () => {
  const graph = await fakeGraph({ populate: { users: 3 }, endpoint: "https://graph.microsoft.us/v1.0" });
  const users = await usersOf(graph, { cloud: "usgov" });
  assert.equal((await users.sync()).added, 3);
  await assert.rejects(
    graph.fetch("https://graph.microsoft.com/v1.0/users/delta"),
    /the fake Graph is at https:\/\/graph\.microsoft\.us/,
  );
});

test("the fake Graph sends times in each zone that the host knows, with daylight saving time", async () => {
  const graph = await fakeGraph();
  graph.add("events", { start: "2026-01-10T12:00:00Z", end: "2026-01-10T13:00:00Z" });
  graph.add("events", { start: "2026-07-10T12:00:00Z", end: "2026-07-10T13:00:00Z" });
  const client = await openDelta({ fetch: graph.fetch, token: graph.token, store: "memory" });
  const timesIn = async (timeZone) => {
    const events = client.events({ start: "2026-01-01", end: "2027-01-01", timeZone });
    await events.sync();
    const all = await events.all();
    assert.ok(all.every(({ start, end }) => start.timeZone === timeZone && end.timeZone === timeZone));
    return all.map(({ start }) => start.dateTime.slice(0, 16)).sort();
  };
  assert.deepEqual(await timesIn("America/St_Johns"), ["2026-01-10T08:30", "2026-07-10T09:30"]);
  assert.deepEqual(await timesIn("India Standard Time"), ["2026-01-10T17:30", "2026-07-10T17:30"]);
  assert.deepEqual(await timesIn("W. Europe Standard Time"), ["2026-01-10T13:00", "2026-07-10T14:00"]);
  await assert.rejects(timesIn("Middle Earth"), { code: "bad-request", graphCode: "ErrorInvalidParameter" });
  await client.close();
});

test("an unknown name is refused at the call", async () => {
  await assert.rejects(fakeGraph({ pageSize: 3 }), /no option pageSize/);
  await assert.rejects(
    fakeGraph({ settings: { pages: 3 } }),
    /no option pages: it has pageSize, latencyMs, /,
  );
  await assert.rejects(fakeGraph({ settings: { page_size: 3 } }), /no option page_size/);
  await assert.rejects(fakeGraph({ populate: { cars: 3 } }), /no property "cars": it has events, contacts, /);
  const graph = await fakeGraph();
  assert.throws(
    () => graph.fault("network", { kind: "first" }),
    /kind must be "initial", "next", .* or "any", got "first"/,
  );
  assert.throws(() => graph.fault("flood"), {
    message: `there is no fault "flood": the faults are ${FAULTS.join(", ")}`,
  });
  assert.throws(() => graph.fault("not_json"), /no fault "not_json"/);
  assert.throws(
    () => graph.fault("network", { sort: "next" }),
    /no property sort: it has collection, kind, skip, url, times$/,
  );
  for (const call of [
    () => graph.add("events", {}, { users: "ann@contoso.com" }),
    () => graph.add("events", {}, { every_days: 2 }),
  ])
    assert.throws(call, /has no property \w+: it has user, calendar, folder, count, everyDays$/);
  assert.throws(
    () => graph.churn("users", 1, { count: 2 }),
    /no property count: it has user, calendar, folder$/,
  );
  assert.throws(
    () => graph.items("events", { calender: "x" }),
    /no property calender: it has user, calendar, /,
  );
  assert.throws(() => graph.add("cars"), /no collection "cars": the collections are events, contacts, /);
  for (const call of ["edit", "remove", "restore"])
    assert.throws(() => graph[call]("users", undefined), /needs the id of an item, got undefined$/);
  assert.throws(() => graph.remove("users", "nobody"), /there is no nobody in users/);
  assert.throws(() => graph.items("cars"), /no collection "cars"/);
});

test("a fault with an unknown field is refused at the call, and the message names its fields", async () => {
  const graph = await fakeGraph();
  for (const [fault, message] of [
    [
      { name: "status", statusCode: 403 },
      "the fault status has no field statusCode: it has status, code, message, headers",
    ],
    [
      { name: "slow", bytes_per_second: 1 },
      "the fault slow has no field bytes_per_second: it has bytesPerSecond",
    ],
    [{ name: "network", times: 2 }, "the fault network has no field times: it has none"],
    [{ name: "throttle", label: "x" }, "the fault throttle has no field label: it has retryAfter"],
  ])
    assert.throws(() => graph.fault(fault), { name: "TypeError", message });
});

test("a value of the wrong type is refused at the call, and the message says what it must be", async () => {
  const graph = await fakeGraph();
  assert.throws(() => graph.fault({ name: "status", status: "403" }), {
    name: "TypeError",
    message:
      'the fault status: status must be a whole number from 200 to 599, got "403"; it has status, code, message, headers',
  });
  for (const [fault, when, message] of [
    [{ name: "status", status: 403.5 }, {}, /status must be .*, got 403\.5/],
    [{ name: "status", code: 403 }, {}, /code must be a string, got 403/],
    [{ name: "status", headers: { "Retry-After": null } }, {}, /headers must be an object of strings/],
    [{ name: "throttle", retryAfter: "1" }, {}, /retryAfter must be a number of at least 0, got "1"/],
    [{ name: "throttle", retryAfter: -1 }, {}, /retryAfter must be/],
    [{ name: "reset", spelling: 17 }, {}, /spelling must be a whole number from 1 to 16, got 17/],
    [{ name: "claims", claims: [] }, {}, /claims must be an object or a string, got an array/],
    [{ name: "cut", n: "30" }, {}, /n must be a whole number/],
    [{ name: "delay", ms: 0.5 }, {}, /ms must be a whole number of at least 0, got 0\.5/],
    [{ name: "slow", bytesPerSecond: 0 }, {}, /bytesPerSecond must be a whole number of at least 1, got 0/],
    [{ name: "foreignLink", link: 3 }, {}, /link must be a string, got 3/],
    [["network"], {}, /no fault undefined/],
    [null, {}, /no fault undefined/],
    ["network", { times: Number.NaN }, /times must be a whole number of at least 0 or Infinity, got NaN/],
    ["network", { times: null }, /times must be/],
    ["network", { skip: "2" }, /skip must be a whole number/],
    ["network", { url: /delta/ }, /url must be a string, got an object/],
    ["network", "next", /the second argument of fault\(\) must be an object, got "next"/],
  ])
    assert.throws(() => graph.fault(fault, when), message);
  graph.fault({ name: "status", status: undefined }, { skip: undefined });
  assert.throws(() => graph.set({ pageSize: "3" }), /pageSize must be a whole number of at least 1, got "3"/);
  assert.throws(
    () => graph.set({ duplicates: "all" }),
    /duplicates must be "none", "page", "pages" or "both"/,
  );
  assert.throws(() => graph.add("events", {}, { count: "5" }), /count must be a whole number/);
  assert.throws(() => graph.add("users", {}, "ann@contoso.com"), /add\(\) must be an object, got "ann@/);
  assert.throws(() => graph.add("users", "Kim"), /item must be an object, got "Kim"/);
  assert.throws(
    () => graph.items("events", { start: "soon", end: "later" }),
    /start must be a date, got "soon"/,
  );
});

test("the log has the name of each fault as fault() takes it", async () => {
  const graph = await fakeGraph({ populate: { users: 30 } });
  for (const name of FAULTS) {
    const remove = graph.fault(name, { times: Infinity });
    const stop = new AbortController();
    const headers = { authorization: `Bearer ${graph.token()}` };
    const url = "https://graph.microsoft.com/v1.0/users/delta";
    const response = graph.fetch(url, { headers, signal: stop.signal });
    assert.equal(graph.requests().at(-1).fault, name);
    remove();
    assert.equal(graph.requests().at(-1).fault, name, "after the fault was removed");
    stop.abort();
    await response.catch(() => {});
  }
  assert.equal(graph.requests().length, FAULTS.length);
  await graph.fetch("https://graph.microsoft.com/v1.0/users/delta");
  assert.equal(graph.requests().at(-1).fault, null);
});

test("fake timers that are installed later move the clock of the fake Graph", async (t) => {
  const graph = await fakeGraph({ populate: { users: 3 } });
  t.mock.timers.enable({ apis: ["Date"], now: Date.UTC(2030, 0, 1) });
  assert.deepEqual(graph.now, new Date(Date.UTC(2030, 0, 1)));
  t.mock.timers.reset();
  assert.ok(graph.now < new Date(Date.UTC(2029, 0, 1)));
});

test("two fake Graphs are independent", async () => {
  const [one, other] = await Promise.all([fakeGraph({ populate: { users: 3 } }), fakeGraph({ seed: 2 })]);
  assert.equal(one.items("users").length, 3);
  assert.equal(other.items("users").length, 0);
  const users = await usersOf(other, { token: one.token });
  await assert.rejects(users.sync(), { code: "unauthorized" });
});
