// Tests the edge example with hostile requests, absurd times, and mailboxes that are removed while
// their subscriptions change.
import assert from "node:assert/strict";
import { request } from "node:http";
import { afterEach, test } from "node:test";
import { event, guard, until } from "../wait.mjs";
import { startEdge } from "./harness.mjs";

let edge;
afterEach(() => edge.stop());

const DAY = 86_400_000;
const MEGABYTE = 2 ** 20;
const ABSURD = [
  "99999999999999",
  "Fri, 31 Dec 9999 23:59:59 GMT",
  "86401",
  "9".repeat(400),
  "Wed, 01 Jan 2100 00:00:00 GMT",
];

/**
 * Sends `body`. If `ends` is false, the request stays open: the server has to refuse the body
 * before it ends.
 */
async function post(path, body, { ends = true, headers = {} } = {}) {
  const url = new URL(path, await edge.worker.miniflare.ready);
  return new Promise((resolve, reject) => {
    const sending = request(url, { method: "POST", headers }, (response) => {
      cancelTimeout();
      resolve(response.statusCode);
      sending.destroy();
    });
    const cancelTimeout = guard(10_000, () =>
      sending.destroy(new Error("no response: the Worker waits for the whole body")),
    );
    sending.on("error", reject);
    sending.write(body);
    if (ends) sending.end();
  });
}

test("a body of more than a megabyte is refused, by its Content-Length or while it arrives", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const text = (bytes) => Buffer.from(`{"value":["${"x".repeat(bytes - 14)}"]}`);
  const send = (body, more) => post("/notifications/x", body, more);
  const large = text(MEGABYTE + 1);
  assert.equal(large.length, MEGABYTE + 1);
  for (const length of [MEGABYTE + 1, 5 * MEGABYTE, 1e12])
    assert.equal(await send("{", { ends: false, headers: { "content-length": length } }), 413, `${length}`);
  assert.equal(await send(large, { ends: false }), 413, "in chunks");
  const small = large.subarray(1);
  assert.equal(await send(small, { headers: { "content-length": MEGABYTE } }), 400, "read, and not JSON");
  assert.equal(await send(text(MEGABYTE)), 202, "small enough, in chunks");
});

test("more than 1,000 notifications in a body are refused, forged or genuine", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [person] = await edge.addPeople(1, 1);
  await edge.add(person);
  await edge.untilQuiet([person]);
  const requested = async () => (await edge.statuses())[0].requestedRounds;
  const before = await requested();
  const genuine = { subscriptionId: "subscription 1", clientState: edge.clientState(person) };
  const send = (value) => post(`/notifications/${encodeURIComponent(person)}`, JSON.stringify({ value }));
  for (const [what, one] of Object.entries({
    number: 1,
    null: null,
    forged: { ...genuine, clientState: "x".repeat(64) },
    genuine,
  })) {
    assert.equal(await send(Array(1001).fill(one)), 413, what);
    assert.equal(await requested(), before, what);
  }
  assert.equal(await send(Array(500_000).fill(1)), 413);
  assert.equal(await send([...Array(999).fill({ ...genuine, clientState: 7 }), genuine]), 202);
  await until(async () => (await requested()) > before || "the last one counts");
});

test("4 MB with 2,000,000 entries are refused before they are parsed", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const body = Buffer.from(`{"value":[${"1,".repeat(1_999_999)}1]}`);
  assert.equal(body.length, 4_000_011);
  await post("/notifications/x", "{}");
  const before = edge.worker.cpuTime;
  for (let n = 0; n < 5; n++) {
    const headers = { "content-length": body.length };
    assert.equal(await post("/notifications/x", body.subarray(0, 1), { ends: false, headers }), 413);
    assert.equal(await post("/notifications/x", body, { ends: false }), 413, "in chunks");
  }
  const each = (edge.worker.cpuTime - before) / 10;
  // Comparing each entry took 3 s.
  assert.ok(each < 0.5, `${each} s of CPU for each`);
  edge.note(`10 bodies of 4 MB with 2,000,000 entries, ${(1000 * each).toFixed(0)} ms of CPU each`);
});

test("an absurd Retry-After for a subscription is ignored, and the mailbox tries again", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const people = await edge.addPeople(ABSURD.length, 1);
  const status = async (person) => (await edge.statuses()).find(({ mailbox }) => mailbox === person);
  for (const [index, person] of people.entries()) {
    edge.hooks.subscribe = { status: index % 2 ? 503 : 429, headers: { "retry-after": ABSURD[index] } };
    await edge.add(person);
    await until(async () => (await status(person))?.subscribeFailures > 0 || "not refused");
    const { subscribeAt } = await status(person);
    assert.ok(subscribeAt <= Date.now() + DAY, `${ABSURD[index]}: ${subscribeAt}`);
    edge.hooks.subscribe = true;
    await until(async () => Boolean((await status(person)).subscription) || "no subscription");
    await edge.untilQuiet(people.slice(0, index + 1));
  }
});

test("an absurd Retry-After of the authority stops neither its mailbox nor the others", async () => {
  for (const after of ABSURD) {
    edge = await startEdge({ acceptsBatch: () => true });
    const people = await edge.addPeople(2, 1);
    edge.hooks.token = async () => ({ status: 429, headers: { "retry-after": after } });
    for (const person of people) await edge.add(person);
    const refused = ({ failures, subscribeFailures }) => failures && subscribeFailures;
    await until(async () => (await edge.statuses()).every(refused) || "not refused");
    edge.hooks.token = async () => undefined;
    await edge.untilQuiet(people);
    const subscribed = async () => (await edge.statuses()).every(({ subscription }) => subscription);
    await until(async () => (await subscribed()) || `${after}: no subscription`);
    if (after !== ABSURD.at(-1)) await edge.stop();
  }
});

test("a subscription whose end is centuries ahead is renewed like any other", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const ends = ["9999-12-31T23:59:59Z", "+275760-09-13T00:00:00Z", "2300-01-01T00:00:00Z"];
  const people = await edge.addPeople(ends.length, 1);
  for (const [index, person] of people.entries()) {
    edge.hooks.expires = ends[index];
    await edge.add(person);
    const status = async () => (await edge.statuses()).find(({ mailbox }) => mailbox === person);
    await until(async () => Boolean((await status())?.subscription) || "no subscription");
    const { subscription, subscribeAt } = await status();
    assert.ok(subscription.expiresAt <= Date.now() + 3 * DAY, ends[index]);
    assert.ok(subscribeAt <= Date.now() + 3 * DAY, ends[index]);
  }
  await edge.untilQuiet(people);
});

test("an absurd Retry-After of Graph for a round stops neither its mailbox nor the others", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const people = await edge.addPeople(ABSURD.length + 1, 1);
  let refusals = 0;
  edge.hooks.request = async (mailbox) => {
    const after = ABSURD[people.indexOf(mailbox)];
    // More refusals than a round makes attempts.
    if (after === undefined || ++refusals > 5 * ABSURD.length) return undefined;
    return { status: refusals % 2 ? 429 : 503, headers: { "retry-after": after } };
  };
  for (const person of people) assert.equal((await edge.add(person)).status, 204);
  await edge.untilQuiet(people);
  assert.deepEqual(edge.delivered(people), await edge.listed(people));
  edge.note("absurd times in Retry-After");
});

test("the registry sets no alarm that workerd refuses, regardless of the times it receives", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [ann, bob] = await edge.addPeople(2, 1);
  await edge.add(ann);
  await edge.untilQuiet([ann]);
  for (const at of [8.64e15, Date.parse("9999-12-31T23:59:59Z"), Date.parse("2190-01-01"), Infinity]) {
    assert.equal((await edge.worker.fetch(`/test/done/${ann}?at=${at}`)).status, 200);
    assert.equal((await edge.add(bob)).status, 204, `${at}`);
    assert.equal((await edge.tick()).outcome, "ok", `${at}`);
    const alarm = await (await edge.worker.fetch("/test/alarm")).json();
    assert.ok(alarm <= Date.now() + DAY, `${at}: ${alarm}`);
  }
});

test("absurd times that an older version has stored stop neither a mailbox nor the others", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const people = await edge.addPeople(2, 1);
  for (const person of people) await edge.add(person);
  await edge.untilQuiet(people);
  for (const absurd of [8.64e15, Date.parse("9999-12-31T23:59:59Z"), Date.now() + 2 * DAY, NaN]) {
    for (const person of people) {
      const changes = JSON.stringify({ requestedRounds: 1000, fulfilledRounds: 1, notBefore: absurd });
      const query = new URLSearchParams({ changes });
      assert.equal((await edge.worker.fetch(`/test/state/${person}?${query}`)).status, 200);
      await edge.worker.fetch(`/test/abort/${person}`);
    }
    assert.equal((await edge.worker.fetch(`/test/throttle?until=${absurd}`)).status, 200);
    for (const person of people) assert.equal((await edge.add(person)).status, 204, `${absurd}`);
    await edge.untilQuiet(people);
  }
});

/** The subscriptions that Graph has and that were not deleted. */
const activeSubscriptions = () => [...edge.subscriptions.values()].filter(({ gone }) => !gone);
const remove = (mailbox) => edge.admin(`/mailboxes/${mailbox}`, "DELETE");

/** Delays the first request that `matches` until `free` of the result is called. */
function hold(matches) {
  const [reached, free] = [event(), event()];
  let held = false;
  const pass = async (...values) => {
    if (held || !matches(...values)) return;
    held = true;
    reached.fire();
    await free.fired;
  };
  return { pass, reached: reached.fired, free: free.fire };
}

/** Adds a mailbox and waits for its subscription and its round. */
async function addAndWait(person) {
  await edge.add(person);
  const status = async () => (await edge.statuses()).find(({ mailbox }) => mailbox === person);
  await until(async () => {
    const { phase, subscription } = (await status()) ?? {};
    return (phase === "current" && Boolean(subscription)) || `${phase}, ${subscription}`;
  });
}

for (const when of ["before", "after"]) {
  test(`a mailbox that is removed ${when} Graph creates its subscription leaves none behind`, async () => {
    edge = await startEdge({ acceptsBatch: () => true });
    const [person] = await edge.addPeople(1, 1);
    const post = hold((method, at) => method === "POST" && at === when);
    edge.hooks.subscribing = post.pass;
    await edge.add(person);
    await post.reached;
    assert.equal((await remove(person)).status, 204);
    post.free();
    await until(
      () =>
        (edge.subscriptions.size === 1 && !activeSubscriptions().length) || "the subscription is left behind",
    );
    await addAndWait(person);
    assert.deepEqual([edge.subscriptions.size, activeSubscriptions().length], [2, 1]);
    edge.note(`a mailbox removed ${when} its subscription is created`);
  });
}

test("a mailbox that is removed while it waits for a token makes no subscription", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [person, other] = await edge.addPeople(2, 1);
  const token = hold(() => true);
  edge.hooks.token = token.pass;
  await edge.add(person);
  await token.reached;
  await remove(person);
  token.free();
  // Setting up another mailbox takes longer than what is left to do for the removed one.
  await addAndWait(other);
  assert.deepEqual([edge.subscriptions.size, activeSubscriptions().length], [1, 1]);
});

test("a mailbox that is removed while it asks for a permit makes no subscription and keeps no permit", async () => {
  edge = await startEdge({ acceptsBatch: () => true, settings: { ROUNDS_AT_ONCE: "1" } });
  const [other] = await edge.addPeople(1, 1);
  await edge.world.token({ kind: "app", user: "late@contoso.example" });
  await edge.add("late@contoso.example");
  let asked = 0;
  await until(async () => {
    asked += (await (await edge.worker.fetch("/test/counts")).json()).acquire ?? 0;
    return asked > 0 || "it has not asked";
  });
  assert.equal((await remove("late@contoso.example")).status, 204);
  await edge.worker.fetch("/test/answer");
  // Needs the only permit.
  await addAndWait(other);
  assert.deepEqual([edge.subscriptions.size, activeSubscriptions().length], [1, 1]);
  assert.equal(edge.requests.filter(({ mailbox }) => mailbox !== other).length, 0);
});

test("a mailbox that is removed while its subscription is renewed gets no new one", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [person, other] = await edge.addPeople(2, 1);
  await addAndWait(person);
  const [{ id }] = activeSubscriptions();
  const patch = hold((method, at) => method === "PATCH" && at === "before");
  edge.hooks.subscribing = patch.pass;
  await edge.notify(person, { subscriptionId: id, lifecycleEvent: "reauthorizationRequired" });
  await patch.reached;
  await remove(person);
  patch.free();
  await addAndWait(other);
  assert.deepEqual([edge.subscriptions.size, activeSubscriptions().length], [2, 1]);
});

test("a mailbox that is removed and added again while its subscription is made has one afterwards", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [person] = await edge.addPeople(1, 1);
  const post = hold((method, at) => method === "POST" && at === "after");
  edge.hooks.subscribing = post.pass;
  await edge.add(person);
  await post.reached;
  await remove(person);
  await edge.add(person);
  post.free();
  await edge.untilQuiet([person]);
  await until(
    async () => (await edge.statuses())[0].subscription?.id === activeSubscriptions()[0]?.id || "not stored",
  );
  assert.deepEqual([edge.subscriptions.size, activeSubscriptions().length], [2, 1]);
});

test("with a password of fewer than 16 characters all requests except notifications get 500 and the reason", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const [person] = await edge.addPeople(1, 1);
  for (const password of [undefined, "", "short", "fifteen letters", "é".repeat(8)]) {
    if (password === undefined) delete edge.bindings.ADMIN_PASSWORD;
    else edge.bindings.ADMIN_PASSWORD = password;
    await edge.worker.restart();
    for (const [path, method] of [
      ["/", "GET"],
      ["/status.json", "GET"],
      [`/mailboxes/${person}`, "PUT"],
    ]) {
      const response = await edge.admin(path, method);
      assert.equal(response.status, 500, `${password} ${path}`);
      assert.match(await response.text(), /^the secret ADMIN_PASSWORD must have at least 16 characters/);
    }
    assert.equal((await edge.notify(person)).status, 202, "notifications need no password");
  }
  edge.bindings.ADMIN_PASSWORD = "sixteen letters!";
  await edge.worker.restart();
  assert.equal((await edge.admin("/")).status, 200);
});

test("the number of cached tokens is bounded, and the one in use stays cached", async () => {
  edge = await startEdge({ acceptsBatch: () => true });
  const token = async (claims = "") => {
    const before = edge.tokens;
    const response = await edge.worker.fetch(`/test/token?${new URLSearchParams({ claims })}`);
    assert.equal(response.status, 200);
    return edge.tokens - before;
  };
  const challenge = (n) => JSON.stringify({ access_token: { nbf: { essential: true, value: String(n) } } });
  assert.equal(await token(), 1);
  for (let n = 0; n < 60; n++) {
    assert.equal(await token(challenge(n)), 1);
    assert.equal(await token(challenge(n)), 0, "kept");
    assert.equal(await token(), 0, "the token in use stays cached");
  }
  assert.equal(await token(challenge(59)), 0, "the newest");
  for (const n of [0, 1, 30])
    assert.equal(await token(challenge(n)), 1, `the old token ${n} is no longer cached`);
});
