// @ts-check
// The rules of `DeltaStore`, as tests for any test framework: see testing.d.ts. Each test uses its
// own keys.

/** @typedef {(store: any, key: string, reopen?: () => any) => Promise<void>} Rule */

/** @type {typeof import("./testing.js").storeContract} */
export function storeContract(open, { reopen } = {}) {
  const rules = Object.entries(reopen ? { ...RULES, ...REOPEN_RULES } : RULES);
  return rules.map(([name, rule]) => ({
    name,
    async run() {
      const prefix = `contract ${Math.random()} | `;
      const store = await open();
      try {
        await rule(store, prefix, reopen && (() => reopen(store)));
      } finally {
        // clear() has its own rule.
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

  "load() and rows() return the committed data": async (store, key) => {
    const state = { revision: "e.1", phase: "paging", page: 3 };
    equal(await commit(store, key, undefined, state, { a: 1 }), true, "commit()");
    equal(await store.load(key), state, "load()");
    equal(await store.rows(key, ["a"]), [row(1)], "rows()");
  },

  "a commit replaces the state, writes and removes rows, and keeps all other rows": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1", old: true }, { a: 1, b: 1, c: 1 });
    equal(
      await commit(store, key, "e.1", { revision: "e.2" }, { b: 2, d: 2 }, ["c", "nobody"]),
      true,
      "commit()",
    );
    equal(await store.load(key), { revision: "e.2" }, "load()");
    equal(await store.rows(key, ["a", "b", "c", "d"]), [row(1), row(2), undefined, row(2)], "rows()");
  },

  "a commit that expects no state is refused if a state is stored": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1" }, { a: 1 });
    equal(await commit(store, key, undefined, { revision: "f.1" }, { a: 2 }), false, "commit()");
  },

  "a commit that expects another revision than the stored one is refused": async (store, key) => {
    equal(await commit(store, key, "e.1", { revision: "e.2" }, {}), false, "commit() before any other");
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
      "commit() that expects the stored revision",
    );
  },

  "a refused commit writes nothing": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1" }, { a: 1, b: 1 });
    await commit(store, key, "f.1", { revision: "f.2" }, { a: 2, c: 2 }, ["b"]);
    equal(await store.load(key), { revision: "e.1" }, "load()");
    equal(await store.rows(key, ["a", "b", "c"]), [row(1), row(1), undefined], "rows()");
  },

  "exactly one of several concurrent commits is accepted, and all of it is stored": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.0" }, {});
    await race(key, "e.0", [store, store, store, store]);
  },

  "rows() returns rows in the order of the ids, and undefined for each missing row": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1" }, { a: 1, b: 2, c: 3 });
    equal(
      await store.rows(key, ["c", "nobody", "a", "b", "zz"]),
      [row(3), undefined, row(1), row(2), undefined],
      "rows()",
    );
  },

  "scan() in chunks returns each row exactly once": async (store, key) => {
    const rows = numberedRows(25);
    await commit(store, key, undefined, { revision: "e.1" }, rows);
    for (const limit of [1, 5, 10, 25, 26]) {
      const chunks = await scanChunks(store, key, limit);
      const lengths = chunks.map((chunk) => chunk.length);
      const expected = [...Array(Math.floor(25 / limit)).fill(limit), 25 % limit];
      equal(lengths, expected, `the lengths of the chunks with the limit ${limit}`);
      const found = new Map(chunks.flat());
      equal(found.size, 25, "the number of distinct ids");
      for (const [id, n] of Object.entries(rows)) equal(found.get(id), row(n), `the row of ${id}`);
    }
  },

  "scan() always has the same order, and continues after the id of a removed row": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1" }, numberedRows(20));
    const order = await scanIds(store, key);
    equal(await scanIds(store, key), order, "a second scan()");
    await commit(store, key, "e.1", { revision: "e.2" }, { [order[3]]: 77 }, order.slice(5, 10));
    equal(await scanIds(store, key), [...order.slice(0, 5), ...order.slice(10)], "scan() after a change");
    const behind = await store.scan(key, { after: order[9], limit: 5 });
    equal(
      behind.map(([id]) => id),
      order.slice(10, 15),
      "scan() after the id of a removed row",
    );
  },

  "similar ids identify different rows": async (store, key) => {
    const rows = Object.fromEntries(IDS.map((id, n) => [id, n]));
    // In an object literal, "__proto__" sets the prototype.
    Object.defineProperty(rows, "__proto__", { value: IDS.indexOf("__proto__"), enumerable: true });
    await commit(store, key, undefined, { revision: "e.1" }, rows);
    equal(
      await store.rows(key, IDS),
      IDS.map((_, n) => row(n)),
      "rows()",
    );
    equal((await scanIds(store, key, 3)).sort(), [...IDS].sort(), "the ids of scan()");
    await commit(store, key, "e.1", { revision: "e.2" }, {}, IDS.slice(0, 5));
    equal(
      await store.rows(key, IDS),
      IDS.map((_, n) => (n < 5 ? undefined : row(n))),
      "rows() after a removal",
    );
  },

  "keys with a common prefix share no state and no row": async (store, prefix) => {
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

  "clear() deletes the keys that begin with the prefix, and no others": async (store, prefix) => {
    const gone = ["a_b% | ", "a_b% | x", "a_b% | x | y"].map((key) => prefix + key);
    const kept = ["a_b%", "axb% | x", "a_bb | x", "A_B% | x", "b | a_b% | x"].map((key) => prefix + key);
    for (const key of [...gone, ...kept])
      await commit(store, key, undefined, { revision: "e.1" }, { a: 1, b: 2 });
    await store.clear(`${prefix}a_b% | `);
    for (const key of gone) {
      equal(await store.load(key), undefined, `load() of ${key}`);
      equal(await store.rows(key, ["a", "b"]), [undefined, undefined], `rows() of ${key}`);
      equal(await store.scan(key, { limit: 10 }), [], `scan() of ${key}`);
      equal(
        await commit(store, key, undefined, { revision: "e.1" }, {}),
        true,
        `commit() under ${key} after clear()`,
      );
    }
    for (const key of kept)
      equal(
        [await store.load(key), await store.rows(key, ["a", "b"])],
        [{ revision: "e.1" }, [row(1), row(2)]],
        `load() and rows() of ${key}`,
      );
  },

  "data is returned exactly as it was stored": async (store, key) => {
    await store.commit(key, {
      expect: undefined,
      state: { revision: "e.1", ...PLAIN },
      put: [["a", { generation: 1, item: PLAIN, round: 7, more: [PLAIN] }]],
      remove: [],
    });
    equal(await store.load(key), { revision: "e.1", ...PLAIN }, "load()");
    const expected = { generation: 1, item: PLAIN, round: 7, more: [PLAIN] };
    equal(await store.rows(key, ["a"]), [expected], "rows()");
    equal(await store.scan(key, { limit: 1 }), [["a", expected]], "scan()");
  },

  "changing a returned object does not change the store": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1", list: [1] }, { a: 1 });
    const changeReturned = async () => {
      (await store.load(key)).list.push(2);
      (await store.rows(key, ["a"]))[0].item.n = 2;
      (await store.scan(key, { limit: 1 }))[0][1].item.n = 3;
    };
    await changeReturned();
    equal(await store.load(key), { revision: "e.1", list: [1] }, "load()");
    equal(await store.rows(key, ["a"]), [row(1)], "rows()");
    equal(await store.scan(key, { limit: 1 }), [["a", row(1)]], "scan()");
  },

  "a row of a megabyte is stored completely": async (store, key) => {
    const text = "abcdefg\u00e9".repeat(2 ** 17);
    await commit(store, key, undefined, { revision: "e.1" }, { a: text, b: 1 });
    const [big, small] = await store.rows(key, ["a", "b"]);
    equal([big?.item.n === text, small], [true, row(1)], "rows()");
  },

  "a commit may write two thousand rows": async (store, key) => {
    await commit(store, key, undefined, { revision: "e.1" }, numberedRows(2000));
    const chunks = await scanChunks(store, key, 500);
    equal(
      new Map(chunks.flat()),
      new Map(Object.entries(numberedRows(2000)).map(([id, n]) => [id, row(n)])),
      "scan()",
    );
    equal(
      await commit(store, key, "e.1", { revision: "e.2" }, {}, Object.keys(numberedRows(2000))),
      true,
      "commit() that removes them",
    );
    equal(await store.scan(key, { limit: 10 }), [], "scan() after the removal");
  },

  "scan() during a commit returns the rows from before it or from after it, not both": async (store, key) => {
    const ids = Object.keys(numberedRows(100));
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
            "the number of rows, and of the commits that wrote them",
          );
        await new Promise((resolve) => setTimeout(resolve));
      } while (!done);
      equal(await committing, true, "commit()");
    }
  },
};

/** @type {Record<string, Rule>} */
const REOPEN_RULES = {
  "two open stores on the same data see each other's commits": async (store, key, reopen) => {
    await commit(store, key, undefined, { revision: "e.1" }, { a: 1 });
    const other = await reopen();
    equal(
      [await other.load(key), await other.rows(key, ["a"])],
      [{ revision: "e.1" }, [row(1)]],
      "load() and rows() of the second store",
    );
    equal(
      await commit(other, key, "e.1", { revision: "e.2" }, { a: 2 }),
      true,
      "commit() of the second store",
    );
    equal(
      [await store.load(key), await store.rows(key, ["a"])],
      [{ revision: "e.2" }, [row(2)]],
      "load() and rows() of the first store",
    );
  },

  "exactly one of several concurrent commits by two open stores is accepted": async (store, key, reopen) => {
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

const row = (n) => ({ generation: 1, round: 1, item: { n } });

function commit(store, key, expect, state, rows, remove = []) {
  return store.commit(key, {
    expect,
    state,
    put: Object.entries(rows).map(([id, n]) => [id, row(n)]),
    remove,
  });
}

const numberedRows = (count) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`id${(n * 7919) % count}`, n]));

async function scanChunks(store, key, limit) {
  const chunks = [];
  for (let after; ;) {
    const chunk = await store.scan(key, after === undefined ? { limit } : { after, limit });
    chunks.push(chunk);
    if (chunk.length !== limit) return chunks;
    if (chunks.length > 5000)
      throw new Error("scan() does not end: each chunk has as many rows as the limit");
    after = chunk.at(-1)[0];
  }
}

async function scanIds(store, key, limit = 7) {
  return (await scanChunks(store, key, limit)).flat().map(([id]) => id);
}

async function race(key, expect, stores) {
  const results = await Promise.all(
    stores.map((store, n) => commit(store, key, expect, { revision: `r.${n}` }, { a: n, [`own${n}`]: n })),
  );
  equal(results.filter((accepted) => accepted === true).length, 1, "the number of accepted commits");
  equal(
    results.filter((accepted) => accepted === false).length,
    stores.length - 1,
    "the number of refused commits",
  );
  const winner = results.indexOf(true);
  for (const store of stores) {
    equal(await store.load(key), { revision: `r.${winner}` }, "load()");
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
  const difference = firstDifference(got, expected, what);
  if (difference) throw new Error(difference);
}

/** Returns a description of the first difference of two values; undefined if they are equal. */
function firstDifference(got, expected, where) {
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
    return `${where}: must be ${preview(expected)}, got ${preview(got)}`;
  const [is, must] = [got, expected].map((value) =>
    value instanceof Map ? value : new Map(Object.entries(value)),
  );
  const surplus = [...is.keys()].find((key) => !must.has(key));
  if (surplus !== undefined)
    return `${where}: must not have ${preview(surplus)}, got ${preview(is.get(surplus))}`;
  for (const [key, value] of must) {
    const difference = is.has(key)
      ? firstDifference(is.get(key), value, `${where}, ${preview(key)}`)
      : `${where}, ${preview(key)}: must be ${preview(value)}, got nothing`;
    if (difference) return difference;
  }
  return undefined;
}

function preview(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
