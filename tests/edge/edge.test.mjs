// The edge example in real workerd: Durable Objects, queues, cron, on a fake Graph.
import assert from "node:assert/strict";
import { request } from "node:http";
import { afterEach, test } from "node:test";
import { delayed, event, until } from "../wait.mjs";
import { PASSWORD, startEdge } from "./harness.mjs";

let edge;
afterEach(() => edge.stop());

test("a storm of 1,000 notifications for 50 mailboxes leads to one round at a time each, and loses no change", async () => {
  edge = await startEdge({ options: { page_size: 2 }, pause: 500 });
  const people = await edge.people(50, 3);
  await Promise.all(people.map((person) => edge.add(person)));
  await edge.quiet(people);
  const before = edge.requests.length;
  await edge.world.clearLog();
  // Requests take a while, so that two rounds at a time would be seen.
  edge.hooks.request = () => delayed(5);
  let sent = 0;
  let recorded = 0;
  const sender = async () => {
    while (sent < 1000) {
      const n = sent++;
      const person = people[(n * 17) % people.length];
      if (n % 5 === 0) {
        await edge.record(person);
        recorded += 1;
      }
      const { status } = await edge.notify(person);
      assert.equal(status, 202);
      if (n % 250 === 100) await edge.tick();
    }
  };
  await Promise.all(Array.from({ length: 16 }, sender));
  await edge.quiet(people);
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
    "mailboxes with two rounds at a time",
  );
  const asked = edge.requests.slice(before);
  const rounds = (await edge.world.log()).filter(({ kind }) => kind === "delta");
  const most = Math.max(
    ...people.map(
      (person) => rounds.filter(({ url }) => decodeURIComponent(url).includes(`'${person}'`)).length,
    ),
  );
  const seconds = (asked.at(-1).at - asked[0].at) / 1000;
  assert.ok(
    most > 0 && most <= seconds / 0.5 + 2,
    `${most} rounds of a mailbox in ${seconds} s, with a pause of half a second between two`,
  );
  for (const { mailbox, lastError, items } of await edge.statuses()) {
    assert.equal(lastError, undefined, mailbox);
    assert.equal(items, (await edge.listed([mailbox]))[mailbox].length);
  }
  console.log(
    `storm: ${asked.length} requests to Graph for 1,000 notifications and 4 ticks in ${seconds.toFixed(1)} s, ${most} rounds of a mailbox at most`,
  );
});

test("an object aborted and a Worker restarted in the middle of a round go on at the page that was not acknowledged", async () => {
  edge = await startEdge({ options: { page_size: 2 }, choosy: () => true });
  const [person] = await edge.people(1, 41);
  const hang = () => new Promise(() => {});
  const cuts = [1, 4, 5, 11, 16];
  let cut = 0;
  edge.hooks.request = async (mailbox, nth) => {
    if (!cuts.includes(nth)) return;
    cut += 1;
    if (nth === 5 || nth === 16) void edge.worker.restart();
    else await edge.worker.fetch(`/door/abort/${encodeURIComponent(mailbox)}`);
    await hang();
  };
  await edge.add(person);
  await until(async () => cut === cuts.length || `cut off ${cut} times`);
  await until(async () => {
    const [status] = await edge.statuses().catch(() => [{}]);
    return status?.phase === "current" || JSON.stringify(status);
  });
  assert.deepEqual(edge.delivered([person]), await edge.listed([person]));
  // 21 pages, and each that was cut off once more.
  assert.equal(edge.requests.length, 21 + cuts.length);
  assert.equal(new Set(edge.requests.map(({ url }) => url)).size, 21);
  assert.equal(edge.messages.length, 41, "no change came twice: none of these pages had reached the queue");
  const [{ items, failures, phase }] = await edge.statuses();
  assert.deepEqual({ items, failures, phase }, { items: 41, failures: 0, phase: "current" });
});

test("a registry aborted in the middle of its fan-out wakes the others all the same", async () => {
  edge = await startEdge({ choosy: () => true });
  const people = await edge.people(60, 1);
  await Promise.all(people.map((person) => edge.add(person)));
  await edge.quiet(people);
  for (const person of people) await edge.record(person);
  let aborted = false;
  edge.hooks.request = async () => {
    if (aborted) return;
    aborted = true;
    await edge.worker.fetch("/door/abort");
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

test("back-off survives a restart: nobody has to wake a mailbox that waits, or one that could not be woken", async () => {
  edge = await startEdge({ choosy: () => true, backoff: 600 });
  const [person] = await edge.people(1, 2);
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
  assert.ok(failures >= 1 && nextTry >= lastError.at + 300, "it waits");
  await edge.worker.restart();
  edge.hooks.request = () => {};
  await edge.quiet([person, "flaky@contoso.example"]);
  assert.ok((await status(person)).lastSync >= nextTry, "not before its time");
  assert.deepEqual(edge.delivered([person]), await edge.listed([person]));

  // What Graph asks for is a floor, and the alarm's to wait for.
  edge.hooks.request = () => ({ status: 429, headers: { "retry-after": "90" } });
  const asked = edge.requests.length;
  await edge.notify(person);
  await until(async () => (await status(person)).lastError?.code === "throttled" || "not throttled");
  assert.ok((await status(person)).nextTry > Date.now() + 80_000);
  await edge.notify(person);
  await edge.tick();
  assert.equal(
    edge.requests.slice(asked).filter(({ mailbox }) => mailbox === person).length,
    1,
    "nobody asks sooner",
  );
});

test("a queue that refuses half of the batches loses nothing, and what is too large goes by reference", async () => {
  const counts = { taken: 0, refused: 0 };
  const choosy = (batch) => {
    assert.ok(batch.length <= 100, "messages of a batch");
    const sizes = batch.map((message) => JSON.stringify(message).length);
    assert.ok(
      Math.max(...sizes) < 128_000 && sizes.reduce((sum, size) => sum + size) < 256_000,
      "bytes of messages, and of a batch",
    );
    // Five in a row: more than a round tries by itself.
    const take = (counts.taken + counts.refused) % 10 >= 5;
    counts[take ? "taken" : "refused"] += 1;
    return take;
  };
  edge = await startEdge({ options: { page_size: 4 }, choosy });
  const large = { content: "x".repeat(100_000) };
  const [person] = await edge.people(1, 18, large);
  await edge.record(person, { content: "\u4e2d".repeat(50_000) });
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
    await edge.worker.fetch(`/door/item/${person}?id=${encodeURIComponent(references[0].id)}`)
  ).json();
  assert.equal(item.content, "\u4e2d".repeat(50_000));
  assert.ok(
    edge.messages
      .filter((message) => message.item)
      .every((message) => message.item.content === large.content),
  );
});

test("so many rounds run at once and no more, and when Graph throttles one the others wait as long", async () => {
  edge = await startEdge({ choosy: () => true });
  const most = Number(edge.bindings.ROUNDS_AT_ONCE);
  const people = await edge.people(3 * most, 1);
  let [now, seen] = [0, 0];
  let full = event();
  // No request is answered before as many are under way as may be. Then the answers still take a
  // while, in which one too many would begin.
  edge.hooks.request = async () => {
    seen = Math.max(seen, ++now);
    if (now === most) full.fire();
    await full.fired;
    await delayed(150);
    now -= 1;
  };
  await Promise.all(people.map((person) => edge.add(person)));
  await edge.quiet(people);
  assert.equal(seen, most, "when they are added");
  // Each of those that began at once may have asked, and nobody after them.
  assert.ok(edge.tokens >= 1 && edge.tokens <= most, `${edge.tokens} requests for a token`);
  const { tokens } = edge;

  for (const person of people) await edge.record(person);
  seen = 0;
  full = event();
  await Promise.all(people.map((person) => edge.notify(person)));
  await edge.tick();
  const sent = (count) =>
    until(async () => edge.messages.length === count || `${edge.messages.length} messages`);
  await sent(2 * people.length);
  await edge.quiet(people);
  assert.equal(seen, most, "by notifications and a tick");

  for (const person of people) await edge.record(person);
  const under = edge.hooks.request;
  let throttled;
  edge.hooks.request = async () => {
    if (throttled) return under();
    throttled = Date.now();
    return { status: 429, headers: { "retry-after": "11" } };
  };
  const before = edge.requests.length;
  const clock = performance.timeOrigin;
  await edge.tick();
  await sent(3 * people.length);
  await edge.quiet(people);
  const at = edge.requests.slice(before).map((one) => clock + one.at - throttled);
  // Those whose turn it was already have theirs.
  assert.ok(
    at.filter((ms) => ms < 11_000).length <= most,
    `${at.filter((ms) => ms < 11_000).length} requests`,
  );
  assert.ok(at.filter((ms) => ms >= 11_000).length >= 2 * most);
  assert.equal(edge.tokens, tokens);
});

test("a mailbox that is due is tried now, says the status page, however long it has been", async () => {
  edge = await startEdge({ choosy: () => true });
  const [person] = await edge.people(1, 1);
  edge.hooks.request = () => new Promise(() => {});
  await edge.add(person);
  await until(async () => {
    const [{ nextTry }] = await edge.statuses();
    return nextTry < Date.now() - 2000 || `next try at ${nextTry}`;
  });
  const html = await (await edge.admin("/")).text();
  assert.match(
    html,
    /<tr><td>person0@contoso\.example<\/td><td><span class="is \w+">[a-z ]+<\/span><\/td><td>–<\/td><td>now<\/td>/,
  );
});

test("forged notifications change nothing, and replayed ones change nothing but the number of rounds", async () => {
  edge = await startEdge({ choosy: () => true });
  const [ann, bob] = await edge.people(2, 2);
  for (const person of [ann, bob]) await edge.add(person);
  await edge.quiet([ann, bob]);
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
  const answers = [];
  for (const clientState of forged) {
    answers.push((await edge.notify(ann, { clientState })).status);
    for (const lifecycleEvent of ["missed", "subscriptionRemoved", "reauthorizationRequired"])
      await edge.notify(ann, { clientState, lifecycleEvent, subscriptionId: "subscription 1" });
  }
  assert.deepEqual([...new Set(answers)], [202], "the answer tells nothing");
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
  await edge.quiet([ann, bob]);
  const [after, other] = await edge.statuses();
  assert.ok(after.wanted > before.statuses[0].wanted && after.wanted <= before.statuses[0].wanted + 20);
  assert.deepEqual(
    [after.items, after.sent, after.failures, edge.messages.length],
    [2, 2, 0, before.messages],
  );
  assert.deepEqual(other, before.statuses[1]);

  // Of a mailbox that nobody watches any more.
  await edge.admin(`/mailboxes/${encodeURIComponent(bob)}`, "DELETE");
  assert.equal([...edge.subscriptions.values()].filter(({ gone }) => gone).length, 1);
  const asked = edge.requests.length;
  for (const lifecycleEvent of [undefined, "missed", "subscriptionRemoved"])
    assert.equal((await edge.notify(bob, { lifecycleEvent })).status, 202);
  await edge.tick();
  await edge.notify(ann);
  await edge.quiet([ann]);
  assert.equal(edge.requests.slice(asked).filter(({ mailbox }) => mailbox === bob).length, 0);
  assert.equal((await edge.worker.fetch(`/door/item/${bob}?id=x`)).status, 200);
});

test("subscriptions are validated, renewed when Graph asks for it, and made anew when they are gone", async () => {
  edge = await startEdge({ choosy: () => true });
  const [person] = await edge.people(1, 2);
  edge.hooks.subscribe = false;
  await edge.add(person);
  await until(async () => (await edge.statuses())[0].subscribeFailures > 1 || "no second try");
  await edge.quiet([person]);
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
  const minutes = (subscription.expires - Date.now()) / 60_000;
  assert.ok(minutes > 4300 && minutes <= 4320, `${minutes} minutes`);
  assert.ok(subscribeAt < subscription.expires - 86_000_000, "renewed a day before its end");

  await edge.notify(person, { subscriptionId: "another", lifecycleEvent: "reauthorizationRequired" });
  await edge.notify(person, { subscriptionId: made.id, lifecycleEvent: "reauthorizationRequired" });
  await until(async () => made.renewed > 0 || "not renewed");
  await until(async () => Boolean(await current()) || "not noted");
  assert.equal(made.renewed, 1);

  await edge.record(person);
  await edge.notify(person, { subscriptionId: made.id, lifecycleEvent: "missed" });
  await until(async () => edge.messages.length === 3 || `${edge.messages.length} messages`);

  made.gone = true;
  await edge.record(person);
  await edge.notify(person, { subscriptionId: made.id, lifecycleEvent: "subscriptionRemoved" });
  await until(async () => edge.subscriptions.size === 2 || "no new one");
  await until(async () => (await current())?.id === "subscription 2" || "not noted");
  await until(async () => edge.messages.length === 4 || `${edge.messages.length} messages`);
});

test("a new secret of notifications or address of the Worker is a new subscription, and the old one is ended", async () => {
  edge = await startEdge({ choosy: () => true });
  const people = await edge.people(2, 1);
  for (const person of people) await edge.add(person);
  await edge.quiet(people);
  await until(
    async () => (await edge.statuses()).every(({ subscription }) => subscription) || "not subscribed",
  );
  const living = () => [...edge.subscriptions.values()].filter(({ gone }) => !gone);
  const noted = async () =>
    (await edge.statuses())
      .map(({ subscription }) => subscription.id)
      .sort()
      .join() ===
    living()
      .map(({ id }) => id)
      .sort()
      .join();
  for (const [name, value] of [
    ["NOTIFICATION_SECRET", "another secret, which is long enough too"],
    ["PUBLIC_URL", "https://moved.example/"],
  ]) {
    const before = living();
    // A mailbox that is cut off in its turn has it to the end, which is minutes.
    await edge.quiet(people);
    edge.bindings[name] = value;
    await edge.worker.restart();
    await edge.tick();
    await until(
      async () =>
        (before.every(({ gone }) => gone) && living().length === 2 && (await noted())) ||
        JSON.stringify(living()),
    );
    assert.ok(before.every(({ renewed }) => renewed === 0));
    for (const { notificationUrl, clientState } of living()) {
      const { origin, pathname } = new URL(notificationUrl);
      assert.equal(origin, edge.bindings.PUBLIC_URL.replace(/\/$/, ""));
      assert.equal(clientState, edge.clientState(decodeURIComponent(pathname.split("/").at(-1))));
    }
  }
  assert.equal(edge.subscriptions.size, 6);
  // As Graph sends it now.
  await edge.record(people[0]);
  await edge.notify(people[0]);
  await until(async () => edge.messages.length === 3 || `${edge.messages.length} messages`);
  // Settings that stayed lead to nothing.
  await edge.tick();
  await edge.quiet(people);
  assert.equal(edge.subscriptions.size, 6);
});

test("what Graph asks for before the next try of a subscription is a floor", async () => {
  edge = await startEdge({ choosy: () => true });
  const [person] = await edge.people(1, 1);
  const status = async () => (await edge.statuses())[0];
  await edge.add(person);
  await edge.quiet([person]);
  await until(async () => Boolean((await status()).subscription) || "no subscription");
  const { subscription } = await status();
  const [made] = edge.subscriptions.values();
  for (const after of ["600", new Date(Date.now() + 900_000).toUTCString()]) {
    made.gone = after === "600";
    edge.hooks.subscribe = { status: 429, headers: { "retry-after": after } };
    const asked = edge.asked.length;
    const floor = after === "600" ? Date.now() + 600_000 : Date.parse(after);
    await edge.notify(person, { subscriptionId: subscription.id, lifecycleEvent: "subscriptionRemoved" });
    await until(async () => (await status()).subscribeFailures > 0 || "not refused");
    assert.ok((await status()).subscribeAt >= floor - 2000, after);
    // Neither a tick, nor a restart, nor a notification makes it sooner.
    await edge.tick();
    await edge.worker.restart();
    await edge.notify(person, { subscriptionId: subscription.id, lifecycleEvent: "subscriptionRemoved" });
    await edge.tick();
    await edge.quiet([person]);
    assert.equal(edge.asked.length, asked + 1);
    await edge.admin(`/mailboxes/${person}`, "DELETE");
    edge.hooks.subscribe = true;
    await edge.add(person);
    await edge.quiet([person]);
    await until(async () => Boolean((await status()).subscription) || "no subscription");
    subscription.id = (await status()).subscription.id;
  }
});

test("a body of five megabytes is refused, whether its length is told or not", async () => {
  edge = await startEdge({ choosy: () => true });
  const url = new URL("/notifications/x", await edge.worker.miniflare.ready);
  const text = (megabytes) => Buffer.from(`{"value":["${"x".repeat(megabytes * 2 ** 20)}"]}`);
  /**
   * Sends `body`, and ends the request only if `ends`: a server that refuses does not read what
   * would still come.
   */
  const post = (body, { ends = true, headers = {} } = {}) =>
    new Promise((resolve, reject) => {
      const sending = request(url, { method: "POST", headers }, (response) => {
        resolve(response.statusCode);
        sending.destroy();
      });
      sending.on("error", reject);
      sending.write(body);
      if (ends) sending.end();
    });
  const small = text(3.75);
  // The last byte is one too many.
  const large = text(4).subarray(0, 4 * 2 ** 20 + 1);
  assert.equal(await post(large, { ends: false, headers: { "content-length": 5 * 2 ** 20 } }), 413, "told");
  assert.equal(
    await post(small, { headers: { "content-length": small.length } }),
    202,
    "told, and small enough",
  );
  assert.equal(await post(large, { ends: false }), 413, "in chunks");
  assert.equal(await post(small), 202, "in chunks, and small enough");
});

test("a mailbox that is removed and added again in the middle of a round has its round at once", async () => {
  let refused = 0;
  let takes = false;
  edge = await startEdge({ choosy: () => takes || !++refused, options: { page_size: 2 } });
  const [person] = await edge.people(1, 6);
  await edge.add(person);
  await until(async () => refused > 0 || "nothing was sent");
  assert.equal((await edge.admin(`/mailboxes/${person}`, "DELETE")).status, 204);
  await edge.add(person);
  takes = true;
  // Nobody else wakes it.
  await edge.quiet([person]);
  assert.deepEqual(edge.delivered([person]), await edge.listed([person]));
});

test("a mailbox has one name, whatever its capitals, and one that is not there is not found", async () => {
  edge = await startEdge({ choosy: () => true });
  const [person] = await edge.people(1, 1);
  await edge.add(person.toUpperCase());
  await edge.add(person);
  await edge.quiet([person]);
  assert.deepEqual(
    (await edge.statuses()).map(({ mailbox }) => mailbox),
    [person],
  );
  assert.equal((await edge.admin("/mailboxes/nobody", "DELETE")).status, 404);
  assert.equal((await edge.admin(`/mailboxes/${person.toUpperCase()}`, "DELETE")).status, 204);
  assert.equal((await edge.admin(`/mailboxes/${person}`, "DELETE")).status, 404);
  assert.deepEqual(await edge.statuses(), []);
});

test("the example's own consumer gets what the queue holds, and gives back what it can't read", async () => {
  edge = await startEdge({ own: true });
  const [person] = await edge.people(1, 2);
  await edge.record(person, { content: "x".repeat(150_000) });
  await edge.add(person);
  const recordings = await edge.world.table("recordings", `?user=${encodeURIComponent(person)}`);
  const lines = () => edge.logs.filter((line) => line.startsWith("upsert "));
  await until(async () => lines().length === 3 || edge.logs.join("\n"));
  // With its time: the one that was too large for a message was asked for.
  assert.deepEqual(
    lines().sort(),
    recordings.map(({ id, createdDateTime }) => `upsert ${person} ${id} ${createdDateTime}`).sort(),
  );
  const worker = await edge.worker.miniflare.getWorker("worker");
  const message = (id, body) => ({ id, timestamp: new Date(), attempts: 1, body });
  const answer = await worker.queue("graph-changes", [
    message("1", { mailbox: person, id: "a", type: "remove", reason: "deleted" }),
    message("2", null),
    message("3", { mailbox: person, id: "b", type: "upsert", reference: true }),
  ]);
  assert.equal(answer.outcome, "ok");
  assert.deepEqual(
    [answer.explicitAcks, answer.retryMessages.map(({ msgId }) => msgId)],
    [["1", "3"], ["2"]],
  );
});

test("the status page is for those who know the password, and takes nothing it shows for markup", async () => {
  edge = await startEdge({ choosy: () => true });
  const [person] = await edge.people(1, 3);
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
