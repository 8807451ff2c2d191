// The edge example in workerd, with Durable Objects, queues and cron, on a fake Graph.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { delayed, event, until } from "../wait.mjs";
import { PASSWORD, startEdge } from "./harness.mjs";

let edge;
afterEach(() => edge.stop());

test("1,000 notifications for 50 mailboxes run one round at a time for each, and no change is lost", async () => {
  edge = await startEdge({ options: { page_size: 2 }, pause: 500 });
  const people = await edge.addPeople(50, 3);
  await Promise.all(people.map((person) => edge.add(person)));
  await edge.untilQuiet(people);
  const before = edge.requests.length;
  await edge.world.clearLog();
  // Requests are slow, so that two rounds of a mailbox would overlap.
  edge.hooks.request = () => delayed(5);
  let sent = 0;
  let recorded = 0;
  const sender = async () => {
    while (sent < 1000) {
      const n = sent++;
      const person = people[(n * 17) % people.length];
      if (n % 5 === 0) {
        await edge.addRecording(person);
        recorded += 1;
      }
      const { status } = await edge.notify(person);
      assert.equal(status, 202);
      if (n % 250 === 100) await edge.tick();
    }
  };
  await Promise.all(Array.from({ length: 16 }, sender));
  await edge.untilQuiet(people);
  await until(async () => {
    const [listed, delivered] = [await edge.listed(people), edge.delivered(people)];
    const missing = people.filter((person) => listed[person].some((id) => !delivered[person].includes(id)));
    return !missing.length || `${missing.length} mailboxes lack changes`;
  });
  assert.equal(recorded, 200);
  assert.deepEqual(edge.delivered(people), await edge.listed(people));
  assert.deepEqual(
    people.filter((person) => edge.flights.get(person).most > 1),
    [],
    "no mailbox ran two rounds at a time",
  );
  const requests = edge.requests.slice(before);
  const rounds = (await edge.world.log()).filter(({ kind }) => kind === "delta");
  const most = Math.max(
    ...people.map(
      (person) => rounds.filter(({ url }) => decodeURIComponent(url).includes(`'${person}'`)).length,
    ),
  );
  const seconds = (requests.at(-1).at - requests[0].at) / 1000;
  assert.ok(
    most > 0 && most <= seconds / 0.5 + 2,
    `${most} rounds of a mailbox in ${seconds} s, with a pause of half a second between two`,
  );
  for (const { mailbox, lastError, items } of await edge.statuses()) {
    assert.equal(lastError, undefined, mailbox);
    assert.equal(items, (await edge.listed([mailbox]))[mailbox].length);
  }
  edge.note("1,000 notifications for 50 mailboxes");
  console.log(
    `storm: ${requests.length} requests to Graph for 1,000 notifications and 4 ticks in ${seconds.toFixed(1)} s, ${most} rounds of a mailbox at most`,
  );
});

test("a round continues at the unacknowledged page after an abort of its object and a restart of the Worker", async () => {
  edge = await startEdge({ options: { page_size: 2 }, acceptsBatch: () => true });
  const [person] = await edge.addPeople(1, 41);
  const hang = () => new Promise(() => {});
  /** The requests at which the object is aborted, or the Worker restarted. */
  const aborts = [1, 4, 11];
  const restarts = [5, 16];
  const interruptions = aborts.length + restarts.length;
  let interrupted = 0;
  edge.hooks.request = async (mailbox, nth) => {
    if (![...aborts, ...restarts].includes(nth)) return;
    interrupted += 1;
    if (restarts.includes(nth)) void edge.worker.restart();
    else await edge.worker.fetch(`/test/abort/${encodeURIComponent(mailbox)}`);
    await hang();
  };
  await edge.add(person);
  await until(async () => interrupted === interruptions || `interrupted ${interrupted} times`);
  await until(async () => {
    const [status] = await edge.statuses().catch(() => [{}]);
    return status?.phase === "current" || JSON.stringify(status);
  });
  assert.deepEqual(edge.delivered([person]), await edge.listed([person]));
  // Each interrupted page is requested again, and possibly the one requested ahead of it.
  const repeated = edge.requests.length - 21;
  assert.ok(
    interruptions <= repeated && repeated <= 2 * interruptions,
    `${repeated} repetitions after ${interruptions} interruptions`,
  );
  // A repeated page contains a new link to the next page.
  const links = new Set(edge.requests.map(({ url }) => url)).size;
  assert.ok(links <= 21 + interruptions, `${links} links`);
  // The page before the interrupted one may have reached the queue before its acknowledgement.
  const twice = edge.messages.length - 41;
  assert.ok(twice >= 0 && twice <= 2 * interruptions, `${twice} changes came twice, at two changes a page`);
  const [{ items, failures, phase }] = await edge.statuses();
  assert.deepEqual({ items, failures, phase }, { items: 41, failures: 0, phase: "current" });
  edge.note("three aborts of an object and two restarts of the Worker");
});

test("a registry that is aborted while it wakes mailboxes wakes the others afterwards", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const people = await edge.addPeople(60, 1);
  await Promise.all(people.map((person) => edge.add(person)));
  await edge.untilQuiet(people);
  for (const person of people) await edge.addRecording(person);
  let aborted = false;
  edge.hooks.request = async () => {
    if (aborted) return;
    aborted = true;
    await edge.worker.fetch("/test/abort");
  };
  await edge.tick();
  await until(async () => {
    const [listed, delivered] = [await edge.listed(people), edge.delivered(people)];
    const missing = people.filter((person) => delivered[person].length < listed[person].length);
    return !missing.length || `${missing.length} mailboxes were not woken`;
  });
  assert.ok(aborted);
  assert.deepEqual(edge.delivered(people), await edge.listed(people));
});

test("back-off survives a restart, for a mailbox that waits and for one that could not be woken", async () => {
  edge = await startEdge({ acceptsBatch: () => true, backoff: 600 });
  const [person] = await edge.addPeople(1, 2);
  await edge.world.token({ kind: "app", user: "flaky@contoso.example" });
  edge.hooks.request = () => ({ status: 503, headers: { "retry-after": "0" } });
  await edge.add(person);
  await edge.add("flaky@contoso.example");
  const status = async (name) => (await edge.statuses()).find(({ mailbox }) => mailbox === name);
  await until(
    async () =>
      ((await status(person)).phase === "failed" && (await status(person)).lastError.code === "network") ||
      "no failure",
  );
  const { failures, nextTry, lastError } = await status(person);
  assert.ok(failures >= 1 && nextTry >= lastError.at + 300, "the mailbox backs off");
  await edge.worker.restart();
  edge.hooks.request = () => {};
  await edge.untilQuiet([person, "flaky@contoso.example"]);
  assert.ok((await status(person)).lastSync >= nextTry, "not before the stored time");
  assert.deepEqual(edge.delivered([person]), await edge.listed([person]));

  // The alarm waits at least for Graph's Retry-After.
  edge.hooks.request = () => ({ status: 429, headers: { "retry-after": "90" } });
  const before = edge.requests.length;
  await edge.notify(person);
  await until(async () => (await status(person)).lastError?.code === "throttled" || "not throttled");
  assert.ok((await status(person)).nextTry > Date.now() + 80_000);
  await edge.notify(person);
  await edge.tick();
  assert.equal(
    edge.requests.slice(before).filter(({ mailbox }) => mailbox === person).length,
    1,
    "no request is sent earlier",
  );
});

test("a queue that refuses half of the batches loses no change, and a large item is sent by reference", async () => {
  const counts = { accepted: 0, refused: 0 };
  const acceptsBatch = (batch) => {
    assert.ok(batch.length <= 100, "at most 100 messages in a batch");
    const sizes = batch.map((message) => JSON.stringify(message).length);
    assert.ok(
      Math.max(...sizes) < 128_000 && sizes.reduce((sum, size) => sum + size) < 256_000,
      "the limits in bytes of a message and of a batch",
    );
    // Refuses five batches in a row, more than the attempts of one round.
    const accepts = (counts.accepted + counts.refused) % 10 >= 5;
    counts[accepts ? "accepted" : "refused"] += 1;
    return accepts;
  };
  edge = await startEdge({ options: { page_size: 4 }, acceptsBatch });
  const large = { content: "x".repeat(100_000) };
  const [person] = await edge.addPeople(1, 18, large);
  await edge.addRecording(person, { content: "\u4e2d".repeat(50_000) });
  await edge.add(person);
  await until(async () => {
    const [status] = await edge.statuses();
    return status?.phase === "current" || JSON.stringify(status);
  });
  assert.deepEqual(edge.delivered([person]), await edge.listed([person]));
  assert.ok(counts.refused >= 10, JSON.stringify(counts));
  const references = edge.messages.filter(({ reference }) => reference);
  assert.equal(new Set(references.map(({ id }) => id)).size, 1);
  assert.deepEqual(Object.keys(references[0]).sort(), ["id", "mailbox", "reference", "type"]);
  const item = await (
    await edge.worker.fetch(`/test/item/${person}?id=${encodeURIComponent(references[0].id)}`)
  ).json();
  assert.equal(item.content, "\u4e2d".repeat(50_000));
  edge.note("a queue that refuses half of the batches");
  assert.ok(
    edge.messages
      .filter((message) => message.item)
      .every((message) => message.item.content === large.content),
  );
});

test("the number of concurrent rounds is limited, and after a throttle of one mailbox all wait", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const most = Number(edge.bindings.ROUNDS_AT_ONCE);
  const people = await edge.addPeople(3 * most, 1);
  let [inFlight, maximum] = [0, 0];
  let limitReached = event();
  // Responds to no request before the limit of concurrent requests is reached, and then slowly:
  // a request beyond the limit would be sent meanwhile.
  edge.hooks.request = async () => {
    maximum = Math.max(maximum, ++inFlight);
    if (inFlight === most) limitReached.fire();
    await limitReached.fired;
    await delayed(150);
    inFlight -= 1;
  };
  await Promise.all(people.map((person) => edge.add(person)));
  await edge.untilQuiet(people);
  assert.equal(maximum, most, "after they were added");
  // Only rounds that began at the same time may have requested a token.
  assert.ok(edge.tokens >= 1 && edge.tokens <= most, `${edge.tokens} requests for a token`);
  const { tokens } = edge;

  for (const person of people) await edge.addRecording(person);
  maximum = 0;
  limitReached = event();
  await Promise.all(people.map((person) => edge.notify(person)));
  await edge.tick();
  const waitForMessages = (count) =>
    until(async () => edge.messages.length === count || `${edge.messages.length} messages`);
  await waitForMessages(2 * people.length);
  await edge.untilQuiet(people);
  assert.equal(maximum, most, "after notifications and a tick");

  for (const person of people) await edge.addRecording(person);
  const unthrottled = edge.hooks.request;
  let throttled;
  edge.hooks.request = async () => {
    if (throttled) return unthrottled();
    throttled = Date.now();
    return { status: 429, headers: { "retry-after": "11" } };
  };
  const before = edge.requests.length;
  const clock = performance.timeOrigin;
  await edge.tick();
  await waitForMessages(3 * people.length);
  await edge.untilQuiet(people);
  const at = edge.requests.slice(before).map((one) => clock + one.at - throttled);
  // Mailboxes that already had a permit may run.
  assert.ok(
    at.filter((ms) => ms < 11_000).length <= most,
    `${at.filter((ms) => ms < 11_000).length} requests`,
  );
  assert.ok(at.filter((ms) => ms >= 11_000).length >= 2 * most);
  assert.equal(edge.tokens, tokens);
});

test('the status page shows "now" as the next try of a mailbox that is overdue', async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [person] = await edge.addPeople(1, 1);
  edge.hooks.request = () => new Promise(() => {});
  await edge.add(person);
  const row =
    /<tr><td>person0@contoso\.example<\/td><td><span class="is \w+">[a-z ]+<\/span><\/td><td>–<\/td><td>now<\/td>/;
  // An overdue mailbox gets another try from time to time, so the state and the next try have to be
  // in one response.
  await until(async () => {
    const html = await (await edge.admin("/")).text();
    return row.test(html) || html.slice(html.indexOf("<tbody>"));
  });
});

test("forged notifications have no effect, and replayed ones only lead to more rounds", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [ann, bob] = await edge.addPeople(2, 2);
  for (const person of [ann, bob]) await edge.add(person);
  await edge.untilQuiet([ann, bob]);
  const before = {
    statuses: await edge.statuses(),
    requests: edge.requests.length,
    messages: edge.messages.length,
  };
  const genuine = edge.clientState(ann);
  const forged = [
    undefined,
    null,
    "",
    7,
    {},
    genuine.toUpperCase(),
    genuine.slice(1),
    `${genuine} `,
    `${genuine.slice(0, -1)}x`,
    edge.clientState(bob),
    "\u4e2d".repeat(64),
  ];
  const statuses = [];
  for (const clientState of forged) {
    statuses.push((await edge.notify(ann, { clientState })).status);
    for (const lifecycleEvent of ["missed", "subscriptionRemoved", "reauthorizationRequired"])
      await edge.notify(ann, { clientState, lifecycleEvent });
  }
  assert.deepEqual(
    [...new Set(statuses)],
    [202],
    "the response does not reveal whether a notification is genuine",
  );
  const raw = (body, path = "/notifications/person0%40contoso.example") =>
    edge.worker.fetch(path, { method: "POST", body });
  for (const body of ["", "{", "null", "[]", "7", '{"value":7}'])
    assert.equal((await raw(body)).status, 400, body);
  for (const body of ['{"value":[]}', '{"value":[null,7,"x"]}', `{"value":[{"clientState":"${genuine}"}]}`])
    assert.equal((await raw(body)).status, 202, body);
  assert.equal((await edge.worker.fetch("/notifications/x")).status, 405);
  assert.equal((await edge.worker.fetch("/notifications/%ff", { method: "POST" })).status, 401);
  assert.deepEqual(await edge.statuses(), before.statuses);
  assert.deepEqual([edge.requests.length, edge.messages.length], [before.requests, before.messages]);

  for (let n = 0; n < 20; n++) assert.equal((await edge.notify(ann)).status, 202);
  await edge.untilQuiet([ann, bob]);
  const [after, other] = await edge.statuses();
  assert.ok(
    after.requestedRounds > before.statuses[0].requestedRounds &&
      after.requestedRounds <= before.statuses[0].requestedRounds + 20,
  );
  assert.deepEqual(
    [after.items, after.sent, after.failures, edge.messages.length],
    [2, 2, 0, before.messages],
  );
  assert.deepEqual(other, before.statuses[1]);
  edge.note(`${4 * forged.length} forged and 20 replayed notifications`);

  // A notification for a mailbox that was removed.
  await edge.admin(`/mailboxes/${encodeURIComponent(bob)}`, "DELETE");
  const deleted = () => [...edge.subscriptions.values()].filter(({ gone }) => gone).length;
  await until(() => deleted() === 1 || `${deleted()} subscriptions are deleted`);
  const sentBefore = edge.requests.length;
  for (const lifecycleEvent of [undefined, "missed", "subscriptionRemoved"])
    assert.equal((await edge.notify(bob, { lifecycleEvent })).status, 202);
  await edge.tick();
  await edge.notify(ann);
  await edge.untilQuiet([ann]);
  assert.equal(edge.requests.slice(sentBefore).filter(({ mailbox }) => mailbox === bob).length, 0);
  assert.equal((await edge.worker.fetch(`/test/item/${bob}?id=x`)).status, 200);
});

test("subscriptions are validated, renewed when Graph requests it, and created again after their end", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [person] = await edge.addPeople(1, 2);
  edge.hooks.subscribe = false;
  await edge.add(person);
  await until(async () => (await edge.statuses())[0].subscribeFailures > 1 || "there was no second try");
  await edge.untilQuiet([person]);
  assert.match((await edge.statuses())[0].subscribeError, /403 Forbidden no subscriptions today/);
  edge.hooks.subscribe = true;
  const current = async () => {
    const [{ subscription, subscribeError, subscribeAt }] = await edge.statuses();
    return !subscribeError && subscription && subscribeAt > Date.now() ? subscription : undefined;
  };
  await until(async () => Boolean(await current()) || "no subscription");
  const [made] = edge.subscriptions.values();
  assert.equal(made.clientState, edge.clientState(person));
  assert.ok(made.clientState.length <= 128);
  assert.equal(made.resource, `users/${encodeURIComponent(person)}/onlineMeetings/getAllRecordings`);
  assert.equal(made.lifecycleNotificationUrl, made.notificationUrl);
  const [{ subscription, subscribeAt }] = await edge.statuses();
  const minutes = (subscription.expiresAt - Date.now()) / 60_000;
  assert.ok(minutes > 4300 && minutes <= 4320, `${minutes} minutes`);
  assert.ok(
    subscribeAt < subscription.expiresAt - 86_000_000,
    "the subscription is renewed a day before it ends",
  );

  await edge.notify(person, { subscriptionId: "another", lifecycleEvent: "reauthorizationRequired" });
  await edge.notify(person, { subscriptionId: made.id, lifecycleEvent: "reauthorizationRequired" });
  await until(async () => made.renewed > 0 || "not renewed");
  await until(async () => Boolean(await current()) || "not stored");
  assert.equal(made.renewed, 1);

  await edge.addRecording(person);
  await edge.notify(person, { subscriptionId: made.id, lifecycleEvent: "missed" });
  await until(async () => edge.messages.length === 3 || `${edge.messages.length} messages`);

  await edge.endSubscription(made);
  await edge.addRecording(person);
  await edge.notify(person, { subscriptionId: made.id, lifecycleEvent: "subscriptionRemoved" });
  await until(async () => edge.subscriptions.size === 2 || "there is no new subscription");
  await until(async () => (await current())?.id === edge.subscriptionOf(person).id || "not stored");
  await until(async () => edge.messages.length === 4 || `${edge.messages.length} messages`);
});

test("a changed notification secret or Worker address replaces the subscription", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const people = await edge.addPeople(2, 1);
  for (const person of people) await edge.add(person);
  await edge.untilQuiet(people);
  await until(
    async () => (await edge.statuses()).every(({ subscription }) => subscription) || "not subscribed",
  );
  const activeSubscriptions = () => [...edge.subscriptions.values()].filter(({ gone }) => !gone);
  const allAreStored = async () =>
    (await edge.statuses())
      .map(({ subscription }) => subscription.id)
      .sort()
      .join() ===
    activeSubscriptions()
      .map(({ id }) => id)
      .sort()
      .join();
  for (const [name, value] of [
    ["NOTIFICATION_SECRET", "another secret, which is long enough too"],
    ["PUBLIC_URL", "https://moved.example/"],
  ]) {
    const before = activeSubscriptions();
    // A mailbox that is aborted keeps its permit for minutes.
    await edge.untilQuiet(people);
    edge.bindings[name] = value;
    await edge.worker.restart();
    await edge.tick();
    await until(
      async () =>
        (before.every(({ gone }) => gone) && activeSubscriptions().length === 2 && (await allAreStored())) ||
        JSON.stringify(activeSubscriptions()),
    );
    assert.ok(before.every(({ renewed }) => renewed === 0));
    for (const { notificationUrl, clientState } of activeSubscriptions()) {
      const { origin, pathname } = new URL(notificationUrl);
      assert.equal(origin, edge.bindings.PUBLIC_URL.replace(/\/$/, ""));
      assert.equal(clientState, edge.clientState(decodeURIComponent(pathname.split("/").at(-1))));
    }
  }
  assert.equal(edge.subscriptions.size, 6);
  // A notification with the new secret.
  await edge.addRecording(people[0]);
  await edge.notify(people[0]);
  await until(async () => edge.messages.length === 3 || `${edge.messages.length} messages`);
  // Unchanged settings have no effect.
  await edge.tick();
  await edge.untilQuiet(people);
  assert.equal(edge.subscriptions.size, 6);
});

test("a subscription is not requested again before its Retry-After", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [person] = await edge.addPeople(1, 1);
  const status = async () => (await edge.statuses())[0];
  await edge.add(person);
  await edge.untilQuiet([person]);
  await until(async () => Boolean((await status()).subscription) || "no subscription");
  const { subscription } = await status();
  const [made] = edge.subscriptions.values();
  for (const after of ["600", new Date(Date.now() + 900_000).toUTCString()]) {
    if (after === "600") await edge.endSubscription(made);
    edge.hooks.subscribe = { status: 429, headers: { "retry-after": after } };
    const before = edge.subscriptionRequests.length;
    const floor = after === "600" ? Date.now() + 600_000 : Date.parse(after);
    await edge.notify(person, { subscriptionId: subscription.id, lifecycleEvent: "subscriptionRemoved" });
    await until(async () => (await status()).subscribeFailures > 0 || "not refused");
    assert.ok((await status()).subscribeAt >= floor - 2000, after);
    // A tick, a restart or a notification must not shorten the wait.
    await edge.tick();
    await edge.worker.restart();
    await edge.notify(person, { subscriptionId: subscription.id, lifecycleEvent: "subscriptionRemoved" });
    await edge.tick();
    await edge.untilQuiet([person]);
    assert.equal(edge.subscriptionRequests.length, before + 1);
    await edge.admin(`/mailboxes/${person}`, "DELETE");
    edge.hooks.subscribe = true;
    await edge.add(person);
    await edge.untilQuiet([person]);
    await until(async () => Boolean((await status()).subscription) || "no subscription");
    subscription.id = (await status()).subscription.id;
  }
});

test("a mailbox that is removed and added again during a round gets a new round at once", async () => {
  let refused = 0;
  let accepts = false;
  edge = await startEdge({ acceptsBatch: () => accepts || !++refused, options: { page_size: 2 } });
  const [person] = await edge.addPeople(1, 6);
  await edge.add(person);
  await until(async () => refused > 0 || "no batch was refused");
  assert.equal((await edge.admin(`/mailboxes/${person}`, "DELETE")).status, 204);
  await edge.add(person);
  accepts = true;
  // No tick or notification wakes the mailbox.
  await edge.untilQuiet([person]);
  assert.deepEqual(edge.delivered([person]), await edge.listed([person]));
});

test("names of mailboxes ignore case, and an unknown mailbox leads to 404", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [person] = await edge.addPeople(1, 1);
  await edge.add(person.toUpperCase());
  await edge.add(person);
  await edge.untilQuiet([person]);
  assert.deepEqual(
    (await edge.statuses()).map(({ mailbox }) => mailbox),
    [person],
  );
  assert.equal((await edge.admin("/mailboxes/nobody", "DELETE")).status, 404);
  assert.equal((await edge.admin(`/mailboxes/${person.toUpperCase()}`, "DELETE")).status, 204);
  assert.equal((await edge.admin(`/mailboxes/${person}`, "DELETE")).status, 404);
  assert.deepEqual(await edge.statuses(), []);
});

test("the consumer of the example reads the queue, and returns messages that it cannot read", async () => {
  edge = await startEdge({ ownConsumer: true });
  const [person] = await edge.addPeople(1, 2);
  await edge.addRecording(person, { content: "x".repeat(150_000) });
  await edge.add(person);
  const recordings = await edge.world.table("recordings", `?user=${encodeURIComponent(person)}`);
  const lines = () => edge.logs.filter((line) => line.startsWith("upsert "));
  await until(async () => lines().length === 3 || edge.logs.join("\n"));
  // The time shows that the consumer read the item that was too large for a message.
  assert.deepEqual(
    lines().sort(),
    recordings.map(({ id, createdDateTime }) => `upsert ${person} ${id} ${createdDateTime}`).sort(),
  );
  const worker = await edge.worker.miniflare.getWorker("worker");
  const message = (id, body) => ({ id, timestamp: new Date(), attempts: 1, body });
  const result = await worker.queue("graph-changes", [
    message("1", { mailbox: person, id: "a", type: "remove", reason: "deleted" }),
    message("2", null),
    message("3", { mailbox: person, id: "b", type: "upsert", reference: true }),
  ]);
  assert.equal(result.outcome, "ok");
  assert.deepEqual(
    [result.explicitAcks, result.retryMessages.map(({ msgId }) => msgId)],
    [["1", "3"], ["2"]],
  );
});

test("the status page requires the password and escapes what it shows", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [person] = await edge.addPeople(1, 3);
  for (const authorization of [
    undefined,
    "Basic",
    "Basic x",
    `Bearer ${PASSWORD}`,
    `Basic ${Buffer.from("admin:wrong").toString("base64")}`,
    `Basic ${Buffer.from(PASSWORD).toString("base64")}x`,
  ]) {
    const response = await edge.worker.fetch("/", { headers: authorization ? { authorization } : {} });
    assert.equal(response.status, 401, authorization);
  }
  assert.equal((await edge.worker.fetch(`/mailboxes/${person}`, { method: "PUT" })).status, 401);
  assert.match(await (await edge.admin("/")).text(), /No mailboxes yet/);
  await edge.add(person);
  await edge.add("<img src=x onerror=alert(1)>'@contoso.example");
  await until(async () => {
    const phases = (await edge.statuses()).map(({ phase }) => phase).sort();
    return phases.join() === "current,failed" || phases.join();
  });
  const response = await edge.admin("/");
  const html = await response.text();
  assert.match(response.headers.get("content-security-policy"), /^default-src 'none'; style-src 'sha256-/);
  assert.match(html, /2 mailboxes/);
  assert.match(html, /person0@contoso\.example<\/td><td><span class="is current">up to date/);
  assert.match(html, /<span class="is failed">failing/);
  assert.match(html, /<b>not-found<\/b>|<b>bad-request<\/b>|<b>network<\/b>/);
  assert.ok(!html.includes("<img"), "markup");
  assert.equal((await edge.admin("/nothing")).status, 404);
  assert.equal((await edge.admin(`/mailboxes/${person}`)).status, 405);
});
