// deltalink/workers: changes to a queue, the list of mailboxes, notifications of a mailbox, and the
// errors of its functions. tests/edge/plan.test.mjs tests the planning.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as workers from "deltalink/workers";
import { clientStateFor } from "deltalink/notifications";

const { changeBatches, mailboxList, receiveNotifications, sendChanges } = workers;
const SECRET = "a secret of the tests, long enough";
const upsert = (id, item = {}) => ({ type: "upsert", id, item: { id, ...item } });
const badRequest = (message) => ({ name: "DeltaError", code: "bad-request", message });

/** A queue that checks Cloudflare's limits, and refuses the first `refusals` batches. */
function queue(refusals = 0) {
  const made = { batches: [], refused: 0 };
  made.sendBatch = async (messages) => {
    const sent = [...messages];
    if (made.refused < refusals) {
      made.refused += 1;
      throw new Error("the queue is overloaded");
    }
    const sizes = sent.map(({ body }) => Buffer.byteLength(JSON.stringify(body)) + 100);
    assert.ok(sent.length <= 100 && sent.length > 0);
    assert.ok(Math.max(...sizes) <= 128_000 && sizes.reduce((sum, size) => sum + size) <= 256_000);
    assert.ok(sent.every(({ contentType }) => contentType === "json"));
    made.batches.push(sent.map(({ body }) => body));
  };
  return made;
}

test("changes become messages with their properties, in the order of the changes", async () => {
  const to = queue();
  const partial = { type: "upsert", id: "b", item: { id: "b" }, partial: true };
  const removed = { type: "remove", id: "c", reason: "ghost", old: { id: "c" } };
  await sendChanges(to, [{ ...upsert("a"), isNew: true, old: {} }, partial, removed], {
    properties: { mailbox: "ann" },
  });
  assert.deepEqual(to.batches, [
    [
      { mailbox: "ann", id: "a", type: "upsert", item: { id: "a" } },
      { mailbox: "ann", id: "b", type: "upsert", item: { id: "b" }, partial: true },
      { mailbox: "ann", id: "c", type: "remove", reason: "ghost" },
    ],
  ]);
  await sendChanges(to, []);
  assert.equal(to.batches.length, 1, "no batch without messages");
});

test("a batch keeps within Cloudflare's limits of messages and of bytes, counted in UTF-8", async () => {
  const ids = (changes) => changes.map(({ id }) => id);
  for (const [what, count, text, most] of [
    ["small", 1000, "", 100],
    ["of 50 KB", 30, "x".repeat(50_000), 4],
    ["of 90 KB in UTF-8", 7, "\u4e2d".repeat(30_000), 2],
  ]) {
    const to = queue();
    const changes = Array.from({ length: count }, (_, n) => upsert(`id ${n}`, { text }));
    await sendChanges(to, changes);
    assert.deepEqual(ids(to.batches.flat()), ids(changes), what);
    assert.equal(to.batches.length, Math.ceil(count / most), what);
  }
});

test("an item that is too large is replaced by a reference, and properties that are too large are refused", async () => {
  const to = queue();
  const large = upsert("large", { text: "\u4e2d".repeat(50_000) });
  await sendChanges(to, [upsert("a"), large, upsert("b")], { properties: { mailbox: "ann" } });
  assert.deepEqual(to.batches[0][1], { mailbox: "ann", id: "large", type: "upsert", reference: true });
  assert.equal(to.batches.length, 1);
  const properties = { text: "x".repeat(120_000) };
  await assert.rejects(
    sendChanges(to, [upsert("a")], { properties }),
    badRequest(
      /^a message of sendChanges\(\) is larger than 120000 bytes without its item; make its properties smaller/,
    ),
  );
  assert.equal(to.batches.length, 1);
});

test("a refused batch is sent again, at most the given number of times, and then the call rejects", async () => {
  const changes = Array.from({ length: 101 }, (_, n) => upsert(`${n}`));
  const recovers = queue(3);
  await sendChanges(recovers, changes, { firstWait: 1 });
  assert.deepEqual([recovers.refused, recovers.batches.map(({ length }) => length)], [3, [100, 1]]);
  const refuses = queue(9);
  await assert.rejects(sendChanges(refuses, changes, { firstWait: 0 }), /the queue is overloaded/);
  assert.equal(refuses.refused, 4);
  await assert.rejects(sendChanges(refuses, changes, { attempts: 1 }), /the queue is overloaded/);
  assert.equal(refuses.refused, 5);
});

test("wrong arguments of sendChanges() are refused before anything is sent", async () => {
  const to = queue();
  for (const [values, message] of [
    [[undefined, []], /^the queue of sendChanges\(\) must be a binding of a queue, .* got undefined$/],
    [[{ send() {} }, []], /^the queue .* got an object$/],
    [[to, undefined], /^the changes of sendChanges\(\) must be an array, .* got undefined$/],
    [[to, upsert("a")], /^the changes .* got an object$/],
    [[to, [upsert("a"), { id: "b" }]], /^the changes of sendChanges\(\) must be those of a page/],
    [[to, [upsert("a"), null]], /^the changes of sendChanges\(\) must be those of a page/],
    [
      [to, [], { properties: { reference: "a" } }],
      /^the properties of sendChanges\(\) must not contain reference/,
    ],
    [[to, [], { properties: "ann" }], /^the properties of sendChanges\(\) must be an object, got a string$/],
    [[to, [], { attempts: 0 }], /^options.attempts of sendChanges\(\) must be a whole number of .* got 0$/],
    [[to, [], { attempts: "4" }], /^options.attempts .* got a string$/],
    [
      [to, [], { propertys: { mailbox: "ann" } }],
      /^options.propertys is not an option of sendChanges\(\): the options are properties, attempts, firstWait$/,
    ],
    [
      [to, [], { firstWait: Infinity }],
      /^options.firstWait .* must be a number of at least 0, got Infinity$/,
    ],
    [[to, [], { firstWait: -1 }], /^options.firstWait of sendChanges\(\) must be a number of .* got -1$/],
  ])
    await assert.rejects(sendChanges(...values), badRequest(message));
  assert.deepEqual(to.batches, []);
  assert.deepEqual(changeBatches([upsert("a")]), [[{ id: "a", type: "upsert", item: { id: "a" } }]]);
});

/** Namespaces whose objects only record their calls. Calls of the mailbox `fails` reject. */
function objects(fails) {
  const [lists, removed, woken] = [new Map(), [], []];
  const registries = {
    getByName(name) {
      if (!lists.has(name)) lists.set(name, new Set());
      const list = lists.get(name);
      return {
        add: async (mailboxes) => mailboxes.forEach((mailbox) => list.add(mailbox)),
        remove: async (mailbox) => list.delete(mailbox),
        tick: async (...values) => void woken.push([name, ...values]),
        list: async (after, limit) => ({
          count: list.size,
          mailboxes: [...list]
            .sort()
            .filter((mailbox) => mailbox > after)
            .slice(0, limit),
        }),
      };
    },
  };
  const mailboxes = {
    getByName: (mailbox) => ({
      remove: async () => void removed.push(mailbox),
      async status() {
        if (mailbox === fails) throw new Error("this object is overloaded");
        return { phase: "current" };
      },
      async notify(renew) {
        if (mailbox === fails) throw new Error("this object is overloaded");
        woken.push([mailbox, renew]);
      },
    }),
  };
  const bindings = { registries, mailboxes };
  return { lists, removed, woken, ...bindings, bindings };
}

test("a list spreads its mailboxes over registries, and returns their statuses in parts, sorted by name", async () => {
  const made = objects("user05");
  const list = mailboxList({ ...made.bindings, shards: 4 });
  const names = Array.from({ length: 30 }, (_, n) => `user${String(n).padStart(2, "0")}`);
  for (const name of [...names].reverse()) await list.add(name);
  assert.deepEqual([...made.lists.keys()].sort(), [0, 1, 2, 3].map((n) => `registry-${n}`).sort());
  for (const name of names) assert.ok(made.lists.get(`registry-${workers.shardOf(name, 4)}`).has(name), name);

  const first = await list.statuses({ limit: 10 });
  assert.deepEqual([first.count, first.mailboxes.map(({ mailbox }) => mailbox)], [30, names.slice(0, 10)]);
  assert.deepEqual(first.mailboxes[0], { phase: "current", mailbox: "user00" });
  const { phase, lastError } = first.mailboxes[5];
  assert.deepEqual(
    [phase, lastError.code, lastError.message],
    ["failed", "object", "this object is overloaded"],
  );
  const rest = await list.statuses({ after: "user09" });
  assert.equal(rest.mailboxes.length, 20);

  await list.tick();
  assert.deepEqual(
    made.woken.sort(),
    [0, 1, 2, 3].map((n) => [`registry-${n}`, n, 4]),
  );
  assert.equal(await list.remove("user07"), true);
  assert.equal(await list.remove("user07"), false);
  assert.deepEqual(made.removed, ["user07", "user07"], "the object is asked even if it is not listed");
});

test("a mailbox that another registry lists is removed too", async () => {
  const made = objects();
  const home = workers.shardOf("ann", 2);
  await made.registries.getByName(`registry-${1 - home}`).add(["ann"]);
  assert.equal(await mailboxList({ ...made.bindings, shards: 2 }).remove("ann"), true);
  assert.equal((await mailboxList({ ...made.bindings, shards: 2 }).statuses()).count, 0);
});

test("wrong options of a list are refused", async () => {
  const made = objects();
  for (const [options, message] of [
    [undefined, /^options.mailboxes of mailboxList\(\) must be a binding of Durable .* got undefined$/],
    [{ ...made.bindings, mailboxes: {} }, /^options.mailboxes .* got an object$/],
    [{ ...made.bindings, registries: "REGISTRY" }, /^options.registries of mailboxList\(\) .* got a string$/],
    [
      { ...made.bindings, shards: 0 },
      /^options.shards of mailboxList\(\) must be a whole number of .* got 0$/,
    ],
    [{ ...made.bindings, shards: 1.5 }, /got 1.5$/],
    [{ ...made.bindings, shards: "16" }, /got a string$/],
  ])
    assert.throws(() => mailboxList(options), badRequest(message));
  const list = mailboxList(made.bindings);
  for (const name of ["", undefined, 7]) {
    const message =
      /^the mailbox of mailboxList\(\) must be a non-empty string, got (an empty|undefined|a num)/;
    await assert.rejects(list.add(name), badRequest(message));
    await assert.rejects(list.remove(name), badRequest(message));
  }
  await assert.rejects(list.statuses({ limit: 0 }), badRequest(/^options.limit of statuses\(\) must be/));
  assert.deepEqual([...made.lists], []);
});

const post = (value) =>
  new Request("https://worker.example/notifications/ann", {
    method: "POST",
    body: JSON.stringify({ value: [value] }),
  });

test("a genuine notification wakes its mailbox, and a mailbox that cannot be woken leads to 503 and a log line", async (context) => {
  const logged = context.mock.method(console, "error", () => {});
  const { woken, mailboxes } = objects("bob");
  const receive = async (mailbox, change) => {
    const clientState = await clientStateFor(SECRET, mailbox);
    const request = post({ subscriptionId: "s1", changeType: "updated", clientState, ...change });
    return (await receiveNotifications(request, { mailbox, mailboxes, secret: SECRET })).status;
  };
  assert.equal(await receive("ann"), 202);
  assert.equal(await receive("ann", { lifecycleEvent: "subscriptionRemoved" }), 202);
  assert.equal(await receive("ann", { clientState: "forged" }), 202);
  assert.equal(await receive("ann", { clientState: await clientStateFor(SECRET, "bob") }), 202);
  assert.deepEqual(woken, [
    ["ann", []],
    ["ann", ["s1"]],
  ]);
  assert.equal(logged.mock.callCount(), 0);
  assert.equal(await receive("bob"), 503);
  assert.match(logged.mock.calls[0].arguments[0].message, /overloaded/);
});

test("wrong options of receiveNotifications() are refused", async () => {
  const { mailboxes } = objects();
  for (const [options, message] of [
    [undefined, /^the mailbox of receiveNotifications\(\) must be a non-empty string, got undefined$/],
    [{ mailbox: "" }, /got an empty string$/],
    [{ mailbox: "ann" }, /^options.mailboxes of receiveNotifications\(\) must be a binding/],
    [{ mailbox: "ann", mailboxes }, /^the secret of receiveNotifications\(\) must be .* at least 32/],
    [{ mailbox: "ann", mailboxes, secret: "short" }, /got a string that is shorter$/],
    [
      { mailbox: "ann", mailboxes, secret: SECRET, foo: 1 },
      /^options.foo is not an option of receiveNotifications\(\): the options are mailbox, mailboxes, secret$/,
    ],
  ])
    await assert.rejects(receiveNotifications(post({}), options), badRequest(message));
});

test("the planning refuses a state without its numbers, and invalid limits and spreads", () => {
  const state = workers.NO_ROUNDS;
  const namespace = { getByName() {} };
  for (const [call, message] of [
    [
      () => workers.requestRound(),
      /^the state of requestRound\(\) must have the number requestedRounds, got undef/,
    ],
    [
      () => workers.beginRound({ ...state, failures: "1" }),
      /^the state of beginRound\(\) must .* failures, got a str/,
    ],
    [() => workers.continueRound({}), /^the state of continueRound\(\) must have the number requestedRounds/],
    [() => workers.endRound({}, { running: 1, complete: true }), /^the state of endRound\(\) must have/],
    [
      () => workers.failRound({ ...state, notBefore: null }),
      /^the state of failRound\(\) .* notBefore, got null/,
    ],
    [() => workers.isRoundDue({}), /^the state of isRoundDue\(\) must have/],
    [
      () => workers.roundDueAt({ ...state, notBefore: NaN }),
      /^the state of roundDueAt\(\) must have the number notBefore/,
    ],
    [
      () => workers.endRound(state),
      /^running of endRound\(\) must be a number of at least 0, got undefined$/,
    ],
    [() => workers.endRound(state, { running: 1, pause: NaN }), /^pause of endRound\(\) must be .* got NaN$/],
    [() => workers.beginRound(state, { backOff: "5 s" }), /^backOff of a round must be .* got a string$/],
    [
      () => workers.beginRound(state, { backoff: 5 }),
      /^options.backoff is not an option of beginRound\(\): the options are now, random, backOff$/,
    ],
    [
      () => workers.endRound(state, { running: 1, complete: true, pause: 1, backOf: 1 }),
      /^options.backOf is not an option of endRound\(\): the options are running, complete, pause, now$/,
    ],
    [() => workers.continueRound(state, { base: 5 }), /^options.base is not an option of continueRound\(\)/],
    [() => workers.failRound(state, undefined, 5), /^the options of failRound\(\) must be an object/],
    [() => workers.backOffTime(undefined, 1, { cap: 5 }), /^options.cap is not an option of backOffTime\(\)/],
    [
      () => workers.endRound(state, { running: 1, completed: true }),
      /^options.completed is not an option of endRound\(\)/,
    ],
    [() => workers.maySubscribe(state, { at: 1 }), /^options.at is not an option of maySubscribe\(\)/],
    [() => workers.alarmDueAt(state, {}, { at: 1 }), /^options.at is not an option of alarmDueAt\(\)/],
    [() => workers.dueAt("ann", { spred: 1 }), /^options.spred is not an option of dueAt\(\)/],
    [
      () => workers.mailboxList({ mailboxes: namespace, registries: namespace, shard: 4 }),
      /^options.shard is not an option of mailboxList\(\)/,
    ],
    [() => new workers.PermitBudget(0), /^the limit of PermitBudget must be a number of at least 1, got 0$/],
    [() => new workers.PermitBudget("10"), /^the limit of PermitBudget .* got a string$/],
    [() => new workers.PermitBudget(NaN), /^the limit of PermitBudget .* got NaN$/],
    [
      () => workers.shardOf("ann", 0),
      /^the number of shards of shardOf\(\) must be a whole number of at least 1, got 0$/,
    ],
    [
      () => workers.dueAt("ann", { spread: NaN }),
      /^options.spread of dueAt\(\) must be a number of .* got NaN$/,
    ],
  ])
    assert.throws(call, badRequest(message));
});

test("one object may have the options of all functions that plan rounds, or be null", () => {
  const timing = { backOff: 5000, pause: 1000, spread: 60_000, now: 1_000_000 };
  const begun = workers.beginRound(workers.requestRound(workers.NO_ROUNDS), timing);
  const ended = workers.endRound(begun, { running: 1, complete: true, ...timing });
  assert.equal(ended.notBefore, 1_001_000);
  assert.ok(workers.dueAt("ann", timing) >= 1_000_000);
  assert.ok(workers.failRound(ended, undefined, null).notBefore > 0);
});

test("the planning uses the clock and random numbers by default", () => {
  const before = Date.now();
  const begun = workers.beginRound(workers.requestRound(workers.NO_ROUNDS));
  const wait = begun.notBefore - before;
  assert.ok(wait >= 2500 && wait <= 5000 + Date.now() - before + 1, `${wait} ms`);
  assert.equal(workers.isRoundDue(begun), false);
  const ended = workers.endRound(begun, { running: 1, complete: true });
  assert.ok(ended.notBefore >= before + 2000 && ended.failures === 0);
  assert.ok(workers.alarmTime(0) > before && workers.alarmTime(8.64e15) <= Date.now() + 86_400_000);
  assert.ok(workers.alarmTime(NaN) > before);
  assert.equal(workers.alarmTime(before + 5000, before), before + 5000);
  const budget = new workers.PermitBudget(1);
  assert.ok(budget.acquire("ann") > before);
  assert.equal(budget.acquire("bob"), null);
  budget.release("ann");
  assert.deepEqual(
    budget.grant().map(({ mailbox }) => mailbox),
    ["bob"],
  );
  assert.ok(workers.dueAt("ann") >= before);
});
