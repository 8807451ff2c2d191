// One database an account: `state` holds a record a query, `items` a row an item under [query, id], so that the mirror of one
// query is one key range; `used` tells when a query was last in use.
//
// A page and its record are one transaction. All its requests are issued before its end is awaited.
import { DeltaError, closed, noIndexedDb } from "./error.js";

const VERSION = 2;
const MIRROR = ["state", "items"];
const ALL = [...MIRROR, "used"];
/** Between 200 and 1000 is fast in every engine; one answer of all would fail in Firefox beyond some 100 MB. */
const CHUNK = 500;
const DAY = 864e5;
/** Queries purged at one opening. */
const PURGED = 20;

/** A `DeltaStore` on IndexedDB. */
export class IndexedDb {
  #db;
  #prefix;
  #now;
  /** Set by `close()`, and when the browser or another tab takes the connection away. */
  #closed = false;
  /** The queries of this page. */
  #touched = new Set();
  /** What is under way. */
  #running = new Set();

  /** Opens the database of an account, making or upgrading it. `prefix` begins all its keys; `now` is a clock. */
  static async open(account, prefix, now = Date.now) {
    let factory;
    try {
      factory = globalThis.indexedDB;
    } catch {
      // Reading it may throw where storage is switched off.
    }
    if (!factory) throw noIndexedDb();
    let request;
    try {
      request = factory.open(`deltalink | ${account}`, VERSION);
    } catch (error) {
      throw failure(error);
    }
    return new IndexedDb(await opened(request), prefix, now);
  }

  constructor(db, prefix, now) {
    this.#db = db;
    this.#prefix = prefix;
    this.#now = now;
    // Another tab wants to upgrade or delete the database (holding on would block it), or the browser has closed it: Safari in the
    // background, or the user who cleared the site's data.
    db.onversionchange = db.onclose = () => this.close();
    /** The end of the purge, which never rejects. */
    this.purged = this.#purge().catch(() => {});
  }

  close() {
    this.#closed = true;
    this.#db.close();
    this.onclosed?.();
  }

  async load(key) {
    const request = await this.#run("readonly", (state) => state.get(key));
    return request.result;
  }

  async rows(key, ids) {
    const requests = await this.#run("readonly", (_, items) => ids.map((id) => items.get([key, id])));
    return requests.map(({ result }) => result);
  }

  /** Everything is written at once, and taken back if the revision, which is read before, turns out to be another one. */
  async commit(key, { expect, state, put, remove }) {
    let other = false;
    const work = (states, items) => {
      const stored = states.get(key);
      stored.onsuccess = () => {
        const revision = stored.result?.revision;
        other = (typeof revision === "string" ? revision : undefined) !== expect;
        if (other) stored.transaction.abort();
      };
      for (const [id, row] of put) items.put(row, [key, id]);
      for (const id of remove) items.delete([key, id]);
      states.put(state, key);
    };
    try {
      await this.#run("readwrite", work);
    } catch (error) {
      if (!other) throw error;
    }
    return !other;
  }

  async scan(key, { after, limit }) {
    const answer = await this.#run("readonly", (_, items) => chunk(items, key, after, limit));
    return pairs(answer);
  }

  /** Every row as of one moment: in one transaction, chunk by chunk. */
  all(key) {
    return this.#run("readonly", (_, items) => {
      const rows = [];
      const read = (after) => {
        const answer = chunk(items, key, after, CHUNK);
        answer[1].onsuccess = () => {
          const found = pairs(answer);
          rows.push(...found);
          if (found.length === CHUNK) read(found.at(-1)[0]);
        };
      };
      read();
      return rows;
    });
  }

  async clear(prefix) {
    if (prefix === this.#prefix) return this.#delete();
    await this.#run("readwrite", (...stores) => {
      const keys = stores[0].getAllKeys(IDBKeyRange.lowerBound(prefix));
      keys.onsuccess = () => {
        for (const key of keys.result) if (key.startsWith(prefix)) wipe(key, stores);
      };
    }, ALL);
  }

  /** A query of this key is in use. It is written down once a day; failing to does no harm. */
  touch(key) {
    this.#touched.add(key);
    const now = this.#now();
    this.#run("readwrite", (used) => {
      const stored = used.get(key);
      stored.onsuccess = () => {
        if (!(stored.result > now - DAY)) used.put(now, key);
      };
    }, ["used"]).catch(() => {});
  }

  /** Deletes what was not in use for 30 days. */
  async #purge() {
    const before = this.#now() - 30 * DAY;
    const [states, keys, times] = await this.#run("readonly", (state, _, used) => [state.getAllKeys(), used.getAllKeys(), used.getAll()], ALL);
    const last = new Map(keys.result.map((key, at) => [key, times.result[at]]));
    const old = states.result.filter((key) => !(last.get(key) > before));
    for (const key of old.slice(0, PURGED)) {
      await this.#run("readwrite", (...stores) => {
        const state = stores[0].get(key);
        const used = stores[2].get(key);
        used.onsuccess = () => {
          const times = [used.result, state.result?.startedAt, state.result?.syncedAt].filter(Number.isFinite);
          // Of what tells no time nothing is known: it stays.
          if (times.length && Math.max(...times) <= before && !this.#touched.has(key)) wipe(key, stores);
        };
      }, ALL);
    }
  }

  /** Deletes the database. Other tabs let go of it by themselves. */
  async #delete() {
    this.close();
    // Of a connection that still works the browser says that it blocks.
    await Promise.allSettled(this.#running);
    await new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase(this.#db.name);
      request.onsuccess = resolve;
      request.onerror = () => reject(failure(request.error));
      request.onblocked = () =>
        reject(failed("store", true, "something else keeps this account's database open (another tab that does not react, or the developer tools); it is wiped when that lets go"));
    });
  }

  /** One transaction: `work` issues its requests, and gives what is to be given at its end. */
  #run(mode, work, stores = MIRROR) {
    const done = this.#transaction(mode, work, stores);
    const settled = done.catch(() => {}).then(() => this.#running.delete(settled));
    this.#running.add(settled);
    return done;
  }

  async #transaction(mode, work, stores) {
    try {
      if (this.#closed) throw closed();
      // The rows and the link fall or stand together either way; after a power cut the round goes on a page earlier.
      const transaction = this.#db.transaction(stores, mode, { durability: "relaxed" });
      const ended = new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error);
      });
      try {
        const answer = work(...stores.map((name) => transaction.objectStore(name)));
        await ended;
        return answer;
      } catch (error) {
        ended.catch(() => {});
        try {
          transaction.abort();
        } catch {
          // It has ended.
        }
        throw error;
      }
    } catch (error) {
      // Safari takes connections away without an event: the next use says InvalidStateError.
      if (error?.name === "InvalidStateError") this.close();
      throw this.#closed ? closed() : failure(error);
    }
  }
}

function opened(request) {
  return new Promise((resolve, reject) => {
    request.onupgradeneeded = () => {
      try {
        // What is there stays, from whatever version.
        for (const name of ALL) if (!request.result.objectStoreNames.contains(name)) request.result.createObjectStore(name);
      } catch {
        // The open then fails with an AbortError, and what was there before stays.
        request.transaction.abort();
      }
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(failure(request.error));
    // Refused at once, rather than pending for ever.
    request.onblocked = () => {
      // Should it open after all, nobody is there to close it.
      request.onsuccess = () => request.result.close();
      reject(failed("store", true, "another tab holds an older version of this database open; close or reload that tab, then open again"));
    };
  });
}

/** The rows of a query: lists sort behind every text. No row has the key of the list alone, so leaving the lower end out is right either way. */
function rangeOf(key, after) {
  return IDBKeyRange.bound(after === undefined ? [key] : [key, after], [key, []], true, true);
}

function chunk(items, key, after, limit) {
  const range = rangeOf(key, after);
  return [items.getAllKeys(range, limit), items.getAll(range, limit)];
}

function pairs([keys, rows]) {
  return keys.result.map(([, id], at) => [id, rows.result[at]]);
}

function wipe(key, [state, items, used]) {
  state.delete(key);
  items.delete(rangeOf(key));
  used.delete(key);
}

/** What IndexedDB says, in our codes. */
function failure(error) {
  const name = error?.name ?? "";
  if (name === "QuotaExceededError") {
    return failed("quota", true, "the browser's storage for this site is full; nothing of this page was written, free some space (forget() wipes this account) and start the round again");
  }
  if (name === "VersionError") return failed("store", false, "the database was made by a newer version of deltalink; reload the page to get that version");
  const said = error?.message ? `${name}: ${error.message}` : name;
  const refused = ["InvalidStateError", "SecurityError", "UnknownError", "NotAllowedError"].includes(name);
  return refused
    ? failed("store", false, `this browser refuses IndexedDB here (${said}); in a private window, or with storage switched off, name another store: options.store: "memory"`)
    : failed("store", true, `IndexedDB failed (${said}); what was committed last is intact`);
}

function failed(code, retryable, words) {
  return new DeltaError(words, { code, retryable });
}
