// Tests the stores for Durable Objects and D1 in workerd: the contract, restarts, long items, and
// stores that are broken on purpose.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { storeContract } from "deltalink/testing";
import { startFake } from "../fake.mjs";
import { codeOf } from "../package/documented.mjs";
import { startWorker } from "./workerd.mjs";

const entry = new URL("stores-worker.mjs", import.meta.url).pathname;
const kinds = ["durable-object", "d1"];
const { encrypted } = await codeOf("security.md", "function encrypted(");
const cryptoKey = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
  "encrypt",
  "decrypt",
]);
let worker;
let fake;
before(async () => {
  fake = await startFake();
  worker = await startWorker(entry, {
    durableObjects: { HOLDER: { className: "Holder", useSQLite: true } },
    d1Databases: ["DB"],
  });
});
after(async () => {
  await worker.dispose();
  await fake.stop();
});

async function runInWorker(kind, task) {
  const response = await worker.fetch(`/${kind}`, {
    method: "POST",
    body: JSON.stringify({ kind, ...task }),
  });
  const body = await response.json();
  if (body.error) throw new Error(body.error);
  return body;
}

/** A store whose methods call the store of the Worker, also after its process was restarted. */
function remote(kind, fault) {
  const call = async (name, ...values) =>
    (await runInWorker(kind, { task: "call", fault, name, values })).result;
  return {
    load: (key) => call("load", key),
    // JSON has no undefined.
    rows: async (key, ids) => (await call("rows", key, ids)).map((row) => row ?? undefined),
    commit: (key, batch) => call("commit", key, batch),
    scan: (key, range) => call("scan", key, range),
    clear: (prefix) => call("clear", prefix),
  };
}

const row = (n) => ({ round: 1, item: { n } });
let keys = 0;
const newKey = () => `test | ${keys++} | `;

for (const kind of kinds) {
  for (const { name } of storeContract(() => {}, { reopen: () => {} }))
    test(`${kind}: ${name}`, () => runInWorker(kind, { task: "rule", name }));

  const afterRestart = storeContract(() => remote(kind), {
    reopen: async () => {
      await worker.restart();
      return remote(kind);
    },
  }).filter(({ name }) => name.includes("two open stores"));
  for (const { name, run } of afterRestart) test(`${kind}, with its process restarted: ${name}`, run);

  for (const { name, run } of storeContract(() => encrypted(remote(kind), cryptoKey)))
    test(`${kind}, encrypted as in docs/security.md: ${name}`, run);

  test(`${kind}: a number that is too large for JavaScript stays a number, and null stays null`, async () => {
    const text = '{"round":1,"item":{"a":1e999,"b":-1e999,"c":null,"d":"null","e":1.5}}';
    const { numbers } = await runInWorker(kind, { task: "infinite", key: newKey(), text });
    assert.deepEqual(numbers, ["a Infinity", "b -Infinity", "c null", "d null", "e 1.5"]);
  });

  test(`${kind}: a row and a record of five megabytes are stored, with characters of all lengths at the cuts`, async () => {
    const store = remote(kind);
    const key = newKey();
    const shapes = ["a", "\u00e9", "\u4e2d", "\ud83d\udc4d", "\ufeff", '"', "\\", "\0", "\ud800"];
    // Each id shifts the text by one, so that a cut falls into and next to every character.
    const ids = [];
    for (const [index, shape] of shapes.entries()) {
      const length = shape === "\ud83d\udc4d" ? 1_300_000 : 420_000;
      const text = (from) => "x".repeat(from) + shape.repeat(length / shape.length);
      const put = [0, 1].map((from) => [`${index} ${from}`, { round: 1, item: { text: text(from) } }]);
      const before = await store.load(key);
      assert.equal(
        await store.commit(key, {
          expect: before?.revision,
          state: { revision: `e.${index}`, text: text(0) },
          put,
          remove: [],
        }),
        true,
      );
      assert.deepEqual(await store.load(key), { revision: `e.${index}`, text: text(0) });
      assert.deepEqual(
        await store.rows(
          key,
          put.map(([id]) => id),
        ),
        put.map(([, row]) => row),
      );
      ids.push(...put.map(([id]) => id));
    }
    const long = { round: 2, item: { text: '\u4e2d\ud83d\udc4d"'.repeat(1_300_000 / 3) } };
    assert.ok(Buffer.byteLength(JSON.stringify(long)) > 3_500_000 && JSON.stringify(long).length > 2_000_000);
    const huge = { round: 2, item: { text: "\u4e2d".repeat(1_700_000) } };
    assert.ok(Buffer.byteLength(JSON.stringify(huge)) > 5_000_000);
    assert.equal(
      await store.commit(key, {
        expect: `e.${shapes.length - 1}`,
        state: { revision: "e" },
        put: [
          ["long", long],
          ["huge", huge],
        ],
        remove: [],
      }),
      true,
    );
    assert.deepEqual(await store.rows(key, ["huge", "long"]), [huge, long]);
    assert.deepEqual(
      (await store.scan(key, { after: "7 1", limit: 4 })).map(([id, { round }]) => [id, round]),
      [
        ["8 0", 1],
        ["8 1", 1],
        ["huge", 2],
        ["long", 2],
      ],
    );
    // Then a shorter row, and a removal.
    assert.equal(
      await store.commit(key, {
        expect: "e",
        state: { revision: "f" },
        put: [["huge", row(1)]],
        remove: ["long", ...ids],
      }),
      true,
    );
    assert.deepEqual(
      [await store.load(key), await store.rows(key, ["huge", "long"]), await store.scan(key, { limit: 50 })],
      [{ revision: "f" }, [row(1), undefined], [["huge", row(1)]]],
    );
    await store.clear(key);
  });

  test(`${kind}: a commit writes nothing if any of its statements fails`, async () => {
    const assertAtomic = async (fault) => {
      const key = newKey();
      const store = remote(kind);
      await store.commit(key, {
        expect: undefined,
        state: { revision: "e.1" },
        put: [
          ["a", row(1)],
          ["b", row(1)],
        ],
        remove: [],
      });
      const before = [await store.load(key), await store.scan(key, { limit: 9 })];
      await assert.rejects(
        remote(kind, fault).commit(key, {
          expect: "e.1",
          state: { revision: "e.2" },
          put: [
            ["a", row(2)],
            ["c", row(2)],
          ],
          remove: ["b"],
        }),
      );
      assert.deepEqual([await store.load(key), await store.scan(key, { limit: 9 })], before);
    };
    // The statements: create the table, delete twice, put the rows, put the record.
    for (let failing = 0; failing < 5; failing++) await assertAtomic({ failing });
    await assert.rejects(assertAtomic({ failing: 4, apart: true }), { name: "AssertionError" });
  });

  test(`${kind}: a commit writes one row per item and one for the link, in at most four statements`, async () => {
    const key = newKey();
    const ids = Array.from({ length: 100 }, (_, n) => `${kind} ${n}`);
    const commit = async (expect, revision, put, remove) => {
      const { result, ...cost } = await runInWorker(kind, {
        task: "cost",
        name: "commit",
        values: [key, { expect, state: { revision }, put: put.map((id) => [id, row(revision)]), remove }],
      });
      assert.equal(result, true);
      return cost;
    };
    const costs = [
      await commit(undefined, "e.1", ids, []),
      await commit("e.1", "e.2", ids.slice(50), []),
      await commit("e.2", "e.3", ids.slice(90), ids.slice(0, 10)),
      await commit("e.3", "e.4", [], []),
    ];
    // The rows that json_each reads are counted too.
    assert.ok(
      costs.slice(0, 3).every(({ read }, index) => read <= [100, 50, 20][index] * 6),
      JSON.stringify(costs),
    );
    assert.deepEqual(
      costs.map(({ statements, written }) => [statements, written]),
      [
        [3, 101],
        [3, 51],
        [4, 21],
        [2, 1],
      ],
    );
    await remote(kind).clear(key);
  });

  for (const mirror of [true, false]) {
    test(`${kind}: a round ${mirror ? "of a mirror" : "of a feed"} continues in another process at the unacknowledged page`, async () => {
      const world = await fake.world({ populate: { contacts: 47 } });
      const round = (maxPages) =>
        runInWorker(kind, {
          task: "round",
          endpoint: world.root,
          token: world.tokens.delegated,
          mirror,
          maxPages,
        });
      const first = await round(2);
      assert.equal(first.outcome, "partial");
      await worker.restart();
      const second = await round();
      assert.equal(second.outcome, "complete");
      assert.equal((await world.log()).length, 5);
      const [{ id }] = await world.table("contacts");
      await world.edits({ collection: "contacts", op: "remove", id }, { collection: "contacts", op: "add" });
      const third = await round();
      assert.equal(third.requests, 1);
      const listed = await world.table("contacts");
      const applied = new Map();
      for (const change of [first, second, third].flatMap(({ changes }) => changes)) {
        if (change.type === "remove") applied.delete(change.id);
        else applied.set(change.id, change.item);
      }
      assert.deepEqual([...applied.keys()].sort(), listed.map(({ id }) => id).sort());
      if (mirror) assert.deepEqual(new Map(third.items.map((item) => [item.id, item])), applied);
      await remote(kind).clear("");
    });
  }

  for (const [rule, mistake, fault] of [
    [
      "a commit that expects another revision than the stored one is refused",
      "does not compare",
      { replace: [" is ?2", " is ?2 or true"] },
    ],
    [
      "a refused commit writes nothing",
      "compares the revision only in its last statement",
      { replace: [" is ?2", " is ?2 or true"], but: "returning 1" },
    ],
    [
      "a commit replaces the state, writes and removes rows, and keeps all other rows",
      "deletes only the further parts",
      { replace: ["part >= ?4", "part > ?4"] },
    ],
    [
      "scan() in chunks returns each row exactly once",
      "begins with the given id",
      { replace: ["id > ?2", "id >= ?2 and id > ''"] },
    ],
    [
      "scan() in chunks returns each row exactly once",
      "returns one row too few",
      { replace: ["limit ?3", "limit ?3 - 1"] },
    ],
    [
      "clear() deletes the keys that begin with the prefix, and no others",
      "uses the prefix as a pattern",
      { replace: ["key >= ?1 and key < ?1 || x'ff'", "key like ?1 || '%'"] },
    ],
    [
      "keys with a common prefix share no state and no row",
      "compares only the beginnings of keys",
      { replace: ["where key = ?", "where key || '%' like ?"] },
    ],
    ...(kind === "d1"
      ? [
          [
            "exactly one of several concurrent commits is accepted, and all of it is stored",
            "commits statement by statement",
            { apart: true },
          ],
        ]
      : []),
  ]) {
    test(`${kind}: a store that ${mistake} breaks: ${rule}`, async () => {
      await assert.rejects(
        runInWorker(kind, { task: "rule", name: rule, fault }),
        /: must (be|not have) .*, got |scan\(\) does not end/s,
      );
    });
  }
}
