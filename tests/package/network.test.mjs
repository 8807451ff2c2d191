// Faults of the network, responses that are not from Graph, large bodies and hostile links, through
// the packed package in Node.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { openDelta } from "deltalink";
import { requestsOf, startFake } from "../fake.mjs";
import { fakeNetwork, open, quick, statusUntil } from "./kit.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

const populate = { contacts: 30, events: 30, users: 10, around: "2026-11-21T00:00:00Z" };
const weeks = { start: "2026-11-01", end: "2026-12-20" };

test("a request without data is aborted and repeated, a slow one is not", async () => {
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
  assert.ok(Date.now() - began > 300, "the round took longer than the timeout");
  await client.close();
  await world.faults({ match: {}, times: null, fault: "hang" });
  const cut = await open(world, { retry: { ...patient, timeout: 20, attempts: 2 } });
  await assert.rejects(cut.orgContacts().sync(), {
    code: "network",
    message: /nothing arrived for 1 s, options\.retry\.timeout/,
  });
  await cut.close();
});

test("an error has Graph's id of the request, and the client's", async () => {
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
    const [last] = (await requestsOf(world)).slice(-1);
    assert.equal(error.clientRequestId, last.headers["client-request-id"]);
    assert.match(
      error.clientRequestId,
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    ids.add(error.clientRequestId);
  }
  assert.equal(ids.size, 2, "each request has another id");
  await client.close();
});

test("bodies that are not from Graph are named in the error", async () => {
  const utf16 = new Uint8Array([0xff, 0xfe, ...Buffer.from('{"value":[]}', "utf16le")]);
  for (const [response, code, words] of [
    [
      () =>
        new Response("<!DOCTYPE html><title>Sign in to the guest network</title>", {
          headers: { "content-type": "text/html" },
        }),
      "protocol",
      /the body is HTML, so a proxy or a sign-in web page responded instead of Graph/,
    ],
    [() => new Response(""), "protocol", /the body is empty/],
    [() => new Response("  \n"), "protocol", /the body is empty/],
    [() => new Response('{"value":[{"id":"a"'), "protocol", /the body is not JSON, or was cut short/],
    [() => new Response(utf16), "protocol", /the body is not UTF-8/],
    [() => new Response(new Uint8Array([0x22, 0xff, 0xfe])), "protocol", /the body is not UTF-8/],
    [
      () => new Response('{"error":{"code":"UnknownError"}}'),
      "protocol",
      /the status says success but the body contains the error "UnknownError"/,
    ],
    [() => new Response('"a text"'), "protocol", /JSON but not an object/],
    [
      () => new Response("", { status: 503 }),
      "network",
      /^Graph returned 503 on orgContact at \/contacts\/delta: the service did not recover in time/,
    ],
    [
      () => new Response("<html>Bad gateway</html>", { status: 502 }),
      "network",
      /^Graph returned 502 on orgContact at \/contacts\/delta \(the body is HTML, so a proxy or a sign-in web page responded instead of Graph/,
    ],
    [
      () =>
        Response.json(
          { value: [{ id: "a" }], "@odata.deltaLink": "https://graph.microsoft.com/v1.0/x" },
          { status: 400 },
        ),
      "bad-request",
      /^Graph returned 400/,
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
      /^Graph returned 400 INNERMOST on orgContact at \/contacts\/delta \(No\.\)/,
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
    assert.equal(await contacts.count(), 0, "a response that is not a page changes no data");
    await client.close();
  }
});

test("the message of a 403 says what to do for the kind of query", async () => {
  const world = await fake.world({ populate: { recordings: 3 } });
  await world.faults({ match: {}, times: null, fault: { name: "status", status: 403, code: "Forbidden" } });
  const client = await open(world);
  await assert.rejects(client.callRecordings({ organizer: world.user.id }).sync(), {
    code: "forbidden",
    retryable: false,
    message:
      /the token lacks the permission, or is that of a signed-in user, who cannot read this kind: use an app-only token, in a Worker or a server; it requires OnlineMeetingRecording\.Read\.All/,
  });
  await assert.rejects(client.orgContacts().sync(), {
    code: "forbidden",
    message: /the token lacks the permission, or the user is not allowed/,
  });
  await client.close();
});

test("after two failures the round requests smaller pages, and reports their size", async () => {
  const world = await fake.world({ populate: { events: 150, around: "2026-11-21T00:00:00Z" } });
  await world.faults({
    match: { page_size_over: 60 },
    times: null,
    fault: { name: "status", status: 504, code: "UnknownError" },
  });
  const client = await open(world);
  const report = await client.events({ ...weeks, pageSize: 400 }).sync();
  assert.deepEqual([report.outcome, report.pageSize], ["complete", 50]);
  const sizes = (await requestsOf(world)).map(({ headers }) => /maxpagesize=(\d+)/.exec(headers.prefer)?.[1]);
  assert.deepEqual(sizes.slice(0, 5), ["400", "400", "200", "100", "50"]);
  await client.close();
});

test("an offline round has the status offline and ends within its limit", async (t) => {
  const world = await fake.world({ populate });
  const network = fakeNetwork(t, false);
  const lost = () => Promise.reject(new TypeError("fetch failed"));
  const client = await open(world, { retry: { ...quick, maxWait: 50 }, fetch: lost });
  const error = await client
    .orgContacts()
    .sync()
    .catch((error) => error);
  assert.deepEqual([error.code, error.retryable], ["offline", true]);
  assert.match(
    error.message,
    /this host has no network; the next round continues at the same page once it has one/,
  );
  // Online before the limit is reached: the event of the window ends the wait.
  const patient = await open(world, {
    retry: { ...quick, maxWait: 60_000 },
    fetch: (url, init) => (network.isOnline ? fetch(url, init) : lost()),
  });
  const contacts = patient.orgContacts();
  const done = contacts.sync();
  const waiting = await statusUntil(contacts, ({ phase }) => phase === "waiting");
  assert.equal(waiting.waitReason, "offline");
  network.set(true);
  const { outcome, waits } = await done;
  assert.equal(outcome, "complete");
  assert.ok(
    waits[0].reason === "offline" && waits[0].ms < 50_000,
    "the wait ended when the network was back",
  );
  // A host without onLine is not offline.
  network.hide();
  const unsure = await open(world, { retry: { ...quick, attempts: 2 }, fetch: lost });
  await assert.rejects(unsure.orgContacts().sync(), { code: "network" });
  for (const one of [client, patient, unsure]) await one.close();
});

test("the error of a wasm that cannot be loaded names the missing network, if there is none", async (t) => {
  const { createApi } = await import(new URL("../node_modules/deltalink/api.js", import.meta.url).href);
  const { openDelta } = createApi(() => Promise.reject(new TypeError("fetch failed")));
  const messageOf = () => openDelta({}).catch(({ message }) => message);
  const network = fakeNetwork(t, false);
  const expected = /^this host has no network, and the wasm .*: cache deltalink\.wasm in the service worker/;
  assert.match(await messageOf(), expected);
  network.set(true);
  assert.match(await messageOf(), /\(fetch failed\); under a Content-Security-Policy it needs script-src/);
});

test("a page of 50 MB and an item of 10 MB are stored", async () => {
  const pages = [
    {
      value: Array.from({ length: 50_000 }, (_, index) => ({
        id: `i${index}`,
        body: `${index} ${"x".repeat(1000)}`,
      })),
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
  // A store to which an attacker can write.
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
