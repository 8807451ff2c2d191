// @ts-check
// The rules of `DeltaStore` as tests for any framework: see testing.d.ts. Every test uses its own
// keys.

/** @typedef {(store: any, key: string, reopen?: () => any) => Promise<void>} Rule */

/** @type {typeof import("./testing.js").storeContract} */
export function storeContract(open, { reopen } = {}) {
  const rules = Object.entries(reopen ? { ...RULES, ...REOPENED } : RULES);
  return rules.map(([name, rule]) => ({
    name,
    async run() {
      const prefix = `contract ${Math.random()} | `;
      const store = await open();
      try {
        await rule(store, prefix, reopen && (() => reopen(store)));
      } finally {
        // Another test checks clear().
        await Promise.resolve(store.clear(prefix)).catch(() => {});
      }
    },
  }));
}

/** @type {Record<string, Rule>} */
const RULES = {
  "an unknown key has no state and no rows": async (store, key) => {
    equal(await store.load(key), undefined, "load()");
    equal(await store.rows(key, ["a", "b"]), [undefined, undefined], "rows()");
    equal(await store.rows(key, []), [], "rows() of no ids");
    equal(await store.scan(key, { limit: 10 }), [], "scan()");
  },

  "what is committed is loaded": async (store, key) => {
    const state = { revision: "e.1", phase: "paging", page: 3 };
    equal(await commit(store, key, undefined, state, { a: 1 }), true, "commit()");
    equal(await store.load(key), state, "load()");
    equal(await store.rows(key, ["a"]), [row(1)], "rows()");
  },

  "a commit replaces the whole state, puts and removes rows, and leaves the others": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1", old: true }, { a: 1, b: 1, c: 1 });
    equal(
      await commit(store, key, "e.1", { revision: "e.2" }, { b: 2, d: 2 }, ["c", "nobody"]),
      true,
      "commit()",
    );
    equal(await store.load(key), { revision: "e.2" }, "load()");
    equal(await store.rows(key, ["a", "b", "c", "d"]), [row(1), row(2), undefined, row(2)], "rows()");
  },

  "a commit that expects nothing is refused where something is stored": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1" }, { a: 1 });
    equal(await commit(store, key, undefined, { revision: "f.1" }, { a: 2 }), false, "commit()");
  },

  "a commit that expects another revision is refused": async (store, key) => {
    equal(
      await commit(store, key, "e.1", { revision: "e.2" }, {}),
      false,
      "commit() where nothing is stored",
    );
    await commit(store, key, undefined, { revision: "e.1" }, {});
    for (const expect of ["e.0", "e.10", "E.1", "e.1 ", ""])
      equal(
        await commit(store, key, expect, { revision: "e.2" }, {}),
        false,
        `commit() that expects ${JSON.stringify(expect)}`,
      );
    equal(
      await commit(store, key, "e.1", { revision: "e.2" }, {}),
      true,
      "commit() that expects what is stored",
    );
  },

  "a commit that is refused writes nothing": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1" }, { a: 1, b: 1 });
    await commit(store, key, "f.1", { revision: "f.2" }, { a: 2, c: 2 }, ["b"]);
    equal(await store.load(key), { revision: "e.1" }, "load()");
    equal(await store.rows(key, ["a", "b", "c"]), [row(1), row(1), undefined], "rows()");
  },

  "of concurrent commits that expect the same revision, one wins and all of it is stored": async (
    store,
    key,
  ) => {
    await commit(store, key, undefined, { revision: "e.0" }, {});
    await race(key, "e.0", [store, store, store, store]);
  },

  "rows come in the order of the ids, with a gap for each that is missing": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1" }, { a: 1, b: 2, c: 3 });
    equal(
      await store.rows(key, ["c", "nobody", "a", "b", "zz"]),
      [row(3), undefined, row(1), row(2), undefined],
      "rows()",
    );
  },

  "a scan in chunks returns each row once": async (store, key) => {
    const rows = numbered(25);
    await commit(store, key, undefined, { revision: "e.1" }, rows);
    for (const limit of [1, 5, 10, 25, 26]) {
      const chunks = await scanned(store, key, limit);
      const lengths = chunks.map((chunk) => chunk.length);
      const expected = [...Array(Math.floor(25 / limit)).fill(limit), 25 % limit];
      equal(lengths, expected, `the lengths of the chunks of ${limit}`);
      const found = new Map(chunks.flat());
      equal(found.size, 25, "the number of different ids");
      for (const [id, n] of Object.entries(rows)) equal(found.get(id), row(n), `the row of ${id}`);
    }
  },

  "the order of a scan is the same each time, and a scan continues after an id that was removed": async (
    store,
    key,
  ) => {
    await commit(store, key, undefined, { revision: "e.1" }, numbered(20));
    const order = await listed(store, key);
    equal(await listed(store, key), order, "the second scan");
    await commit(store, key, "e.1", { revision: "e.2" }, { [order[3]]: 77 }, order.slice(5, 10));
    equal(await listed(store, key), [...order.slice(0, 5), ...order.slice(10)], "the scan after a change");
    const behind = await store.scan(key, { after: order[9], limit: 5 });
    equal(
      behind.map(([id]) => id),
      order.slice(10, 15),
      "the scan behind a removed id",
    );
  },

  "ids of every kind are kept apart": async (store, key) => {
    const rows = Object.fromEntries(IDS.map((id, n) => [id, n]));
    // In an object literal, "__proto__" sets the prototype.
    Object.defineProperty(rows, "__proto__", { value: IDS.indexOf("__proto__"), enumerable: true });
    await commit(store, key, undefined, { revision: "e.1" }, rows);
    equal(
      await store.rows(key, IDS),
      IDS.map((_, n) => row(n)),
      "rows()",
    );
    equal((await listed(store, key, 3)).sort(), [...IDS].sort(), "the ids of the scan");
    await commit(store, key, "e.1", { revision: "e.2" }, {}, IDS.slice(0, 5));
    equal(
      await store.rows(key, IDS),
      IDS.map((_, n) => (n < 5 ? undefined : row(n))),
      "rows() after some were removed",
    );
  },

  "keys that begin alike are kept apart": async (store, prefix) => {
    const keys = ["a", "a | ", "a | b", "a | b | c", "A | b", "a%", "a_", "a,", "a\u00e9"].map(
      (key) => prefix + key,
    );
    for (const [n, key] of keys.entries())
      equal(
        await commit(store, key, undefined, { revision: `e.${n}` }, { same: n, [`own${n}`]: n }),
        true,
        `commit() under ${key}`,
      );
    for (const [n, key] of keys.entries()) {
      equal(await store.load(key), { revision: `e.${n}` }, `load() of ${key}`);
      equal(
        new Map(await store.scan(key, { limit: 10 })),
        new Map([
          ["same", row(n)],
          [`own${n}`, row(n)],
        ]),
        `scan() of ${key}`,
      );
    }
  },

  "clear wipes the keys that begin with its prefix and no other": async (store, prefix) => {
    const gone = ["a_b% | ", "a_b% | x", "a_b% | x | y"].map((key) => prefix + key);
    const kept = ["a_b%", "axb% | x", "a_bb | x", "A_B% | x", "b | a_b% | x"].map((key) => prefix + key);
    for (const key of [...gone, ...kept])
      await commit(store, key, undefined, { revision: "e.1" }, { a: 1, b: 2 });
    await store.clear(`${prefix}a_b% | `);
    for (const key of gone) {
      equal(await store.load(key), undefined, `load() of ${key}`);
      equal(await store.rows(key, ["a", "b"]), [undefined, undefined], `rows() of ${key}`);
      equal(await store.scan(key, { limit: 10 }), [], `scan() of ${key}`);
      equal(await commit(store, key, undefined, { revision: "e.1" }, {}), true, `commit() under ${key} anew`);
    }
    for (const key of kept)
      equal(
        [await store.load(key), await store.rows(key, ["a", "b"])],
        [{ revision: "e.1" }, [row(1), row(2)]],
        `what is kept under ${key}`,
      );
  },

  "plain data is returned as it was stored": async (store, key) => {
    await store.commit(key, {
      expect: undefined,
      state: { revision: "e.1", ...PLAIN },
      put: [["a", { generation: 1, item: PLAIN, round: "e", more: [PLAIN] }]],
      remove: [],
    });
    equal(await store.load(key), { revision: "e.1", ...PLAIN }, "load()");
    const expected = { generation: 1, item: PLAIN, round: "e", more: [PLAIN] };
    equal(await store.rows(key, ["a"]), [expected], "rows()");
    equal(await store.scan(key, { limit: 1 }), [["a", expected]], "scan()");
  },

  "load(), rows() and scan() return copies": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1", list: [1] }, { a: 1 });
    const spoil = async () => {
      (await store.load(key)).list.push(2);
      (await store.rows(key, ["a"]))[0].item.n = 2;
      (await store.scan(key, { limit: 1 }))[0][1].item.n = 3;
    };
    await spoil();
    equal(await store.load(key), { revision: "e.1", list: [1] }, "load()");
    equal(await store.rows(key, ["a"]), [row(1)], "rows()");
    equal(await store.scan(key, { limit: 1 }), [["a", row(1)]], "scan()");
  },

  "a row of a megabyte is kept": async (store, key) => {
    const text = "abcdefg\u00e9".repeat(2 ** 17);
    await commit(store, key, undefined, { revision: "e.1" }, { a: text, b: 1 });
    const [big, small] = await store.rows(key, ["a", "b"]);
    equal([big?.item.n === text, small], [true, row(1)], "rows()");
  },

  "two thousand rows go in one commit": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1" }, numbered(2000));
    const chunks = await scanned(store, key, 500);
    equal(
      new Map(chunks.flat()),
      new Map(Object.entries(numbered(2000)).map(([id, n]) => [id, row(n)])),
      "the scan",
    );
    equal(
      await commit(store, key, "e.1", { revision: "e.2" }, {}, Object.keys(numbered(2000))),
      true,
      "commit() that removes them",
    );
    equal(await store.scan(key, { limit: 10 }), [], "the scan after it");
  },

  "a scan during a commit returns rows of one moment": async (store, key) => {
    const ids = Object.keys(numbered(100));
    const all = (n) => Object.fromEntries(ids.map((id) => [id, n]));
    await commit(store, key, undefined, { revision: "e.0" }, all(0));
    for (let n = 1; n <= 5; n++) {
      let done;
      const committing = commit(store, key, `e.${n - 1}`, { revision: `e.${n}` }, all(n)).finally(
        () => (done = true),
      );
      do {
        const scans = await Promise.all([1, 2, 3].map(() => store.scan(key, { limit: 200 })));
        for (const scan of scans)
          equal(
            [scan.length, new Set(scan.map(([, { item }]) => item.n)).size],
            [100, 1],
            "the rows, and the commits they are of",
          );
        await new Promise((resolve) => setTimeout(resolve));
      } while (!done);
      equal(await committing, true, "commit()");
    }
  },
};

/** @type {Record<string, Rule>} */
const REOPENED = {
  "two openings see each other's commits": async (store, key, reopen) => {
    await commit(store, key, undefined, { revision: "e.1" }, { a: 1 });
    const other = await reopen();
    equal(
      [await other.load(key), await other.rows(key, ["a"])],
      [{ revision: "e.1" }, [row(1)]],
      "what the second one has",
    );
    equal(await commit(other, key, "e.1", { revision: "e.2" }, { a: 2 }), true, "commit() of the second one");
    equal(
      [await store.load(key), await store.rows(key, ["a"])],
      [{ revision: "e.2" }, [row(2)]],
      "what the first one has",
    );
  },

  "of concurrent commits by two openings one wins": async (store, key, reopen) => {
    const other = await reopen();
    await commit(store, key, undefined, { revision: "e.0" }, {});
    await race(key, "e.0", [store, other, store, other]);
  },
};

const IDS = [
  "a",
  "A",
  "b",
  "1",
  "01",
  "1.0",
  "1e0",
  "-1",
  " ",
  "a ",
  " a",
  "a'b",
  'a"b',
  "a`b",
  "a\\b",
  "a/b",
  "a|b",
  "a%b",
  "a_b",
  "a*b",
  "a\nb",
  "a\tb",
  "\0side",
  "a\0b",
  "__proto__",
  "constructor",
  "toString",
  "length",
  "null",
  "undefined",
  "\u00e9",
  "e\u0301",
  "\ud83d\udc4d",
  "\ud83d\udc4d\ud83c\udffd",
  "\u4e2d\u6587",
  "x".repeat(1000),
  `${"x".repeat(999)}y`,
  "AAMkAGI2TGULAAA=",
  "AAMkAGI2TGULAAA+",
  "; DROP TABLE rows; --",
];

const PLAIN = {
  texts: ["", "a", "\u00e9\ud83d\udc4d\u4e2d", "a\0b\n\"'\\", "\u2028"],
  numbers: [0, -1, 1.5, 1e21, 1e-7, Number.MAX_SAFE_INTEGER, 1793232000000.5],
  others: [true, false, null],
  empty: [{}, [], [[]], { a: {} }],
  nested: { "@odata.etag": 'W/"x"', "a.b": { $ref: [{ deep: [[{ deeper: null }]] }] }, 1: "one" },
};

const row = (n) => ({ generation: 1, item: { n } });

function commit(store, key, expect, state, rows, remove = []) {
  return store.commit(key, {
    expect,
    state,
    put: Object.entries(rows).map(([id, n]) => [id, row(n)]),
    remove,
  });
}

const numbered = (count) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`id${(n * 7919) % count}`, n]));

async function scanned(store, key, limit) {
  const chunks = [];
  for (let after; ;) {
    const chunk = await store.scan(key, after === undefined ? { limit } : { after, limit });
    chunks.push(chunk);
    if (chunk.length !== limit) return chunks;
    if (chunks.length > 5000) throw new Error("a scan did not come to an end");
    after = chunk.at(-1)[0];
  }
}

async function listed(store, key, limit = 7) {
  return (await scanned(store, key, limit)).flat().map(([id]) => id);
}

async function race(key, expect, stores) {
  const done = await Promise.all(
    stores.map((store, n) =>
      commit(store, key, expect, { revision: `racer.${n}` }, { a: n, [`own${n}`]: n }),
    ),
  );
  equal(done.filter((won) => won === true).length, 1, "how many have won");
  equal(done.filter((won) => won === false).length, stores.length - 1, "how many were refused");
  const winner = done.indexOf(true);
  for (const store of stores) {
    equal(await store.load(key), { revision: `racer.${winner}` }, "load()");
    equal(
      new Map(await store.scan(key, { limit: 10 })),
      new Map([
        ["a", row(winner)],
        [`own${winner}`, row(winner)],
      ]),
      "scan()",
    );
  }
}

function equal(got, expected, what) {
  const difference = differing(got, expected, what);
  if (difference) throw new Error(difference);
}

/** Returns a description of the first difference of two values; undefined if they are equal. */
function differing(got, expected, where) {
  if (Object.is(got, expected)) return undefined;
  const kind = (value) =>
    value === null || typeof value !== "object"
      ? undefined
      : value instanceof Map
        ? "Map"
        : Array.isArray(value)
          ? "array"
          : "object";
  if (!kind(got) || kind(got) !== kind(expected))
    return `${where}: must be ${shown(expected)}, is ${shown(got)}`;
  const [is, must] = [got, expected].map((value) =>
    value instanceof Map ? value : new Map(Object.entries(value)),
  );
  const surplus = [...is.keys()].find((key) => !must.has(key));
  if (surplus !== undefined)
    return `${where}: must be without ${shown(surplus)}, is ${shown(is.get(surplus))} there`;
  for (const [key, value] of must) {
    const difference = is.has(key)
      ? differing(is.get(key), value, `${where}, ${shown(key)}`)
      : `${where}, ${shown(key)}: must be ${shown(value)}, is missing`;
    if (difference) return difference;
  }
  return undefined;
}

function shown(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
