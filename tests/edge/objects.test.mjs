// deltalink/durable-objects in workerd: a mailbox on its own, and the errors of wrong options. The
// tests of the edge example test the three classes together.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startFake } from "../fake.mjs";
import { until } from "../wait.mjs";
import { startWorker } from "./workerd.mjs";

let fake;
let world;
let worker;
/** What the Worker printed about failures. */
const failures = [];
/** What the mailboxes delivered, and the status with which the consumer responds. */
const delivered = [];
let status = 200;
before(async () => {
  fake = await startFake();
  world = await fake.world({ populate: { users: 5 }, options: { page_size: 2 } });
  const entry = new URL("objects-worker.mjs", import.meta.url).pathname;
  const options = {
    durableObjects: {
      MAILBOXES: { className: "Mailbox", useSQLite: true },
      BUDGET: { className: "Budget", useSQLite: true },
      PROBE: { className: "Probe", useSQLite: true },
    },
    bindings: { TOKEN: world.tokens.app, ENDPOINT: world.root },
    serviceBindings: {
      async END(request) {
        delivered.push(await request.json());
        return new Response(null, { status });
      },
    },
  };
  const handleStructuredLogs = ({ message }) => {
    if (message.startsWith("failure ")) failures.push(JSON.parse(message.slice("failure ".length)));
  };
  worker = await startWorker(entry, options, [], { handleStructuredLogs });
});
after(async () => {
  await worker.dispose();
  await fake.stop();
});

const call = async (method, mailbox, value) => {
  const query = value === undefined ? "" : `?${new URLSearchParams({ value })}`;
  return (await worker.fetch(`/${method}/${encodeURIComponent(mailbox)}${query}`)).json();
};
const untilCurrent = (mailbox) =>
  until(async () => {
    const found = await call("status", mailbox);
    return found.phase === "current" || JSON.stringify(found);
  });
const failuresOf = (name) => failures.filter(({ mailbox }) => mailbox === name);
const set = (name, value) => call("set", name, value);
const namesOf = (mailbox) => delivered.filter((one) => one.mailbox === mailbox).flatMap(({ names }) => names);

test("a mailbox without a budget, a registry and a subscription runs a round when it is woken", async () => {
  assert.equal((await call("status", "a")).phase, "new");
  await call("notify", "a");
  assert.equal((await call("status", "a")).requestedRounds, 0, "no notification before it has a name");
  await call("wake", "a", "a");
  await untilCurrent("a");
  const { items, sent, mailbox, subscribeError } = await call("status", "a");
  assert.deepEqual([items, sent, mailbox, subscribeError], [5, 5, "a", undefined]);
  assert.equal(new Set(namesOf("a")).size, 5);
  const [user] = await world.table("users");
  assert.equal(await call("nameOf", "a", user.id), user.displayName);
  assert.equal(await call("nameOf", "a", "nobody"), null);

  await world.edits({ collection: "users", op: "add", item: { displayName: "Ann" } });
  await call("notify", "a");
  await until(() => namesOf("a").includes("Ann") || "Ann is missing");
  await untilCurrent("a");
  assert.equal(namesOf("a").length, 6, "only the change");
});

test("a page whose changes were refused is delivered again, also if log() throws, and the status says why", async () => {
  status = 503;
  await call("wake", "b", "b");
  await until(async () => (await call("status", "b")).failures > 1 || "no second attempt");
  const { lastError, items, sent } = await call("status", "b");
  assert.deepEqual([lastError.code, lastError.message], ["deliver", "the consumer responded with 503"]);
  assert.deepEqual([items, sent], [undefined, 0]);
  const pages = delivered.filter(({ mailbox }) => mailbox === "b");
  assert.deepEqual(pages.at(-1), pages[0]);
  status = 200;
  await untilCurrent("b");
  assert.equal((await call("status", "b")).lastError, undefined);
  assert.equal(new Set(namesOf("b")).size, 6);
  await until(() => failures.length > 1 || "the failures were not logged");
  const [{ retryAt, ...failure }] = failures;
  assert.deepEqual(failure, { mailbox: "b", event: "deliver", message: "the consumer responded with 503" });
  assert.ok(Date.parse(retryAt) > 0);
  assert.deepEqual([...new Set(failures.map(({ event }) => event))], ["deliver"], "no alarm has failed");
});

test("a feed is delivered like a mirror, and its items cannot be read", async () => {
  await call("wake", "feed", "feed");
  await untilCurrent("feed");
  const { items, sent } = await call("status", "feed");
  assert.deepEqual([items, sent, new Set(namesOf("feed")).size], [undefined, 6, 6]);
  const [user] = await world.table("users");
  assert.equal(await call("nameOf", "feed", user.id), null);
});

test("an error before the round is in the status and in the log, and the mailbox backs off", async () => {
  for (const [name, code, message] of [
    ["throws", "bad-request", /^a mistake of the app$/],
    ["wrong", "bad-request", /^options.top is refused by Graph on user/],
    ["query of nothing", "bad-request", /^options.query of MailboxObject must return .* got undefined$/],
    ["query later", "bad-request", /^options.query of MailboxObject must return .* got a promise$/],
  ]) {
    await call("wake", name, name);
    await until(() => failuresOf(name).length > 0 || "not logged");
    assert.equal(failuresOf(name)[0].event, "open");
    assert.match(failuresOf(name)[0].message, message);
    const { lastError, failures: count } = await call("status", name);
    assert.equal(lastError.code, code);
    assert.match(lastError.message, message);
    assert.ok(count > 0);
    await call("remove", name);
  }
});

test("an error of subscription() is in the status and in the log, and the mailbox is polled", async () => {
  for (const [name, message] of [
    ["no resource", /options.subscription of MailboxObject must return a resource, .* got undefined$/],
    ["no address", /^there is no address$/],
  ]) {
    assert.equal(await call("wake", name, name), null);
    await untilCurrent(name);
    const { subscribeError, items } = await call("status", name);
    assert.match(subscribeError, message);
    assert.equal(items, 6);
    assert.deepEqual(
      failuresOf(name).map(({ event }) => event),
      ["subscription"],
    );
    await call("remove", name);
  }
});

test("no status and no log entry contains a token, a password or the parameters of a link", async () => {
  const printed = /^PUT https:\/\/…@b.example\/c… failed \(Authorization: Bearer … token=…$/;
  for (const name of ["secret in deliver", "secret in token", "secret in subscription"]) {
    await call("wake", name, name);
    await until(() => failuresOf(name).length > 0 || "not logged");
    const { lastError, subscribeError } = await call("status", name);
    for (const message of [
      lastError?.message ?? subscribeError,
      ...failuresOf(name).map((one) => one.message),
    ])
      assert.match(message, printed, name);
    const all = JSON.stringify([await call("status", name), failuresOf(name)]);
    assert.doesNotMatch(all, /SECRETSIG|eyJ|PASSWORD/, name);
    await call("remove", name);
  }
});

test("a token source with another account continues the same mirror", async () => {
  await call("wake", "new client", "new client");
  await untilCurrent("new client");
  await call("wake", "new client", "new client");
  await until(async () => (await call("status", "new client")).fulfilledRounds === 2 || "no second round");
  assert.equal(namesOf("new client").length, 6);
});

test("a budget that does not answer is in the status and in the log, and the mailbox asks again", async () => {
  for (const [name, message] of [
    ["budget down", /^the budget is overloaded$/],
    ["budget wrong", /does not implement the method "acquire"/],
  ]) {
    await set("budget", "down");
    await call("wake", name, name);
    await until(() => failuresOf(name).length > 1 || "not asked again");
    assert.deepEqual([...new Set(failuresOf(name).map(({ event }) => event))], ["budget"]);
    assert.match(failuresOf(name)[0].message, message);
    const { lastError, phase, nextTry } = await call("status", name);
    assert.deepEqual([lastError.code, phase], ["budget", "failed"]);
    assert.match(lastError.message, message);
    assert.ok(nextTry > 0);
  }
  await call("remove", "budget wrong");
  await set("budget", "up");
  await untilCurrent("budget down");
  assert.equal((await call("status", "budget down")).lastError, undefined);
});

test("a throttle of Graph reaches the budget if all mailboxes share a limit, one of the consumer never", async () => {
  for (const [name, isShared] of [
    ["throttled", false],
    ["throttled consumer", false],
    ["throttled for all", true],
  ]) {
    await call("wake", name, name);
    await until(async () => (await call("released", name)).length > 0 || "not released");
    assert.equal((await call("status", name)).lastError.code, "throttled", name);
    const [retryAt] = await call("released", name);
    assert.equal(retryAt > Date.now(), isShared, `${name}: ${retryAt}`);
  }
});

test("the signal of deliver() is aborted by remove() and at the end of the time for a round", async () => {
  for (const [name, message] of [
    ["slow", "this mailbox was removed"],
    ["late", "the time for the round, five minutes, is over"],
  ]) {
    await call("wake", name, name);
    await until(async () => (await call("get", name)) !== null || "it does not deliver");
    if (name === "slow") await call("remove", name);
    await until(
      async () => (await call("get", name)) === message || `${name}: ${await call("get", name)}`,
      8,
    );
  }
  await until(async () => (await call("status", "late")).lastError?.code === "deliver" || "no error");
  await call("remove", "late");
});

test("an alarm that cannot be set at the start of a round is an error of this round", async () => {
  await call("wake", "alarm fails", "alarm fails");
  await until(() => failuresOf("alarm fails").length > 0 || "not logged");
  const [{ event, message }] = failuresOf("alarm fails");
  assert.deepEqual([event, message], ["open", "the storage is overloaded"]);
  await untilCurrent("alarm fails");
});

test("a promise of log() that rejects is reported", async () => {
  await set("reported", "nothing");
  await call("wake", "log rejects", "log rejects");
  await until(async () => (await call("get", "reported")) === "a rejected log()" || call("get", "reported"));
  await untilCurrent("log rejects");
});

test("a removed mailbox is empty, ignores notifications, and begins from the start when it is woken again", async () => {
  await call("wake", "c", "c");
  await untilCurrent("c");
  await call("remove", "c");
  await call("notify", "c");
  const { phase, items, mailbox } = await call("status", "c");
  assert.deepEqual([phase, items, mailbox], ["new", undefined, undefined]);
  const [user] = await world.table("users");
  assert.equal(await call("nameOf", "c", user.id), null);
  await call("wake", "c", "c");
  await untilCurrent("c");
  assert.equal(namesOf("c").length, 12);
});

/** The ids of the subscriptions that Graph has. */
async function subscriptionIds() {
  const headers = { authorization: `Bearer ${world.tokens.app}` };
  const response = await fetch(`${world.root}/subscriptions`, { headers });
  return (await response.json()).value.map(({ id }) => id);
}
async function subscribedAndCurrent(name) {
  await call("wake", name, name);
  await untilCurrent(name);
  await until(async () => {
    const status = await call("status", name);
    return Boolean(status.subscription) || JSON.stringify(status);
  });
  return (await call("status", name)).subscription.id;
}
const untilEmpty = (name) =>
  until(async () => {
    const { keys, tables, alarm } = await call("stored", name);
    return (!keys.length && !tables.length && alarm === null) || JSON.stringify({ keys, tables, alarm });
  });

test("remove() deletes the mirror at once, and the subscription as soon as Graph does", async () => {
  const id = await subscribedAndCurrent("subscribed");
  await set("graph", "down");
  await call("remove", "subscribed");
  const { mailbox, phase, items } = await call("status", "subscribed");
  assert.deepEqual([mailbox, phase, items], [undefined, "new", undefined]);
  const { keys, tables } = await call("stored", "subscribed");
  assert.deepEqual([keys, tables], [["state"], []]);
  await until(() => failuresOf("subscribed").length > 1 || "no second attempt");
  assert.equal(failuresOf("subscribed")[0].event, "subscription");
  assert.match(failuresOf("subscribed")[0].message, /^Graph refused the subscription: 503 Busy not now$/);
  await call("remove", "subscribed");
  assert.ok((await subscriptionIds()).includes(id));
  await set("graph", "up");
  await untilEmpty("subscribed");
  assert.ok(!(await subscriptionIds()).includes(id));
});

test("a mailbox that is added again while its old subscription is deleted keeps its new one", async () => {
  const old = await subscribedAndCurrent("subscribed again");
  await set("graph", "down");
  await call("remove", "subscribed again");
  await call("wake", "subscribed again", "subscribed again");
  await untilCurrent("subscribed again");
  assert.equal(namesOf("subscribed again").length, 12);
  await set("graph", "up");
  const id = await subscribedAndCurrent("subscribed again");
  assert.notEqual(id, old);
  await until(async () => !(await subscriptionIds()).includes(old) || "the old one is left behind");
  await until(async () => !(await call("status", "subscribed again")).removing || "not stored");
  assert.ok((await subscriptionIds()).includes(id));
  assert.equal((await call("status", "subscribed again")).subscription.id, id);
  await call("remove", "subscribed again");
  await untilEmpty("subscribed again");
});

test("the subscription of a mailbox that is now only polled is deleted, by remove() or by the next alarm", async () => {
  for (const isRemoved of [true, false]) {
    const id = await subscribedAndCurrent("now polled");
    await set("polled", "yes");
    await call(isRemoved ? "remove" : "wake", "now polled", isRemoved ? undefined : "now polled");
    await until(async () => !(await subscriptionIds()).includes(id) || "it is left behind");
    await set("polled", "no");
  }
  await untilCurrent("now polled");
  assert.equal((await call("status", "now polled")).items, 6);
});

test("an expired subscription of a removed mailbox is not deleted, and nothing remains stored", async () => {
  await subscribedAndCurrent("subscribed briefly");
  await set("graph", "down");
  await call("remove", "subscribed briefly");
  await untilEmpty("subscribed briefly");
  await set("graph", "up");
});

test("a subscription is deleted after a restart", async () => {
  const id = await subscribedAndCurrent("subscribed to restart");
  await set("graph", "down");
  await call("remove", "subscribed to restart");
  assert.ok((await subscriptionIds()).includes(id));
  await worker.restart();
  await untilEmpty("subscribed to restart");
  assert.ok(!(await subscriptionIds()).includes(id));
});

test("wrong options of the three classes and an empty name are errors that say what is wrong", async () => {
  const { nothing, ...errors } = await (await worker.fetch("/errors")).json();
  assert.equal(nothing, null);
  const expected = {
    "no options": /^options.token of MailboxObject must be a function, got undefined$/,
    "no token": /^options.token of MailboxObject must be a function, got undefined$/,
    "a query that is not a function": /^options.query of MailboxObject must be a function, got a string$/,
    "no deliver": /^options.deliver of MailboxObject must be a function, got undefined$/,
    "a subscription that is not a function":
      /^options.subscription of MailboxObject must be .* got an object$/,
    "a log that is not a function": /^options.log of MailboxObject must be a function, got a boolean$/,
    "a budget that is a stub": /^options.budget of MailboxObject must be a binding of .* got a stub$/,
    "a budget that is a service": /^options.budget of MailboxObject must be a binding of .* got a \w+$/,
    "mailboxes that are a stub": /^options.mailboxes of BudgetObject must be a binding of .* got a stub$/,
    "no secret": /^options.secret of MailboxObject must be a string of at least 32 .* got undefined$/,
    "a short secret": /^options.secret of MailboxObject must be .* got a shorter string$/,
    "a typo": /^options.backoff is not an option of MailboxObject: the options are token, query, .*log$/,
    "a typo of a budget":
      /^options.rounds is not an option of BudgetObject: the options are mailboxes, pause, roundsAtOnce$/,
    "a shared limit alone": /^options.sharesLimit of MailboxObject needs options.budget, /,
    "a pause in words": /^options.pause of MailboxObject must be a number of at least 0, got a string$/,
    "no back-off": /^options.backOff of MailboxObject must be a number of at least 1, got 0$/,
    "no mailboxes": /^options.mailboxes of RegistryObject must be a binding .* got undefined$/,
    "no registries": /^options.registries of RegistryObject must be a binding .* got undefined$/,
    "a negative spread": /^options.spread of RegistryObject must be a number of at least 0, got -1$/,
    "no mailboxes of a budget": /^options.mailboxes of BudgetObject must be a binding .* got undefined$/,
    "no rounds at once": /^options.roundsAtOnce of BudgetObject must be a number of at least 1, got 0$/,
    "a pause that is not a number": /^options.pause of BudgetObject must be a number of .* got NaN$/,
  };
  assert.deepEqual(Object.keys(errors).sort(), Object.keys(expected).sort());
  for (const [name, error] of Object.entries(errors)) {
    assert.deepEqual([error?.name, error?.code], ["DeltaError", "bad-request"], name);
    assert.match(error.message, expected[name]);
  }
  const { error } = await call("wake", "d", "");
  assert.match(error, /the mailbox of wake\(\) must be a non-empty string, got an empty string$/);
  const { error: other } = await call("wake", "d", "e");
  assert.match(other, /the mailbox of wake\(\) must be the name of its object: /);
});
