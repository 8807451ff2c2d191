// Data of any depth and length in the packed wasm, whose stack has 256 KB. No data of Graph or a
// store may make the wasm trap or disturb another client. CASES=n runs more random records and
// pages, SEED=n replays one.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { clientOf, page, text, week } from "./responses.mjs";
import { packedWasm, stackOf } from "./confined.mjs";
import { MemoryStore } from "./memory-store.mjs";

const CASES = Number(process.env.CASES ?? 200);
const SEED = Number(process.env.SEED ?? 0);

const delta = "/me/calendarView/delta?$deltatoken=1";
const link = `https://graph.microsoft.com/v1.0${delta}`;
const occurrence = (id, seriesMasterId) => ({ id, type: "occurrence", seriesMasterId });

/** JSON of nested objects or arrays. */
const nestedObjects = (depth) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
const nestedArrays = (depth) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

/** Another client of the process, which is in a round during the tests. */
let other;
let pages;
before(async () => {
  other = await clientOf((url, count) =>
    page(
      [{ id: `user ${count}` }],
      count < 2 ? { next: "/users/delta?$skiptoken=1" } : { delta: "/users/delta?$deltatoken=1" },
    ),
  );
  pages = other.track("/users/delta").round()[Symbol.asyncIterator]();
  assert.equal((await pages.next()).value.index, 0);
});
after(async () => {
  assert.equal((await pages.next()).value.index, 1, "the other client continues its round");
  assert.equal((await pages.next()).done, true);
  await other.close();
});

/** The outcome of a call: complete, or the code of an error that is not a trap. */
async function outcomeOf(call, what) {
  const error = await call.then(
    () => undefined,
    (error) => error,
  );
  if (error)
    assert.ok(
      error.name === "DeltaError" && error.code !== "internal",
      `${what}: ${error.code} ${error.message}`,
    );
  return error?.code ?? "complete";
}

test("the wasm has a stack of 256 KB", async () => {
  assert.equal(stackOf(await packedWasm()), 262_144);
});

test("20,000 occurrences of series named by control characters or dots are stored", async () => {
  for (const master of [
    (index) => `\u0001${index}`,
    () => ".",
    () => "..",
    (index) => `${index}\u0000`,
    (index) => "/".repeat(index % 7),
    () => "\n",
  ]) {
    const items = Array.from({ length: 20_000 }, (_, index) => occurrence(`event ${index}`, master(index)));
    const client = await clientOf((url) =>
      url.includes("/events/") ? new Response("", { status: 404 }) : page(items, { delta }),
    );
    const report = await client.events(week).sync();
    assert.deepEqual([report.outcome, report.added], ["complete", 20_000]);
    await client.close();
  }
});

test("a round ends although its stored record has 20,000 masters that cannot be requested", async () => {
  for (const master of [".", "..", "\u0001", "\u0000x", "a\nb"]) {
    const store = new MemoryStore();
    let count = 0;
    const respond = (url) =>
      url.includes("/events/")
        ? new Response("", { status: 404 })
        : ((count += 1),
          page(
            [{ id: `event ${count}`, type: "singleInstance" }],
            count === 1 ? { next: "/me/calendarView/delta?$skiptoken=1" } : { delta },
          ));
    const client = await clientOf(respond, { store, account: "alex" });
    const events = client.events(week);
    for await (const one of events.round({ maxPages: 1 })) void one;
    const stored = await store.load(events.key);
    // Every hundredth master can be requested: a round has no time for more requests.
    const masters = Array.from({ length: 20_000 }, (_, index) => (index % 100 ? master : `series ${index}`));
    await store.commit(events.key, {
      expect: stored.revision,
      state: { ...stored, masters },
      put: [],
      remove: [],
    });
    assert.equal(await outcomeOf(events.sync(), JSON.stringify(master)), "complete");
    assert.equal((await store.load(events.key)).phase, "idle");
    await client.close();
  }
});

for (const depth of [60, 70, 1_000, 10_000]) {
  const result = depth < 1_000 ? "are added, repeated, changed and removed" : "never make the wasm trap";
  test(`items of ${depth} levels ${result}`, async () => {
    for (const nested of [nestedObjects(depth), nestedArrays(depth)]) {
      const items = [
        `{"id":"event 1","type":"singleInstance","x":${nested}}`,
        `{"id":"event 1","type":"singleInstance","x":${nested.replace("1", "2")}}`,
      ];
      for (const store of ["memory", new MemoryStore()]) {
        const bodies = [items[0], items[0], items[1], '{"id":"event 1","@removed":{"reason":"deleted"}}'];
        const respond = (url, count) =>
          text(`{"value":[${bodies[count - 1]}],"@odata.deltaLink":"${link}${count}"}`);
        const client = await clientOf(respond, { store, account: "alex" });
        const events = client.events(week);
        const ends = [];
        for (const body of bodies) {
          ends.push(await outcomeOf(events.sync(), body.slice(0, 60)));
          await outcomeOf(events.all(), "all()");
          await outcomeOf(events.get("event 1"), "get()");
        }
        if (depth < 1_000)
          assert.deepEqual(
            ends,
            bodies.map(() => "complete"),
          );
        await client.close();
      }
    }
  });
}

test("bodies and records of 100,000 levels never make the wasm trap, and after such a body the next round completes", async () => {
  const deep = nestedArrays(100_000);
  const bodies = [
    deep,
    `{"value":${deep}}`,
    `{"value":[${deep}]}`,
    `{"value":[{"id":${deep}}]}`,
    `{"value":[],"@odata.nextLink":${deep}}`,
    `{"error":${deep}}`,
  ];
  for (const body of bodies) {
    for (const status of [200, 400]) {
      let broken = true;
      const client = await clientOf(() =>
        broken ? new Response(body, { status }) : page([{ id: "event 1" }], { delta }),
      );
      const events = client.events(week);
      await outcomeOf(events.sync(), body.slice(0, 40));
      broken = false;
      assert.equal(await outcomeOf(events.sync(), "the next round"), "complete");
      await client.close();
    }
  }
  const parsed = JSON.parse(deep);
  for (const state of [
    parsed,
    { format: 1, masters: parsed },
    { format: 1, revision: "0.1", phase: "idle", link: parsed },
    { format: parsed },
  ]) {
    const client = await clientOf(() => page([], { delta }), {
      store: {
        ...new MemoryStore(),
        load: async () => state,
        rows: async () => [],
        scan: async () => [],
        commit: async () => true,
        clear: async () => {},
      },
      account: "alex",
    });
    await outcomeOf(client.events(week).sync(), "a deep record");
    await client.close();
  }
});

test("ids of a megabyte and ids of any characters are distinguished on one page", async () => {
  const long = "i".repeat(1_000_000);
  const items = [
    `${long}1`,
    `${long}2`,
    "\u{1f600}".repeat(100_000),
    "\u0001",
    "..",
    "a/b?c#d",
    "__proto__",
    "constructor",
  ].map((id) => ({ id, type: "singleInstance" }));
  const pageWithOccurrence = () => page([...items, occurrence("event 1", `${long}3`)], { delta });
  const client = await clientOf((url) =>
    url.includes("/events/") ? new Response("", { status: 404 }) : pageWithOccurrence(),
  );
  const events = client.events(week);
  assert.equal(await outcomeOf(events.sync(), "long ids"), "complete");
  assert.equal(await events.count(), 9);
  for (const { id } of items) assert.equal((await events.get(id))?.id, id);
  await client.close();
});

test("results of a store whose getters throw never make the wasm trap", async () => {
  const thrower = new Proxy([], {
    get() {
      throw new Error("a trap of the caller's");
    },
  });
  const { proxy: revoked, revoke } = Proxy.revocable([], {});
  revoke();
  const getter = Object.defineProperty({}, "round", {
    enumerable: true,
    get() {
      throw new Error("a getter of the caller's");
    },
  });
  const invalidValues = [
    thrower,
    revoked,
    getter,
    { round: 1, item: thrower },
    { round: 1, item: revoked, sets: revoked },
    Symbol("s"),
    7n,
  ];
  for (const value of invalidValues) {
    for (const [method, result] of [
      ["load", value],
      ["rows", value],
      ["rows", [value]],
      ["scan", value],
      ["scan", [value]],
      ["scan", [["event 1", value]]],
      ["commit", value],
    ]) {
      const store = {
        load: async () => undefined,
        rows: async (key, ids) => ids.map(() => undefined),
        scan: async () => [],
        commit: async () => true,
        clear: async () => {},
        [method]: async () => result,
      };
      const one = () => page([{ id: "event 1", type: "singleInstance" }], { delta });
      const client = await clientOf(one, { store, account: "alex" });
      const events = client.events(week);
      for (const call of [
        () => events.sync(),
        () => events.all(),
        () => events.get("event 1"),
        () => events.count(),
      ]) {
        const error = await call().then(
          () => undefined,
          (error) => error,
        );
        // An item with a throwing getter may reach the caller.
        assert.notEqual(error?.code, "internal", `${method}: ${error?.cause?.stack}`);
      }
      await client.close();
    }
  }
});

// ---- random data

/** Random numbers in 0..1 that depend only on the seed. */
function random(seed) {
  let state = seed * 2_654_435_769 + 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Returns a random value, mostly of a wrong type. */
function invalidValue(chance) {
  const pick = (list) => list[Math.floor(chance() * list.length)];
  const depth = pick([1, 10, 63, 64, 65, 500, 5_000]);
  return pick([
    () => JSON.parse(nestedObjects(depth)),
    () => JSON.parse(nestedArrays(depth)),
    () => Array.from({ length: depth * 4 }, (_, index) => pick([".", "\u0001", `series ${index % 40}`, ""])),
    () => "x".repeat(depth * 100),
    () => pick([null, true, -1, 0.5, 2 ** 53, 1e300, "", "idle", "paging", "\ud800", {}, []]),
    () => Object.fromEntries(Array.from({ length: depth }, (_, index) => [`p${index}`, index])),
  ])();
}

/** Replaces some properties and elements by invalid values, even nested ones. */
function corrupted(value, chance) {
  if (chance() < 0.15) return invalidValue(chance);
  if (Array.isArray(value)) return value.map((element) => corrupted(element, chance));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, property]) => [
      name,
      name === "format" ? property : corrupted(property, chance),
    ]),
  );
}

const RECORD = {
  format: 1,
  revision: "7fffffff.3",
  phase: "paging",
  link: `https://graph.microsoft.com/v1.0${delta}`,
  start: `https://graph.microsoft.com/v1.0${delta}`,
  after: "event 1",
  kind: "full",
  generation: 2,
  round: 3,
  page: 1,
  prefer: ["odata.maxpagesize=50"],
  startedAt: 1,
  syncedAt: 1,
  fullAt: 1,
  resets: [1],
  window: "a/b",
  count: 3,
  masters: ["series 1"],
  delivered: ["event 2"],
  staged: 1,
  stale: 1,
  empty: 1,
  refusals: 1,
  fallback: 1,
  restarted: 1,
  pageSize: 25,
  tooLarge: 50,
};
const ROWS = [
  [
    "event 1",
    {
      round: 2,
      item: { id: "event 1", type: "occurrence", seriesMasterId: "series 1", x: { y: [1] } },
      sets: ["attendees"],
      staged: { attendees: [{ id: "a" }] },
    },
  ],
  ["\u0000series 1", { round: 3, item: { id: "series 1", type: "seriesMaster" } }],
];
const PAGE = {
  value: [
    { id: "event 1", type: "occurrence", seriesMasterId: "series 1", x: { y: [1] } },
    { id: "event 2", "@removed": { reason: "deleted" } },
    { id: "series 1", type: "seriesMaster", "attendees@delta": [{ id: "a" }, { id: "b", "@removed": {} }] },
  ],
  "@odata.deltaLink": `https://graph.microsoft.com/v1.0${delta}`,
};

test("random records, rows and pages never make the wasm trap", async () => {
  const seeds = SEED ? [SEED] : Array.from({ length: CASES }, (_, index) => index + 1);
  const ends = new Map();
  for (const seed of seeds) {
    const chance = random(seed);
    const state = chance() < 0.5 ? corrupted(RECORD, chance) : RECORD;
    const rows = chance() < 0.5 ? new Map(ROWS.map(([id, row]) => [id, corrupted(row, chance)])) : new Map();
    const store = {
      load: async (key) =>
        key.includes(" | not before | ") ? corrupted({ revision: "1", until: 1, at: 1 }, chance) : state,
      rows: async (key, ids) => ids.map((id) => rows.get(id)),
      scan: async (key, { after = "" }) => (after ? [] : [...rows]),
      commit: async () => true,
      clear: async () => {},
    };
    const client = await clientOf(
      () => text(JSON.stringify(chance() < 0.7 ? corrupted(PAGE, chance) : PAGE)),
      {
        store,
        account: "alex",
        retry: { base: 1, cap: 1, attempts: 2 },
      },
    );
    const query = chance() < 0.5 ? client.events(week) : client.track("/users/delta", { minimal: true });
    const end = await outcomeOf(query.sync(), `SEED=${seed}`);
    ends.set(end, (ends.get(end) ?? 0) + 1);
    await outcomeOf(query.all({ occurrences: "complete" }), `SEED=${seed}, all()`);
    await client.close();
  }
  if (!SEED)
    assert.ok(
      (ends.get("complete") ?? 0) > CASES / 20,
      `too few rounds complete: ${JSON.stringify([...ends])}`,
    );
});
