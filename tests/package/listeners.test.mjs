// Listeners of `change` that wait for rounds of their own query, and the cleanup after listeners.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { openDelta } from "deltalink";
import "fake-indexeddb/auto";
import { clientOf, page, week } from "./responses.mjs";
import { event, turn, until } from "../wait.mjs";

const run = promisify(execFile);

/** Two pages, then rounds of one page, each with another item. */
const pages = (url, count) =>
  page(
    [{ id: `user ${count}` }],
    count === 1 ? { next: "/users/delta?$skiptoken=1" } : { delta: `/users/delta?$deltatoken=${count}` },
  );

/** A client and a query of it. */
async function queryOf(respond = pages) {
  const client = await clientOf(respond);
  return { client, users: client.track("/users/delta") };
}

const words = (call) => new RegExp(`^a listener must not call ${call}\\(\\) of its own query`);

test("a listener that awaits sync() of its own query gets bad-request", async (t) => {
  const { client, users } = await queryOf();
  const reported = t.mock.method(console, "error", () => {});
  users.on("change", async () => {
    await users.sync();
  });
  const report = await users.sync();
  assert.deepEqual([report.outcome, report.pages], ["complete", 2]);
  const errors = reported.mock.calls.map(({ arguments: [error] }) => error);
  assert.equal(errors.length, 2, "one for each commit");
  for (const { code, retryable, message } of errors) {
    assert.deepEqual([code, retryable], ["bad-request", false]);
    assert.match(message, words("sync"));
  }
  assert.equal((await users.sync()).outcome, "complete", "the lock is free");
  await client.close();
});

test("a listener that awaits sync() of a query with the same key, or loops over round(), gets bad-request", async (t) => {
  const { client, users } = await queryOf();
  const reported = t.mock.method(console, "error", () => {});
  users.on("change", () => client.track("/users/delta").sync());
  users.on("change", async () => {
    for await (const page of users.round()) void page;
  });
  assert.equal((await users.sync()).outcome, "complete");
  const messages = reported.mock.calls.map(({ arguments: [error] }) => error.message);
  assert.equal(messages.length, 4);
  assert.ok(
    messages.some((message) => words("sync").test(message)) &&
      messages.some((message) => words("round").test(message)),
  );
  await client.close();
});

test("a listener may sync another query", async () => {
  const { client, users } = await queryOf();
  const groups = client.track("/groups/delta");
  const reports = [];
  users.on("change", async () => void reports.push(await groups.sync()));
  await users.sync();
  assert.deepEqual(
    reports.map(({ outcome }) => outcome),
    ["complete", "complete"],
  );
  await client.close();
});

test("a round ends before the listeners of its last page return, so that another sync runs", async () => {
  const { client, users } = await queryOf();
  const gate = event();
  const received = [];
  users.on("change", (changes, info) => {
    received.push(info.last);
    return info.last && received.length === 2 ? gate.fired : undefined;
  });
  const first = users.sync();
  await until(() => received.length === 2);
  await until(() => users.status.get().phase === "idle");
  assert.equal(
    await Promise.race([first, turn().then(() => "waits")]),
    "waits",
    "its own promise waits for its listeners",
  );
  const second = await users.sync();
  assert.deepEqual([second.outcome, second.kind], ["complete", "incremental"]);
  assert.equal(await users.count(), 3);
  assert.deepEqual(received, [false, true], "listeners are called in order");
  gate.fire();
  assert.equal((await first).kind, "full");
  await until(() => received.length === 3);
  await client.close();
});

test("a listener that awaits a sync() which it calls later does not hang", async () => {
  const { client, users } = await queryOf();
  const reports = [];
  users.on("change", async () => {
    if (reports.length) return;
    reports.push("begun");
    await turn();
    reports.push(await users.sync());
  });
  const report = await users.sync();
  assert.deepEqual([report.outcome, report.pages], ["complete", 2]);
  await until(() => reports.length === 2);
  assert.equal(reports[1], report, "it joined the round that runs");
  await client.close();
});

test("two queries whose listeners await each other's sync() do not hang", async () => {
  const { client, users } = await queryOf();
  const groups = client.track("/groups/delta");
  const ends = [];
  // Each round brings a change, so without a limit no timer would ever run.
  const syncs = (query) => async () => {
    if (ends.length < 3) ends.push(await query.sync());
  };
  users.on("change", syncs(groups));
  groups.on("change", syncs(users));
  assert.equal((await users.sync()).outcome, "complete");
  await until(() => ends.length >= 3);
  assert.ok(ends.every(({ outcome }) => outcome === "complete"));
  await client.close();
});

// ---- cleanup

/** Watches the channels of queries. Returns the set of the open ones. */
function watchChannels(t) {
  const open = new Set();
  const Real = globalThis.BroadcastChannel;
  globalThis.BroadcastChannel = class extends Real {
    constructor(name) {
      super(name);
      if (name.startsWith("deltalink | ")) open.add(this);
    }
    close() {
      open.delete(this);
      super.close();
    }
  };
  t.after(() => (globalThis.BroadcastChannel = Real));
  return open;
}

let accounts = 0;
const onDisk = (respond) => clientOf(respond, { store: "indexeddb", account: `alex ${(accounts += 1)}` });
const oneEvent = () =>
  page([{ id: "event 1", type: "singleInstance" }], { delta: "/me/calendarView/delta?$deltatoken=1" });
const windows = Array.from({ length: 50 }, (_, index) => ({
  start: `2026-11-${String((index % 28) + 1).padStart(2, "0")}`,
  end: "2027-01-31",
  name: `window ${index}`,
}));

test("fifty windows of a calendar whose listeners were removed leave no channel open", async (t) => {
  const open = watchChannels(t);
  const client = await onDisk(oneEvent);
  for (const window of windows) {
    const events = client.events(window);
    const stop = events.on("change", () => {});
    await events.sync();
    assert.equal(open.size, 1);
    stop();
    assert.equal(open.size, 0, "closed with its last listener");
  }
  await client.close();
});

test("a channel is open during a round, and until the last listener is removed", async (t) => {
  const open = watchChannels(t);
  const during = [];
  const client = await onDisk(pages);
  const users = client.track("/users/delta");
  for await (const page of users.round()) {
    await page.ack();
    if (!page.last) during.push(open.size);
  }
  assert.deepEqual([during, open.size], [[1], 0]);
  const stops = [users.on("change", () => {}), users.on("change", () => {})];
  await users.sync();
  stops[0]();
  stops[0]();
  assert.equal(open.size, 1);
  stops[1]();
  assert.equal(open.size, 0);
  await client.close();
});

test("a commit is announced although the channel closes right after it", async () => {
  const account = `alex ${(accounts += 1)}`;
  const tab = () => clientOf(oneEvent, { store: "indexeddb", account });
  const [here, there] = [await tab(), await tab()];
  const received = event();
  here.events(week).on("change", (changes, info) => received.fire({ changes, info }));
  await there.events(week).sync();
  const { changes, info } = await received.fired;
  assert.deepEqual([changes.map(({ id }) => id), info.remote], [["event 1"], true]);
  await Promise.all([here.close(), there.close()]);
});

test("the state of a query is garbage-collected with it, unless it is still needed", async () => {
  const script = new URL("collected.mjs", import.meta.url).pathname;
  const { stdout } = await run(process.execPath, ["--expose-gc", script]);
  assert.deepEqual(JSON.parse(stdout), {
    windows: 100,
    alive: 0,
    listener: ["event 1"],
    subscriber: true,
    resumed: "idle",
    unsubscribed: 0,
  });
});

test("queries of one key share their status, even if one of them is no longer referenced", async () => {
  const client = await openDelta({ token: () => "a-token", store: "memory", fetch: oneEvent });
  const { status } = client.events(week);
  await client.events(week).sync();
  assert.ok(status.get().lastSyncedAt instanceof Date);
  await client.close();
});

test("sync() waits for its listeners, even after a message of another tab about removed rows", async () => {
  const client = await clientOf(pages, { store: "indexeddb", account: "gone rows" });
  const users = client.track("/users/delta");
  await users.sync();
  const [called, gate] = [event(), event()];
  users.on("change", () => (called.fire(), gate.fired));
  const otherTab = new BroadcastChannel(`deltalink | ${users.key}`);
  otherTab.postMessage({ changes: [{ type: "update", id: "nobody" }], info: { index: 0 } });
  for (let turns = 0; turns < 50; turns++) await turn();
  otherTab.close();
  let done = false;
  const syncing = users.sync().then(() => (done = true));
  await called.fired;
  for (let turns = 0; turns < 50; turns++) await turn();
  assert.equal(done, false, "the listener still runs");
  gate.fire();
  await syncing;
  await client.close();
});

test("twenty rounds of one client at once, stopped by one signal, do not look like a leak of listeners to Node", async (t) => {
  const warnings = [];
  const onWarning = ({ name }) => warnings.push(name);
  process.on("warning", onWarning);
  t.after(() => process.off("warning", onWarning));
  const client = await clientOf((url, count) =>
    page([], { delta: `/me/contacts/delta?$deltatoken=${count}` }),
  );
  const { signal } = new AbortController();
  const folders = Array.from({ length: 20 }, (_, index) =>
    client.track(`/me/contactFolders/${index}/contacts/delta`),
  );
  await Promise.all(folders.flatMap((folder) => [folder.sync({ signal }), folder.sync({ signal })]));
  // Node emits a warning in a later turn.
  await turn();
  assert.deepEqual(warnings, []);
  await client.close();
});
