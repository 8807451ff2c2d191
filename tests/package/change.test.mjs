// `on("change")`: listeners get the committed changes, in this tab and in others.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openDelta } from "deltalink";
import { clientOf, page } from "./responses.mjs";
import "fake-indexeddb/auto";
import { requestsOf, startFake, waitForPendingRequests } from "../fake.mjs";
import { MemoryStore } from "./memory-store.mjs";
import { until } from "../wait.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

const populate = { contacts: 30 };

async function open(world, more) {
  return openDelta({
    endpoint: world.root,
    token: () => world.tokens.delegated,
    store: "memory",
    retry: { base: 5, cap: 20 },
    ...more,
  });
}

/** Collects the calls of a listener; `next()` waits for the next one. */
function recorder() {
  const calls = [];
  let wake = () => {};
  const listener = (changes, info) => {
    calls.push({ changes, info });
    wake();
  };
  const next = async () => {
    while (!calls.length) await new Promise((resolve) => (wake = resolve));
    return calls.shift();
  };
  return { calls, listener, next };
}

test("listeners get each commit once, in order, with the differences and the previous items", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const { calls, listener } = recorder();
  contacts.on("change", listener);
  await contacts.sync();
  assert.deepEqual(
    calls.map(({ info }) => info),
    [
      { kind: "full", generation: 1, index: 0, last: false, remote: false },
      { kind: "full", generation: 1, index: 1, last: false, remote: false },
      { kind: "full", generation: 1, index: 2, last: true, remote: false },
    ],
  );
  assert.ok(
    calls.every(
      ({ changes }) =>
        changes.length === 10 &&
        changes.every(({ type, isNew, old }) => type === "upsert" && isNew && old === undefined),
    ),
  );
  calls.length = 0;
  const [edited, removed] = await contacts.all();
  await world.edits(
    { collection: "contacts", op: "edit", id: edited.id, patch: { jobTitle: "Archivist" } },
    { collection: "contacts", op: "remove", id: removed.id },
  );
  await contacts.sync();
  assert.equal(calls.length, 1);
  const [{ changes, info }] = calls;
  assert.equal(info.kind, "incremental");
  const byId = Object.fromEntries(changes.map((change) => [change.id, change]));
  assert.deepEqual(byId[edited.id], {
    type: "upsert",
    id: edited.id,
    item: await contacts.get(edited.id),
    isNew: false,
    old: edited,
  });
  assert.deepEqual(byId[removed.id], { type: "remove", id: removed.id, reason: "deleted", old: removed });
  await client.close();
});

test("listeners get only differences, and no call without one", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  await contacts.sync();
  const { calls, listener } = recorder();
  contacts.on("change", listener);
  await contacts.sync();
  assert.deepEqual(calls, [], "an empty round");
  await contacts.reset();
  const report = await contacts.sync();
  assert.deepEqual([report.kind, report.unchanged, calls.length], ["full", 30, 0]);
  const [edited, gone] = await contacts.all();
  await world.edits(
    { collection: "contacts", op: "edit", id: edited.id, patch: { jobTitle: "Archivist" } },
    { collection: "contacts", op: "remove", id: gone.id },
  );
  await contacts.reset();
  await contacts.sync();
  assert.deepEqual(
    calls.flatMap(({ changes }) => changes).map(({ type, id, reason }) => ({ type, id, reason })),
    [
      { type: "upsert", id: edited.id, reason: undefined },
      { type: "remove", id: gone.id, reason: "ghost" },
    ],
  );
  assert.ok(
    (await contacts.round()[Symbol.asyncIterator]().next()).value.unchanged === undefined,
    "a page has only the properties of its type",
  );
  await client.close();
});

test("the next page waits for the listeners", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const [gate, other] = [[], []];
  contacts.on("change", () => new Promise((resolve) => gate.push(resolve)));
  contacts.on("change", () => void other.push(1));
  const syncing = contacts.sync();
  for (let page = 1; page <= 3; page++) {
    await until(() => gate.length === page);
    await waitForPendingRequests(fake);
    assert.equal((await requestsOf(world)).length, Math.min(page + 1, 3), "one page is requested ahead");
    assert.equal(await contacts.count(), page * 10, "the current page is committed");
    assert.equal(other.length, page, "no listener waits for another");
    gate.at(-1)();
  }
  assert.equal((await syncing).outcome, "complete");
  await client.close();
});

test("ack() resolves at the commit and does not depend on the listeners", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  contacts.on("change", () => new Promise(() => {}));
  for await (const page of contacts.round()) {
    await page.ack();
    break;
  }
  assert.equal(await contacts.count(), 10);
  await client.close();
});

test("an abort or a close ends the wait for a listener that hangs", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  let calls = 0;
  contacts.on("change", () => {
    calls += 1;
    return new Promise(() => {});
  });
  const stop = new AbortController();
  const syncing = contacts.sync({ signal: stop.signal });
  await until(() => calls === 1);
  stop.abort("enough");
  await assert.rejects(syncing, (reason) => reason === "enough");
  assert.equal(await contacts.count(), 10, "committed items stay");
  // Does not wait for the listener that hangs, because that may be waiting for this round.
  assert.equal((await contacts.sync()).outcome, "complete");
  await client.close();
  const closing = await open(world);
  const others = closing.orgContacts();
  others.on("change", () => {
    calls += 1;
    return new Promise(() => {});
  });
  const waiting = others.sync();
  await until(() => calls === 2);
  await closing.close();
  await assert.rejects(waiting, { code: "closed" });
});

test("a change listener that throws is reported and has no other effect", async (context) => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const reported = context.mock.method(console, "error", () => {});
  const { calls, listener } = recorder();
  contacts.on("change", () => {
    throw new Error("at once");
  });
  contacts.on("change", async () => {
    throw new Error("later");
  });
  contacts.on("change", listener);
  assert.equal((await contacts.sync()).outcome, "complete");
  assert.equal(calls.length, 3);
  assert.deepEqual(
    reported.mock.calls.map(({ arguments: [error] }) => error.message),
    ["at once", "later", "at once", "later", "at once", "later"],
  );
  await client.close();
});

test("an unsubscribed listener gets no more calls, the same function twice is two listeners, and queries of one key share them", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const { calls, listener } = recorder();
  const stop = client.orgContacts().on("change", listener);
  const stopTwo = client.orgContacts().on("change", listener);
  await client.orgContacts().sync();
  assert.equal(calls.length, 6);
  stop();
  stop();
  await world.edits({ collection: "contacts", op: "add" });
  await client.orgContacts().sync();
  assert.equal(calls.length, 7);
  stopTwo();
  await world.edits({ collection: "contacts", op: "add" });
  await client.orgContacts().sync();
  assert.equal(calls.length, 7);
  await client.close();
});

test("a listener gets the stored items, not those that the consumer has changed, and cannot change the mirror", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const seen = [];
  contacts.on("change", (changes) => {
    for (const { item } of changes) {
      seen.push(item.displayName);
      item.displayName = "spoiled by a listener";
    }
    changes.length = 0;
  });
  contacts.on("change", (changes) => void seen.push(...changes.map(({ item }) => item.displayName)));
  for await (const page of contacts.round()) {
    for (const change of page.changes) change.item.displayName = "spoiled by the consumer";
    page.changes.length = 0;
  }
  await contacts.sync();
  const names = (await contacts.all()).map(({ displayName }) => displayName);
  assert.deepEqual(seen.sort(), [...names, ...names].sort());
  assert.ok(seen.every((name) => !name.startsWith("spoiled")));
  await client.close();
});

test("a listener that is added between the delivery and the commit gets the commit", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const { calls, listener } = recorder();
  for await (const page of contacts.round()) {
    if (page.index === 0) contacts.on("change", listener);
  }
  assert.equal(calls.length, 3);
  const items = calls.flatMap(({ changes }) => changes).map(({ item }) => item);
  assert.deepEqual(items.map(({ id }) => id).sort(), (await contacts.all()).map(({ id }) => id).sort());
  await client.close();
});

test("on() accepts only change and a function, and a feed has no on()", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  assert.throws(() => contacts.on("changes", () => {}), {
    code: "bad-request",
    message: /on\(\) takes the event "change"/,
  });
  assert.throws(() => contacts.on("change"), { code: "bad-request" });
  assert.equal("on" in client.orgContacts({ mirror: false }), false);
  await client.close();
});

// ---- other tabs: two clients on one database

let accounts = 0;

function tabs(world) {
  const account = `alex ${(accounts += 1)}`;
  const tab = (more) =>
    openDelta({
      endpoint: world.root,
      token: () => world.tokens.delegated,
      account,
      retry: { base: 5, cap: 20 },
      ...more,
    });
  return { tab };
}

test("commits of another tab are remote, in order, with the items of the store", async () => {
  const world = await fake.world({ populate });
  const { tab } = tabs(world);
  const [here, there] = [await tab(), await tab()];
  const { next, calls, listener } = recorder();
  here.orgContacts().on("change", listener);
  await there.orgContacts().sync();
  const announcements = [await next(), await next(), await next()];
  assert.deepEqual(
    announcements.map(({ info }) => info),
    [0, 1, 2].map((index) => ({ kind: "full", generation: 1, index, last: index === 2, remote: true })),
  );
  const changes = announcements.flatMap(({ changes }) => changes);
  const byId = (items) => items.sort((one, other) => (one.id < other.id ? -1 : 1));
  assert.deepEqual(byId(changes.map(({ item }) => item)), byId(await here.orgContacts().all()));
  assert.ok(changes.every(({ type, isNew, old }) => type === "upsert" && isNew && old === undefined));
  const [removed] = await here.orgContacts().all();
  await world.edits({ collection: "contacts", op: "remove", id: removed.id });
  await there.orgContacts().sync();
  assert.deepEqual(await next(), {
    changes: [{ type: "remove", id: removed.id, reason: "deleted" }],
    info: { kind: "incremental", generation: 1, index: 0, last: true, remote: true },
  });
  // Commits of this client are not remote, and are not repeated.
  await world.edits({ collection: "contacts", op: "add" });
  await here.orgContacts().sync();
  assert.equal((await next()).info.remote, false);
  // A repetition would arrive before the next commit of the other tab.
  const { ids } = await world.edits({ collection: "contacts", op: "add" });
  await there.orgContacts().sync();
  const after = await next();
  assert.deepEqual([after.info.remote, after.changes.map(({ id }) => id)], [true, ids]);
  assert.deepEqual(calls, []);
  await here.close();
  await there.close();
});

test("a row that was removed before it is read is omitted, and its removal follows", async () => {
  const world = await fake.world({ populate: { contacts: 5 } });
  const { tab } = tabs(world);
  const [here, there] = [await tab(), await tab()];
  const { next, listener } = recorder();
  here.orgContacts().on("change", listener);
  const gone = (await world.table("contacts"))[2].id;
  // Simulates another tab that commits a removal before this one reads the items.
  const { get } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.get = function (key) {
    return get.call(this, key[1] === gone ? ["nobody", gone] : key);
  };
  await there.orgContacts().sync();
  assert.deepEqual((await next()).changes.map(({ id }) => id).includes(gone), false);
  IDBObjectStore.prototype.get = get;
  await world.edits({ collection: "contacts", op: "remove", id: gone });
  await there.orgContacts().sync();
  assert.deepEqual(
    (await next()).changes.map(({ type, id }) => [type, id]),
    [["remove", gone]],
  );
  await here.close();
  await there.close();
});

test("a client with a store in memory or of the caller opens no channel, and another one closes its channels by close() and forget()", async () => {
  const world = await fake.world({ populate });
  const channels = [];
  const RealChannel = globalThis.BroadcastChannel;
  globalThis.BroadcastChannel = class extends RealChannel {
    open = true;
    constructor(name) {
      super(name);
      channels.push(this);
    }
    close() {
      this.open = false;
      super.close();
    }
  };
  try {
    for (const store of ["memory", new MemoryStore()]) {
      const client = await open(world, { store, account: "alex" });
      client.orgContacts().on("change", () => {});
      await client.orgContacts().sync();
      await client.close();
    }
    assert.equal(channels.length, 0);
    for (const end of ["close", "forget"]) {
      const client = await tabs(world).tab();
      const contacts = client.orgContacts();
      const ofSignIns = `deltalink sign-in | alex ${accounts}`;
      const shown = () => channels.map(({ name, open }) => [name, open]);
      assert.deepEqual(shown(), [[ofSignIns, true]], "none of a query before a listener or a commit");
      const ofQuery = `deltalink | ${contacts.key}`;
      await contacts.sync();
      assert.deepEqual(shown(), [
        [ofSignIns, true],
        [ofQuery, false],
      ]);
      contacts.on("change", () => {});
      assert.deepEqual(
        channels.map(({ open }) => open),
        [true, false, true],
      );
      await client[end]();
      contacts.on("change", () => {});
      assert.deepEqual(
        channels.map(({ open }) => open),
        [false, false, false],
      );
      channels.length = 0;
    }
  } finally {
    globalThis.BroadcastChannel = RealChannel;
  }
});

test("other messages on the channel have no effect", async (context) => {
  context.mock.method(console, "error", () => {});
  const world = await fake.world({ populate });
  const { tab } = tabs(world);
  const [here, there] = [await tab(), await tab()];
  const contacts = here.orgContacts();
  const { next, calls, listener } = recorder();
  contacts.on("change", listener);
  const stranger = new BroadcastChannel(`deltalink | ${contacts.key}`);
  for (const invalid of [
    null,
    7,
    "changes",
    {},
    { changes: 7 },
    { changes: [] },
    { changes: [null, 7, {}, { type: "upsert", id: "nobody" }], info: 7 },
  ])
    stranger.postMessage(invalid);
  await there.orgContacts().sync();
  assert.equal((await next()).info.index, 0);
  assert.equal(calls.filter(({ changes }) => changes.length !== 10).length, 0);
  stranger.close();
  await here.close();
  await there.close();
});

test("a consumer who changes merged items, their sets and their old state does not change the mirror", async () => {
  const link = (count) => ({ delta: `/groups/delta?$deltatoken=${count}` });
  const member = (id) => ({ id, deep: { name: id } });
  const client = await clientOf((url, count) =>
    page(
      count === 1
        ? [
            { id: "g", deep: { at: 1 }, "members@delta": [member("a")] },
            { id: "h", deep: { at: 1 } },
            { id: "g", deep: { at: 2 }, "members@delta": [member("b")] },
          ]
        : [{ id: "g", "members@delta": [member("c")] }],
      link(count),
    ),
  );
  const groups = client.track("/groups/delta");
  const spoil = (value) => {
    for (const [name, inner] of Object.entries(value)) {
      if (typeof inner === "object") spoil(inner);
      else if (name !== "id") value[name] = "spoiled";
    }
  };
  for (let rounds = 0; rounds < 2; rounds++) {
    for await (const { changes } of groups.round()) {
      for (const { item, old } of changes) [item, old ?? {}].forEach(spoil);
    }
  }
  const byId = (await groups.all()).sort((one, other) => (one.id < other.id ? -1 : 1));
  assert.deepEqual(byId, [
    { id: "g", deep: { at: 2 }, members: ["a", "b", "c"].map(member) },
    { id: "h", deep: { at: 1 } },
  ]);
  await client.close();
});

for (const store of ["memory", "indexeddb"])
  test(`the old state of an occurrence has the subject that its series had before the commit, in ${store}`, async () => {
    const master = (subject) => ({ id: "M", type: "seriesMaster", subject, recurrence: {} });
    const occurrence = (id, hour) => ({
      id,
      type: "occurrence",
      seriesMasterId: "M",
      start: { dateTime: `2026-11-25T${hour}:00:00.0000000`, timeZone: "UTC" },
    });
    const pages = [
      page([master("Stand-up"), occurrence("moved", "09"), occurrence("stays", "10")], { delta: "/d" }),
      page([master("Retro"), occurrence("moved", "11")], { delta: "/d" }),
      page([master("Retro"), { id: "moved", "@removed": { reason: "deleted" } }], { delta: "/d" }),
    ];
    const account = `old ${store}`;
    const client = await clientOf((url, count) => pages[count - 1], { store, account });
    const events = client.events({ start: "2026-11-23", end: "2026-11-30" });
    await events.sync();
    const announced = [];
    events.on("change", (changes) => void announced.push(...changes));
    await events.sync();
    const moved = announced.find(({ id }) => id === "moved");
    assert.deepEqual([moved.old.subject, moved.item.subject], ["Stand-up", "Retro"]);
    assert.match(moved.old.start.dateTime, /T09/);
    announced.length = 0;
    for await (const { changes } of events.round()) assert.ok(changes.some(({ id }) => id === "moved"));
    await until(() => announced.length > 0);
    const removed = announced.find(({ id }) => id === "moved");
    assert.deepEqual([removed.type, removed.id, removed.old.subject], ["remove", "moved", "Retro"]);
    await client.close();
  });
