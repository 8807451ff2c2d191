// The settings of the edge example: the number of registries, the resource, and its log; and its
// budget, aborted and exhausted.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { event, until } from "../wait.mjs";
import { startEdge } from "./harness.mjs";

let edge;
afterEach(() => edge.stop());

/** Where the registries list a mailbox: whether in its home, and in how many. */
const listing = async (name) => (await edge.worker.fetch(`/test/home/${encodeURIComponent(name)}`)).json();
const inOrder = (rows) => rows.map(({ mailbox }) => mailbox);

test("the list is spread over the registries, and no mailbox is lost when their number grows", async () => {
  edge = await startEdge({ acceptsBatch: () => true, settings: { SHARDS: "2" } });
  const people = await edge.addPeople(24, 1);
  await Promise.all(people.map((person) => edge.add(person)));
  await edge.untilQuiet(people);
  assert.deepEqual(inOrder(await edge.statuses()), [...people].sort());

  edge.bindings.SHARDS = "7";
  await edge.worker.restart();
  const where = await Promise.all(people.map(listing));
  assert.ok(where.every(({ count }) => count === 1));
  const strayed = people.filter((_, n) => !where[n].home);
  assert.ok(strayed.length > 4, `${strayed.length} mailboxes have another home`);
  // One is removed, and one added again, before they are moved.
  const [removed, again, ...others] = strayed;
  assert.equal((await edge.admin(`/mailboxes/${removed}`, "DELETE")).status, 204);
  assert.equal((await edge.admin(`/mailboxes/${removed}`, "DELETE")).status, 404);
  assert.equal((await edge.add(again)).status, 204);
  const left = people.filter((person) => person !== removed);
  assert.deepEqual(inOrder(await edge.statuses()), [...left].sort(), "no mailbox is shown twice");

  for (const person of others) await edge.addRecording(person);
  await edge.tick();
  await until(async () => {
    const all = await Promise.all(left.map(listing));
    return all.every(({ home, count }) => home && count === 1) || JSON.stringify(all);
  });
  assert.deepEqual(await listing(removed), { home: false, count: 0 });
  await edge.untilQuiet(left);
  await until(async () => {
    const delivered = edge.delivered(others);
    return others.every((person) => delivered[person].length === 2) || "a moved mailbox was not woken";
  });
  assert.deepEqual(inOrder(await edge.statuses()), [...left].sort());
  const { count } = await (await edge.admin("/status.json")).json();
  assert.equal(count, left.length);
});

test("with an empty GRAPH_ENDPOINT, as in wrangler.jsonc, a mailbox starts", async () => {
  edge = await startEdge({ acceptsBatch: () => true, settings: { GRAPH_ENDPOINT: "" } });
  // Without a token, nothing is sent to Graph.
  edge.hooks.token = async () => ({ status: 400 });
  const [ann] = await edge.addPeople(1, 1);
  await edge.add(ann);
  await until(async () => {
    const [{ lastError }] = await edge.statuses();
    return lastError?.code === "unauthorized" || JSON.stringify(lastError);
  });
});

test("a budget that is aborted keeps the permits and the places of those that wait", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const most = Number(edge.bindings.ROUNDS_AT_ONCE);
  const people = await edge.addPeople(3 * most, 1);
  const queued = async () => (await edge.worker.fetch("/test/queued")).json();
  const released = event();
  let [inFlight, seen] = [0, 0];
  edge.hooks.request = async () => {
    seen = Math.max(seen, ++inFlight);
    await released.fired;
    inFlight -= 1;
  };
  await Promise.all(people.map((person) => edge.add(person)));
  const allWait = async () =>
    ((await queued()) === people.length && inFlight === most) ||
    `${await queued()} have asked for a permit, ${inFlight} requests are in flight`;
  await until(allWait);
  await edge.worker.fetch("/test/abort/budget");
  await until(allWait);
  released.fire();
  await edge.untilQuiet(people);
  assert.equal(seen, most);
  assert.deepEqual(edge.delivered(people), await edge.listed(people));
  edge.note("the budget aborted while 20 mailboxes wait");
});

test("a mailbox that waits for a permit renews its subscription, at its time or at Graph's request", async () => {
  edge = await startEdge({ acceptsBatch: () => true, settings: { ROUNDS_AT_ONCE: "1" } });
  const people = await edge.addPeople(2, 1);
  const [busy, waiting] = people;
  for (const person of people) await edge.add(person);
  await edge.untilQuiet(people);
  await until(
    async () => (await edge.statuses()).every(({ subscription }) => subscription) || "no subscription",
  );
  const [begun, released] = [event(), event()];
  edge.hooks.request = async () => {
    begun.fire();
    await released.fired;
  };
  await edge.addRecording(waiting);
  await edge.notify(busy);
  await begun.fired;
  await edge.notify(waiting);
  const queued = async () => (await edge.worker.fetch("/test/queued")).json();
  await until(async () => (await queued()) === 2 || `${await queued()} have asked for the only permit`);

  const made = edge.subscriptionOf(waiting);
  await edge.notify(waiting, { lifecycleEvent: "reauthorizationRequired" });
  await until(() => made.renewed === 1 || "not renewed at Graph's request");
  const renewAt = async () => (await edge.statuses()).find(({ mailbox }) => mailbox === waiting).subscribeAt;
  await until(async () => (await renewAt()) > Date.now() || "the renewal is not stored");
  const query = new URLSearchParams({ changes: JSON.stringify({ subscribeAt: Date.now() }) });
  await edge.worker.fetch(`/test/state/${waiting}?${query}`);
  await edge.worker.fetch(`/test/abort/${waiting}`);
  await edge.notify(waiting);
  await until(() => made.renewed === 2 || "not renewed at its time");
  assert.deepEqual([await queued(), edge.messages.length], [2, 2], "it still waits");
  released.fire();
  await edge.untilQuiet(people);
  assert.deepEqual(edge.delivered(people), await edge.listed(people));
});

test("the same Worker mirrors calendars by one setting, with their own subscription", async () => {
  edge = await startEdge({ acceptsBatch: () => true, settings: { RESOURCE: "calendars" } });
  const user = "ann@contoso.example";
  await edge.world.token({ kind: "app", user });
  const at = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString();
  const add = (subject) =>
    edge.world.edits({
      collection: "events",
      op: "add",
      user,
      item: { subject, start: at(24), end: at(25) },
    });
  await add("one");
  await edge.add(user);
  await edge.untilQuiet([user]);
  await until(async () => Boolean((await edge.statuses())[0].subscription) || "no subscription");
  const [{ resource, changeType, expirationDateTime }] = edge.subscriptions.values();
  assert.deepEqual(
    [resource, changeType],
    [`users/${encodeURIComponent(user)}/events`, "created,updated,deleted"],
  );
  const days = (Date.parse(expirationDateTime) - Date.now()) / 86_400_000;
  assert.ok(days > 6.9 && days < 7, `${days} days`);
  await add("two");
  assert.equal((await edge.notify(user)).status, 202);
  await until(async () => {
    const subjects = edge.messages.map(({ mailbox, item }) => `${mailbox} ${item?.subject}`);
    return subjects.join() === `${user} one,${user} two` || subjects.join();
  });
});

test("the same Worker mirrors the users of tenants by one setting", async () => {
  edge = await startEdge({ acceptsBatch: () => true, settings: { RESOURCE: "users" } });
  const tenant = "contoso.onmicrosoft.com";
  await edge.world.edits({ collection: "users", op: "add", item: { displayName: "Ann" } });
  await edge.add(tenant);
  await edge.untilQuiet([tenant]);
  await until(async () => Boolean((await edge.statuses())[0].subscription) || "no subscription");
  const [{ resource, changeType }] = edge.subscriptions.values();
  assert.deepEqual([resource, changeType], ["users", "updated,deleted"]);
  assert.ok(edge.messages.some(({ mailbox, item }) => mailbox === tenant && item.displayName === "Ann"));
});

test("with an unknown resource a request gets 500, and the response names the choices", async () => {
  edge = await startEdge({ acceptsBatch: () => true, settings: { RESOURCE: "planets" } });
  const response = await edge.admin("/");
  assert.equal(response.status, 500);
  assert.match(await response.text(), /^RESOURCE must be one of recordings, calendars, users/);
});

test("each round is one structured line in the log, without a token or a link", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [person] = await edge.addPeople(1, 3);
  await edge.add(person);
  await edge.untilQuiet([person]);
  const rounds = () => edge.logs.filter((line) => line.includes("round"));
  await until(() => rounds().length > 0 || edge.logs.join("\n"));
  const [line] = rounds();
  for (const part of ["event: 'round'", `mailbox: '${person}'`, "outcome: 'complete'", "added: 3"])
    assert.ok(line.includes(part), line);
  assert.ok(!line.includes(edge.world.tokens.app) && !/https?:/.test(line), line);
});
