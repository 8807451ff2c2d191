// deltalink/notifications: requests of Graph to a notification URL, and when to try again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeltaError } from "deltalink";
import { clientStateFor, handleNotification, nextAlarm } from "deltalink/notifications";
import { fakeTimers, turn } from "../wait.mjs";

const NOTIFICATION_URL = "https://worker.example/notifications";
const clientState = "a state of the tests";
const genuine = { subscriptionId: "s1", changeType: "created", clientState };
const post = (body, init) => new Request(NOTIFICATION_URL, { method: "POST", body, ...init });
const handle = (body, init) => handleNotification(post(body, init), { clientState });
const send = (...value) => handle(JSON.stringify({ value }));

/** A body that arrives in chunks and counts those that were read. */
function chunks(...parts) {
  const read = { count: 0, cancelled: false };
  const body = new ReadableStream(
    {
      pull(controller) {
        const part = parts[read.count++];
        if (part === undefined) controller.close();
        else if (part !== "never") controller.enqueue(new TextEncoder().encode(part));
      },
      cancel: () => void (read.cancelled = true),
    },
    { highWaterMark: 0 },
  );
  return { read, init: { duplex: "half" }, body };
}

test("the validation token is returned as plain text, decoded once", async () => {
  const token = "Validation: <b>100 %2B</b> & more";
  const query = encodeURIComponent(token).replaceAll("%20", "+");
  const request = new Request(`${NOTIFICATION_URL}?validationToken=${query}`, { method: "POST" });
  const { response, wake } = await handleNotification(request, { clientState });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; charset=utf-8");
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  assert.equal(await response.text(), token);
  assert.deepEqual(wake, []);
});

test("notifications name what to wake, and lifecycle events what to renew", async () => {
  const { response, ...handled } = await send(
    { ...genuine, resource: "users/a", tenantId: "t", resourceData: { id: "a" } },
    genuine,
    { ...genuine, subscriptionId: "s2", changeType: undefined, lifecycleEvent: "missed" },
    { ...genuine, subscriptionId: "s3", lifecycleEvent: "subscriptionRemoved" },
    { ...genuine, subscriptionId: "s4", lifecycleEvent: "reauthorizationRequired" },
    { ...genuine, subscriptionId: "s5", lifecycleEvent: "a new one" },
  );
  assert.equal(response.status, 202);
  assert.deepEqual(handled.wake, ["s1", "s2", "s3", "s4", "s5"]);
  assert.deepEqual(handled.renew, ["s3", "s4"]);
  assert.equal(handled.notifications.length, 6);
  assert.deepEqual(handled.notifications[0], {
    subscriptionId: "s1",
    changeType: "created",
    resource: "users/a",
    tenantId: "t",
  });
});

test("forged notifications get the same response as genuine ones, and wake nothing", async () => {
  for (const forged of [
    undefined,
    null,
    "",
    7,
    {},
    [clientState],
    clientState.toUpperCase(),
    clientState.slice(1),
    `${clientState} `,
    `${clientState.slice(0, -1)}x`,
    "\u4e2d".repeat(clientState.length),
  ]) {
    const { response, ...handled } = await send({ ...genuine, clientState: forged });
    assert.equal(response.status, 202);
    assert.equal(await response.text(), "");
    assert.deepEqual(handled, { notifications: [], wake: [], renew: [] }, `${forged}`);
  }
  for (const subscriptionId of [undefined, null, 7, {}])
    assert.deepEqual((await send({ ...genuine, subscriptionId })).wake, []);
  assert.deepEqual((await send(null, 7, "x", [], genuine)).wake, ["s1"]);
});

test("several values of clientState are accepted while a secret is being replaced", async () => {
  const body = JSON.stringify({
    value: ["old", "new", "none"].map((one) => ({ subscriptionId: one, clientState: one })),
  });
  const { wake } = await handleNotification(post(body), { clientState: ["new", "old"] });
  assert.deepEqual(wake, ["old", "new"]);
});

test("a body that is not a list of notifications is refused", async () => {
  for (const body of ["", "{", "null", "[]", "7", '{"value":7}', '{"value":{"length":1}}'])
    assert.equal((await handle(body)).response.status, 400, body);
  assert.equal((await handle(`${"[".repeat(400_000)}`)).response.status, 400, "nested");
  assert.equal((await handle('{"value":[]}')).response.status, 202);
  for (const method of ["GET", "PUT"]) {
    const { response } = await handleNotification(new Request(NOTIFICATION_URL, { method }), { clientState });
    assert.deepEqual([response.status, response.headers.get("allow")], [405, "POST"]);
  }
  const { response } = await handleNotification(new Request(NOTIFICATION_URL, { method: "POST" }), {
    clientState,
  });
  assert.equal(response.status, 400, "no body");
});

test("a body of more than a megabyte is refused before it is read, or while it arrives", async () => {
  const declared = chunks("{");
  const headers = { "content-length": String((1 << 20) + 1) };
  assert.equal((await handle(declared.body, { ...declared.init, headers })).response.status, 413);
  assert.equal(declared.read.count, 0, "nothing was read");
  const endless = chunks(...Array(100).fill("x".repeat(1 << 16)));
  assert.equal((await handle(endless.body, endless.init)).response.status, 413);
  assert.deepEqual(endless.read, { count: 17, cancelled: true }, "the rest was not read");
  const padded = (bytes) => `{"value":["${"x".repeat(bytes - 14)}"]}`;
  assert.equal((await handle(padded((1 << 20) + 1))).response.status, 413);
  assert.equal((await handle(padded(1 << 20))).response.status, 202);
});

test("more than 1,000 notifications are refused, forged or genuine", async () => {
  for (const one of [1, null, genuine, { ...genuine, clientState: "x".repeat(clientState.length) }])
    assert.equal((await send(...Array(1001).fill(one))).response.status, 413);
  const { wake, notifications } = await send(...Array(1000).fill(genuine));
  assert.deepEqual([wake, notifications.length], [["s1"], 1000]);
});

test("a body that stalls is refused after five seconds, and one that breaks off at once", async (context) => {
  const timers = fakeTimers(context);
  const stalled = chunks('{"value":', "never");
  let status;
  const handled = handle(stalled.body, stalled.init).then(({ response }) => (status = response.status));
  timers.tick(0);
  while (stalled.read.count < 2) await new Promise((resolve) => setImmediate(resolve));
  timers.tick(4999);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(status, undefined);
  timers.tick(1);
  assert.equal(await handled, 408);
  context.mock.timers.reset();
  const broken = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
  assert.equal((await handle(broken, { duplex: "half" })).response.status, 400);
  await turn();
});

test("a wrong option is an error that does not contain the client state", async () => {
  const long = "x".repeat(129);
  for (const [wrong, type] of [
    [undefined, "undefined"],
    ["", "an empty string"],
    [7, "a number"],
    [[], "an empty array"],
    [["ok", null], "null"],
    [long, "a string that is longer"],
  ]) {
    await assert.rejects(handleNotification(post("{}"), { clientState: wrong }), (error) => {
      assert.ok(error instanceof DeltaError && error.code === "bad-request", String(error));
      assert.ok(error.message.includes(type) && !error.message.includes(long), error.message);
      return true;
    });
  }
});

test("a request of another kind, such as Node's, is refused", async () => {
  await assert.rejects(handleNotification({ method: "POST", headers: {}, url: "/" }, { clientState: "s" }), {
    code: "bad-request",
    message: "handleNotification() needs a Request of the Fetch API, got an object",
  });
});

test("a misspelled option is refused", async () => {
  await assert.rejects(handleNotification(post("{}"), { clientState: "s", secret: "s" }), {
    code: "bad-request",
    message: "options.secret is not an option of handleNotification(): the options are clientState",
  });
  assert.throws(() => nextAlarm(undefined, 1, { backOff: 1 }), {
    code: "bad-request",
    message: "options.backOff is not an option of nextAlarm(): the options are now, random, base, cap",
  });
});

test("the client state of a name is its HMAC, and needs a long secret", async () => {
  const secret = "a secret of the tests, long enough";
  const state = await clientStateFor(secret, "ann@contoso.example");
  assert.match(state, /^[0-9a-f]{64}$/);
  assert.equal(state, await clientStateFor(secret, "ann@contoso.example"));
  assert.notEqual(state, await clientStateFor(secret, "bob@contoso.example"));
  assert.notEqual(state, await clientStateFor(`${secret}!`, "ann@contoso.example"));
  for (const short of [undefined, "", "short secret", 7]) {
    const refused = (error) => error.code === "bad-request" && !error.message.includes("short secret");
    await assert.rejects(clientStateFor(short, "ann"), refused);
  }
});

const NOW = Date.parse("2026-11-21T10:00:00Z");
const DAY = 86_400_000;
const failed = (code, fields) => new DeltaError("a message", { code, ...fields });
/** The reason for the next alarm, and the time until it. */
const alarmAfter = (error, attempts, random = 1) => {
  const { at, reason } = nextAlarm(error, attempts, { now: NOW, random });
  return [reason, at - NOW];
};

test("the wait after a failure doubles up to half an hour, and jitter shortens it by at most half", () => {
  const error = failed("network", { retryable: true });
  const waits = Array.from({ length: 12 }, (_, n) => alarmAfter(error, n + 1)[1]);
  assert.deepEqual(waits.slice(0, 4), [5000, 10_000, 20_000, 40_000]);
  assert.deepEqual(waits.slice(9), [1_800_000, 1_800_000, 1_800_000]);
  assert.deepEqual(alarmAfter(error, 1, 0), ["back-off", 2500]);
  assert.deepEqual(alarmAfter(error, 1, 0.5), ["back-off", 3750]);
  assert.equal(nextAlarm(error, 3, { now: NOW, random: 1, base: 40, cap: 100 }).at - NOW, 100);
  for (const attempts of [0, -1, NaN, undefined, Infinity, 1e9]) {
    const [, wait] = alarmAfter(error, attempts);
    assert.ok(wait >= 5000 && wait <= 1_800_000, `${attempts}: ${wait}`);
  }
  const { at } = nextAlarm(error, 1);
  assert.ok(at > Date.now() && at <= Date.now() + 5001, "with the clock of the host");
});

test("Graph's Retry-After is the earliest time, unless it is more than a day ahead", () => {
  const throttled = (ms) => failed("throttled", { retryable: true, retryAt: new Date(NOW + ms) });
  assert.deepEqual(alarmAfter(throttled(90_000), 1), ["retry-after", 90_000]);
  assert.deepEqual(alarmAfter(throttled(1000), 1), ["back-off", 5000]);
  assert.deepEqual(alarmAfter(throttled(DAY), 1), ["retry-after", DAY]);
  for (const absurd of [DAY + 1, 8e15 - NOW, NaN, -DAY])
    assert.deepEqual(alarmAfter(throttled(absurd), 1), ["back-off", 5000]);
  // As it arrives from another object, or from JSON.
  const { message, ...fields } = JSON.parse(JSON.stringify(throttled(90_000)));
  assert.deepEqual(alarmAfter({ message, ...fields }, 1), ["retry-after", 90_000]);
});

test("an error that only people resolve is tried again rarely, and one of a queue soon", () => {
  for (const code of ["interaction", "claims", "unauthorized", "forbidden", "account"])
    assert.deepEqual(alarmAfter(failed(code), 1), ["needs-user", 320_000], code);
  assert.deepEqual(alarmAfter(failed("bad-request"), 1), ["failed", 320_000]);
  assert.deepEqual(alarmAfter(failed("not-supported"), 9), ["failed", 1_800_000]);
  assert.deepEqual(alarmAfter(failed("not-found", { gone: true }), 1), ["gone", 320_000]);
  assert.deepEqual(alarmAfter(failed("not-found"), 20), ["gone", DAY]);
  const system = Object.assign(new Error("x"), { code: "ECONNRESET" });
  for (const error of [new Error("the queue is overloaded"), system, "x", undefined, null, 7])
    assert.deepEqual(alarmAfter(error, 2), ["back-off", 10_000]);
});
