// A `DeltaStore` with a segment layout, to decide whether deltalink's IndexedDB store should have
// one (docs/decisions/0005-segment-layout.md).
//
// - A commit of many rows, such as a page of a full round, writes one value to `pages`, and the
//   sorted hashes of its ids to `hashes`, by which rows are found.
// - A commit of few rows writes each to `items`, over the segments. A removal is a change without a
//   row. If several commits have written a row, the one with the highest number counts.
// - `compact()` merges everything into `sorted`: segments of a few rows each, in the order of ids,
//   without overlaps. The key of each is its last id, so no other index is needed.
//
// Each commit and each compaction is one transaction. `state` has the state of each query, and the
// numbers of its pages and changes.
//
// A database of row-store.mjs is opened without a migration: its rows count as changes of commit 0.
import { begin, openDatabase, rangeAfter, readAll, resultOf } from "./idb.mjs";
import { compare, FORMATS, hashesOf, hashOf, lowerBound } from "./segment.mjs";

const READ = "readonly";
const WRITE = "readwrite";
/** A read of more ids than this first loads the keys of all sorted segments. */
const MANY = 4;
/** A compaction begins at this number of changes. */
const MAX_CHANGES = 5000;
/** The number of changes in one read. */
const CHUNK = 2000;
/** The head of a query without commits. */
const EMPTY = { number: 0, pages: [], size: 0, changes: 0, compaction: 0 };

/**
 * `minimum`: commits of at least this many rows become a segment. `sortedRows`: the rows of a
 * sorted segment. `format`: a key of FORMATS. `index`: find rows by an index of IndexedDB on the
 * ids of pages instead of by hashes. `cache`: the number of characters of segments in memory.
 * `compactAfter`: the number of pages at which a compaction begins in the background.
 */
export async function openSegments(name, options = {}) {
  const { minimum = 50, sortedRows = 32, index = false, cache = 32_000_000 } = options;
  const { compactAfter = Infinity } = options;
  const format = FORMATS[options.format ?? "json"];
  const db = await openDatabase(name, 2, (created) => {
    const missing = ["state", "items", "hashes", "sorted"].filter(
      (one) => !created.objectStoreNames.contains(one),
    );
    for (const store of missing) created.createObjectStore(store);
    const pages = created.createObjectStore("pages");
    if (index) pages.createIndex("ids", "ids", { multiEntry: true });
  });
  const cached = new Cache(cache, format.size);
  /** The hashes of pages, and the keys of sorted segments. Neither changes once it is stored. */
  const known = new Map();
  let compacting = Promise.resolve();

  const load = async (key) => (await headOf(begin(db, READ), key))?.state;

  async function commit(key, { expect, state, put, remove }) {
    const isPage = put.length >= minimum;
    const page = isPage && format.pack(put.map(format.entry).sort(([one], [other]) => compare(one, other)));
    const hashes = isPage && !index && hashesOf(page.ids);
    const transaction = begin(db, WRITE);
    const { state: heads, pages, hashes: directory, items, end } = transaction;
    const before = await headOf(transaction, key);
    if (before?.state.revision !== expect) return false;
    const head = before ?? { ...EMPTY, epoch: Math.random() };
    const number = head.number + 1;
    const after = { ...head, state, number };
    if (isPage) {
      after.pages = [...head.pages, number];
      after.size += format.size(page);
      pages.put(page, [key, number]);
      if (!index) directory.put(hashes, [key, number]);
    } else {
      for (const [id, row] of put) items.put({ number, row }, [key, id]);
    }
    after.changes += remove.length + (isPage ? 0 : put.length);
    for (const id of remove) items.put({ number }, [key, id]);
    heads.put(after, key);
    await end;
    if (after.pages.length >= compactAfter || after.changes >= MAX_CHANGES) compactLater(key);
    return true;
  }

  /**
   * Reads the pages' hashes, from `known` if they are there. Returns `[number, hashes]`, newest
   * first.
   */
  async function readDirectory(transaction, key, head) {
    const id = (number) => `${head.epoch} ${number}`;
    const missing = head.pages.filter((number) => !known.has(id(number)));
    const read = await Promise.all(missing.map((number) => resultOf(transaction.hashes.get([key, number]))));
    missing.forEach((number, position) => known.set(id(number), read[position]));
    return head.pages.map((number) => [number, known.get(id(number))]).reverse();
  }

  /** For each id the numbers of the pages that may have it, the newest first. */
  async function candidatesOf(transaction, key, head, ids) {
    if (head.pages.length === 0) return ids.map(() => []);
    if (index) {
      const found = ids.map((id) => resultOf(transaction.pages.index("ids").getAllKeys(id)));
      const own = (keys) => keys.filter(([owner]) => owner === key).map(([, number]) => number);
      return (await Promise.all(found)).map((keys) => own(keys).reverse());
    }
    const directory = await readDirectory(transaction, key, head);
    return ids.map((id) => {
      const hash = hashOf(id);
      const has = ([, hashes]) => hashes[lowerBound(hashes, hash)] === hash;
      return directory.filter(has).map(([number]) => number);
    });
  }

  /**
   * Reads a segment, once per transaction. Transactions share the results of reads, but not pending
   * reads: while a transaction waits for the read of another one, it has no request and would end.
   */
  function segment(transaction, store, key, part, id) {
    const hit = cached.get(id);
    if (hit) return hit;
    const reading = (transaction.reading ??= new Map());
    if (!reading.has(id))
      reading.set(
        id,
        resultOf(transaction[store].get([key, part])).then((read) => cached.set(id, read)),
      );
    return reading.get(id);
  }
  const pageOf = (transaction, key, head, number) =>
    segment(transaction, "pages", key, number, `${head.epoch} page ${number}`);

  /** Finds a row in a segment; undefined if the segment does not have the id. */
  function find(found, id) {
    const position = found ? lowerBound(found.ids, id) : -1;
    return found?.ids[position] === id ? format.row(format.at(found, position)) : undefined;
  }

  /** Reads the sorted segments that may have these ids. */
  async function sortedOf(transaction, key, head, ids) {
    const { sorted } = transaction;
    if (!head.compaction) return ids.map(() => undefined);
    if (ids.length <= MANY) {
      const ranges = ids.map((id) => IDBKeyRange.bound([key, id], [key, []]));
      return (await Promise.all(ranges.map((range) => resultOf(sorted.getAll(range, 1))))).map(
        ([one]) => one,
      );
    }
    const name = `${head.epoch} compaction ${head.compaction}`;
    if (!known.has(name))
      known.set(
        name,
        (await resultOf(sorted.getAllKeys(rangeAfter(key)))).map(([, id]) => id),
      );
    const lasts = known.get(name);
    return Promise.all(
      ids.map((id) => {
        const last = lasts[lowerBound(lasts, id)];
        return last === undefined ? undefined : segment(transaction, "sorted", key, last, `${name} ${last}`);
      }),
    );
  }

  async function rows(key, ids) {
    const transaction = begin(db, READ);
    const [head, ...changes] = await Promise.all([
      headOf(transaction, key),
      ...ids.map((id) => resultOf(transaction.items.get([key, id])).then(changeOf)),
    ]);
    if (!head) return ids.map(() => undefined);
    const candidates = await candidatesOf(transaction, key, head, ids);
    const found = changes.map((change) => change?.row);
    const unread = [];
    await Promise.all(
      ids.map(async (id, position) => {
        // Two ids may have the same hash, so a candidate page may not have the id.
        for (const number of candidates[position]) {
          if (number < changes[position]?.number) return;
          const row = find(await pageOf(transaction, key, head, number), id);
          if (row !== undefined) return void (found[position] = row);
        }
        if (!changes[position]) unread.push(position);
      }),
    );
    const segments = await sortedOf(
      transaction,
      key,
      head,
      unread.map((position) => ids[position]),
    );
    unread.forEach((position, number) => (found[position] = find(segments[number], ids[position])));
    return found;
  }

  /** Reads rows in the order of ids. The ids of pages overlap, so all pages are merged. */
  async function scan(key, { after, limit }) {
    let transaction = begin(db, READ);
    let head = await headOf(transaction, key);
    if (!head) return [];
    if (head.size > cache) {
      // Without a compaction, each chunk would read all pages again.
      await compact(key);
      transaction = begin(db, READ);
      head = await headOf(transaction, key);
      if (!head) return [];
    }
    const found = [];
    for (let from = after; ;) {
      const remaining = limit - found.length;
      const segments = Math.ceil(remaining / sortedRows) + 1;
      const [changes, sorted, ...pages] = await Promise.all([
        changesOf(transaction, key, from, remaining),
        head.compaction ? resultOf(transaction.sorted.getAll(rangeAfter(key, from), segments)) : [],
        ...head.pages.map((number) => pageOf(transaction, key, head, number)),
      ]);
      // All rows up to this id have been read; undefined if no rows remain.
      let horizon = changes.length === remaining ? changes.at(-1).id : undefined;
      const last = sorted.length === segments ? sorted.at(-1).ids.at(-1) : undefined;
      if (last !== undefined && !(horizon < last)) horizon = last;
      const newest = new Map();
      const merge = (id, number, text, row) => {
        const isInside = (from === undefined || id > from) && (horizon === undefined || id <= horizon);
        if (isInside && !(newest.get(id)?.number > number)) newest.set(id, { number, text, row });
      };
      for (const one of sorted) one.ids.forEach((id, position) => merge(id, 0, format.at(one, position)));
      pages.forEach((page, position) => {
        for (let row = from === undefined ? 0 : lowerBound(page.ids, from); row < page.ids.length; row++)
          merge(page.ids[row], head.pages[position], format.at(page, row));
      });
      for (const { id, number, row } of changes) merge(id, number, undefined, row);
      for (const id of [...newest.keys()].sort(compare)) {
        const { text, row } = newest.get(id);
        if (text === undefined && row === undefined) continue;
        found.push([id, row ?? format.row(text)]);
        if (found.length === limit) return found;
      }
      if (horizon === undefined) return found;
      from = horizon;
    }
  }

  async function clear(prefix) {
    const { state: heads, end, ...stores } = begin(db, WRITE);
    for (const key of await resultOf(heads.getAllKeys())) {
      if (!key.startsWith(prefix)) continue;
      heads.delete(key);
      for (const store of ["pages", "hashes", "items", "sorted"]) stores[store].delete(rangeAfter(key));
    }
    await end;
  }

  /** Reads all changes and all segments. The newest segment is the first. */
  async function readEverything(transaction, key, head) {
    // The number of pages of one read, of about 8 million characters.
    const pageSize = Math.max(1, Math.ceil((8_000_000 * head.pages.length) / (head.size || 1)));
    const changes = [];
    for (let chunk; chunk === undefined || chunk.length === CHUNK; changes.push(...chunk))
      chunk = await changesOf(transaction, key, changes.at(-1)?.id, CHUNK);
    const sorted = await readAll(transaction.sorted, key, 256, ({ ids }) => ids.at(-1));
    const pages = [];
    for (let position = 0; position < head.pages.length; position += pageSize) {
      const numbers = head.pages.slice(position, position + pageSize);
      const range = IDBKeyRange.bound([key, numbers[0]], [key, numbers.at(-1)]);
      for (const page of await resultOf(transaction.pages.getAll(range))) pages.push(page);
    }
    const layers = [
      ...pages.map((page, position) => ({ number: head.pages[position], ...page })).reverse(),
      ...sorted.map((one) => ({ number: 0, ...one })),
    ];
    return { changes, layers };
  }

  /** Merges all segments and changes in one transaction. Does not change the state of the query. */
  async function compact(key) {
    const transaction = begin(db, WRITE);
    const { state: heads, sorted, pages, hashes, items, end } = transaction;
    const head = await headOf(transaction, key);
    if (!head || (head.pages.length === 0 && head.changes === 0)) return;
    const { changes, layers } = await readEverything(transaction, key, head);
    const newest = new Map(changes.map(({ id, number, row }) => [id, { number, row }]));
    for (const layer of layers) {
      layer.ids.forEach((id, position) => {
        if (!(newest.get(id)?.number >= layer.number))
          newest.set(id, { number: layer.number, layer, position });
      });
    }
    const entries = [];
    for (const [id, { row, layer, position }] of newest) {
      if (layer) entries.push([id, format.at(layer, position)]);
      else if (row !== undefined) entries.push(format.entry([id, row]));
    }
    entries.sort(([one], [other]) => compare(one, other));
    for (const store of [sorted, pages, hashes, items]) store.delete(rangeAfter(key));
    for (let position = 0; position < entries.length; position += sortedRows) {
      const part = entries.slice(position, position + sortedRows);
      sorted.put(format.pack(part), [key, part.at(-1)[0]]);
    }
    heads.put({ ...head, pages: [], size: 0, changes: 0, compaction: head.compaction + 1 }, key);
    await end;
  }

  function compactLater(key) {
    compacting = compacting.then(() => compact(key)).catch(() => {});
  }

  /** All items of a query. Not part of the contract. */
  async function all(key) {
    const transaction = begin(db, READ);
    const head = await headOf(transaction, key);
    if (!head) return [];
    const { changes, layers } = await readEverything(transaction, key, head);
    const newest = new Map(changes.map(({ id, number }) => [id, number]));
    const items = [];
    const add = ({ item }) => item !== undefined && items.push(item);
    const isNewest = [];
    for (const { ids, number } of layers) {
      isNewest.push(
        ids.map((id) => {
          if (newest.get(id) >= number) return false;
          newest.set(id, number);
          return true;
        }),
      );
    }
    layers.forEach((layer, position) => {
      format.rows(layer).forEach((row, number) => isNewest[position][number] && add(row));
    });
    // A change counts unless a later page has its row.
    for (const { id, number, row } of changes) if (row && newest.get(id) === number) add(row);
    return items;
  }

  return {
    load,
    rows,
    commit,
    scan,
    clear,
    all,
    compact,
    /** The keys that have a state. Not part of the contract. */
    keys: () => resultOf(begin(db, READ).state.getAllKeys()),
    /** Waits for compactions in the background. */
    compacted: () => compacting,
    close: () => db.close(),
  };
}

/** The state of a query and the numbers of its pages and changes; undefined if none is stored. */
async function headOf({ state }, key) {
  const stored = await resultOf(state.get(key));
  // row-store.mjs stored this state. The number of rows is unknown, so the next commit compacts.
  return !stored || stored.epoch !== undefined
    ? stored
    : { ...EMPTY, epoch: Math.random(), changes: MAX_CHANGES, state: stored };
}

/** A change from its stored form, or from a row of row-store.mjs. */
const changeOf = (stored) => (!stored || stored.number ? stored : { number: 0, row: stored });

/** At most `limit` changes after an id, with their ids. */
async function changesOf({ items }, key, after, limit) {
  const range = rangeAfter(key, after);
  const [keys, values] = await Promise.all([
    resultOf(items.getAllKeys(range, limit)),
    resultOf(items.getAll(range, limit)),
  ]);
  return values.map((value, position) => ({ ...changeOf(value), id: keys[position][1] }));
}

/** The segments that were read last. */
class Cache {
  #segments = new Map();
  #size = 0;
  #limit;
  #sizeOf;

  constructor(limit, sizeOf) {
    this.#limit = limit;
    this.#sizeOf = sizeOf;
  }

  get(name) {
    const segment = this.#segments.get(name);
    if (segment && this.#segments.delete(name)) this.#segments.set(name, segment);
    return segment;
  }

  /** Caches a segment, which may be undefined, and returns it. */
  set(name, segment) {
    if (!segment || this.#segments.has(name)) return segment;
    this.#segments.set(name, segment);
    this.#size += this.#sizeOf(segment);
    for (const [oldest, evicted] of this.#segments) {
      if (this.#size <= this.#limit) break;
      this.#segments.delete(oldest);
      this.#size -= this.#sizeOf(evicted);
    }
    return segment;
  }
}
