// The JavaScript of the packed package in Node: status, errors, options, stores.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DeltaError, init, openDelta } from "deltalink";
import { fromMsal } from "deltalink/msal";
import { requestsOf, startFake } from "../fake.mjs";
import { event } from "../wait.mjs";
import { open } from "./kit.mjs";
import { MemoryStore } from "./memory-store.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

const populate = { contacts: 30 };
const sortedIds = (items) => items.map(({ id }) => id).sort();

test("the status is the same object until something changes, and shared by the queries of one key", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const seen = [];
  const stop = client.orgContacts().status.subscribe((status) => seen.push(status));
  assert.equal(contacts.status.get(), contacts.status.get());
  assert.deepEqual(seen[0], { phase: "new" });
  await contacts.sync();
  stop();
  const count = seen.length;
  await contacts.sync();
  assert.equal(seen.length, count, "unsubscribed");
  assert.equal(contacts.status.get().phase, "idle");
  assert.ok(contacts.status.get().lastSyncedAt instanceof Date);
  const { bytes, ...counts } = seen.filter(({ progress }) => progress).at(-1).progress;
  assert.deepEqual(counts, { pages: 2, items: 20, requests: 3 });
  assert.ok(bytes > 5000, bytes);
  await client.close();
  assert.equal(contacts.status.get().phase, "closed");
});

test("a status listener that throws does not end the round or the process", async (context) => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  const reported = context.mock.method(console, "error", () => {});
  const stop = contacts.status.subscribe(() => {
    throw new Error("a listener's own");
  });
  assert.equal((await contacts.sync()).outcome, "complete");
  stop();
  assert.ok(reported.mock.callCount() > 0);
  assert.ok(reported.mock.calls.every(({ arguments: [error] }) => error.message === "a listener's own"));
  await client.close();
});

test("a client that hangs does not block another one, as in the next request of a Worker", async () => {
  const world = await fake.world({ populate });
  const hung = await open(world, {
    account: "a",
    store: { load: () => new Promise(() => {}), rows() {}, commit() {}, scan() {}, clear() {} },
  });
  void hung
    .orgContacts()
    .sync()
    .catch(() => {});
  const other = await open(world, { account: "a" });
  assert.equal((await other.orgContacts().sync()).outcome, "complete");
  await other.close();
});

test("errors are DeltaErrors with a code, the ids of the request and the report", async () => {
  const world = await fake.world({ populate });
  await world.faults({
    match: {},
    fault: { name: "status", status: 403, code: "Authorization_RequestDenied" },
  });
  const client = await open(world);
  const error = await client
    .orgContacts()
    .sync()
    .catch((error) => error);
  assert.ok(error instanceof DeltaError && error instanceof Error);
  assert.equal(error.name, "DeltaError");
  assert.match(error.stack, /^DeltaError: Graph returned 403 Authorization_RequestDenied on orgContact/);
  const { code, status, graphCode, retryable, requestId, report } = error;
  assert.deepEqual(
    { code, status, graphCode, retryable },
    { code: "forbidden", status: 403, graphCode: "Authorization_RequestDenied", retryable: false },
  );
  assert.match(requestId, /^[0-9a-f-]{36}$/);
  assert.equal(report.outcome, "failed");
  assert.equal(client.orgContacts().status.get().error, error);
  assert.throws(() => client.orgContacts({ ids: [] }), DeltaError);
  await client.close();
});

test("a wait beyond the limit of a round ends it with the time to retry", async () => {
  const world = await fake.world({ populate });
  await world.faults({
    match: {},
    fault: { name: "status", status: 429, code: "TooManyRequests", headers: { "Retry-After": "3600" } },
  });
  const client = await open(world);
  const error = await client
    .orgContacts()
    .sync()
    .catch((error) => error);
  assert.equal(error.code, "throttled");
  assert.ok(Math.abs(error.retryAt - Date.now() - 3600e3) < 10e3);
  await world.clearLog();
  for (const other of [client.orgContacts(), client.track("/users/delta")]) {
    await assert.rejects(other.sync(), {
      code: "throttled",
      retryAt: error.retryAt,
      message: /for this query or another one in its throttling scope/,
    });
  }
  assert.deepEqual(await world.log(), [], "no request is sent early");
  assert.equal(
    (await client.events({ start: "2026-11-01", end: "2026-12-01" }).sync()).outcome,
    "complete",
    "other limits",
  );
  await client.close();
});

test("items() reads all items in chunks", async () => {
  const world = await fake.world({
    populate: { contacts: 1100 },
    options: { page_size: 400, honour_maxpagesize: false },
  });
  const client = await open(world);
  const contacts = client.orgContacts();
  await contacts.sync();
  const items = [];
  for await (const item of contacts.items()) items.push(item);
  assert.equal(items.length, 1100);
  assert.deepEqual(sortedIds(items), sortedIds(await contacts.all()));
  assert.deepEqual(await contacts.get(items[7].id), items[7]);
  assert.equal(await contacts.get("nobody"), undefined);
  await client.close();
});

test("changing an item does not change the mirror", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const contacts = client.orgContacts();
  await contacts.sync();
  for (const item of await contacts.all()) item.displayName = "spoiled";
  assert.ok((await contacts.all()).every(({ displayName }) => displayName !== "spoiled"));
  await client.close();
});

test("a feed has rounds and no mirror", async () => {
  const world = await fake.world({ populate });
  const client = await open(world);
  const feed = client.orgContacts({ mirror: false });
  assert.equal("all" in feed || "sync" in feed, false);
  const ids = [];
  for await (const page of feed.round()) ids.push(...page.changes.map(({ id }) => id));
  assert.deepEqual(ids.sort(), sortedIds(await world.table("contacts")));
  await client.close();
});

test("forget() deletes the data of the account and closes the client", async () => {
  const world = await fake.world({ populate });
  const cleared = [];
  const store = {
    load: async () => undefined,
    rows: async (key, ids) => ids.map(() => undefined),
    commit: async () => true,
    scan: async () => [],
    clear: async (prefix) => cleared.push(prefix),
  };
  const client = await open(world, { store, account: "alex" });
  await client.forget();
  assert.deepEqual(cleared, ["alex | "]);
  assert.throws(() => client.orgContacts(), { code: "closed" });
});

/** A caller's store in which a round has committed its first page: the next page reads rows. */
async function storeAfterPage(world) {
  const records = new Map();
  const store = {
    load: async (key) => records.get(key),
    rows: async (key, ids) => ids.map(() => undefined),
    commit: async () => true,
    scan: async () => [],
    clear: async () => {},
  };
  const client = await open(world, { store, account: "a" });
  for await (const page of client.orgContacts().round()) {
    store.commit = async (key, { state }) => Boolean(records.set(key, state));
    await page.ack();
    break;
  }
  await client.close();
  return { ...store, commit: async () => true };
}

test("without a store, the error names the missing IndexedDB rather than the missing account", async () => {
  await assert.rejects(openDelta({ token: () => "t" }), {
    code: "store",
    message: /^this host has no IndexedDB, or refuses it here/,
  });
  await assert.rejects(openDelta({ token: () => "t", store: new MemoryStore() }), { code: "account" });
});

test('a store of the caller that fails or returns invalid values leads to the code "store"', async () => {
  const world = await fake.world({ populate });
  const good = await storeAfterPage(world);
  for (const [invalid, words] of [
    [
      {
        load: async () => {
          throw new Error("no disk");
        },
      },
      "load() of options.store failed (no disk)",
    ],
    [{ load: async () => 7 }, "it is not an object"],
    [{ rows: async () => [] }, "rows() of options.store must resolve to an array with one element per id"],
    [{ commit: async () => "yes" }, "commit() of options.store must resolve to true or false, got a string"],
    [
      {
        commit: () => {
          throw "a text";
        },
      },
      "commit() of options.store failed",
    ],
  ]) {
    const client = await open(world, { store: { ...good, ...invalid }, account: "a" });
    await assert.rejects(
      client.orgContacts().sync(),
      (error) => error.code === "store" && error.message.includes(words),
      words,
    );
    await client.close();
  }
  for (const name of ["load", "rows", "commit", "scan", "clear"])
    await assert.rejects(open(world, { store: { ...good, [name]: undefined }, account: "a" }), {
      code: "bad-request",
      message: `options.store must be "indexeddb", "memory" or a DeltaStore; this one has no ${name}()`,
    });
  const client = await open(world, { store: { ...good, commit: async () => false }, account: "a" });
  await assert.rejects(client.orgContacts().sync(), { code: "conflict", retryable: true });
  await client.close();
});

test('an abort or close() ends the wait for a store that hangs, and a scan() without progress leads to the code "store"', async () => {
  const world = await fake.world({ populate });
  const good = await storeAfterPage(world);
  for (const name of ["load", "rows", "commit"]) {
    let called = event();
    const hang = () => (called.fire(), new Promise(() => {}));
    const client = await open(world, {
      store: { ...good, [name]: hang },
      account: "a",
      retry: { timeout: 50 },
    });
    const stop = new AbortController();
    const syncing = client.orgContacts().sync({ signal: stop.signal });
    await called.fired;
    stop.abort("enough");
    await assert.rejects(syncing, (reason) => reason === "enough", name);
    called = event();
    const again = client.orgContacts().sync();
    await called.fired;
    const ended = assert.rejects(again, { code: "closed" }, name);
    await client.close();
    await ended;
  }
  const rows = Array.from({ length: 500 }, (_, n) => [`id${n}`, { generation: 1, item: {} }]);
  const client = await open(world, { store: { ...good, scan: async () => rows }, account: "a" });
  await assert.rejects(client.orgContacts().all(), {
    code: "store",
    message: /scan\(\) of options\.store must resolve to rows after the id it was given/,
  });
  await client.close();
});

test("a malformed Response ends the round with an error code", async () => {
  const headers = { get() {} };
  const throwing = () => {
    throw new Error("x");
  };
  for (const [malformed, code] of [
    [{ status: 503, text: async () => "", headers: { get: throwing } }, "network"],
    [{ status: 503, text: async () => "", headers: { get: () => 7 } }, "network"],
    [{ status: 503, text: async () => "", headers }, "network"],
    [{ status: 200, text: throwing, headers }, "network"],
    [{ status: 200, text: () => 7, headers }, "protocol"],
    [{ status: NaN, text: async () => "{}", headers }, "bad-request"],
    [
      {
        status: 200,
        text: async () => "{}",
        headers,
        get ok() {
          return throwing();
        },
      },
      "protocol",
    ],
    [
      {
        status: 200,
        text: async () => "{}",
        headers,
        get type() {
          return throwing();
        },
      },
      "protocol",
    ],
    [
      {
        get status() {
          return throwing();
        },
      },
      "bad-request",
    ],
  ]) {
    const client = await openDelta({
      token: () => "t",
      store: "memory",
      retry: { base: 1, cap: 2 },
      fetch: async () => malformed,
    });
    await assert.rejects(
      client.orgContacts().sync(),
      (error) => error instanceof DeltaError && error.code === code,
      code,
    );
    await client.close();
  }
});

test("an endpoint that is not a normalized URL is refused at once", async () => {
  for (const endpoint of [
    "https://[2001:DB8::0001]/v1.0",
    "https://gräph.contoso.example",
    "https://graph.contoso.example:0443",
  ]) {
    await assert.rejects(
      openDelta({ endpoint, token: () => "t", store: "memory" }),
      { code: "bad-request", message: /options\.endpoint must be a normalized URL/ },
      endpoint,
    );
  }
});

test("unreadable options lead to the code bad-request", async () => {
  const unreadable = new Proxy(
    { token: () => "t" },
    {
      ownKeys() {
        throw new Error("no");
      },
    },
  );
  const world = await fake.world({ populate });
  const client = await open(world);
  assert.throws(() => client.events(unreadable), {
    code: "bad-request",
    message: "the options of events() cannot be read",
  });
  assert.throws(() => client.track("/users/delta", { query: unreadable }), { code: "bad-request" });
  await assert.rejects(openDelta(unreadable), { code: "bad-request" });
  await client.close();
});

test("an option that is a function, a symbol or a bigint is refused by its name, even if it cannot be read", async () => {
  const fail = () => {
    throw new Error("a getter of the caller's");
  };
  const { proxy: revoked, revoke } = Proxy.revocable(() => {}, {});
  revoke();
  const functions = [
    () => {},
    Object.defineProperty(() => {}, "name", { get: fail }),
    new Proxy(() => {}, { get: fail }),
    revoked,
  ];
  const memory = { token: () => "t", store: "memory" };
  const client = await openDelta(memory);
  const window = { start: "2026-11-01", end: "2026-12-01" };
  for (const value of [...functions, Symbol("s"), 7n]) {
    const got = `a ${typeof value}`;
    const refusal = (name) => ({
      code: "bad-request",
      message: new RegExp(`^options\\.${name} must be .*, got ${got}$`),
    });
    for (const name of ["account", "endpoint", "persist"])
      await assert.rejects(openDelta({ ...memory, [name]: value }), refusal(name));
    await assert.rejects(openDelta({ ...memory, retry: { base: value } }), refusal("retry.base"));
    for (const name of ["start", "end", "pageSize", "timeZone", "mirror"])
      assert.throws(() => client.events({ ...window, [name]: value }), refusal(name));
  }
  await client.close();
});

test("without IndexedDB the store must be named", async () => {
  const world = await fake.world();
  await assert.rejects(open(world, { store: undefined, account: "a" }), {
    code: "store",
    message: /name another store: options\.store: "memory"/,
  });
});

test("fromMsal passes the account, gets tokens silently, and refreshes a refused one", async () => {
  const world = await fake.world({ populate });
  const requests = [];
  const account = {
    homeAccountId: "home.tenant",
    environment: "login.microsoftonline.com",
    tenantId: "t",
    username: "u",
    localAccountId: "l",
  };
  const msal = {
    async acquireTokenSilent(request) {
      requests.push(request);
      return {
        accessToken: request.forceRefresh ? world.tokens.delegated : "old",
        expiresOn: new Date(Date.now() + 3600e3),
      };
    },
  };
  const token = fromMsal(msal, { account, scopes: ["OrgContact.Read.All"] });
  assert.equal(token.account, "home.tenant");
  const client = await open(world, { token });
  await client.orgContacts().sync();
  assert.deepEqual(requests, [
    { account, scopes: ["OrgContact.Read.All"] },
    { account, scopes: ["OrgContact.Read.All"], forceRefresh: true },
  ]);
  await client.close();
});

test("a required sign-in is a status, and resume() continues at the same page", async () => {
  const world = await fake.world({ populate });
  let isSignedOut = false;
  const token = () => {
    if (isSignedOut) throw Object.assign(new Error("sign in"), { name: "InteractionRequiredAuthError" });
    return world.tokens.delegated;
  };
  const client = await open(world, { token });
  const contacts = client.orgContacts();
  const round = contacts.round();
  await assert.rejects(
    async () => {
      for await (const page of round) isSignedOut = page.index === 0;
    },
    { code: "interaction" },
  );
  assert.equal(contacts.status.get().phase, "needs-auth");
  isSignedOut = false;
  client.resume();
  assert.equal(contacts.status.get().phase, "new");
  await world.clearLog();
  assert.equal((await contacts.sync()).resumed, true);
  assert.deepEqual(
    (await requestsOf(world)).map(({ kind }) => kind),
    ["next", "next"],
  );
  await client.close();
});

test("fromMsal without a signed-in user throws the code account", () => {
  assert.throws(() => fromMsal({}, { account: undefined, scopes: [] }), {
    name: "DeltaError",
    code: "account",
    message: /sign in first/,
  });
});

test("fromMsal() refuses a client that is not MSAL's, and missing or empty scopes", () => {
  const account = { homeAccountId: "alex" };
  assert.throws(() => fromMsal(Promise.resolve({}), { account, scopes: ["User.Read"] }), {
    code: "bad-request",
    message: "the client of fromMsal() must be an initialized PublicClientApplication, got a Promise",
  });
  for (const scopes of ["User.Read", [], undefined])
    assert.throws(() => fromMsal({ acquireTokenSilent() {} }, { account, scopes }), {
      code: "bad-request",
      message:
        /^request\.scopes of fromMsal\(\) must be a non-empty array such as \["Calendars\.Read"\], got (a string|an empty one|undefined)$/,
    });
});

test("init() can be called before openDelta() and repeatedly", async () => {
  await Promise.all([init(), init()]);
  await init();
});

test("changes of the options after the call of openDelta() have no effect", async () => {
  const sent = [];
  const fetch = async (url, { headers }) => {
    sent.push(headers.get("Authorization"));
    return Response.json({
      value: [],
      "@odata.deltaLink": "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=1",
    });
  };
  const options = { token: () => "first", store: "memory", fetch };
  const opening = openDelta(options);
  options.token = () => "second";
  const client = await opening;
  await client.track("/users/delta").sync();
  assert.deepEqual(sent, ["Bearer first"]);
  await client.close();
});
