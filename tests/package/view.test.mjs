// Views: lists in memory that follow the mirror, through the packed package in Node.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { openDelta } from "deltalink";
import { fakeGraph } from "deltalink/testing";
import { fakeTimers, until } from "../wait.mjs";
import { MemoryStore } from "./memory-store.mjs";

const open = (graph, more) =>
  openDelta({ fetch: graph.fetch, token: graph.token, store: "memory", retry: { base: 1 }, ...more });

/** Opens a client with a synced mirror of contacts, on a new fake Graph. */
async function openSynced(count, more) {
  const graph = await fakeGraph({ populate: { contacts: count }, settings: { pageSize: 1000 } });
  const client = await open(graph, more);
  const contacts = client.orgContacts();
  await contacts.sync();
  return { graph, client, contacts };
}

/** Subscribes to a view. Resolves to the first state for which `holds` is true. */
function stateUntil(view, holds) {
  return new Promise((resolve) => {
    const stop = view.subscribe((state) => {
      if (!holds(state)) return;
      queueMicrotask(() => (stop(), resolve(state)));
    });
  });
}
const isReady = ({ ready }) => ready;
const names = ({ items }) => items.map(({ displayName }) => displayName);

test("a view is empty before its first subscriber, and has all items in order when it is ready", async () => {
  const { client, contacts } = await openSynced(30);
  const view = contacts.view({ orderBy: "displayName" });
  assert.deepEqual(view.get(), { items: [], ready: false, synced: false, total: 0 });
  assert.equal(view.get(), view.get());
  const state = await stateUntil(view, isReady);
  const expected = (await contacts.all()).map(({ displayName }) => displayName);
  assert.deepEqual(names(state), expected.sort(new Intl.Collator().compare));
  assert.equal(state.total, 30);
  assert.equal(view.get(), state);
  assert.ok(Object.isFrozen(state));
  await client.close();
});

test("descending reverses a property or the default order, and missing values come last", async () => {
  const graph = await fakeGraph({ populate: { contacts: 3 } });
  const client = await open(graph);
  const contacts = client.orgContacts();
  await contacts.sync();
  const [first, second, third] = (await contacts.all()).map(({ id }) => id).sort();
  for (const [id, jobTitle] of [
    [first, "Accountant"],
    [second, null],
    [third, "Driver"],
  ])
    graph.edit("contacts", id, { jobTitle });
  await contacts.sync();
  const idsOf = async (options) =>
    (await stateUntil(contacts.view(options), isReady)).items.map(({ id }) => id);
  assert.deepEqual(await idsOf({ orderBy: "jobTitle" }), [first, third, second]);
  assert.deepEqual(await idsOf({ orderBy: "jobTitle", descending: true }), [third, first, second]);
  assert.deepEqual(await idsOf({ descending: true }), [third, second, first]);
  await client.close();
});

test("a list is synced only when it has all rows of the first round", async () => {
  const graph = await fakeGraph({ populate: { contacts: 200 }, settings: { pageSize: 20 } });
  const client = await open(graph);
  const contacts = client.orgContacts();
  const states = [];
  const stop = contacts.view().subscribe(({ items, synced }) => states.push([items.length, synced]));
  await contacts.sync();
  await until(() => states.at(-1)[1]);
  assert.deepEqual(states.at(-1), [200, true]);
  assert.ok(
    states.filter(([, synced]) => synced).every(([length]) => length === 200),
    `${states}`,
  );
  await contacts.clear();
  await until(() => !states.at(-1)[1]);
  assert.deepEqual(states.at(-1), [0, false], "an emptied mirror is not synced");
  stop();
  await client.close();
});

test("a list without items is synced after the first round", async () => {
  const graph = await fakeGraph({ populate: {} });
  const client = await open(graph);
  const contacts = client.orgContacts();
  const view = contacts.view();
  const stop = view.subscribe(() => {});
  await until(() => view.get().ready);
  assert.equal(view.get().synced, false);
  await contacts.sync();
  await until(() => view.get().synced);
  assert.deepEqual(view.get().items, []);
  stop();
  await client.close();
});

test("a commit during the first read is not missed", async () => {
  const graph = await fakeGraph({ populate: { contacts: 200 } });
  const client = await open(graph);
  const contacts = client.orgContacts();
  const view = contacts.view();
  const stop = view.subscribe(() => {});
  await contacts.sync();
  await until(() => view.get().items.length === 200 || view.get().items.length);
  stop();
  await client.close();
});

test("after a commit only the changed rows are filtered and placed, and all others stay the same objects", async () => {
  const { graph, client, contacts } = await openSynced(1000);
  const calls = { where: 0, compare: 0 };
  const view = contacts.view({
    where: (item) => ((calls.where += 1), item.displayName !== "nobody"),
    orderBy: (a, b) => (
      (calls.compare += 1),
      a.displayName < b.displayName ? -1 : Number(a.displayName > b.displayName)
    ),
  });
  const before = await new Promise((resolve) => view.subscribe((state) => state.ready && resolve(state)));
  const changed = before.items.filter((_, index) => index % 200 === 0).map(({ id }) => id);
  assert.equal(changed.length, 5);
  for (const [index, id] of changed.entries()) graph.edit("contacts", id, { displayName: `Aaron ${index}` });
  Object.assign(calls, { where: 0, compare: 0 });
  await contacts.sync();
  await until(() => names(view.get()).filter((name) => name.startsWith("Aaron")).length === 5);
  assert.equal(calls.where, 5);
  // Two binary searches for each changed row: for its old and its new position.
  assert.ok(calls.compare <= 5 * 2 * Math.ceil(Math.log2(1000)), `${calls.compare} comparisons`);
  const state = view.get();
  const old = new Map(before.items.map((item) => [item.id, item]));
  const same = state.items.filter((item) => old.get(item.id) === item);
  assert.equal(same.length, 995);
  assert.deepEqual(names(state), [...names(state)].sort());
  view.close();
  await client.close();
});

test("a view follows additions, edits and removals, whatever their number", async () => {
  const { graph, client, contacts } = await openSynced(50);
  const view = contacts.view({
    orderBy: "displayName",
    where: ({ displayName }) => !displayName.startsWith("B"),
  });
  const stop = view.subscribe(() => {});
  for (let round = 0; round < 12; round += 1) {
    graph.churn("contacts", round * 3 + 1);
    graph.add("contacts", { displayName: `B${round}` });
    graph.add("contacts", { displayName: `C${round}` });
    const [{ id }] = graph.items("contacts");
    if (round % 2) graph.remove("contacts", id);
    else graph.edit("contacts", id, { displayName: `D${round}` });
    await contacts.sync();
    const expected = (await contacts.all())
      .map(({ displayName }) => displayName)
      .filter((name) => !name.startsWith("B"))
      .sort(new Intl.Collator().compare);
    await until(
      () => JSON.stringify(names(view.get())) === JSON.stringify(expected) || names(view.get()).length,
    );
    assert.equal(view.get().total, expected.length);
  }
  stop();
  await client.close();
});

test("a change that the view does not show leaves its state the same object", async () => {
  const { graph, client, contacts } = await openSynced(20);
  const seen = [];
  const view = contacts.view({ where: ({ displayName }) => displayName !== "Hidden" });
  const other = contacts.view();
  view.subscribe((state) => seen.push(state));
  other.subscribe(() => {});
  await until(() => view.get().ready);
  const before = view.get();
  graph.add("contacts", { displayName: "Hidden" });
  await contacts.sync();
  await until(() => other.get().total === 21 || other.get().total);
  assert.equal(view.get(), before);
  assert.equal(seen.length, 2, "the empty state and the first read");
  view.close();
  other.close();
  await client.close();
});

test("limit limits the items, and total counts all of them", async () => {
  const { graph, client, contacts } = await openSynced(30);
  const view = contacts.view({ orderBy: "displayName", limit: 10 });
  view.subscribe(() => {});
  await until(() => view.get().ready);
  assert.deepEqual([view.get().items.length, view.get().total], [10, 30]);
  graph.add("contacts", { displayName: "!first" });
  await contacts.sync();
  await until(() => view.get().items[0].displayName === "!first");
  assert.deepEqual([view.get().items.length, view.get().total], [10, 31]);
  view.close();
  await client.close();
});

test("views of events show appointments in the order of their start, each with the subject of its series", async () => {
  const graph = await fakeGraph({ populate: { events: 60 } });
  const client = await open(graph);
  const events = client.events({ window: { daysBack: 30, daysAhead: 60 } });
  await events.sync();
  const complete = await stateUntil(events.view(), isReady);
  assert.equal(complete.total, await events.count());
  const starts = complete.items.map(({ start }) => start.dateTime);
  assert.deepEqual(starts, [...starts].sort());
  assert.ok(complete.items.every(({ subject, type }) => subject && type !== "seriesMaster"));
  const raw = await stateUntil(events.view({ occurrences: "raw" }), isReady);
  assert.ok(raw.items.some(({ subject }) => !subject));
  await client.close();
});

test("clear() empties the views", async () => {
  const { client, contacts } = await openSynced(5);
  const view = contacts.view();
  view.subscribe(() => {});
  await until(() => view.get().total === 5 || view.get().total);
  await contacts.clear();
  await until(() => view.get().total === 0 || view.get().total);
  assert.equal(view.get().ready, true);
  view.close();
  await client.close();
});

test("rows are read once for all views, and dropped a second after the last subscriber", async (context) => {
  let reads = 0;
  const { client, contacts } = await openSynced(5);
  const proto = Object.getPrototypeOf(Object.getPrototypeOf(contacts));
  const call = proto.call;
  context.mock.method(proto, "call", function (work) {
    if (String(work).includes(".all(")) reads += 1;
    return call.call(this, work);
  });
  const timers = fakeTimers(context);
  const views = [contacts.view(), contacts.view({ orderBy: "displayName" })];
  let stops = views.map((view) => view.subscribe(() => {}));
  await stateUntil(views[0], isReady);
  assert.equal(reads, 1);
  stops.forEach((stop) => stop());
  timers.tick(900);
  stops = views.map((view) => view.subscribe(() => {}));
  assert.equal(views[1].get().ready, true, "a new subscriber within a second");
  assert.equal(reads, 1);
  stops.forEach((stop) => stop());
  timers.tick(1000);
  const again = contacts.view();
  again.subscribe(() => {});
  assert.equal(again.get().ready, false);
  await stateUntil(again, isReady);
  assert.equal(reads, 2);
  await client.close();
});

test("an error of the store is in the state, and the read is repeated", async () => {
  const graph = await fakeGraph({ populate: { contacts: 5 } });
  let isBroken = false;
  class Store extends MemoryStore {
    async rows(...values) {
      if (isBroken) throw new Error("the disk is gone");
      return super.rows(...values);
    }
    async scan(...values) {
      if (isBroken) throw new Error("the disk is gone");
      return super.scan(...values);
    }
  }
  const store = new Store();
  const client = await open(graph, { store, account: "alex" });
  const contacts = client.orgContacts();
  await contacts.sync();
  const view = contacts.view();
  isBroken = true;
  const stop = view.subscribe(() => {});
  await until(() => view.get().error?.code === "store");
  assert.equal(view.get().ready, false);
  isBroken = false;
  // No commit is needed.
  await until(() => view.get().total === 5 || view.get().total);
  assert.equal(view.get().error, undefined);
  isBroken = true;
  graph.add("contacts", { displayName: "Kim" });
  await assert.rejects(contacts.sync(), { code: "store" });
  isBroken = false;
  await contacts.sync();
  await until(() => view.get().total === 6 || view.get().total);
  stop();
  await client.close();
});

test("a filter that throws is reported, and the view recovers with the next commit", async (context) => {
  const { graph, client, contacts } = await openSynced(3);
  const reported = context.mock.method(console, "error", () => {});
  let isBroken = true;
  const other = contacts.view();
  other.subscribe(() => {});
  await until(() => other.get().ready);
  const where = () => {
    if (isBroken) throw new Error("a mistake");
    return true;
  };
  const view = contacts.view({ where });
  const stop = view.subscribe(() => {});
  assert.equal(reported.mock.callCount(), 1);
  const [mistake] = reported.mock.calls[0].arguments;
  assert.equal(mistake.message, "a mistake");
  const { ready, error } = view.get();
  assert.deepEqual([ready, error.code, error.cause], [true, "bad-request", mistake]);
  assert.equal(error.message, "options.where has thrown: see cause");
  const orderBy = () => {
    throw new Error("another mistake");
  };
  const unsorted = contacts.view({ orderBy });
  unsorted.subscribe(() => {})();
  assert.equal(unsorted.get().error.message, "options.orderBy has thrown: see cause");
  isBroken = false;
  graph.add("contacts", { displayName: "Kim" });
  await contacts.sync();
  await until(() => view.get().total === 4);
  assert.equal(view.get().error, undefined);
  stop();
  other.close();
  await client.close();
});

test("values that cannot be compared are an error of the list, as a function that throws is", async (context) => {
  const { graph, client, contacts } = await openSynced(3);
  const reported = context.mock.method(console, "error", () => {});
  for (const { id } of graph.items("contacts")) graph.edit("contacts", id, { companyName: { toString: 1 } });
  await contacts.sync();
  const view = contacts.view({ orderBy: "companyName" });
  const stop = view.subscribe(() => {});
  await until(() => Boolean(view.get().error));
  assert.deepEqual(
    [view.get().error.code, view.get().error.message],
    ["bad-request", "options.orderBy has thrown: see cause"],
  );
  assert.equal(reported.mock.callCount(), 1);
  stop();
  await client.close();
});

test("a comparison whose result is a BigInt sorts, and one without a numeric value is an error that names the option", async (context) => {
  const { client, contacts } = await openSynced(3);
  context.mock.method(console, "error", () => {});
  const ids = (await contacts.all()).map(({ id }) => id);
  const orderBy = (one, other) => /** @type {any} */ (one.id < other.id ? 1n : -1n);
  const { items } = await stateUntil(contacts.view({ orderBy }), isReady);
  assert.deepEqual(
    items.map(({ id }) => id),
    ids.sort().toReversed(),
  );
  const symbols = contacts.view({ orderBy: () => /** @type {any} */ (Symbol("later")) });
  const { error } = await stateUntil(symbols, isReady);
  const { code, message, cause } = error;
  assert.deepEqual(
    [code, message, cause instanceof TypeError],
    ["bad-request", "options.orderBy has thrown: see cause", true],
  );
  await client.close();
});

test("a script in Node that waits for nothing but a view gets its items, and then ends", async () => {
  const script = `
    import { openDelta } from "deltalink";
    import { fakeGraph } from "deltalink/testing";
    const graph = await fakeGraph({ populate: { contacts: 3 } });
    const { fetch, token } = graph;
    const client = await openDelta({ fetch, token, store: "memory" });
    const contacts = client.orgContacts();
    const view = contacts.view();
    const total = (wanted) =>
      new Promise((resolve) => view.subscribe(({ total }) => total === wanted && resolve(total)));
    await contacts.sync();
    console.log(await total(3));
    graph.add("contacts", {});
    await contacts.sync();
    console.log(await total(4));
  `;
  const cwd = new URL("..", import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    cwd,
  });
  assert.equal(stdout, "3\n4\n");
});

test("a view in a host without tabs follows a commit after the time of one frame", async (context) => {
  const { graph, client, contacts } = await openSynced(3);
  const view = contacts.view();
  view.subscribe(() => {});
  await until(() => view.get().ready);
  graph.add("contacts", { displayName: "Kim" });
  const timers = fakeTimers(context);
  await contacts.sync();
  assert.equal(view.get().total, 3);
  timers.tick(16);
  for (let turns = 0; turns < 500; turns += 1) await null;
  assert.equal(view.get().total, 4);
  await client.close();
});

test("a read that ends after its rows were dropped does not change the order of later reads", async (context) => {
  const graph = await fakeGraph({ populate: { contacts: 3 } });
  const held = [];
  let hasScanned = false;
  // Two reads of the whole mirror end late: at the comparison of the revision after their scan.
  class Store extends MemoryStore {
    async scan(...values) {
      hasScanned = true;
      return super.scan(...values);
    }
    async load(...values) {
      const state = await super.load(...values);
      if (!hasScanned || held.length === 2) return state;
      hasScanned = false;
      await new Promise((resolve) => held.push(resolve));
      return state;
    }
  }
  const client = await open(graph, { store: new Store(), account: "alex" });
  const contacts = client.orgContacts({ refresh: false });
  await contacts.sync();
  const view = contacts.view();
  const stop = view.subscribe(() => {});
  await until(() => held.length === 1);
  const timers = fakeTimers(context);
  /** Runs all pending microtasks. */
  const runMicrotasks = async () => {
    for (let turns = 0; turns < 500; turns += 1) await null;
  };
  // The rows are dropped, and read again by another view.
  stop();
  timers.tick(1000);
  const later = contacts.view();
  later.subscribe(() => {});
  await runMicrotasks();
  assert.equal(held.length, 2);
  held[0]();
  await runMicrotasks();
  // A commit during the second read.
  graph.add("contacts", { displayName: "Kim" });
  await contacts.sync();
  timers.tick(250);
  await runMicrotasks();
  held[1]();
  await runMicrotasks();
  timers.tick(250);
  await runMicrotasks();
  assert.equal(later.get().total, 4);
  later.close();
  await client.close();
});

test("a view of a closed client shows no rows", async () => {
  const { client, contacts } = await openSynced(3);
  const view = contacts.view();
  view.subscribe(() => {});
  await until(() => view.get().total === 3 || view.get().total);
  await client.forget();
  assert.deepEqual([view.get().items.length, view.get().ready, view.get().error.code], [0, false, "closed"]);
});

test("a view that is subscribed after the client was closed has its error at once, and starts no timer", async () => {
  const { client, contacts } = await openSynced(3);
  const opened = contacts.view();
  await client.close();
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  for (const view of [opened, contacts.view()]) {
    const states = [];
    const stop = view.subscribe((state) => states.push(state));
    assert.equal(states.length, 1);
    const [{ items, ready, error }] = states;
    assert.deepEqual([items.length, ready, error.code], [0, false, "closed"]);
    assert.equal(timers(), before);
    stop();
  }
});

test("view() rejects wrong options and names them, and a closed view cannot be subscribed", async () => {
  const { client, contacts } = await openSynced(1);
  for (const [options, message] of [
    [{ where: "x" }, /options\.where must be a function, got a string/],
    [{ orderBy: 7 }, /options\.orderBy must be a property such as "displayName" or "start\.dateTime"/],
    [
      { orderBy: "displayName desc" },
      /options\.orderBy is the property alone; for the other order, set options\.descending/,
    ],
    [{ descending: "yes" }, /options\.descending must be true or false, got a string/],
    [{ descending: true, orderBy: () => 0 }, /options\.descending is only for a property/],
    [{ limit: 0 }, /options\.limit must be a whole number of at least 1, got 0/],
    [{ sort: "x" }, /options\.sort is not an option of view\(\)/],
    [{ occurrences: "all" }, /options\.occurrences must be "complete" or "raw", got "all"/],
  ])
    assert.throws(() => contacts.view(options), { code: "bad-request", message });
  const view = contacts.view();
  for (const [run, type] of [
    [undefined, "undefined"],
    [{ next() {} }, "an object"],
  ])
    for (const readable of [view, contacts.status, client.signInError])
      assert.throws(() => readable.subscribe(run), {
        code: "bad-request",
        message: `subscribe() needs a function, got ${type}`,
      });
  view.close();
  assert.throws(() => view.subscribe(() => {}), { code: "closed", message: /make a new one/ });
  await client.close();
});
