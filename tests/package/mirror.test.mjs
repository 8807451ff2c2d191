// The mirror: series, rolling windows, relationships, and rounds without progress.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openDelta } from "deltalink";
import { clientOf, page } from "./responses.mjs";
import { MemoryStore } from "./memory-store.mjs";
import { requestsOf, startFake } from "../fake.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

const DAY = 86_400_000;
const quick = { base: 5, cap: 20 };

async function open(world, more) {
  return openDelta({
    endpoint: world.root,
    token: () => world.tokens.delegated,
    store: "memory",
    retry: quick,
    ...more,
  });
}

const window = { start: "2026-11-01", end: "2026-12-20" };
const around = "2026-11-21T00:00:00Z";
const idsOf = (items) => items.map(({ id }) => id).sort();

async function collect(items) {
  const all = [];
  for await (const item of items) all.push(item);
  return all;
}

async function deliveredChanges(query) {
  const changes = [];
  for await (const page of query.round()) changes.push(...page.changes);
  return changes;
}

/** The events as Graph sent them. */
const RAW = { occurrences: "raw" };

test("missing masters are fetched, so that occurrences are complete", async () => {
  const world = await fake.world({
    populate: { events: 40, around },
    options: { withhold_masters_full: true },
  });
  const client = await open(world);
  const events = client.events({ ...window, timeZone: "W. Europe Standard Time" });
  const report = await events.sync();
  const log = await requestsOf(world);
  const masters = log.filter(({ kind }) => kind === "item");
  assert.ok(masters.length > 0);
  assert.equal(report.masters, masters.length);
  for (const { url, headers } of masters) {
    assert.match(url, /\/me\/events\/[^/?]+$/);
    assert.match(
      headers.prefer ?? headers.Prefer,
      /outlook\.timezone="W\. Europe Standard Time"/,
      "with the round's Prefer",
    );
  }
  const items = await events.all(RAW);
  assert.equal(await events.count(RAW), items.length, "the fetched master is not an item of the mirror");
  const complete = await events.all();
  assert.equal(await events.count(), complete.length);
  assert.deepEqual(idsOf(complete), idsOf(items), "no master is omitted");
  const occurrences = complete.filter(({ type }) => type === "occurrence");
  assert.ok(occurrences.length > 0);
  for (const item of occurrences) {
    const sent = items.find(({ id }) => id === item.id);
    assert.equal(sent.subject, undefined);
    assert.ok(item.subject, "the subject of its series");
    assert.deepEqual(
      [item.start, item["@odata.etag"], item.id],
      [sent.start, sent["@odata.etag"], sent.id],
      "a property of the occurrence itself wins",
    );
  }
  assert.deepEqual(await collect(events.items({ limit: 1000 })), complete);
  assert.deepEqual(await collect(events.items({ limit: 1000, ...RAW })), items);
  assert.deepEqual(await events.get(occurrences[0].id), occurrences[0]);
  const raw = await events.get(occurrences[0].id, RAW);
  assert.equal(raw.subject, undefined, "the mirror holds what Graph sent");
  await client.close();
});

test("the master of an edited series is fetched again if only its occurrences are listed", async () => {
  const world = await fake.world({ populate: { events: 40, around } });
  const client = await open(world);
  const events = client.events(window);
  assert.equal((await events.sync()).masters, 0, "the round received the masters");
  const { seriesMasterId } = (await events.all()).find(({ type }) => type === "occurrence");
  await world.edits({
    collection: "events",
    op: "edit",
    id: seriesMasterId,
    patch: { subject: "Moved to the harbour" },
  });
  const report = await events.sync();
  assert.equal(report.masters, 1);
  const complete = await events.all();
  const subjects = new Set(
    complete
      .filter((item) => item.seriesMasterId === seriesMasterId && item.type === "occurrence")
      .map(({ subject }) => subject),
  );
  assert.deepEqual([...subjects], ["Moved to the harbour"]);
  await client.close();
});

test("a master that cannot be fetched leaves its occurrences incomplete and is requested again in the next round", async () => {
  const world = await fake.world({
    populate: { events: 40, around },
    options: { withhold_masters_full: true },
  });
  const client = await open(world);
  const events = client.events(window);
  const incomplete = async () =>
    (await events.all()).filter(({ type, subject }) => type === "occurrence" && !subject).length;
  await world.faults(
    { match: { kind: "item" }, times: 2, fault: { name: "status", status: 503 } },
    { match: { kind: "item" }, times: 1, fault: { name: "status", status: 404 } },
    { match: { kind: "item" }, times: 1, fault: { name: "status", status: 403 } },
  );
  assert.equal((await events.sync()).outcome, "complete");
  assert.ok((await incomplete()) > 0);
  await world.clearLog();
  const report = await events.sync();
  assert.deepEqual([report.outcome, report.masters, await incomplete()], ["complete", 3, 0]);
  const items = (await requestsOf(world)).filter(({ kind }) => kind === "item");
  assert.deepEqual(
    items.map(({ status }) => status),
    [200, 200, 200],
  );
  await client.close();
});

test("a rolling window is one query, is listed again on another day, and reports only differences", async (context) => {
  const world = await fake.world({ populate: { events: 30, around } });
  const now = Date.parse("2026-11-21T10:00:00Z");
  context.mock.timers.enable({ apis: ["Date"], now });
  const client = await open(world);
  const options = { window: { daysBack: 3, daysAhead: 10, timeZone: "Europe/Berlin" } };
  const agenda = client.events(options);
  await agenda.sync();
  const [first] = await requestsOf(world);
  assert.match(
    decodeURIComponent(first.url),
    /startDateTime=2026-11-17T23:00:00\.000Z&endDateTime=2026-12-01T23:00:00\.000Z$/,
  );
  assert.equal(client.events(options).key, agenda.key);
  const before = await agenda.all(RAW);
  assert.deepEqual(
    idsOf(before),
    idsOf(await world.table("events", "?start=2026-11-17T23:00:00Z&end=2026-12-01T23:00:00Z")),
  );

  context.mock.timers.setTime(now + 12 * 3_600_000);
  assert.equal((await agenda.sync()).kind, "incremental", "the same day in UTC");
  context.mock.timers.setTime(now + 3 * DAY);
  const announced = [];
  agenda.on("change", (changes) => void announced.push(...changes), RAW);
  const report = await agenda.sync();
  assert.deepEqual([report.kind, report.resync], ["full", undefined]);
  const after = await agenda.all(RAW);
  assert.deepEqual(
    idsOf(after),
    idsOf(await world.table("events", "?start=2026-11-20T23:00:00Z&end=2026-12-04T23:00:00Z")),
  );
  const left = idsOf(before).filter((id) => !idsOf(after).includes(id));
  const added = idsOf(after).filter((id) => !idsOf(before).includes(id));
  assert.ok(left.length > 0 && added.length > 0);
  assert.deepEqual(
    announced
      .filter(({ type }) => type === "remove")
      .map(({ id, reason }) => `${id} ${reason}`)
      .sort(),
    left.map((id) => `${id} left-window`),
  );
  assert.deepEqual(
    announced
      .filter(({ type }) => type === "upsert")
      .map(({ id }) => id)
      .sort(),
    added,
  );
  await client.close();
});

test("wrong values of options.window are refused at once, such as a time zone that the host does not know", async () => {
  const world = await fake.world({});
  const client = await open(world);
  for (const [options, message] of [
    [
      { window: { timeZone: "Mars/Olympus" } },
      /options\.window\.timeZone must be an IANA name that this host knows, such as "Europe\/Berlin" \(not a Windows name\), got "Mars\/Olympus"/,
    ],
    [{ window: { daysBack: 1000, daysAhead: 900 } }, /options\.window must be at most 1825 days apart/],
    [
      { window: { daysBack: 1 }, start: "2026-11-01" },
      /options\.window cannot be combined with options\.start and options\.end/,
    ],
    [
      { window: { back: 1 } },
      /options\.window\.back is not an option of options\.window: the options are daysBack, daysAhead, timeZone/,
    ],
    [{ window: 7 }, /options\.window must be an object, got 7/],
  ]) {
    assert.throws(
      () => client.events(options),
      (error) => error.code === "bad-request" && message.test(error.message),
      JSON.stringify(options),
    );
  }
  await client.close();
});

test("members arrive in slices and are a set in the mirror, which stays complete during a full round", async () => {
  const world = await fake.world({
    populate: { groups: 4, users: 40 },
    options: { members_slice: 3, page_size: 3 },
  });
  const client = await open(world);
  const groups = client.track("/groups/delta");
  await groups.sync();
  const sets = async () =>
    new Map(
      (await groups.all()).map(({ id, members = [] }) => [id, members.map((member) => member.id).sort()]),
    );
  const tables = async () =>
    new Map(
      (await world.table("groups"))
        .map(({ id, members = [] }) => [id, [...members].sort()])
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  const sorted = (map) => new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
  assert.deepEqual(sorted(await sets()), await tables());
  const [big] = [...(await sets())].sort(([, a], [, b]) => b.length - a.length)[0];
  const members = (await sets()).get(big);
  assert.ok(members.length > 3, "the members came in several slices");
  await world.edits({
    collection: "groups",
    op: "edit",
    id: big,
    patch: { members: { remove: members.slice(0, 2) } },
  });
  await groups.sync();
  assert.deepEqual(sorted(await sets()), await tables());

  await groups.reset();
  const before = await sets();
  for await (const page of groups.round()) {
    const now = await sets();
    if (!page.last)
      for (const [id, set] of before)
        assert.deepEqual(now.get(id), set, "readers see the old set until the round is complete");
  }
  assert.deepEqual(sorted(await sets()), await tables());
  await client.close();
});

test("pages that repeat under new links lead to larger pages, and then end the round with livelock", async () => {
  const world = await fake.world({
    populate: { events: 40, around },
    options: { honour_maxpagesize: false },
  });
  const client = await open(world);
  const events = client.events({ ...window, pageSize: 10 });
  await world.faults({ match: { kind: "next" }, times: null, fault: { name: "livelock", cycle: 1 } });
  await assert.rejects(
    events.sync(),
    (error) =>
      error.code === "livelock" &&
      error.retryable &&
      error.report.pageSize === 1000 &&
      error.report.resync === "livelock",
  );
  const prefer = (await requestsOf(world)).map(({ headers }) =>
    Number(/odata\.maxpagesize=(\d+)/.exec(headers.prefer ?? headers.Prefer)[1]),
  );
  assert.deepEqual([...new Set(prefer)], [10, 50, 200, 800, 1000]);
  await client.close();
});

test("a removal of an unacknowledged id is delivered to its consumer", async () => {
  const world = await fake.world({ populate: { contacts: 5 } });
  const client = await open(world);
  const contacts = client.orgContacts();
  const copy = new Map();
  for await (const page of contacts.round()) {
    for (const change of page.changes) copy.set(change.id, change.item);
    break; // the process ends here
  }
  assert.equal(await contacts.count(), 0);
  const [gone] = copy.keys();
  await world.edits({ collection: "contacts", op: "remove", id: gone });
  const announced = [];
  contacts.on("change", (changes) => void announced.push(...changes));
  for (const change of await deliveredChanges(contacts)) {
    if (change.type === "remove") copy.delete(change.id);
    else copy.set(change.id, change.item);
  }
  assert.deepEqual([...copy.keys()].sort(), idsOf(await contacts.all()));
  assert.equal(copy.has(gone), false);
  assert.deepEqual(
    announced.map(({ type, isNew }) => [type, isNew]),
    Array(4).fill(["upsert", true]),
    "the mirror never contained it, so no listener is called",
  );
  await client.close();
});

test("after the reset of an unreadable record the count is correct and ghosts are removed", async () => {
  const world = await fake.world({ populate: { contacts: 30 } });
  const states = new Map();
  const rows = new Map();
  const store = {
    load: async (key) => structuredClone(states.get(key)),
    rows: async (key, ids) => ids.map((id) => structuredClone(rows.get(id))),
    commit: async (key, { expect, state, put, remove }) => {
      if (states.get(key)?.revision !== expect) return false;
      for (const [id, row] of put) rows.set(id, structuredClone(row));
      for (const id of remove) rows.delete(id);
      states.set(key, structuredClone(state));
      return true;
    },
    scan: async (key, { after = "", limit }) =>
      [...rows.keys()]
        .sort()
        .filter((id) => id > after)
        .slice(0, limit)
        .map((id) => [id, structuredClone(rows.get(id))]),
    clear: async () => {},
  };
  const client = await open(world, { store, account: "a" });
  const contacts = client.orgContacts();
  await contacts.sync();
  states.set(contacts.key, { ...states.get(contacts.key), format: 99 });
  await assert.rejects(contacts.sync(), {
    code: "store",
    message: /written by another version of deltalink; reset\(\) starts over/,
  });
  await contacts.reset();
  await world.edits({ collection: "contacts", op: "remove", id: [...rows.keys()][0] });
  assert.equal((await contacts.sync()).ghosts, 1);
  assert.equal(await contacts.count(), 29);
  assert.deepEqual(idsOf(await contacts.all()), idsOf(await world.table("contacts")));
  await client.close();
});

test("a sync keeps the unacknowledged ids of an interrupted round for the next round", async () => {
  const world = await fake.world({ populate: { contacts: 5 } });
  const client = await open(world);
  const contacts = client.orgContacts();
  const copy = new Map();
  for await (const page of contacts.round()) {
    for (const { id, item } of page.changes) copy.set(id, item);
    break;
  }
  const [gone] = copy.keys();
  await world.edits({ collection: "contacts", op: "remove", id: gone });
  const announced = [];
  contacts.on("change", (changes) => void announced.push(...changes));
  await contacts.sync();
  assert.deepEqual(
    announced.filter(({ type }) => type === "remove"),
    [],
    "the mirror never contained it",
  );
  assert.deepEqual(
    (await deliveredChanges(contacts)).map(({ type, id, reason }) => [type, id, reason]),
    [["remove", gone, "ghost"]],
  );
  assert.deepEqual(await deliveredChanges(contacts), []);
  await client.close();
});

test("an abort during a commit that succeeds does not lose its change", async () => {
  const world = await fake.world({ populate: { contacts: 5 } });
  const states = new Map();
  let committing;
  let release;
  const store = {
    load: async (key) => states.get(key),
    rows: async (_key, ids) => ids.map(() => undefined),
    commit: async (key, { state }) => {
      committing?.();
      await new Promise((resolve) => (release = resolve));
      states.set(key, state);
      return true;
    },
    scan: async () => [],
    clear: async () => {},
  };
  const client = await open(world, { store, account: "a" });
  const contacts = client.orgContacts();
  const announced = new Promise((resolve) => contacts.on("change", resolve));
  const stop = new AbortController();
  const begun = new Promise((resolve) => (committing = resolve));
  const sync = contacts.sync({ signal: stop.signal });
  await begun;
  stop.abort("enough");
  await assert.rejects(sync, (reason) => reason === "enough");
  release();
  assert.equal((await announced).length, 5);
  await client.close();
});

test("a deleted folder is an error, keeps its mirror, and clear() empties it", async () => {
  const gone = new Response(
    JSON.stringify({ error: { code: "ErrorItemNotFound", message: "The specified object was not found." } }),
    { status: 404 },
  );
  const root = "https://graph.microsoft.com/v1.0";
  const page = {
    value: [{ id: "a" }, { id: "b" }],
    "@odata.deltaLink": `${root}/me/mailFolders/f/messages/delta?$deltatoken=d`,
  };
  const responses = [Response.json(page), gone, Response.json(page)];
  const client = await openDelta({ token: () => "t", store: "memory", fetch: async () => responses.shift() });
  const folder = client.track("/me/mailFolders/f/messages/delta");
  await folder.sync();
  await assert.rejects(folder.sync(), (error) => error.code === "not-found" && error.gone === true);
  assert.equal(await folder.count(), 2);
  await folder.clear();
  assert.deepEqual([await folder.count(), await folder.all()], [0, []]);
  const report = await folder.sync();
  assert.deepEqual([report.kind, report.added, await folder.count()], ["full", 2, 2]);
  await client.close();
});

test("a store whose scan() returns more rows than requested loses no rows", async () => {
  class OverlongScanStore extends MemoryStore {
    scan(key, { after }) {
      return super.scan(key, { after, limit: 700 });
    }
  }
  const people = Array.from({ length: 1_600 }, (_, n) => ({ id: `user ${n}` }));
  const client = await clientOf(() => page(people, { delta: "/users/delta?$deltatoken=1" }), {
    store: new OverlongScanStore(),
    account: "alex",
  });
  const users = client.track("/users/delta");
  await users.sync();
  const seen = new Set();
  for await (const { id } of users.items()) seen.add(id);
  assert.deepEqual([await users.count(), (await users.all()).length, seen.size], [1_600, 1_600, 1_600]);
  await client.close();
});

test("clear() on a store that does not remove rows ends with an error of the store", async () => {
  class NonRemovingStore extends MemoryStore {
    commit(key, batch) {
      return super.commit(key, { ...batch, remove: [] });
    }
  }
  const client = await clientOf(() => page([{ id: "user 1" }], { delta: "/users/delta?$deltatoken=1" }), {
    store: new NonRemovingStore(),
    account: "alex",
  });
  const users = client.track("/users/delta");
  await users.sync();
  await assert.rejects(users.clear(), { code: "store", message: /returned a row that was removed/ });
  await client.close();
});

test("a master that changes is announced as changes of its occurrences, and is not an item itself", async () => {
  const world = await fake.world({ populate: { events: 60, around } });
  const client = await open(world);
  const events = client.events({ start: "2026-11-01", end: "2026-12-20" });
  await events.sync();
  const raw = await events.all(RAW);
  const all = await events.all();
  const { seriesMasterId } = all.find(({ type }) => type === "occurrence");
  const occurrencesOf = (items) =>
    items.filter((item) => item.type === "occurrence" && item.seriesMasterId === seriesMasterId);
  assert.ok(occurrencesOf(all).length > 1);
  const announced = { complete: [], raw: [] };
  events.on("change", (changes) => void announced.complete.push(...changes));
  events.on("change", (changes) => void announced.raw.push(...changes), RAW);
  await world.options({ withhold_masters: false });
  await world.edits({
    collection: "events",
    op: "edit",
    id: seriesMasterId,
    patch: { subject: "Moved to room 7" },
  });
  await events.sync();
  const changed = announced.complete.filter(
    ({ item }) => item.subject === "Moved to room 7" && item.type === "occurrence",
  );
  assert.deepEqual(
    [...new Set(idsOf(changed))],
    idsOf(occurrencesOf(all)),
    "every occurrence, whether its page lists it or not",
  );
  assert.deepEqual(await collect(events.items({ limit: 500 })), await events.all());
  assert.ok(announced.complete.every(({ item }) => item.type !== "seriesMaster"));
  assert.ok(announced.raw.some(({ id }) => id === seriesMasterId));
  assert.ok(!("seenAs" in announced.raw[0]));
  assert.equal(await events.get(seriesMasterId), undefined);
  assert.equal(
    (await events.get(seriesMasterId, RAW))?.type,
    raw.some(({ id }) => id === seriesMasterId) ? "seriesMaster" : undefined,
  );
  await client.close();
});

test("an event that becomes a series is announced as removed, and its occurrences as new", async () => {
  const event = (id, more) => ({
    id,
    subject: "Team",
    start: { dateTime: "2026-11-20T10:00:00", timeZone: "UTC" },
    ...more,
  });
  const pages = [
    [event("s", { type: "singleInstance" })],
    [
      event("s", { type: "seriesMaster" }),
      { ...event("o", { type: "occurrence", seriesMasterId: "s" }), subject: undefined },
    ],
    [event("s", { type: "singleInstance" })],
  ];
  const client = await clientOf((_url, count) =>
    page(pages[count - 1], { delta: `/me/calendarView/delta?$deltatoken=${count}` }),
  );
  const events = client.events({ start: "2026-11-01", end: "2026-12-20" });
  const announced = [];
  events.on(
    "change",
    (changes) => void announced.push(...changes.map(({ type, id, isNew }) => [type, id, isNew])),
  );
  for (let round = 0; round < 3; round += 1) await events.sync();
  assert.deepEqual(announced, [
    ["upsert", "s", true],
    ["remove", "s", undefined],
    ["upsert", "o", true],
    ["upsert", "s", true],
  ]);
  await client.close();
});
