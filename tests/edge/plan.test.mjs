// The planning of deltalink/workers, without objects: rounds, subscriptions, permits, registries.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as plan from "deltalink/workers";

const NOW = Date.UTC(2026, 10, 21);
const MINUTE = 60_000;
const DAY = 86_400_000;
/** The options of the functions, without jitter. */
const AT = { now: NOW, random: 1, backOff: 5000 };

const names = (granted) => granted.map(({ mailbox }) => mailbox);

test("a thousand requests during a round lead to one more round, after the pause", () => {
  let state = plan.requestRound(plan.NO_ROUNDS);
  assert.equal(plan.requestRound(state), state, "a round that has not begun counts once");
  const running = state.requestedRounds;
  state = plan.beginRound(state, AT);
  assert.ok(!plan.isRoundDue(state, NOW + 4999), "it counts as failed, in case its object is aborted");
  assert.ok(plan.isRoundDue(state, NOW + 5000));
  for (let n = 0; n < 1000; n++) state = plan.requestRound(state, running);
  state = plan.endRound(state, { running, complete: true, now: NOW, pause: 2000 });
  assert.deepEqual([state.requestedRounds - state.fulfilledRounds, state.failures], [1, 0]);
  assert.equal(plan.roundDueAt(state), NOW + 2000);
  state = plan.endRound(state, { running: state.requestedRounds, complete: true, now: NOW, pause: 2000 });
  assert.equal(plan.roundDueAt(state), Infinity);
});

test("a round that ended early continues at once, and progress resets the back-off", () => {
  let state = { ...plan.NO_ROUNDS, requestedRounds: 1, failures: 8 };
  state = plan.beginRound(state, AT);
  assert.equal(state.notBefore - NOW, 5000 * 2 ** 8);
  state = plan.continueRound(state, AT);
  assert.deepEqual([state.failures, state.notBefore - NOW], [1, 5000]);
  state = plan.endRound(state, { running: 1, complete: false, now: NOW, pause: 2000 });
  assert.ok(plan.isRoundDue(state, NOW));
});

test("a failed round waits for the end of a throttle, and at least for its back-off", () => {
  const state = plan.beginRound({ ...plan.NO_ROUNDS, requestedRounds: 1 }, AT);
  const wait = (error) => plan.failRound(state, error, AT).notBefore - NOW;
  assert.equal(wait({ code: "throttled", retryable: true, retryAt: NOW + 90_000 }), 90_000);
  assert.equal(wait({ code: "throttled", retryable: true, retryAt: NOW + 2 * DAY }), 5000);
  assert.equal(wait(new Error("the queue is overloaded")), 5000);
});

test("a mailbox that waits for a permit renews its subscription, and creates it only with the permit", () => {
  const due = plan.requestRound(plan.NO_ROUNDS);
  const created = { subscription: {}, subscribeAt: NOW + MINUTE, subscribeFailures: 0 };
  assert.equal(
    plan.alarmDueAt(due, created, { waitsForPermit: true, now: NOW }),
    NOW + MINUTE,
    "earlier than it asks again",
  );
  assert.equal(plan.maySubscribe(created, { waitsForPermit: true, now: NOW }), false);
  assert.equal(plan.maySubscribe(created, { waitsForPermit: true, now: NOW + MINUTE }), true);
  assert.equal(
    plan.alarmDueAt(due, { ...created, subscribeAt: NOW + DAY }, { waitsForPermit: true, now: NOW }),
    NOW + plan.ASK_AGAIN,
  );
  const missing = { subscribeAt: 0, subscribeFailures: 0 };
  assert.equal(plan.alarmDueAt(due, missing, { waitsForPermit: true, now: NOW }), NOW + plan.ASK_AGAIN);
  assert.equal(plan.maySubscribe(missing, { waitsForPermit: true, now: NOW }), false);
  assert.equal(plan.alarmDueAt(due, missing, { waitsForPermit: false, now: NOW }), 0);
  assert.equal(plan.maySubscribe(missing, { waitsForPermit: false, now: NOW }), true);
  const failed = { ...created, subscribeFailures: 1 };
  for (const waits of [false, true])
    assert.deepEqual(
      [NOW, NOW + MINUTE].map((now) => plan.maySubscribe(failed, { waitsForPermit: waits, now })),
      [false, true],
    );
  const polled = { subscribeAt: Infinity, subscribeFailures: 0 };
  assert.equal(plan.alarmDueAt(plan.NO_ROUNDS, polled, { waitsForPermit: false, now: NOW }), Infinity);
});

test("permits are given in the order of requests, and a mailbox that asks again keeps its place", () => {
  const budget = new plan.PermitBudget(2);
  assert.ok(budget.acquire("a", NOW) && budget.acquire("b", NOW));
  for (const mailbox of ["c", "d", "c", "e", "c"]) assert.equal(budget.acquire(mailbox, NOW), null);
  assert.ok(budget.acquire("a", NOW), "it has one already");
  assert.deepEqual(budget.grant(NOW), []);
  budget.release("b", { now: NOW });
  assert.equal(budget.acquire("f", NOW), null, "others wait longer");
  assert.deepEqual(names(budget.grant(NOW)), ["c"]);
  assert.ok(budget.acquire("c", NOW), "it was granted while it asked");
  budget.release("a", { now: NOW });
  budget.release("c", { now: NOW });
  assert.deepEqual(names(budget.grant(NOW)), ["d", "e"]);
  budget.release("d", { now: NOW });
  budget.release("e", { now: NOW });
  assert.deepEqual(names(budget.grant(NOW)), ["f"]);
  assert.ok(budget.acquire("g", NOW));
  assert.equal(budget.nextAt(NOW), Infinity, "none waits");
});

test("the permit of an object that is gone expires, and the alarm comes then", () => {
  const budget = new plan.PermitBudget(1);
  const until = budget.acquire("a", NOW);
  budget.acquire("b", NOW + 1000);
  assert.equal(budget.nextAt(NOW + 1000), until);
  assert.deepEqual(budget.grant(until - 1), []);
  assert.deepEqual(names(budget.grant(until)), ["b"]);
});

test("a throttle stops all permits until its end, unless that is implausible", () => {
  const budget = new plan.PermitBudget(2);
  budget.acquire("a", NOW);
  budget.release("a", { now: NOW, retryAt: NOW + MINUTE, jitter: 500 });
  assert.equal(budget.acquire("b", NOW), null);
  assert.equal(budget.nextAt(NOW), NOW + MINUTE + 500);
  budget.release("c", { now: NOW, retryAt: NOW + 1000 });
  assert.equal(budget.nextAt(NOW), NOW + MINUTE + 500, "an earlier end does not shorten it");
  assert.deepEqual(names(budget.grant(NOW + MINUTE + 500)), ["b"]);
  for (const absurd of [8.64e15, Infinity, NaN, NOW + DAY + 1]) {
    budget.release("x", { now: NOW, retryAt: absurd });
    assert.ok(
      new plan.PermitBudget(1, { throttledUntil: absurd }).acquire("y", NOW),
      `${absurd} was stored by another version`,
    );
  }
  assert.ok(budget.acquire("z", NOW + MINUTE + 500));
});

test("a budget continues from what is stored", () => {
  const stored = [
    { mailbox: "waits", until: null },
    { mailbox: "runs", until: NOW + MINUTE },
  ];
  const budget = new plan.PermitBudget(1, { stored });
  assert.equal(budget.acquire("later", NOW), null);
  budget.release("runs", { now: NOW });
  assert.deepEqual(names(budget.grant(NOW)), ["waits"]);
});

test("mailboxes are spread evenly over registries and over time, and always in the same way", () => {
  const mailboxes = Array.from({ length: 16_000 }, (_, n) => `user${n}@contoso.example`);
  const counts = Array(16).fill(0);
  const times = new Set();
  for (const mailbox of mailboxes) {
    counts[plan.shardOf(mailbox, 16)] += 1;
    const at = plan.dueAt(mailbox, { now: NOW, spread: 600_000 });
    assert.ok(at >= NOW && at < NOW + 600_000);
    times.add(at);
  }
  assert.ok(Math.min(...counts) > 850 && Math.max(...counts) < 1150, counts.join());
  assert.equal(times.size, 600, "a registry has an alarm each second at most");
  assert.equal(
    plan.dueAt("ann", { now: NOW + 900_000, spread: 600_000 }) -
      plan.dueAt("ann", { now: NOW, spread: 600_000 }),
    900_000,
  );
});
