// The planning module of the edge example, without objects: rounds, permits, registries.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { loadPlan } from "../scale/plan.mjs";

const NOW = Date.UTC(2026, 10, 21);
const MINUTE = 60_000;
const DAY = 86_400_000;
const SETTINGS = { pause: 2000, backOff: 5000 };
let plan;
before(async () => (plan = await loadPlan()));

const names = (granted) => granted.map(({ mailbox }) => mailbox);

test("a thousand requests during a round lead to one more round, after the pause", () => {
  let state = plan.request(plan.INITIAL);
  assert.equal(plan.request(state), state, "a round that has not begun counts once");
  const running = state.requestedRounds;
  state = plan.begin(state, NOW, 1, SETTINGS);
  assert.ok(!plan.isDue(state, NOW + 4999), "it counts as failed, in case its object is aborted");
  assert.ok(plan.isDue(state, NOW + 5000));
  for (let n = 0; n < 1000; n++) state = plan.request(state, running);
  state = plan.end(state, { running, complete: true }, NOW, SETTINGS);
  assert.deepEqual([state.requestedRounds - state.fulfilledRounds, state.failures], [1, 0]);
  assert.equal(plan.roundAt(state), NOW + 2000);
  state = plan.end(state, { running: state.requestedRounds, complete: true }, NOW, SETTINGS);
  assert.equal(plan.roundAt(state), Infinity);
});

test("a round that ended early continues at once, and progress resets the back-off", () => {
  let state = { ...plan.INITIAL, requestedRounds: 1, failures: 8 };
  state = plan.begin(state, NOW, 1, SETTINGS);
  assert.equal(state.notBefore - NOW, 5000 * 2 ** 8);
  state = plan.progress(state, NOW, 1, SETTINGS);
  assert.deepEqual([state.failures, state.notBefore - NOW], [1, 5000]);
  state = plan.end(state, { running: 1, complete: false }, NOW, SETTINGS);
  assert.ok(plan.isDue(state, NOW));
});

test("a failed round waits for the end of a throttle, and at least for its back-off", () => {
  const state = plan.begin({ ...plan.INITIAL, requestedRounds: 1 }, NOW, 1, SETTINGS);
  const wait = (error) => plan.fail(state, error, NOW, 1, SETTINGS).notBefore - NOW;
  assert.equal(wait({ code: "throttled", retryable: true, retryAt: NOW + 90_000 }), 90_000);
  assert.equal(wait({ code: "throttled", retryable: true, retryAt: NOW + 2 * DAY }), 5000);
  assert.equal(wait(new Error("the queue is overloaded")), 5000);
});

test("a mailbox that waits for a permit renews its subscription, and creates it only with the permit", () => {
  const due = plan.request(plan.INITIAL);
  const created = { subscription: {}, subscribeAt: NOW + MINUTE, subscribeFailures: 0 };
  assert.equal(plan.alarmAt(due, created, true, NOW), NOW + MINUTE, "earlier than it asks again");
  assert.equal(plan.maySubscribe(created, true, NOW), false);
  assert.equal(plan.maySubscribe(created, true, NOW + MINUTE), true);
  assert.equal(plan.alarmAt(due, { ...created, subscribeAt: NOW + DAY }, true, NOW), NOW + plan.ASK_AGAIN);
  const missing = { subscribeAt: 0, subscribeFailures: 0 };
  assert.equal(plan.alarmAt(due, missing, true, NOW), NOW + plan.ASK_AGAIN);
  assert.equal(plan.maySubscribe(missing, true, NOW), false);
  assert.equal(plan.alarmAt(due, missing, false, NOW), 0);
  assert.equal(plan.maySubscribe(missing, false, NOW), true);
  const failed = { ...created, subscribeFailures: 1 };
  for (const waits of [false, true])
    assert.deepEqual(
      [NOW, NOW + MINUTE].map((now) => plan.maySubscribe(failed, waits, now)),
      [false, true],
    );
  const polled = { subscribeAt: Infinity, subscribeFailures: 0 };
  assert.equal(plan.alarmAt(plan.INITIAL, polled, false, NOW), Infinity);
});

test("permits are given in the order of requests, and a mailbox that asks again keeps its place", () => {
  const budget = new plan.Budget(2);
  assert.ok(budget.acquire("a", NOW) && budget.acquire("b", NOW));
  for (const mailbox of ["c", "d", "c", "e", "c"]) assert.equal(budget.acquire(mailbox, NOW), null);
  assert.ok(budget.acquire("a", NOW), "it has one already");
  assert.deepEqual(budget.grant(NOW), []);
  budget.release("b", NOW);
  assert.equal(budget.acquire("f", NOW), null, "others wait longer");
  assert.deepEqual(names(budget.grant(NOW)), ["c"]);
  assert.ok(budget.acquire("c", NOW), "it was granted while it asked");
  budget.release("a", NOW);
  budget.release("c", NOW);
  assert.deepEqual(names(budget.grant(NOW)), ["d", "e"]);
  budget.release("d", NOW);
  budget.release("e", NOW);
  assert.deepEqual(names(budget.grant(NOW)), ["f"]);
  assert.ok(budget.acquire("g", NOW));
  assert.equal(budget.nextAt(NOW), Infinity, "none waits");
});

test("the permit of an object that is gone expires, and the alarm comes then", () => {
  const budget = new plan.Budget(1);
  const until = budget.acquire("a", NOW);
  budget.acquire("b", NOW + 1000);
  assert.equal(budget.nextAt(NOW + 1000), until);
  assert.deepEqual(budget.grant(until - 1), []);
  assert.deepEqual(names(budget.grant(until)), ["b"]);
});

test("a throttle stops all permits until its end, unless that is implausible", () => {
  const budget = new plan.Budget(2);
  budget.acquire("a", NOW);
  budget.release("a", NOW, NOW + MINUTE, 500);
  assert.equal(budget.acquire("b", NOW), null);
  assert.equal(budget.nextAt(NOW), NOW + MINUTE + 500);
  budget.release("c", NOW, NOW + 1000);
  assert.equal(budget.nextAt(NOW), NOW + MINUTE + 500, "an earlier end does not shorten it");
  assert.deepEqual(names(budget.grant(NOW + MINUTE + 500)), ["b"]);
  for (const absurd of [8.64e15, Infinity, NaN, NOW + DAY + 1]) {
    budget.release("x", NOW, absurd);
    assert.ok(new plan.Budget(1, [], absurd).acquire("y", NOW), `${absurd} was stored by another version`);
  }
  assert.ok(budget.acquire("z", NOW + MINUTE + 500));
});

test("a budget continues from what is stored", () => {
  const stored = [
    { mailbox: "waits", until: null },
    { mailbox: "runs", until: NOW + MINUTE },
  ];
  const budget = new plan.Budget(1, stored);
  assert.equal(budget.acquire("later", NOW), null);
  budget.release("runs", NOW);
  assert.deepEqual(names(budget.grant(NOW)), ["waits"]);
});

test("mailboxes are spread evenly over registries and over time, and always in the same way", () => {
  const mailboxes = Array.from({ length: 16_000 }, (_, n) => `user${n}@contoso.example`);
  const counts = Array(16).fill(0);
  const times = new Set();
  for (const mailbox of mailboxes) {
    counts[plan.shardOf(mailbox, 16)] += 1;
    const at = plan.dueAt(mailbox, NOW, 600_000);
    assert.ok(at >= NOW && at < NOW + 600_000);
    times.add(at);
  }
  assert.ok(Math.min(...counts) > 850 && Math.max(...counts) < 1150, counts.join());
  assert.equal(times.size, 600, "a registry has an alarm each second at most");
  assert.equal(plan.dueAt("ann", NOW + 900_000, 600_000) - plan.dueAt("ann", NOW, 600_000), 900_000);
});
