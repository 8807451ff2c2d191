// The simulation of `make scale`: fifty mailboxes in workerd do what deltalink/workers plans, and
// the limits hold in a simulated day.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { simulate } from "../scale/simulate.mjs";
import { event, until } from "../wait.mjs";
import { startEdge } from "./harness.mjs";

const HOUR = 3_600_000;
const MINUTE = 60_000;
const [FIRST_PAGES, PAGE_ITEMS] = [3, 2];
let edge;
afterEach(async () => {
  await edge?.stop();
  edge = undefined;
});

test("fifty objects make the calls and write the rows that the simulation counts", async () => {
  // Long enough for all to ask for a permit before the first round ends.
  const pause = 1000;
  const options = { page_size: PAGE_ITEMS };
  edge = await startEdge({ acceptsBatch: () => true, options, pause, settings: { SPREAD_MS: "0" } });
  const roundsAtOnce = Number(edge.bindings.ROUNDS_AT_ONCE);
  const people = await edge.addPeople(50, FIRST_PAGES * PAGE_ITEMS);
  const counts = async () => (await edge.worker.fetch("/test/counts")).json();
  const queued = async () => (await edge.worker.fetch("/test/queued")).json();

  for (const [what, start] of [
    ["first rounds", () => Promise.all(people.map((person) => edge.add(person)))],
    ["a run of the cron trigger", () => edge.tick()],
    ["a notification for each", () => Promise.all(people.map((person) => edge.notify(person)))],
  ]) {
    if (what !== "first rounds") for (const person of people) await edge.addRecording(person);
    await until(async () => {
      const statuses = await edge.statuses();
      return statuses.every(({ notBefore }) => notBefore <= Date.now()) || "the pause is not over";
    });
    await counts();
    const before = edge.requests.length;
    const all = event();
    let [inFlight, most] = [0, 0];
    edge.hooks.request = async () => {
      most = Math.max(most, ++inFlight);
      await all.fired;
      inFlight -= 1;
    };
    await start();
    await until(async () => (await queued()) === people.length || `${await queued()} have asked`);
    await until(() => inFlight === roundsAtOnce || `${inFlight} requests`);
    all.fire();
    await edge.untilQuiet(people);
    await until(async () => (await queued()) === 0 || `${await queued()} have a permit`);
    // The alarm sets the next one after it has released its permit.
    const expected = simulated(what, people.length, roundsAtOnce, pause);
    const counted = {};
    await until(async () => {
      for (const [name, n] of Object.entries(await counts())) counted[name] = (counted[name] ?? 0) + n;
      return counted["mailboxes rows"] >= expected["mailboxes rows"] || JSON.stringify(counted);
    });
    delete counted["budget rows"];
    assert.deepEqual({ ...counted, requests: edge.requests.length - before, most }, expected, what);
    edge.hooks.request = async () => {};
  }
  console.log(`scale: 50 mailboxes in workerd and in the simulation: equal counts`);
});

/** The counts of the simulation for the same work: first rounds, or one change of each mailbox. */
function simulated(what, mailboxes, roundsAtOnce, pause) {
  const isFirst = what === "first rounds";
  const isTick = what.includes("cron");
  const { calls, graph, permits, rows } = simulate({
    mailboxes,
    roundsAtOnce,
    pause,
    spread: 0,
    changesPerDay: 0,
    notifications: isFirst,
    firstPages: isFirst ? FIRST_PAGES : 0,
    pageItems: PAGE_ITEMS,
    failing: 0,
    duration: HOUR / 2,
    cron: HOUR,
    // Long enough for all to ask for a permit before the first round ends.
    requestTime: 100,
    prepare({ notify, all, start }) {
      for (const one of isFirst ? [] : all) {
        one.subscription = {};
        one.subscribeAt = one.alarm = start + 24 * HOUR;
        one.pending.push(start - 1);
        if (!isTick) notify(start + 1, one.id);
      }
    },
    tick: isFirst || isTick,
  });
  const { rounds, failed, wake, notify, ...others } = calls;
  assert.deepEqual([rounds, failed], [mailboxes, 0]);
  return {
    ...others,
    ...(isFirst || isTick ? { wake } : { notify }),
    "mailboxes rows": rows.mailboxes,
    "store rows": rows.store,
    requests: graph.requests - graph.subscriptions,
    most: permits.most,
  };
}

test("a simulated day stays within Graph's limits, and its notifications make it fresh", () => {
  const pushed = simulate({ mailboxes: 300, cron: HOUR, spread: 50 * 60_000 });
  const polled = simulate({ mailboxes: 300, notifications: false });
  for (const { graph, calls, messages, undelivered, permits } of [pushed, polled]) {
    assert.ok(graph.mostOfApp < 130_000 && graph.mostOfMailbox < 10_000);
    assert.ok(permits.most <= 10);
    // The items of the first rounds, and 20 changes for each.
    assert.ok(messages > 300 * 100 + 5000 && undelivered < 300, `${messages} and ${undelivered}`);
    assert.equal(calls.acquire - calls.release, 0);
  }
  assert.ok(pushed.staleness.p50 < 30_000, `${pushed.staleness.p50} ms`);
  assert.ok(polled.staleness.p50 > 300_000 && polled.staleness.most < 20 * 60_000);
  assert.ok(pushed.calls.rounds < polled.calls.rounds / 2);
  const again = simulate({ mailboxes: 300, notifications: false });
  assert.deepEqual(again, polled, "the same seed gives the same day");
});

test("first rounds that Graph throttles are repeated, in the round or by the next alarm", () => {
  const first = (more) =>
    simulate({
      mailboxes: 300,
      firstPages: 5,
      roundsAtOnce: 300,
      spread: 0,
      cron: HOUR,
      changesPerDay: 0,
      failing: 0,
      duration: HOUR,
      ...more,
    });
  const free = first({});
  // A subscription and five pages for each.
  assert.deepEqual([free.graph.requests, free.graph.throttled, free.calls.rounds], [1800, 0, 300]);
  assert.deepEqual([free.left, free.messages], [0, 300 * 5 * free.settings.pageItems]);
  assert.ok(free.firstRounds < MINUTE, `${free.firstRounds} ms`);

  const app = first({ appLimit: 100 });
  assert.equal(app.left, 0);
  assert.ok(app.graph.throttled > 300 && app.calls.failed > 0);
  assert.equal(app.graph.requests - app.graph.throttled, 1800, "each page is accepted once");
  // 100 requests in each 10 s.
  assert.ok(app.firstRounds > 2.5 * MINUTE, `${app.firstRounds} ms`);

  const mailbox = first({ mailboxes: 1, firstPages: 30, mailboxLimit: 10 });
  assert.deepEqual([mailbox.graph.requests, mailbox.graph.throttled, mailbox.calls.failed], [34, 3, 3]);
  assert.ok(mailbox.firstRounds >= 30 * MINUTE && mailbox.firstRounds < 31 * MINUTE);
  assert.equal(mailbox.graph.mostOfMailbox, 11, "it waits for the end of each window");
});
