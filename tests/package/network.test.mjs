// The network as it is, through the packed package in Node: throttles, sign-in, faults, bodies,
// aborts, size.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DeltaError, openDelta } from "deltalink";
import { asked, settled, startFake } from "../fake.mjs";
import { delayed, event, until as polled } from "../wait.mjs";
import { diskStore } from "./disk-store.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

const populate = { contacts: 30, events: 30, users: 10, around: "2026-11-21T00:00:00Z" };
const weeks = { start: "2026-11-01", end: "2026-12-20" };
const quick = { base: 5, cap: 20 };
const CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}';

function open(world, more) {
  return openDelta({
    endpoint: world.root,
    token: () => world.tokens.delegated,
    store: "memory",
    retry: quick,
    ...more,
  });
}

/** Until the status is as it should be. */
function until(query, holds) {
  return new Promise((resolve) => {
    const stop = query.status.subscribe((status) => {
      if (!holds(status)) return;
      resolve(status);
      queueMicrotask(() => stop());
    });
  });
}

// ---- sign-in

test("a claims challenge is asked of the token source decoded, and the page is asked for again", async () => {
  for (const status of [401, 403]) {
    const world = await fake.world({ populate });
    await world.faults({ match: { kind: "next" }, fault: { name: "claims", status } });
    const requests = [];
    const token = (request) => {
      requests.push([request.reason, request.claims]);
      return world.tokens.delegated;
    };
    const client = await open(world, { token });
    const report = await client.orgContacts().sync();
    assert.deepEqual(
      requests,
      [
        ["start", undefined],
        ["expired", undefined],
        ["claims", CLAIMS],
      ],
      "the answer that satisfied it is kept",
    );
    assert.deepEqual([report.pages, report.requests, report.retries], [3, 4, 1]);
    await client.close();
  }
});

test("a credential's getToken gets the claims, enableCae and the signal", async () => {
  const world = await fake.world({ populate });
  await world.faults({ match: {}, fault: "claims" });
  const requests = [];
  const credential = {
    async getToken(scopes, options) {
      requests.push([
        this === credential,
        scopes,
        options.claims,
        options.enableCae,
        options.abortSignal.aborted,
      ]);
      return { token: world.tokens.delegated, expiresOnTimestamp: Date.now() + 3600e3 };
    },
  };
  const client = await open(world, { token: credential });
  await client.orgContacts().sync();
  const scope = [`${new URL(world.root).origin}/.default`];
  assert.deepEqual(requests, [
    [true, scope, undefined, true, false],
    [true, scope, CLAIMS, true, false],
  ]);
  await client.close();
});

test("claims in base64url are read, and broken ones are put aside", async () => {
  for (const [claims, expected] of [
    ["eyJ4IjoiPz8-P34_In0", ["claims", '{"x":"??>?~?"}']],
    ["%%%", ["unauthorized", undefined]],
    ["W10=", ["unauthorized", undefined]],
    [Buffer.from("{not json}").toString("base64"), ["unauthorized", undefined]],
    ["", ["unauthorized", undefined]],
  ]) {
    const world = await fake.world({ populate });
    await world.faults({ match: {}, fault: { name: "claims", claims } });
    const requests = [];
    const client = await open(world, {
      token: ({ reason, claims }) => (requests.push([reason, claims]), world.tokens.delegated),
    });
    await client.orgContacts().sync();
    assert.deepEqual(requests[1], expected, claims);
    await client.close();
  }
});

test("a token that never satisfies the claims ends the round with them, and nothing is lost", async () => {
  const world = await fake.world({ populate });
  await world.faults({ match: { kind: "next" }, times: null, fault: "claims" });
  const client = await open(world);
  const contacts = client.orgContacts();
  const error = await contacts.sync().catch((error) => error);
  assert.deepEqual([error.code, error.claims, error.status, error.retryable], ["claims", CLAIMS, 401, true]);
  assert.match(error.message, /sign the user in with error\.claims, then call resume\(\)/);
  const status = contacts.status.get();
  assert.deepEqual([status.phase, status.error], ["needs-auth", error]);
  assert.equal((await asked(world)).filter(({ kind }) => kind === "next").length, 2, "not a third time");
  assert.equal(await contacts.count(), 10, "the page before is kept");
  await client.close();
});

test("the user has to sign in: status, claims, and resume() goes on with the same page by itself", async () => {
  const world = await fake.world({ populate });
  await world.faults({
    match: { kind: "next" },
    times: null,
    fault: { name: "claims", until_new_token: true },
  });
  let signedIn = false;
  const token = async ({ claims }) => {
    if (signedIn) return world.token({ kind: "delegated" });
    // As MSAL's InteractionRequiredAuthError is shaped.
    if (claims)
      throw Object.assign(new Error("AADSTS50079"), {
        name: "InteractionRequiredAuthError",
        errorCode: "interaction_required",
        claims: '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}',
      });
    return world.tokens.delegated;
  };
  const client = await open(world, { token });
  const contacts = client.orgContacts();
  const error = await contacts.sync().catch((error) => error);
  assert.deepEqual(
    [error.code, error.claims],
    ["interaction", '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'],
  );
  assert.equal(error.cause.name, "InteractionRequiredAuthError");
  assert.equal(contacts.status.get().phase, "needs-auth");
  signedIn = true;
  await world.clearLog();
  client.resume();
  const done = await until(contacts, ({ phase, lastSyncedAt }) => phase === "idle" && lastSyncedAt);
  assert.equal(done.error, undefined);
  assert.equal(await contacts.count(), 30);
  assert.deepEqual(
    (await asked(world)).map(({ kind }) => kind),
    ["next", "next"],
    "from the page where it stopped",
  );
  await client.close();
});

test("an interaction without claims of its own passes those of the challenge on", async () => {
  const world = await fake.world({ populate });
  await world.faults({ match: {}, times: null, fault: "claims" });
  const client = await open(world, {
    token: ({ claims }) => {
      if (claims) throw Object.assign(new Error("x"), { errorCode: "login_required" });
      return world.tokens.delegated;
    },
  });
  await assert.rejects(client.orgContacts().sync(), { code: "interaction", claims: CLAIMS });
  await client.close();
});

test("a token that another query got meanwhile is tried before the source is asked again", async () => {
  const world = await fake.world({ populate });
  let count = 0;
  const token = async () => {
    count += 1;
    return {
      accessToken: await world.token({ kind: "delegated" }),
      expiresOn: new Date(Date.now() + 3600e3),
    };
  };
  const client = await open(world, { token });
  const names = ["a", "b", "c", "d", "e"];
  await Promise.all(names.map((name) => client.orgContacts({ name }).sync()));
  const before = count;
  await world.revoke();
  for (const name of names) await client.orgContacts({ name }).sync();
  assert.equal(count, before + 1);
  await client.close();
});

test("a token source whose network fails is waited for; one that fails otherwise ends the round at once", async () => {
  const world = await fake.world({ populate });
  for (const [error, reason = "network"] of [
    [Object.assign(new TypeError("fetch failed"))],
    [Object.assign(new TypeError("Failed to fetch"))],
    [Object.assign(new Error("x"), { errorCode: "no_network_connectivity" })],
    [Object.assign(new Error("x"), { errorCode: "post_request_failed" })],
    [new DeltaError("no answer", { code: "network", retryable: true })],
    [new DeltaError("busy", { code: "unauthorized", retryable: true, status: 503 }), "server"],
  ]) {
    let times = 0;
    const client = await open(world, {
      token: () => {
        if ((times += 1) < 3) throw error;
        return world.tokens.delegated;
      },
    });
    const report = await client.orgContacts().sync();
    assert.deepEqual(
      report.waits.map(({ reason }) => reason),
      [reason, reason],
      error.message,
    );
    await client.close();
  }
  for (const error of [new TypeError("x is undefined"), new Error("no"), "no", undefined]) {
    const client = await open(world, { token: () => Promise.reject(error) });
    const refused = await client
      .orgContacts()
      .sync()
      .catch((refused) => refused);
    assert.deepEqual([refused.code, refused.cause], ["unauthorized", error]);
    await client.close();
  }
  const client = await open(world, {
    retry: { ...quick, attempts: 2 },
    token: () => Promise.reject(new TypeError("fetch failed")),
  });
  await assert.rejects(client.orgContacts().sync(), {
    code: "network",
    message: /^the token source got no answer/,
  });
  await client.close();
});

test("an authority that says when to come back is not asked before", async () => {
  const world = await fake.world({ populate });
  const asked = [];
  const client = await open(world, {
    token: () => {
      asked.push(Date.now());
      if (asked.length < 2)
        throw new DeltaError("busy", {
          code: "unauthorized",
          retryable: true,
          status: 429,
          retryAt: new Date(Date.now() + 700),
        });
      return world.tokens.delegated;
    },
  });
  await client.orgContacts().sync();
  assert.ok(asked[1] - asked[0] >= 690, `${asked[1] - asked[0]} ms`);
  const later = await open(world, {
    retry: { ...quick, maxWait: 100 },
    token: () =>
      Promise.reject(
        new DeltaError("busy", {
          code: "unauthorized",
          retryable: true,
          status: 429,
          retryAt: new Date(Date.now() + 60_000),
        }),
      ),
  });
  const error = await later
    .orgContacts()
    .sync()
    .catch((error) => error);
  assert.equal(error.code, "throttled");
  assert.ok(error.retryAt - Date.now() > 50_000);
  await Promise.all([client.close(), later.close()]);
});

test("an abort inside a callback leaves no rejection behind that nobody handles", async (t) => {
  const unhandled = [];
  const note = (reason) => unhandled.push(reason);
  process.on("unhandledRejection", note);
  t.after(() => process.off("unhandledRejection", note));
  const world = await fake.world({ populate });
  const stop = new AbortController();
  const client = await open(world);
  const contacts = client.orgContacts();
  contacts.status.subscribe(({ progress }) => progress?.requests && stop.abort("bye"));
  await assert.rejects(contacts.sync({ signal: stop.signal }), (reason) => reason === "bye");
  assert.deepEqual(await asked(world), [], "nothing is sent afterwards");
  const clients = [];
  const token = () => {
    void clients[0].close();
    throw new Error("signed out");
  };
  clients.push(await open(world, { token }));
  await assert.rejects(clients[0].orgContacts().sync(), { code: "closed" });
  await client.close();
  await settled(fake);
  assert.deepEqual(unhandled, []);
});

test("a body is no longer read when nobody waits for it", async () => {
  let reads = 0;
  let cancelled = false;
  const endless = new ReadableStream({
    pull: (controller) =>
      delayed(5).then(() => ((reads += 1), controller.enqueue(new TextEncoder().encode(" ")))),
    cancel: () => (cancelled = true),
  });
  const client = await openDelta({
    token: () => "t",
    store: "memory",
    fetch: async () => new Response(endless),
  });
  const stop = new AbortController();
  const done = client.orgContacts().sync({ signal: stop.signal });
  await polled(() => reads >= 3);
  stop.abort("enough");
  await assert.rejects(done, (reason) => reason === "enough");
  await polled(() => cancelled);
  await client.close();
});

test("no token that an answer echoes is in an error", async () => {
  const token = "eyJ0eXAiOiJKV1QiLCJub25jZSI6.eyJhdWQiOiJodHRwczovL2dyYXBo.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
  for (const respond of [
    () => Response.json({ error: { code: token, message: `for ${token}` } }, { status: 400 }),
    () =>
      Response.json(
        { error: { code: "x", innerError: { code: token, "request-id": token } } },
        { status: 403 },
      ),
    () => Response.json({ error: { code: token } }),
    () => new Response("", { status: 404, headers: { "request-id": token } }),
  ]) {
    const client = await openDelta({
      token: () => token,
      store: "memory",
      retry: { base: 1, cap: 1, attempts: 1 },
      fetch: async () => respond(),
    });
    const error = await client
      .orgContacts()
      .sync()
      .catch((error) => error);
    assert.ok(!JSON.stringify([error.message, { ...error }]).includes(token.slice(0, 30)), error.message);
    await client.close();
  }
});

test("of two throttles at once the longer is kept, over a reload too", async () => {
  const states = new Map();
  const store = {
    load: async (key) => states.get(key),
    rows: async (key, ids) => ids.map(() => undefined),
    commit: async (key, { expect, state }) =>
      states.get(key)?.revision === expect && Boolean(states.set(key, state)),
    scan: async () => [],
    clear: async () => {},
  };
  const waits = [1, 60];
  const both = event();
  let requests = 0;
  // Both are under way before either is answered.
  const fetch = async () => {
    if ((requests += 1) === 2) both.fire();
    await both.fired;
    return new Response("", { status: 429, headers: { "Retry-After": String(waits.shift() ?? 1) } });
  };
  const client = await openDelta({
    token: () => "t",
    store,
    account: "a",
    fetch,
    retry: { ...quick, maxWait: 10 },
  });
  await Promise.allSettled(["a", "b"].map((name) => client.orgContacts({ name }).sync()));
  const [held] = [...states].filter(([key]) => key.includes(" | not before | ")).map(([, state]) => state);
  assert.ok(held.until - Date.now() > 50_000, `${held.until - Date.now()} ms`);
  await client.close();
});

test("a store that refuses to keep a throttle is not asked for ever", async () => {
  let commits = 0;
  const store = {
    load: async () => undefined,
    rows: async () => [],
    commit: async () => ((commits += 1), false),
    scan: async () => [],
    clear: async () => {},
  };
  const fetch = async () => new Response("", { status: 429, headers: { "Retry-After": "60" } });
  const client = await openDelta({
    token: () => "t",
    store,
    account: "a",
    fetch,
    retry: { ...quick, maxWait: 10 },
  });
  await assert.rejects(client.orgContacts().sync(), { code: "throttled" });
  assert.equal(commits, 2);
  await client.close();
});

test("a token function that never answers is a named error", async () => {
  const world = await fake.world({ populate });
  const client = await open(world, {
    retry: { ...quick, maxWait: 30, timeout: 40 },
    token: () => new Promise(() => {}),
  });
  await assert.rejects(client.orgContacts().sync(), {
    code: "unauthorized",
    message: /^the token source failed \(it did not answer within 0 s\)/,
  });
  await client.close();
});

// ---- waiting

test("until when Graph throttles is kept over a reload, and shared by what shares its limits", async () => {
  const folder = await mkdtemp(join(tmpdir(), "deltalink-"));
  const world = await fake.world({ populate });
  await world.faults({
    match: { collection: "contacts" },
    fault: { name: "status", status: 429, code: "TooManyRequests", headers: { "Retry-After": "1" } },
  });
  const account = "alex@contoso.example";
  const first = await open(world, { store: diskStore(join(folder, "s")), account });
  const contacts = first.orgContacts();
  void contacts.sync().catch(() => {});
  const waiting = await until(contacts, ({ phase }) => phase === "waiting");
  assert.equal(waiting.waitReason, "throttled");
  const held = waiting.waitUntil.getTime();
  assert.ok(Math.abs(held - Date.now() - 1000) < 500);
  // The tab is closed, and another one opened.
  await first.close();
  const second = await open(world, { store: diskStore(join(folder, "s")), account });
  const mailbox = await second.events(weeks).sync();
  assert.deepEqual(mailbox.waits, [], "other limits");
  assert.ok(Date.now() < held);
  const users = second.track("/users/delta");
  const [report] = await Promise.all([users.sync(), second.orgContacts().sync()]);
  assert.deepEqual(
    report.waits.map(({ reason }) => reason),
    ["throttled"],
    "the same limits",
  );
  const early = (await asked(world)).filter(
    ({ collection, status, at }) => ["contacts", "users"].includes(collection) && status !== 429 && at < held,
  );
  assert.deepEqual(early, []);
  await second.close();
  await rm(folder, { recursive: true });
});

test("a stored time that is absurdly far off, or was written by a clock ahead of its time, is ignored", async () => {
  const world = await fake.world({ populate });
  const now = Date.now();
  for (const { until, at } of [
    { until: now + 30 * 86400e3, at: now },
    { until: now + 7200e3, at: now + 3600e3 },
    { until: "soon", at: {} },
    {},
  ]) {
    const states = new Map();
    const store = {
      load: async (key) =>
        key.includes(" | not before | ") ? { revision: "r", until, at } : states.get(key),
      rows: async (key, ids) => ids.map(() => undefined),
      commit: async (key, { state }) => Boolean(states.set(key, state)),
      scan: async () => [],
      clear: async () => {},
    };
    const client = await open(world, { store, account: "a" });
    const { outcome, waits } = await client.orgContacts().sync();
    assert.deepEqual([outcome, waits], ["complete", []]);
    await client.close();
  }
});

/** A `fetch` that knows how many requests are under way. */
function counting(ms) {
  const seen = { most: 0, now: 0, asked: 0 };
  seen.fetch = async (url, init) => {
    seen.now += 1;
    seen.most = Math.max(seen.most, seen.now);
    seen.asked += 1;
    try {
      const response = await fetch(url, init);
      await delayed(ms);
      return response;
    } finally {
      seen.now -= 1;
    }
  };
  return seen;
}

test("at most four requests of a mailbox are under way, and the queries take turns", async () => {
  const world = await fake.world({ populate: { ...populate, events: 60 } });
  const seen = counting(10);
  const client = await open(world, { fetch: seen.fetch });
  const queries = Array.from({ length: 12 }, (_, at) => client.events({ ...weeks, name: `q${at}` }));
  const pages = [];
  await Promise.all(
    queries.map(async (query, at) => {
      for await (const page of query.round()) pages.push([at, page.index]);
    }),
  );
  assert.equal(seen.most, 4);
  // Nobody has its second page before everybody has its first.
  const firsts = pages
    .slice(0, 12)
    .map(([at]) => at)
    .sort((one, other) => one - other);
  assert.deepEqual(
    firsts,
    queries.map((_, at) => at),
  );
  await client.close();
});

test("after a throttle the queries of a mailbox come back one by one", async (t) => {
  // Without jitter: what comes one by one does so because it has to.
  t.mock.method(Math, "random", () => 0);
  const world = await fake.world({ populate });
  await world.faults({
    match: { collection: "events" },
    times: 4,
    fault: { name: "status", status: 429, code: "ApplicationThrottled", headers: { "Retry-After": "1" } },
  });
  // With each request that begins: how many are under way, and how many good answers came before
  // it.
  const begun = [];
  let underWay = 0;
  let good = 0;
  const watching = async (url, init) => {
    underWay += 1;
    begun.push([underWay, good]);
    try {
      const response = await fetch(url, init);
      // Whatever else may begin has begun.
      await settled(fake);
      good += response.status === 200 ? 1 : 0;
      return response;
    } finally {
      underWay -= 1;
    }
  };
  const client = await open(world, { fetch: watching });
  const queries = Array.from({ length: 8 }, (_, at) => client.events({ ...weeks, name: `q${at}` }));
  const rounds = queries.map((query) => query.sync());
  await Promise.all(queries.map((query) => until(query, ({ phase }) => phase === "waiting")));
  const before = begun.length;
  assert.ok(before <= 8, `${before} requests before all knew`);
  assert.equal(underWay, 0);
  await Promise.all(rounds);
  const back = begun.slice(before);
  assert.deepEqual(
    back.slice(0, 2),
    [
      [1, 0],
      [1, 1],
    ],
    "the second request begins after the first has its answer",
  );
  for (const [now, answers] of back)
    assert.ok(now <= Math.min(4, answers + 1), `${now} under way after ${answers} answers`);
  assert.ok(
    back.some(([now]) => now === 4),
    "they are all back",
  );
  await client.close();
});

// ---- faults

test("a request of which nothing comes is cut and asked again; a slow body that moves is not", async () => {
  const world = await fake.world({ populate });
  const patient = { ...quick, timeout: 300 };
  for (const fault of ["hang", { name: "slow", bytes_per_second: 1, delay_ms: 2000 }]) {
    await world.faults({ match: { kind: "initial" }, fault });
    const client = await open(world, { retry: patient });
    const report = await client.orgContacts().sync();
    assert.deepEqual(
      [report.outcome, report.waits.map(({ reason }) => reason)],
      ["complete", ["timeout"]],
      JSON.stringify(fault),
    );
    await client.close();
  }
  await world.faults({ match: { kind: "initial" }, fault: { name: "slow", bytes_per_second: 4000 } });
  const client = await open(world, { retry: patient });
  const began = Date.now();
  const report = await client.orgContacts().sync();
  assert.deepEqual(report.waits, []);
  assert.ok(Date.now() - began > 300, "it took longer than nothing may come");
  await client.close();
  await world.faults({ match: {}, times: null, fault: "hang" });
  const cut = await open(world, { retry: { ...patient, timeout: 20, attempts: 2 } });
  await assert.rejects(cut.orgContacts().sync(), {
    code: "network",
    message: /nothing moved for 1 s, options\.retry\.timeout/,
  });
  await cut.close();
});

test("an error names the request on both sides", async () => {
  const world = await fake.world({ populate });
  await world.faults({
    match: {},
    times: null,
    fault: { name: "status", status: 403, code: "Authorization_RequestDenied", inner: "Outer" },
  });
  const client = await open(world);
  const ids = new Set();
  for (let times = 0; times < 2; times++) {
    const error = await client
      .orgContacts()
      .sync()
      .catch((error) => error);
    const [last] = (await asked(world)).slice(-1);
    assert.equal(error.clientRequestId, last.headers["client-request-id"]);
    assert.match(
      error.clientRequestId,
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    ids.add(error.clientRequestId);
  }
  assert.equal(ids.size, 2, "each request has one of its own");
  await client.close();
});

test("bodies that are not Graph's are told apart", async () => {
  const utf16 = new Uint8Array([0xff, 0xfe, ...Buffer.from('{"value":[]}', "utf16le")]);
  for (const [response, code, words] of [
    [
      () =>
        new Response("<!DOCTYPE html><title>Sign in to the guest network</title>", {
          headers: { "content-type": "text/html" },
        }),
      "protocol",
      /the body is an HTML page, so something between here and Graph answered/,
    ],
    [() => new Response(""), "protocol", /the body is empty/],
    [() => new Response("  \n"), "protocol", /the body is empty/],
    [() => new Response('{"value":[{"id":"a"'), "protocol", /the body is not JSON, or was cut short/],
    [() => new Response(utf16), "protocol", /the body is not UTF-8/],
    [() => new Response(new Uint8Array([0x22, 0xff, 0xfe])), "protocol", /the body is not UTF-8/],
    [
      () => new Response('{"error":{"code":"UnknownError"}}'),
      "protocol",
      /the status says success but the body holds the error "UnknownError"/,
    ],
    [() => new Response('"a text"'), "protocol", /JSON but not an object/],
    [
      () => new Response("", { status: 503 }),
      "network",
      /^Graph answered 503 on orgContact: the service did not recover in time/,
    ],
    [
      () => new Response("<html>Bad gateway</html>", { status: 502 }),
      "network",
      /^Graph answered 502 on orgContact \(the body is an HTML page, so something between here and Graph answered/,
    ],
    [
      () =>
        Response.json(
          { value: [{ id: "a" }], "@odata.deltaLink": "https://graph.microsoft.com/v1.0/x" },
          { status: 400 },
        ),
      "bad-request",
      /^Graph answered 400/,
    ],
    [
      () =>
        Response.json(
          {
            error: {
              code: "outer",
              message: "No.",
              innererror: { code: "Inner", innerError: { code: "INNERMOST" } },
            },
          },
          { status: 400 },
        ),
      "bad-request",
      /^Graph answered 400 INNERMOST on orgContact \(No\.\)/,
    ],
  ]) {
    const client = await openDelta({
      token: () => "t",
      store: "memory",
      retry: { base: 1, cap: 2, attempts: 2 },
      fetch: async () => response(),
    });
    const contacts = client.orgContacts();
    await assert.rejects(
      contacts.sync(),
      (error) => error.code === code && words.test(error.message),
      String(words),
    );
    assert.equal(await contacts.count(), 0, "no data is taken from an answer that is none");
    await client.close();
  }
});

test("the way out of a 403 is that of its kind", async () => {
  const world = await fake.world({ populate: { recordings: 3 } });
  await world.faults({ match: {}, times: null, fault: { name: "status", status: 403, code: "Forbidden" } });
  const client = await open(world);
  await assert.rejects(client.callRecordings({ organizer: world.user.id }).sync(), {
    code: "forbidden",
    retryable: false,
    message: /only an app-only token can read this kind, no signed-in user's: use a Worker or a server/,
  });
  await assert.rejects(client.orgContacts().sync(), {
    code: "forbidden",
    message: /the token lacks the permission, or the user the right/,
  });
  await client.close();
});

test("a service that fails twice is asked for smaller pages, which the report tells", async () => {
  const world = await fake.world({ populate: { events: 150, around: "2026-11-21T00:00:00Z" } });
  await world.faults({
    match: { page_size_over: 60 },
    times: null,
    fault: { name: "status", status: 504, code: "UnknownError" },
  });
  const client = await open(world);
  const report = await client.events({ ...weeks, pageSize: 400 }).sync();
  assert.deepEqual([report.outcome, report.pageSize], ["complete", 50]);
  const sizes = (await asked(world)).map(({ headers }) => /maxpagesize=(\d+)/.exec(headers.prefer)?.[1]);
  assert.deepEqual(sizes.slice(0, 5), ["400", "400", "200", "100", "50"]);
  await client.close();
});

test("without a network the round says so and ends within its budget", async (t) => {
  const world = await fake.world({ populate });
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  t.after(() =>
    before ? Object.defineProperty(globalThis, "navigator", before) : delete globalThis.navigator,
  );
  let online = false;
  const listeners = new Set();
  Object.defineProperty(globalThis, "navigator", {
    configurable: true,
    value: {
      get onLine() {
        return online;
      },
    },
  });
  const lost = () => Promise.reject(new TypeError("fetch failed"));
  const client = await open(world, { retry: { ...quick, maxWait: 50 }, fetch: lost });
  const error = await client
    .orgContacts()
    .sync()
    .catch((error) => error);
  assert.deepEqual([error.code, error.retryable], ["offline", true]);
  assert.match(
    error.message,
    /this host has no network; the next round goes on at the same page once it has one/,
  );
  // Back before the budget is used up: the event of the window wakes it.
  globalThis.addEventListener = (name, run) => name === "online" && listeners.add(run);
  t.after(() => delete globalThis.addEventListener);
  const patient = await open(world, {
    retry: { ...quick, maxWait: 60_000 },
    fetch: (url, init) => (online ? fetch(url, init) : lost()),
  });
  const contacts = patient.orgContacts();
  const done = contacts.sync();
  const waiting = await until(contacts, ({ phase }) => phase === "waiting");
  assert.equal(waiting.waitReason, "offline");
  online = true;
  for (const run of listeners) run();
  const { outcome, waits } = await done;
  assert.equal(outcome, "complete");
  assert.ok(waits[0].reason === "offline" && waits[0].ms < 50_000, "as long as it was");
  // A host that can't tell is not offline.
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: {} });
  const unsure = await open(world, { retry: { ...quick, attempts: 2 }, fetch: lost });
  await assert.rejects(unsure.orgContacts().sync(), { code: "network" });
  for (const one of [client, patient, unsure]) await one.close();
});

// ---- aborts

test("an abort reaches the token call, the request, its body, every wait and the queue, with its reason untouched", async () => {
  const world = await fake.world({ populate });
  const never = () => new Promise(() => {});
  let tokenSignal;
  let fetchSignal;
  // One for each request: who reads a body locks it.
  let arrived;
  const reached = () => (arrived.fire(), never());
  // It is asked for more once its first piece has been read.
  const slow = () => {
    const pieces = ['{"value":['];
    const pull = (controller) =>
      pieces.length ? controller.enqueue(new TextEncoder().encode(pieces.pop())) : reached();
    return new ReadableStream({ pull }, { highWaterMark: 0 });
  };
  const throttled = () => new Response("", { status: 429, headers: { "Retry-After": "100" } });
  const places = {
    token: { token: ({ signal }) => ((tokenSignal = signal), reached()) },
    request: { fetch: (url, { signal }) => ((fetchSignal = signal), reached()) },
    body: { fetch: async () => new Response(slow()) },
    wait: { fetch: async () => throttled() },
  };
  for (const [place, options] of Object.entries(places)) {
    for (const reason of ["stop", undefined, null, 0, new Error("mine"), { any: "thing" }]) {
      let requests = 0;
      arrived = event();
      const own = options.fetch && ((...request) => ((requests += 1), options.fetch(...request)));
      const client = await open(world, { ...options, ...(own && { fetch: own }) });
      const contacts = client.orgContacts();
      const stop = new AbortController();
      const done = contacts.sync({ signal: stop.signal }).then(
        () => assert.fail(place),
        (thrown) => [thrown],
      );
      await (place === "wait" ? until(contacts, ({ phase }) => phase === "waiting") : arrived.fired);
      const before = requests;
      stop.abort(reason);
      const [thrown] = await done;
      assert.equal(thrown, stop.signal.reason, place);
      await settled(fake);
      assert.equal(requests, before, `${place}: nothing is sent afterwards`);
      assert.equal(contacts.status.get().phase, "idle");
      await client.close();
    }
  }
  assert.ok(tokenSignal.aborted && fetchSignal.aborted);
});

test("whoever leaves the queue of a mailbox makes room for the others", async () => {
  const world = await fake.world({ populate });
  let hold = true;
  let requests = 0;
  const hung = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const client = await open(world, {
    fetch: (url, init) => ((requests += 1), hold ? hung(init) : fetch(url, init)),
  });
  const stops = Array.from({ length: 6 }, () => new AbortController());
  const rounds = stops.map(({ signal }, at) => client.events({ ...weeks, name: `q${at}` }).sync({ signal }));
  await polled(() => requests === 4);
  await settled(fake);
  assert.equal(requests, 4, "the others wait");
  hold = false;
  // Two who wait, and one who has a request under way.
  for (const at of [5, 4, 0]) stops[at].abort("left");
  for (const at of [5, 4, 0]) await assert.rejects(rounds[at], (reason) => reason === "left");
  assert.equal((await client.events({ ...weeks, name: "late" }).sync()).outcome, "complete");
  for (const stop of stops) stop.abort("end");
  await Promise.allSettled(rounds);
  await client.close();
});

// ---- hostile input

test("a page of 50 MB and an item of 10 MB pass", async () => {
  const pages = [
    {
      value: Array.from({ length: 50_000 }, (_, at) => ({ id: `i${at}`, body: `${at} ${"x".repeat(1000)}` })),
      "@odata.nextLink": "https://graph.microsoft.com/v1.0/contacts/delta?$skiptoken=1",
    },
    {
      value: [{ id: "large", body: "é".repeat(5_000_000) }],
      "@odata.deltaLink": "https://graph.microsoft.com/v1.0/contacts/delta?$deltatoken=1",
    },
  ].map((page) => Buffer.from(JSON.stringify(page)));
  assert.ok(pages[0].length > 50e6 && pages[1].length > 10e6);
  const server = createServer((request, response) =>
    response.end(pages[request.url.includes("skiptoken") ? 1 : 0]),
  );
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  const client = await openDelta({
    token: () => "t",
    store: "memory",
    fetch: (url, init) => fetch(url.replace("https://graph.microsoft.com", `http://127.0.0.1:${port}`), init),
  });
  const contacts = client.orgContacts();
  const report = await contacts.sync();
  assert.deepEqual([report.pages, report.added], [2, 50_001]);
  assert.equal((await contacts.get("large")).body.length, 5_000_000);
  await client.close();
  server.close();
});

test("links from the service and from the store are checked before the token is attached, and redirects are not followed", async () => {
  const world = await fake.world({ populate });
  const hostile = "https://evil.example/v1.0/contacts/delta?$deltatoken=secret";
  const tokens = [];
  const watching = (url, init) => (tokens.push([new URL(url).origin, init.redirect]), fetch(url, init));
  await world.faults({ match: { kind: "initial" }, fault: { name: "foreign_link", link: hostile } });
  const client = await open(world, { fetch: watching });
  await assert.rejects(
    client.orgContacts().sync(),
    (error) => error.code === "foreign-link" && !error.message.includes("secret"),
  );
  await client.orgContacts().sync();
  await world.faults({ match: {}, fault: { name: "redirect", location: hostile } });
  await assert.rejects(client.orgContacts().sync(), {
    code: "foreign-link",
    message: /a redirect is not followed, because it would carry the token elsewhere/,
  });
  await client.close();
  // A store that somebody else can write to.
  const states = new Map();
  const store = {
    load: async (key) => states.get(key),
    rows: async (key, ids) => ids.map(() => undefined),
    commit: async (key, { state }) => Boolean(states.set(key, state)),
    scan: async () => [],
    clear: async () => {},
  };
  const own = await open(world, { store, account: "a", fetch: watching });
  await own.orgContacts().sync();
  for (const [key, state] of states) if (state.link) states.set(key, { ...state, link: hostile });
  await assert.rejects(own.orgContacts().sync(), { code: "foreign-link" });
  await own.close();
  assert.deepEqual([...new Set(tokens.map(String))], [`${new URL(world.root).origin},manual`]);
});
