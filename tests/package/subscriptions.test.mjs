// deltalink/notifications: subscriptions, against a Graph that records each request.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeltaError } from "deltalink";
import { subscriptionLimits, subscriptions } from "deltalink/notifications";
import { guard } from "../wait.mjs";

const NOW = Date.parse("2026-11-21T10:00:00Z");
const MINUTE = 60_000;
const DAY = 86_400_000;
const TOKEN = "token-of-the-tests.which-nobody-may-see";
const STATE = "state-of-the-tests";
const RECORDINGS = "users/ann@contoso.example/onlineMeetings/getAllRecordings";

/** A Graph that keeps subscriptions. `respond` may replace a response. */
function graph(context, { respond = () => undefined, ...options } = {}) {
  context.mock.timers.reset();
  context.mock.timers.enable({ apis: ["Date"], now: NOW });
  const kept = new Map();
  const requests = [];
  const tokens = [];
  const fetch = async (url, { method, headers, body, redirect }) => {
    const id = decodeURIComponent(url.split("/subscriptions/")[1] ?? "");
    const json = body && JSON.parse(body);
    requests.push({ method, url, id, json, redirect, authorization: headers.authorization });
    const replaced = await respond(requests.at(-1), requests.length);
    if (replaced) return replaced;
    if (method !== "POST" && !kept.has(id)) return refuse(404, "ResourceNotFound", "not found");
    if (method === "DELETE") return kept.delete(id) && new Response(null, { status: 204 });
    const made = { id: id || `s${requests.length}`, ...kept.get(id), ...json };
    kept.set(made.id, made);
    return Response.json({ id: made.id, expirationDateTime: made.expirationDateTime });
  };
  const token = (request) => {
    tokens.push(request);
    return TOKEN;
  };
  const push = subscriptions({
    token,
    resource: RECORDINGS,
    notificationUrl: "https://worker.example/notifications",
    clientState: STATE,
    fetch,
    ...options,
  });
  return { push, kept, requests, tokens, methods: () => requests.splice(0).map(({ method }) => method) };
}

const refuse = (status, code, message, headers) =>
  Response.json({ error: { code, message } }, { status, headers });

/** Asserts that a promise rejects with this code, and that no text of the error has a secret. */
async function rejects(promise, code, more = {}) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof DeltaError, String(error));
    assert.equal(error.code, code);
    for (const [name, value] of Object.entries(more)) assert.deepEqual(error[name], value, name);
    const text = JSON.stringify(error) + String(error.stack);
    assert.ok(!text.includes(TOKEN) && !text.includes(STATE), text);
    return true;
  });
}

test("a subscription is created with the longest lifetime of its resource, less ten minutes", async (context) => {
  const { push, requests, tokens } = graph(context);
  const made = await push.ensure();
  const lifetime = 4310 * MINUTE;
  assert.deepEqual(
    { ...made, settings: made.settings.length },
    { id: "s1", expiresAt: NOW + lifetime, renewAt: NOW + (lifetime * 2) / 3, settings: 64 },
  );
  const [{ authorization, url, redirect, json }] = requests;
  assert.equal(authorization, `Bearer ${TOKEN}`);
  assert.equal(url, "https://graph.microsoft.com/v1.0/subscriptions");
  assert.equal(redirect, "manual");
  assert.deepEqual(json, {
    changeType: "created",
    notificationUrl: "https://worker.example/notifications",
    lifecycleNotificationUrl: "https://worker.example/notifications",
    resource: RECORDINGS,
    expirationDateTime: new Date(NOW + lifetime).toISOString(),
    clientState: STATE,
  });
  assert.deepEqual(
    tokens.map(({ reason, scopes }) => [reason, scopes]),
    [["start", ["https://graph.microsoft.com/.default"]]],
  );
  assert.ok(!JSON.stringify(made).includes(STATE), "what is stored contains no secret");
});

test("a subscription is renewed from two thirds of its time on, or when Graph asks for it", async (context) => {
  const { push, methods } = graph(context);
  const made = await push.ensure();
  assert.equal(await push.ensure(made), made);
  context.mock.timers.setTime(made.renewAt - 1);
  assert.equal(await push.ensure(structuredClone(made)).then(({ id }) => id), "s1");
  assert.deepEqual(methods(), ["POST"]);
  context.mock.timers.setTime(made.renewAt);
  const renewed = await push.ensure(made);
  assert.deepEqual(methods(), ["PATCH"]);
  assert.deepEqual([renewed.id, renewed.expiresAt], ["s1", made.renewAt + 4310 * MINUTE]);
  assert.equal((await push.ensure(renewed, { renew: true })).id, "s1");
  assert.deepEqual(methods(), ["PATCH"]);
});

test("a subscription that Graph has removed is created again", async (context) => {
  const { push, kept, methods } = graph(context);
  const made = await push.ensure();
  kept.clear();
  methods();
  const again = await push.ensure(made, { renew: true });
  assert.deepEqual(methods(), ["PATCH", "POST"]);
  assert.notEqual(again.id, made.id);
});

test("a subscription that was made with other options is replaced", async (context) => {
  const { push, kept, methods } = graph(context);
  const made = await push.ensure();
  for (const changes of [
    { clientState: "another" },
    { notificationUrl: "https://moved.example/" },
    { lifecycleNotificationUrl: "https://worker.example/lifecycle" },
    { resource: "users/bob@contoso.example/onlineMeetings/getAllRecordings" },
    { changeType: "updated" },
  ]) {
    const other = graph(context, changes);
    other.kept.set(made.id, made);
    const replaced = await other.push.ensure(made);
    assert.deepEqual(other.methods(), ["DELETE", "POST"], JSON.stringify(changes));
    assert.deepEqual([...other.kept.keys()], [replaced.id]);
  }
  // What another version has stored.
  assert.equal((await push.ensure({ id: made.id, expires: NOW + DAY })).settings, made.settings);
  assert.deepEqual(methods(), ["POST", "DELETE", "POST"]);
  assert.equal(kept.size, 1);
});

test("an old subscription that cannot be deleted now is not replaced yet", async (context) => {
  const respond = ({ method }) => method === "DELETE" && refuse(503, "x", "y");
  const { push, methods } = graph(context, { respond });
  await rejects(push.ensure({ id: "old" }), "network", { status: 503, retryable: true });
  assert.deepEqual(methods(), ["DELETE"]);
});

test("delete() accepts that Graph no longer has the subscription, and no other refusal", async (context) => {
  const { push, kept, requests } = graph(context, {
    respond: ({ id }) => id === "forbidden" && refuse(403, "Forbidden", "not yours"),
  });
  const made = await push.ensure();
  await push.delete(made);
  assert.equal(kept.size, 0);
  await push.delete(made);
  await rejects(push.delete({ id: "forbidden" }), "forbidden");
  await push.delete({ id: "../users?x#y" });
  assert.equal(requests.at(-1).url, "https://graph.microsoft.com/v1.0/subscriptions/..%2Fusers%3Fx%23y");
});

test("an abort starts no further request, but what a pending one makes is returned", async (context) => {
  const controller = new AbortController();
  const reason = new Error("the mailbox was removed");
  const { push, methods } = graph(context, { respond: () => void controller.abort(reason) });
  const made = await push.ensure(undefined, { signal: controller.signal });
  assert.equal(made.id, "s1", "it can be deleted");
  assert.deepEqual(methods(), ["POST"]);
  await assert.rejects(push.ensure(undefined, { signal: controller.signal }), reason);
  const waiting = new AbortController();
  const unsent = graph(context, { token: () => (waiting.abort(reason), TOKEN) });
  await assert.rejects(unsent.push.ensure(undefined, { signal: waiting.signal }), reason);
  assert.deepEqual(unsent.methods(), [], "it fired while the token was requested");
  const second = new AbortController();
  const gone = { ...made, id: "gone" };
  const other = graph(context, { respond: () => void second.abort(reason) });
  await assert.rejects(other.push.ensure(gone, { renew: true, signal: second.signal }), reason);
  assert.deepEqual(other.methods(), ["PATCH"], "no other subscription is created");
});

test("refusals have codes, and their messages no secrets", async (context) => {
  const leak = `no ${TOKEN} and ${STATE} and ${"x".repeat(60)}`;
  for (const [status, code, retryable] of [
    [400, "bad-request", true],
    [401, "unauthorized", false],
    [403, "forbidden", false],
    [404, "not-found", false],
    [409, "conflict", false],
    [418, "protocol", false],
    [429, "throttled", true],
    [500, "network", true],
    [503, "network", true],
  ]) {
    const headers = { "request-id": "r1", "retry-after": "90" };
    const { push } = graph(context, { respond: () => refuse(status, "SomeCode", leak, headers) });
    await rejects(push.ensure(), code, {
      status,
      retryable,
      graphCode: "SomeCode",
      requestId: "r1",
      retryAt: retryable ? new Date(NOW + 90_000) : undefined,
      message: `Graph refused the subscription: ${status} SomeCode no … and … and …`,
    });
  }
  for (const body of ["", "<html>", "null", '{"error":7}', '{"error":{"code":{"a":1},"message":[]}}']) {
    const { push } = graph(context, { respond: () => new Response(body, { status: 500 }) });
    await rejects(push.ensure(), "network", { graphCode: undefined });
  }
});

test("an absurd Retry-After is ignored", async (context) => {
  for (const after of [
    "99999999999999",
    "86401",
    "9".repeat(400),
    "Wed, 01 Jan 2100 00:00:00 GMT",
    "x",
    "-5",
  ]) {
    const { push } = graph(context, { respond: () => refuse(429, "x", "y", { "retry-after": after }) });
    await rejects(push.ensure(), "throttled", { retryAt: undefined });
  }
});

test("a response that is not a subscription is an error, and an expiry later than requested is ignored", async (context) => {
  for (const body of [
    "",
    "{}",
    "null",
    '{"id":7,"expirationDateTime":"2026-11-22T00:00:00Z"}',
    '{"id":"a"}',
  ]) {
    const { push } = graph(context, { respond: () => new Response(body) });
    await rejects(push.ensure(), "protocol", { retryable: true });
  }
  for (const [end, expiresAt] of [
    ["9999-12-31T23:59:59Z", NOW + 4310 * MINUTE],
    ["+275760-09-13T00:00:00Z", NOW + 4310 * MINUTE],
    ["2026-11-21T10:30:00Z", NOW + 30 * MINUTE],
    ["2026-11-21T09:00:00Z", NOW - 60 * MINUTE],
  ]) {
    const { push } = graph(context, {
      respond: () => Response.json({ id: "a", expirationDateTime: end }),
    });
    const made = await push.ensure();
    assert.equal(made.expiresAt, expiresAt);
    assert.ok(made.renewAt >= NOW + MINUTE && made.renewAt < NOW + 3 * DAY, end);
  }
});

test("a token is sent to Graph only: redirects and other roots are refused", async (context) => {
  const moved = new Response(null, { status: 302, headers: { location: "https://evil.example/" } });
  const elsewhere = Object.defineProperty(Response.json({ id: "a" }), "url", {
    value: "https://evil.example/",
  });
  for (const response of [moved, elsewhere]) {
    const { push, requests } = graph(context, { respond: () => response });
    await rejects(push.ensure(), "foreign-link");
    assert.equal(requests.length, 1);
  }
  for (const endpoint of [
    "http://graph.microsoft.com/v1.0",
    "https://user@graph.microsoft.com/v1.0",
    "https://graph.microsoft.com/v1.0?x",
    "ftp://graph.microsoft.com",
    "http://localhost.evil.example",
    "graph.microsoft.com",
    "",
  ])
    assert.throws(() => graph(context, { endpoint }), { code: "bad-request" }, endpoint);
  assert.throws(() => graph(context, { cloud: "toString" }), { code: "bad-request" });
  const { push, requests, tokens } = graph(context, { cloud: "china" });
  await push.ensure();
  assert.equal(requests[0].url, "https://microsoftgraph.chinacloudapi.cn/v1.0/subscriptions");
  assert.deepEqual(tokens[0].scopes, ["https://microsoftgraph.chinacloudapi.cn/.default"]);
  const loopback = graph(context, { endpoint: "http://127.0.0.1:4010/w/a/v1.0/" });
  await loopback.push.ensure();
  assert.equal(loopback.requests[0].url, "http://127.0.0.1:4010/w/a/v1.0/subscriptions");
});

test("a refused token is replaced once, for the claims of a challenge if there are any", async (context) => {
  const claims = '{"access_token":{"nbf":{"essential":true}}}';
  // Its base64 has a plus, which base64url writes as a hyphen.
  const unsafe = '{"a":"??>?>"}';
  const urlSafe = btoa(unsafe).replaceAll("+", "-").replaceAll("/", "_");
  assert.match(urlSafe, /[-_]/);
  const challenge = `Bearer realm="", error="insufficient_claims", claims="${btoa(claims)}"`;
  for (const [header, expected] of [
    [challenge, { reason: "claims", claims }],
    ["Bearer", { reason: "unauthorized" }],
    [`Bearer claims="${urlSafe}"`, { reason: "claims", claims: unsafe }],
    ['Bearer claims="%%%"', { reason: "unauthorized" }],
  ]) {
    const headers = { "www-authenticate": header };
    const { push, tokens } = graph(context, { respond: (_, n) => n === 1 && refuse(401, "x", "y", headers) });
    assert.equal((await push.ensure()).id, "s2");
    const { scopes, signal, ...second } = tokens[1];
    assert.deepEqual(second, expected);
    assert.ok(scopes.length && signal);
  }
  const { push, tokens } = graph(context, { respond: () => refuse(401, "InvalidAuthenticationToken", "no") });
  await rejects(push.ensure(), "unauthorized", { status: 401, retryable: false });
  assert.equal(tokens.length, 2);
});

test("every form of a token source works, and its failures have a code", async (context) => {
  for (const token of [
    () => TOKEN,
    async () => ({ accessToken: TOKEN, expiresOn: null }),
    { getToken: async () => ({ token: TOKEN, expiresOnTimestamp: 1 }) },
  ]) {
    const { push, requests } = graph(context, { token });
    await push.ensure();
    assert.equal(requests[0].authorization, `Bearer ${TOKEN}`);
  }
  for (const token of [() => undefined, () => "", () => `${TOKEN}\n`, () => null, async () => ({})]) {
    const { push, requests } = graph(context, { token });
    await rejects(push.ensure(), "unauthorized", { retryable: false });
    assert.equal(requests.length, 0);
  }
  const cause = new Error("the authority");
  const failing = graph(context, { token: () => Promise.reject(cause) });
  await rejects(failing.push.ensure(), "unauthorized", { retryable: true, cause });
  const own = new DeltaError("offline", { code: "network", retryable: true });
  const known = graph(context, { token: () => Promise.reject(own) });
  await assert.rejects(known.push.ensure(), own);
});

test("a request without a response is a network error", async (context) => {
  const cause = new TypeError("fetch failed");
  const { push } = graph(context, { respond: () => Promise.reject(cause) });
  await rejects(push.ensure(), "network", { retryable: true, cause });
});

test("wrong options are refused when the subscription is described, without their values", (context) => {
  for (const [changes, message] of [
    [{ token: undefined }, /options\.token .*, got undefined/],
    [{ token: "a string" }, /options\.token .*, got a string/],
    [{ notificationUrl: undefined }, /options\.notificationUrl .*https URL, got undefined/],
    [{ notificationUrl: "http://worker.example/" }, /options\.notificationUrl .*https URL, got a string/],
    [{ lifecycleNotificationUrl: "x" }, /options\.lifecycleNotificationUrl .*https URL/],
    [{ clientState: "" }, /options\.clientState .*1 to 128 characters, got an empty string/],
    [{ clientState: "x".repeat(129) }, /options\.clientState .*1 to 128 characters/],
    [{ resource: 7 }, /options\.resource .*1 to 1000 characters, got a number/],
    [{ resource: "contacts" }, /no notifications for options\.resource .*poll it/],
    [{ resource: "devices", lifetime: DAY }, /options\.changeType/],
    [{ lifetime: -1 }, /options\.lifetime/],
  ])
    assert.throws(() => graph(context, changes), { code: "bad-request", message });
  assert.throws(() => subscriptions(), { code: "bad-request" });
  graph(context, { resource: "devices", lifetime: DAY, changeType: "updated" });
});

test("the limits of a resource are those of Graph's tables", () => {
  const minutes = (resource) => {
    const limits = subscriptionLimits(resource);
    return limits && [limits.lifetime / MINUTE, limits.changeType];
  };
  const all = "created,updated,deleted";
  for (const [resource, ...limits] of [
    ["users", 41_760, "updated,deleted"],
    ["/groups/g/members", 41_760, "updated,deleted"],
    ["me/events", 10_080, all],
    ["/users/ann@contoso.example/events", 10_080, all],
    ["users('ann')/messages", 10_080, all],
    ["me/mailFolders('inbox')/messages", 10_080, all],
    ["me/mailFolders/inbox/messages?$filter=isRead eq false", 10_080, all],
    ["users/u/drive/root", 42_300, "updated"],
    ["sites/s/lists/l", 42_300, "updated"],
    [RECORDINGS, 4320, "created"],
    ["communications/onlineMeetings/getAllTranscripts", 4320, "created"],
    ["teams/t/channels/c/messages", 4320, all],
    ["me/todo/lists/l/tasks", 4230, all],
  ])
    assert.deepEqual(minutes(resource), limits, resource);
  for (const resource of [
    "contacts",
    "devices",
    "applications",
    "users//events",
    "me",
    "",
    "users/a/b/events",
  ])
    assert.equal(subscriptionLimits(resource), undefined, resource);
});

test("a subscription whose response was lost is replaced when Graph allows no second one", async (context) => {
  const wanted = { resource: RECORDINGS, notificationUrl: "https://worker.example/notifications" };
  const others = [{ id: "other", ...wanted, resource: "users" }];
  let lost = { id: "lost", ...wanted };
  const { push, methods } = graph(context, {
    respond({ method, id }) {
      if (method === "GET") return Response.json({ value: [...others, lost] });
      if (method === "DELETE" && id === "lost") {
        lost = undefined;
        return new Response(null, { status: 204 });
      }
      return lost && refuse(409, "Conflict", "one subscription is allowed");
    },
  });
  const made = await push.ensure();
  assert.equal(made.expiresAt > NOW, true);
  assert.deepEqual(methods(), ["POST", "GET", "DELETE", "POST"]);
});

test("a second refusal with 409 is an error", async (context) => {
  const { push, methods } = graph(context, {
    respond: ({ method }) =>
      method === "GET" ? Response.json({ value: [] }) : refuse(409, "Conflict", "one is allowed"),
  });
  await rejects(push.ensure(), "conflict");
  assert.deepEqual(methods(), ["POST", "GET", "POST"]);
});

test("delete() without an id, and a delta path as the resource, are refused before any request", async (context) => {
  const { push, requests } = graph(context);
  for (const wrong of [{ id: "" }, { id: 7 }, {}]) await rejects(push.delete(wrong), "bad-request");
  for (const resource of ["users/delta", "/me/calendarView/delta", "groups/delta()"])
    assert.throws(() => graph(context, { resource }), {
      code: "bad-request",
      message: /must be the collection, without \/delta/,
    });
  assert.deepEqual(requests, []);
});

test("a token source that never responds is an error after the timeout", async (context) => {
  const { push, requests } = graph(context, { token: () => new Promise(() => {}), timeout: 20 });
  // The timeout of a signal does not keep Node alive.
  const cancel = guard(30_000, () => {});
  await rejects(push.ensure(), "unauthorized", { retryable: true });
  cancel();
  assert.deepEqual(requests, []);
});
