// deltalink/notifications: subscriptions, against the fake Graph and a record of each request.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeltaError, openDelta } from "deltalink";
import { subscriptionLimits, subscriptions } from "deltalink/notifications";
import { fakeGraph } from "deltalink/testing";
import { guard } from "../wait.mjs";

const NOW = Date.parse("2026-11-21T10:00:00Z");
const MINUTE = 60_000;
const DAY = 86_400_000;
const TOKEN = "token-of-the-tests.which-nobody-may-see";
const STATE = "state-of-the-tests";
const RECORDINGS = "users/ann@contoso.example/onlineMeetings/getAllRecordings";

/** Calls `subscriptions()` with default options. */
const subscriptionsWith = (options) =>
  subscriptions({
    token: () => TOKEN,
    resource: RECORDINGS,
    notificationUrl: "https://worker.example/notifications",
    clientState: STATE,
    ...options,
  });

/**
 * Calls `subscriptions()` for the fake Graph, which keeps the subscriptions. `respond` may replace
 * a response; `pass` sends the request to the fake Graph.
 */
async function graph(context, { respond = () => undefined, endpoint, root = endpoint, ...options } = {}) {
  context.mock.timers.reset();
  context.mock.timers.enable({ apis: ["Date"], now: NOW });
  const fake = await fakeGraph(root ? { endpoint: root } : {});
  const requests = [];
  const tokens = [];
  const fetch = async (url, init) => {
    const { method, headers, body, redirect } = init;
    const id = decodeURIComponent(url.split("/subscriptions/")[1] ?? "");
    const json = body && JSON.parse(body);
    requests.push({ method, url, id, json, redirect, authorization: headers.authorization });
    const authorization = `Bearer ${fake.appToken()}`;
    const pass = () => fake.fetch(url, { ...init, headers: { ...headers, authorization } });
    return (await respond(requests.at(-1), requests.length, pass)) || pass();
  };
  const token = (request) => {
    tokens.push(request);
    return TOKEN;
  };
  const push = subscriptionsWith({ token, fetch, ...(endpoint && { endpoint }), ...options });
  const kept = () => fake.subscriptions().map(({ id }) => id);
  return {
    push,
    fake,
    kept,
    requests,
    tokens,
    methods: () => requests.splice(0).map(({ method }) => method),
  };
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
  const { push, kept, requests, tokens } = await graph(context);
  const made = await push.ensure();
  const lifetime = 4310 * MINUTE;
  assert.deepEqual(
    { ...made, settings: made.settings.length },
    { id: kept()[0], expiresAt: NOW + lifetime, renewAt: NOW + (lifetime * 2) / 3, settings: 64 },
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
  const { push, methods } = await graph(context);
  const made = await push.ensure();
  assert.equal(await push.ensure(made), made);
  context.mock.timers.setTime(made.renewAt - 1);
  assert.equal(await push.ensure(structuredClone(made)).then(({ id }) => id), made.id);
  assert.deepEqual(methods(), ["POST"]);
  context.mock.timers.setTime(made.renewAt);
  const renewed = await push.ensure(made);
  assert.deepEqual(methods(), ["PATCH"]);
  assert.deepEqual([renewed.id, renewed.expiresAt], [made.id, made.renewAt + 4310 * MINUTE]);
  assert.equal((await push.ensure(renewed, { renew: true })).id, made.id);
  assert.deepEqual(methods(), ["PATCH"]);
});

test("a subscription that has expired is created again", async (context) => {
  const { push, kept, methods } = await graph(context);
  const made = await push.ensure();
  methods();
  context.mock.timers.setTime(made.expiresAt);
  const again = await push.ensure(made);
  assert.deepEqual(methods(), ["PATCH", "POST"]);
  assert.notEqual(again.id, made.id);
  assert.deepEqual(kept(), [again.id]);
});

test("a subscription that was made with other options is replaced", async (context) => {
  const resource = "users/ann@contoso.example/events";
  for (const changes of [
    { clientState: "another" },
    { notificationUrl: "https://moved.example/" },
    { lifecycleNotificationUrl: "https://worker.example/lifecycle" },
    { resource: "users/bob@contoso.example/events" },
    { changeType: "updated" },
  ]) {
    const { push, fake, kept, methods } = await graph(context, { resource });
    const made = await push.ensure();
    const other = subscriptionsWith({ token: fake.appToken, fetch: fake.fetch, resource, ...changes });
    const replaced = await other.ensure(made);
    assert.notEqual(replaced.settings, made.settings);
    assert.deepEqual(kept(), [replaced.id], JSON.stringify(changes));
    // What another version has stored.
    assert.equal((await push.ensure({ id: replaced.id, expires: NOW + DAY })).settings, made.settings);
    assert.deepEqual(methods(), ["POST", "DELETE", "POST"]);
    assert.equal(kept().length, 1);
  }
});

test("an old subscription that cannot be deleted now is not replaced yet", async (context) => {
  const respond = ({ method }) => method === "DELETE" && refuse(503, "x", "y");
  const { push, methods } = await graph(context, { respond });
  await rejects(push.ensure({ id: "old" }), "network", { status: 503, retryable: true });
  assert.deepEqual(methods(), ["DELETE"]);
});

test("delete() accepts that Graph no longer has the subscription, and no other refusal", async (context) => {
  const { push, kept, requests } = await graph(context, {
    respond: ({ id }) => id === "forbidden" && refuse(403, "Forbidden", "not yours"),
  });
  const made = await push.ensure();
  await push.delete(made);
  assert.deepEqual(kept(), []);
  await push.delete(made);
  await rejects(push.delete({ id: "forbidden" }), "forbidden");
  await push.delete({ id: "../users?x#y" });
  assert.equal(requests.at(-1).url, "https://graph.microsoft.com/v1.0/subscriptions/..%2Fusers%3Fx%23y");
});

test("an abort starts no further request, but what a pending one makes is returned", async (context) => {
  const controller = new AbortController();
  const reason = new Error("the mailbox was removed");
  const { push, kept, methods } = await graph(context, { respond: () => void controller.abort(reason) });
  const made = await push.ensure(undefined, { signal: controller.signal });
  assert.deepEqual(kept(), [made.id], "it can be deleted");
  assert.deepEqual(methods(), ["POST"]);
  await assert.rejects(push.ensure(undefined, { signal: controller.signal }), reason);
  const waiting = new AbortController();
  const unsent = await graph(context, { token: () => (waiting.abort(reason), TOKEN) });
  await assert.rejects(unsent.push.ensure(undefined, { signal: waiting.signal }), reason);
  assert.deepEqual(unsent.methods(), [], "it fired while the token was requested");
  const second = new AbortController();
  const gone = { ...made, id: "gone" };
  const other = await graph(context, { respond: () => void second.abort(reason) });
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
    const { push } = await graph(context, { respond: () => refuse(status, "SomeCode", leak, headers) });
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
    const { push } = await graph(context, { respond: () => new Response(body, { status: 500 }) });
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
    const { push } = await graph(context, { respond: () => refuse(429, "x", "y", { "retry-after": after }) });
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
    const { push } = await graph(context, { respond: () => new Response(body) });
    await rejects(push.ensure(), "protocol", { retryable: true });
  }
  for (const [end, expiresAt] of [
    ["9999-12-31T23:59:59Z", NOW + 4310 * MINUTE],
    ["+275760-09-13T00:00:00Z", NOW + 4310 * MINUTE],
    ["2026-11-21T10:30:00Z", NOW + 30 * MINUTE],
    ["2026-11-21T09:00:00Z", NOW - 60 * MINUTE],
  ]) {
    const { push } = await graph(context, {
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
    const { push, requests } = await graph(context, { respond: () => response });
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
    assert.throws(() => subscriptionsWith({ endpoint }), { code: "bad-request" }, endpoint);
  assert.throws(() => subscriptionsWith({ cloud: "toString" }), { code: "bad-request" });
  const root = "https://microsoftgraph.chinacloudapi.cn/v1.0";
  const { push, requests, tokens } = await graph(context, { cloud: "china", root });
  await push.ensure();
  assert.equal(requests[0].url, `${root}/subscriptions`);
  assert.deepEqual(tokens[0].scopes, ["https://microsoftgraph.chinacloudapi.cn/.default"]);
  const endpoint = "http://127.0.0.1:4010/w/a/v1.0";
  const loopback = await graph(context, { endpoint: `${endpoint}/`, root: endpoint });
  await loopback.push.ensure();
  assert.equal(loopback.requests[0].url, `${endpoint}/subscriptions`);
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
    const respond = (_, n) => n === 1 && refuse(401, "x", "y", headers);
    const { push, kept, tokens } = await graph(context, { respond });
    const { id } = await push.ensure();
    assert.deepEqual(kept(), [id]);
    const { scopes, signal, ...second } = tokens[1];
    assert.deepEqual(second, expected);
    assert.ok(scopes.length && signal);
  }
  const { push, tokens } = await graph(context, {
    respond: () => refuse(401, "InvalidAuthenticationToken", "no"),
  });
  await rejects(push.ensure(), "unauthorized", { status: 401, retryable: false });
  assert.equal(tokens.length, 2);
});

test("every form of a token source works, and its failures have a code", async (context) => {
  for (const token of [
    () => TOKEN,
    async () => ({ accessToken: TOKEN, expiresOn: null }),
    { getToken: async () => ({ token: TOKEN, expiresOnTimestamp: 1 }) },
  ]) {
    const { push, requests } = await graph(context, { token });
    await push.ensure();
    assert.equal(requests[0].authorization, `Bearer ${TOKEN}`);
  }
  for (const token of [() => undefined, () => "", () => `${TOKEN}\n`, () => null, async () => ({})]) {
    const { push, requests } = await graph(context, { token });
    await rejects(push.ensure(), "unauthorized", { retryable: false });
    assert.equal(requests.length, 0);
  }
  const cause = new Error("the authority");
  const failing = await graph(context, { token: () => Promise.reject(cause) });
  await rejects(failing.push.ensure(), "unauthorized", { retryable: true, cause });
  const own = new DeltaError("offline", { code: "network", retryable: true });
  const known = await graph(context, { token: () => Promise.reject(own) });
  await assert.rejects(known.push.ensure(), own);
});

test("a request without a response is a network error", async (context) => {
  const cause = new TypeError("fetch failed");
  const { push } = await graph(context, { respond: () => Promise.reject(cause) });
  await rejects(push.ensure(), "network", { retryable: true, cause });
});

test("an endpoint means the same for rounds and for subscriptions", async () => {
  /** The root of the first request, or the code with which the endpoint is refused. */
  async function rootOf(endpoint, path, run) {
    let root;
    const fetch = async (input) => {
      root ??= (input.url ?? input).split(path)[0];
      throw new TypeError("fetch failed");
    };
    try {
      await run({ endpoint, token: () => TOKEN, fetch });
    } catch ({ code }) {
      return root ?? code;
    }
  }
  const sync = async (options) => {
    const retry = { attempts: 1 };
    const client = await openDelta({ ...options, account: "Ann", store: "memory", retry });
    await client.orgContacts().sync();
  };
  const ensure = (options) => subscriptionsWith(options).ensure();
  for (const [endpoint, root] of [
    ["https://graph.microsoft.us", "https://graph.microsoft.us/v1.0"],
    ["https://graph.microsoft.us/", "https://graph.microsoft.us/v1.0"],
    ["HTTPS://Graph.Microsoft.us:443/beta/", "https://graph.microsoft.us/beta"],
    ["http://127.0.0.1:4010/w/a/v1.0", "http://127.0.0.1:4010/w/a/v1.0"],
    ["http://[::1]:4010", "http://[::1]:4010/v1.0"],
    ["http://graph.microsoft.us/v1.0", "bad-request"],
    ["http://127.0.0.1.evil.example", "bad-request"],
    ["https://ann:secret@graph.microsoft.us/v1.0", "bad-request"],
    ["https://graph.microsoft.us\\@evil.example", "bad-request"],
    ["https://graph.microsoft.us/v1.0?", "bad-request"],
    ["https://graph.microsoft.us/v1.0#", "bad-request"],
    [" https://graph.microsoft.us/v1.0", "bad-request"],
    ["graph.microsoft.us", "bad-request"],
    ["ftp://graph.microsoft.us", "bad-request"],
    ["", "bad-request"],
    [null, "bad-request"],
    [new URL("https://graph.microsoft.us/v1.0"), "bad-request"],
    ["https:graph.microsoft.us", "bad-request"],
    ["https:///graph.microsoft.us", "bad-request"],
    ["https://@graph.microsoft.us", "bad-request"],
    ["https://graph.microsoft.us:", "bad-request"],
    ["https://graph.microsoft.us:0443", "bad-request"],
    ["https://gr%61ph.microsoft.us", "bad-request"],
    ["https://graph\u00e9.example", "bad-request"],
    ["\u0001https://graph.microsoft.us", "bad-request"],
    ["https://graph.microsoft.us/v1.0\u0000", "bad-request"],
    ["http://127.1", "bad-request"],
    ["http://2130706433", "bad-request"],
    ["http://localhost.", "bad-request"],
    ["https://graph.microsoft.us/v 1.0", "bad-request"],
    ["https://graph.microsoft.us/.", "bad-request"],
    ["https://graph.microsoft.us/v1.0/../beta", "bad-request"],
    ["https://graph.microsoft.us/v1.0/%2E.", "bad-request"],
    ["https://graph.microsoft.us/a..b", "https://graph.microsoft.us/a..b"],
    ["https://graph.microsoft.us/v1.0\u0085", "bad-request"],
    ["https://graph.microsoft.us/v1.0/\u00e9", "bad-request"],
    ["https://graph.\u212aind.example", "bad-request"],
  ]) {
    assert.equal(await rootOf(endpoint, "/contacts/", sync), root, `rounds, ${endpoint}`);
    assert.equal(await rootOf(endpoint, "/subscriptions", ensure), root, `subscriptions, ${endpoint}`);
  }
});

test("wrong options of subscriptions() are refused at once, without their values", () => {
  for (const [changes, message] of [
    [{ token: undefined }, /options\.token .*, got undefined/],
    [{ token: "a string" }, /options\.token .*, got a string/],
    [{ notificationUrl: undefined }, /options\.notificationUrl .*https URL, got undefined/],
    [{ notificationUrl: "http://worker.example/" }, /options\.notificationUrl .*https URL, got a string/],
    [{ lifecycleNotificationUrl: null }, /options\.lifecycleNotificationUrl .*https URL, got null/],
    [{ lifecycleNotificationUrl: "x" }, /options\.lifecycleNotificationUrl .*https URL/],
    [{ clientState: "" }, /options\.clientState .*1 to 128 characters, got an empty string/],
    [{ clientState: "x".repeat(129) }, /options\.clientState .*1 to 128 characters/],
    [{ resource: 7 }, /options\.resource .*1 to 1000 characters, got a number/],
    [{ resource: "drives/b!x/foo?token=aTE09MjM2" }, /of subscriptions\(\), "drives\/b!x\/foo": poll it/],
    [
      { resource: "contacts" },
      /no notifications for options\.resource of subscriptions\(\), "contacts": poll it/,
    ],
    [{ resource: "devices", lifetime: DAY }, /options\.changeType/],
    [{ lifetime: -1 }, /^options\.lifetime .* must be a number of milliseconds from 1 to a year, got -1$/],
    [{ lifetime: 0.5 }, /^options\.lifetime .* from 1 to a year, got 0\.5$/],
    [{ lifetime: 1e300 }, /^options\.lifetime .*, got 1e\+300$/],
    [{ lifetime: null }, /^options\.lifetime .*, got null$/],
    [{ lifetime: "1d" }, /^options\.lifetime .*, got a string$/],
    [
      { timeout: "x" },
      /^options\.timeout .* must be a whole number of milliseconds from 1 .*, got a string$/,
    ],
    [{ timeout: 10_000 / 3 }, /^options\.timeout .* must be a whole number/],
    [{ timeout: 30 * DAY }, /^options\.timeout .* to 2147483647, got 2592000000$/],
    [{ changeType: ["updated"] }, /^options\.changeType .* must be a string such as .*, got an array$/],
    [{ fetch: 5 }, /^options\.fetch of subscriptions\(\) must be a function, got 5$/],
    [{ cloud: "germany", endpoint: undefined }, /^options\.cloud .* must be one of global, usgov, /],
    [{ endpoint: "graph" }, /^options\.endpoint of subscriptions\(\) must be a root such as/],
    [{ endpoint: "https://graph.microsoft.us/v1.0", cloud: "usgov" }, /exclude each other$/],
    [{ notificationURL: "x" }, /^options\.notificationURL is not an option of subscriptions\(\)/],
  ])
    assert.throws(() => subscriptionsWith(changes), { code: "bad-request", message });
  assert.throws(() => subscriptions(), { code: "bad-request" });
  subscriptionsWith({ resource: "devices", lifetime: DAY, changeType: "updated" });
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
  let isLost = false;
  const { push, fake, kept, methods } = await graph(context, {
    async respond(_request, _n, pass) {
      if (!isLost) return undefined;
      isLost = false;
      await pass();
      throw new TypeError("fetch failed");
    },
  });
  const other = await subscriptionsWith({
    token: fake.appToken,
    fetch: fake.fetch,
    resource: "users",
  }).ensure();
  isLost = true;
  await rejects(push.ensure(), "network");
  const [, lost] = kept();
  const made = await push.ensure();
  assert.deepEqual(methods(), ["POST", "POST", "GET", "DELETE", "POST"]);
  assert.deepEqual(kept(), [other.id, made.id], "the subscription of another resource stays");
  assert.notEqual(made.id, lost);
});

test("a second refusal with 409 is an error", async (context) => {
  const { push, methods } = await graph(context, {
    respond: ({ method }) =>
      method === "GET" ? Response.json({ value: [] }) : refuse(409, "Conflict", "one is allowed"),
  });
  await rejects(push.ensure(), "conflict");
  assert.deepEqual(methods(), ["POST", "GET", "POST"]);
});

test("delete() without an id, and a delta path as the resource, are refused before any request", async (context) => {
  const { push, requests } = await graph(context);
  for (const wrong of [{ id: "" }, { id: 7 }, {}]) await rejects(push.delete(wrong), "bad-request");
  for (const resource of ["users/delta", "/me/calendarView/delta", "groups/delta()"])
    assert.throws(() => subscriptionsWith({ resource }), {
      code: "bad-request",
      message: /must be the collection, without \/delta/,
    });
  assert.deepEqual(requests, []);
});

test("a token source that never responds is an error after the timeout", async (context) => {
  const { push, requests } = await graph(context, { token: () => new Promise(() => {}), timeout: 20 });
  // The timeout of a signal does not keep Node alive.
  const cancel = guard(30_000, () => {});
  await rejects(push.ensure(), "unauthorized", { retryable: true });
  cancel();
  assert.deepEqual(requests, []);
});
