// Options are copied at the call, so that later changes of the object have no effect, even when
// clients and queries are made again after a trap. The wasm has little memory, so that a huge
// option makes it trap.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init } from "deltalink";
import { clientOf, page } from "./responses.mjs";
import { confined, packedWasm } from "./confined.mjs";
import { MemoryStore } from "./memory-store.mjs";

before(async () => init(confined(await packedWasm(), 64)));

/** Makes the instance of a client trap, by an option that does not fit into its memory. */
function trap(client) {
  assert.throws(() => client.track("/users/delta", { name: "x".repeat(20_000_000) }), { code: "internal" });
}

const users = (token) =>
  page([{ id: `a user that ${token} reads` }], { delta: "/users/delta?$deltatoken=1" });
const respond = function (url, { headers }) {
  const token = headers.get("Authorization").replace("Bearer ", "");
  this.push({ url, token });
  return Promise.resolve(users(token));
};

/** Opens two clients with one options object that the caller changes in between. */
async function twoAccounts(options) {
  const { openDelta } = await import("deltalink");
  const requests = [];
  const [alices, bobs] = [new MemoryStore(), new MemoryStore()];
  Object.assign(options, { fetch: respond.bind(requests), retry: { base: 1, cap: 2, attempts: 3 } });
  Object.assign(options, { account: "alice", token: () => "alice's-token", store: alices });
  const alice = await openDelta(options);
  const query = alice.track("/users/delta");
  Object.assign(options, { account: "bob", token: () => "bob's-token", store: bobs });
  const bob = await openDelta(options);
  options.retry.attempts = "no number";
  return { alice, bob, query, alices, bobs, requests };
}

class Accessors {
  describe() {
    return "a method next to the options";
  }
  get unrelated() {
    throw new Error("not an option");
  }
}
for (const name of ["account", "token", "store", "fetch", "retry"]) {
  const values = new WeakMap();
  Object.defineProperty(Accessors.prototype, name, {
    get() {
      return values.get(this);
    },
    set(value) {
      values.set(this, value);
    },
  });
}

const kinds = {
  "a plain object": () => ({}),
  "an instance of a class": () => new (class Options {})(),
  "an object with a prototype of defaults": () => Object.create({ cloud: "global" }),
  "an object that inherits all of them": () => {
    const defaults = {};
    return new Proxy(Object.create(defaults), {
      set: (_, name, value) => Reflect.set(defaults, name, value),
    });
  },
  "an instance of a class with accessors": () => new Accessors(),
  "an object without a prototype": () => Object.create(null),
};

for (const [kind, make] of Object.entries(kinds)) {
  test(`a trap does not mix tokens and rows of two accounts whose options were ${kind}, reused`, async () => {
    const { alice, bob, query, alices, bobs, requests } = await twoAccounts(make());
    await bob.track("/users/delta").sync();
    trap(alice);
    const report = await query.sync();
    assert.equal(report.outcome, "complete");
    assert.deepEqual(
      requests.map(({ token }) => token),
      ["bob's-token", "alice's-token"],
    );
    const ids = async (store, account) =>
      (await store.scan(query.key.replace("alice", account), { limit: 10 })).map(([id]) => id);
    assert.deepEqual(await ids(alices, "alice"), ["a user that alice's-token reads"]);
    assert.deepEqual(await ids(alices, "bob"), [], "no row of the other account");
    assert.deepEqual(await ids(bobs, "bob"), ["a user that bob's-token reads"]);
    assert.deepEqual(
      (await query.all()).map(({ id }) => id),
      ["a user that alice's-token reads"],
    );
    await bob.forget();
    assert.equal((await query.all()).length, 1);
    await alice.forget();
    assert.equal(await alices.load(query.key), undefined);
  });
}

test("after a trap queries of a loop with one options object request their own users", async () => {
  const client = await clientOf((url) =>
    page([{ id: url.split("/")[5] }], { delta: "/users/x/calendarView/delta?$deltatoken=1" }),
  );
  const options = {
    start: new Date("2026-11-23T00:00:00Z"),
    end: new Date("2026-11-30T00:00:00Z"),
    query: {},
  };
  const queries = [];
  for (const user of ["alice", "bob", "carol"]) {
    options.user = user;
    options.query.custom = user;
    queries.push(client.events(options));
  }
  options.start.setFullYear(2020);
  const keys = queries.map(({ key }) => key);
  trap(client);
  for (const query of queries) await query.sync();
  assert.deepEqual(
    queries.map(({ key }) => key),
    keys,
  );
  const urls = client.requests.map(({ url }) => new URL(url));
  assert.deepEqual(
    urls.map(({ pathname }) => pathname.split("/")[3]),
    ["alice", "bob", "carol"],
  );
  assert.deepEqual(
    urls.map(({ searchParams }) => searchParams.get("custom")),
    ["alice", "bob", "carol"],
  );
  assert.ok(urls.every(({ searchParams }) => searchParams.get("startDateTime").startsWith("2026-11-23")));
  for (const [index, query] of queries.entries())
    assert.deepEqual(
      (await query.all()).map(({ id }) => id),
      [["alice", "bob", "carol"][index]],
    );
  await client.close();
});

test("changing a list of ids after the call has no effect", async () => {
  const client = await clientOf(() => page([{ id: "a" }], { delta: "/users/delta?$deltatoken=1" }));
  const ids = ["a", "b"];
  const query = client.track("/users/delta", { ids });
  ids.length = 0;
  trap(client);
  await query.sync();
  assert.match(decodeURIComponent(client.requests[0].url), /id eq 'a' or id eq 'b'/);
  await client.close();
});

test("a date object of a library is read once", async () => {
  const client = await clientOf(() => page([], { delta: "/me/calendarView/delta?$deltatoken=1" }));
  const moment = new (class {
    time = Date.UTC(2026, 10, 23);
    toISOString() {
      return new Date(this.time).toISOString();
    }
  })();
  const query = client.events({ start: moment, end: "2026-11-30" });
  moment.time = 0;
  trap(client);
  await query.sync();
  assert.match(client.requests[0].url, /startDateTime=2026-11-23/);
  assert.throws(() => client.events({ start: new Date(NaN), end: "2026-11-30" }), {
    code: "bad-request",
    message: /a valid Date, got an invalid one/,
  });
  const organizer = "u";
  assert.throws(() => client.callRecordings({ organizer, startDateTime: { toISOString: () => 7 } }), {
    code: "bad-request",
    message: /options\.startDateTime must be an ISO 8601 string or a Date, got 7/,
  });
  await client.close();
});
