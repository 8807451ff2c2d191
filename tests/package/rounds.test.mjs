// Rounds and sync() through the packed package in Node: acknowledgements, joining, aborts.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { requestsOf, startFake, waitForPendingRequests } from "../fake.mjs";
import { fakeTimers, until } from "../wait.mjs";
import { open, statusUntil } from "./kit.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

const populate = { contacts: 30 };
const sortedIds = (items) => items.map(({ id }) => id).sort();

test("a loop over the pages of a round acknowledges each page when it requests the next one", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const round = contacts.round();
  let pages = 0;
  for await (const page of round) {
    assert.equal(page.index, pages++);
    assert.equal(page.kind, "full");
    assert.equal(page.last, pages === 3);
    assert.equal(await contacts.count(), (pages - 1) * 10, "nothing of this page yet");
  }
  assert.equal(pages, 3);
  assert.equal(round.report.outcome, "complete");
  assert.ok(round.report.startedAt instanceof Date && round.report.endedAt instanceof Date);
  assert.deepEqual(sortedIds(await contacts.all()), sortedIds(await world.table("contacts")));
  await client.close();
});

test("leaving the loop commits the acknowledged pages and nothing more", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const round = contacts.round();
  let kept;
  for await (const page of round) {
    if (page.index === 1) {
      kept = page;
      break;
    }
  }
  assert.equal(await contacts.count(), 10);
  assert.equal(round.report.outcome, "partial");
  await assert.rejects(kept.ack(), {
    name: "DeltaError",
    code: "aborted",
    message: /the next round delivers it again/,
  });
  for await (const page of contacts.round()) {
    assert.equal(page.index, 1);
    assert.deepEqual(
      page.changes.map(({ id }) => id),
      kept.changes.map(({ id }) => id),
    );
    await page.ack();
    await page.ack();
    break;
  }
  assert.equal(await contacts.count(), 20, "acknowledged before the loop was left");
  await client.close();
});

test("an error of the consumer ends the round and acknowledges nothing", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  await assert.rejects(
    async () => {
      for await (const page of contacts.round()) throw new RangeError(`page ${page.index}`);
    },
    { name: "RangeError" },
  );
  assert.equal(await contacts.count(), 0);
  await client.close();
});

test("with manual acknowledgement next() does not acknowledge", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const pages = contacts.round({ ack: "manual" })[Symbol.asyncIterator]();
  const first = (await pages.next()).value;
  const ahead = pages.next();
  await waitForPendingRequests(fake);
  assert.equal(await contacts.count(), 0);
  assert.equal((await requestsOf(world)).length, 2, "a page and the one after it");
  await first.ack();
  assert.equal((await ahead).value.index, 1);
  assert.equal(await contacts.count(), 10);
  await pages.return();
  await client.close();
});

test("a second round of a query waits for the first, without changing its status, and can be aborted", async (t) => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const first = contacts.round()[Symbol.asyncIterator]();
  await first.next();
  const phases = [];
  const unsubscribe = contacts.status.subscribe(({ phase }) => phases.push(phase));
  const stop = new AbortController();
  const clock = fakeTimers(t);
  const second = contacts.round({ signal: stop.signal })[Symbol.asyncIterator]();
  const waiting = second.next();
  // Longer than the time after which a round that waits for another tab has the status `following`.
  clock.tick(1000);
  clock.reset();
  stop.abort("enough");
  await assert.rejects(waiting, (reason) => reason === "enough");
  const third = contacts.round()[Symbol.asyncIterator]();
  const next = third.next();
  await first.return();
  assert.equal((await next).value.index, 0);
  await third.return();
  unsubscribe();
  assert.ok(!phases.includes("following"), phases.join());
  assert.equal((await requestsOf(world)).length, 2);
  await client.close();
});

test("a second sync joins the running one", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const [one, two] = await Promise.all([client.orgContacts().sync(), client.orgContacts().sync()]);
  assert.equal(one, two);
  assert.equal((await requestsOf(world)).length, 3);
  await client.close();
});

test("an abort rejects with its unchanged reason", async () => {
  const world = await fake.world({ populate });
  await world.faults({ match: {}, times: null, fault: "hang" });
  const client = await open(world);
  let requests = 0;
  /** Waits until one more request hangs. */
  const waitForHang = () => (
    (requests += 1),
    until(async () => (await world.faultCounts()).hang === requests)
  );
  for (const reason of ["a text", null, 0, Symbol("s"), { custom: true }, new TypeError("x")]) {
    const stop = new AbortController();
    const syncing = client.orgContacts().sync({ signal: stop.signal });
    await waitForHang();
    stop.abort(reason);
    await assert.rejects(syncing, (got) => got === reason);
  }
  const bare = new AbortController();
  const syncing = client.orgContacts().sync({ signal: bare.signal });
  await waitForHang();
  bare.abort();
  await assert.rejects(syncing, { name: "AbortError" });
  await client.close();
});

test("an ack() that is not awaited is stored before the round ends", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const round = contacts.round();
  for await (const page of round) {
    page.ack();
    break;
  }
  assert.equal(await contacts.count(), 10);
  assert.equal(round.report.outcome, "partial");
  assert.equal(contacts.status.get().phase, "new");
  assert.equal((await contacts.sync()).outcome, "complete");
  await client.close();
});

test("a late acknowledgement of an earlier page does not acknowledge a later one", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  let first;
  for await (const page of contacts.round()) {
    first ??= page;
    if (page === first) continue;
    await first.ack();
    break;
  }
  assert.equal(await contacts.count(), 10);
  await client.close();
});

test("return() ends a next() that waits for an acknowledgement", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const pages = contacts.round({ ack: "manual" })[Symbol.asyncIterator]();
  await pages.next();
  const ahead = pages.next();
  assert.deepEqual(await pages.return(), { value: undefined, done: true });
  assert.deepEqual(await ahead, { value: undefined, done: true });
  assert.equal(await contacts.count(), 0);
  assert.equal((await contacts.sync()).outcome, "complete");
  await client.close();
});

test("an abort of one joined sync does not affect the others, and the last abort stops it", async () => {
  const world = await fake.world({ populate, options: { latency_ms: 40 } });
  const client = await open(world);
  const contacts = client.orgContacts();
  const [first, second] = [new AbortController(), new AbortController()];
  const [one, two, three] = [
    contacts.sync({ signal: first.signal }),
    contacts.sync({ signal: second.signal }),
    contacts.sync(),
  ];
  first.abort("one has left");
  await assert.rejects(one, (reason) => reason === "one has left");
  assert.equal(await two, await three);
  await world.faults({ match: {}, times: null, fault: "hang" });
  const last = new AbortController();
  const four = contacts.sync({ signal: last.signal });
  await statusUntil(contacts, ({ phase }) => phase === "syncing");
  last.abort("and the last");
  await assert.rejects(four, (reason) => reason === "and the last");
  await assert.rejects(contacts.sync({ signal: AbortSignal.abort("early") }), (reason) => reason === "early");
  await client.close();
});

test("sync() accepts only a signal", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  await assert.rejects(contacts.sync({ ack: "manual" }), {
    code: "bad-request",
    message: /options\.ack is not an option of sync\(\)/,
  });
  for (const signal of [{}, { aborted: false }, null, "stop", { addEventListener() {} }])
    await assert.rejects(contacts.sync({ signal }), {
      code: "bad-request",
      message: /^options\.signal must be an AbortSignal, got /,
    });
  for (const invalid of [null, 5, true, "a text"])
    await assert.rejects(contacts.sync(invalid), {
      code: "bad-request",
      message: /^the options of sync\(\) must be an object/,
    });
  await client.close();
});

test("a round that is aborted while it waits for the lock has a final report and does not change the status of the other", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const first = contacts.round()[Symbol.asyncIterator]();
  await first.next();
  const stop = new AbortController();
  const second = contacts.round({ signal: stop.signal });
  const waiting = second[Symbol.asyncIterator]().next();
  stop.abort("enough");
  await assert.rejects(waiting, (reason) => reason === "enough");
  assert.equal(second.report.outcome, "partial");
  assert.notEqual(contacts.status.get().phase, "idle");
  await first.return();
  await client.close();
});
