// The API of index.d.ts around the wasm's own exports. What is here is shorter in JavaScript: loading, iterating, listening.
import load, { open } from "./deltalink.js";
import { Changes } from "./changes.js";
import { DeltaError, bad, closed, noIndexedDb, report } from "./error.js";
import { Turns } from "./lock.js";
import { MemoryStore } from "./memory.js";
import { Mirror } from "./mirror.js";
import { Store } from "./store.js";
import { windowAt } from "./window.js";

const makeError = (message, fields) => new DeltaError(message, fields);

/** `source` gives the host's own wasm; `IndexedDb` is there where the host can have one. */
export function createApi(source, IndexedDb) {
  let loading;

  function init(wasm) {
    loading ??= (async () => load({ module_or_path: wasm ?? (await source()) }))().catch((cause) => {
      loading = undefined;
      throw new DeltaError(
        `the wasm of deltalink can't be loaded (${cause?.message ?? cause}); under a Content-Security-Policy it needs script-src 'wasm-unsafe-eval'; init(wasm) takes it from elsewhere`,
        { code: "wasm", retryable: true, cause },
      );
    });
    return loading.then(() => undefined);
  }

  async function openDelta(options) {
    await init();
    let kind;
    let store;
    // Called when all options are found good.
    const openStore = async (named, account, prefix) => {
      kind = named;
      return (store = new Store(await storeOf(named, account, prefix), prefix, typeof named === "string"));
    };
    const wasm = await open(options, makeError, openStore);
    return new Client(wasm, store, kind);
  }

  async function storeOf(named, account, prefix) {
    if (named === "memory") return new MemoryStore();
    if (named !== "indexeddb") return named;
    if (!IndexedDb) throw noIndexedDb();
    return IndexedDb.open(account, prefix);
  }

  return { init, openDelta };
}

class Client {
  #wasm;
  #store;
  #kind;
  #turns;
  #ending = new AbortController();
  /** What all queries of one key share. */
  #shared = new Map();

  constructor(wasm, store, kind) {
    this.#wasm = wasm;
    this.#store = store;
    this.#kind = kind;
    // A store in memory is this client's alone, and so are its turns.
    this.#turns = new Turns(kind !== "memory");
  }

  events(options) {
    return this.#query("events", undefined, options);
  }
  orgContacts(options) {
    return this.#query("orgContacts", undefined, options);
  }
  callRecordings(options) {
    return this.#query("callRecordings", undefined, options);
  }
  track(path, options) {
    return this.#query("track", path, options);
  }

  #query(call, path, options) {
    const wasm = this.#wasm.query(call, path, options);
    try {
      if (wasm.window) windowAt(wasm.window);
    } catch {
      const words = `options.window.timeZone must be an IANA name that this host knows, such as "Europe/Berlin", got ${JSON.stringify(wasm.window[2])}`;
      throw bad(words);
    }
    let shared = this.#shared.get(wasm.key);
    if (!shared) {
      const mirror = new Mirror(this.#store, wasm.key);
      const changes = new Changes(this.#store, wasm.key, this.#kind === "indexeddb");
      shared = { mirror, changes, status: new Status(), ending: this.#ending.signal, turns: this.#turns, lock: `deltalink | ${wasm.key}`, syncing: undefined };
      this.#shared.set(wasm.key, shared);
      this.#store.touch(wasm.key);
      // The status tells of the last time before the first round of this page. Whoever syncs gets the store's errors.
      const { status } = shared;
      mirror.syncedAt().then((lastSyncedAt) => lastSyncedAt && !status.get().lastSyncedAt && status.set({ ...status.get(), lastSyncedAt }), () => {});
    }
    return wasm.mirror ? new Query(wasm, shared) : new Feed(wasm, shared);
  }

  resume() {
    this.#wasm.resume();
    for (const { status } of this.#shared.values()) if (status.get().phase === "needs-auth") status.set({ phase: "idle" });
  }

  async forget() {
    this.#end();
    await this.#store.forget();
  }

  async close() {
    this.#end();
    this.#store.close();
  }

  #end() {
    this.#ending.abort();
    this.#wasm.close();
    for (const { status, changes } of this.#shared.values()) {
      status.set({ phase: "closed" });
      changes.close();
    }
  }
}

class Feed {
  _wasm;
  _shared;

  constructor(wasm, shared) {
    this._wasm = wasm;
    this._shared = shared;
    this.key = wasm.key;
    this.status = { get: () => shared.status.get(), subscribe: (run) => shared.status.subscribe(run) };
  }

  round(options) {
    return new Round(this._wasm, this._shared, options, true);
  }

  reset() {
    return this._wasm.reset();
  }
}

class Query extends Feed {
  async sync(options) {
    const signal = onlySignal(options);
    const shared = this._shared;
    if (signal?.aborted) throw signal.reason;
    shared.syncing ??= new Sync(this._wasm, shared);
    return shared.syncing.join(signal);
  }

  all(options) {
    return this._shared.mirror.all(options);
  }

  items(options) {
    return this._shared.mirror.items(options);
  }

  get(id) {
    return this._shared.mirror.get(String(id));
  }

  count() {
    return this._shared.mirror.count();
  }

  on(event, listener) {
    if (event !== "change" || typeof listener !== "function") {
      throw bad('on() takes "change", the only event there is, and a function');
    }
    return this._shared.changes.on(listener);
  }
}

/** A round that is applied by itself, for all who wait for it. It is stopped when the last of them has left. */
class Sync {
  #stop = new AbortController();
  #members = 0;
  #done;

  constructor(wasm, shared) {
    this.#done = (async () => {
      const round = new Round(wasm, shared, { signal: this.#stop.signal }, false);
      for await (const page of round) void page;
      return round.report;
    })().finally(() => {
      if (shared.syncing === this) shared.syncing = undefined;
    });
    // Those who have left do not hear of its end.
    this.#done.catch(() => {});
    this.leave = () => {
      // The next sync begins another round rather than joining one that ends.
      if (shared.syncing === this) shared.syncing = undefined;
    };
  }

  join(signal) {
    this.#members += 1;
    if (!signal) return this.#done;
    return new Promise((resolve, reject) => {
      const left = () => {
        reject(signal.reason);
        this.#members -= 1;
        if (this.#members > 0) return;
        this.leave();
        this.#stop.abort(signal.reason);
      };
      signal.addEventListener("abort", left, { once: true });
      this.#done.then(resolve, reject).finally(() => signal.removeEventListener("abort", left));
    });
  }
}

function onlySignal(options = {}) {
  const other = options === null || typeof options !== "object" ? "these" : Object.keys(options).find((name) => name !== "signal");
  if (other !== undefined) {
    throw bad(`options.${other} is no option of sync(): the only option is signal; round() takes more`);
  }
  const { signal } = options;
  if (signal !== undefined && typeof signal?.aborted !== "boolean") throw bad("options.signal must be an AbortSignal");
  return signal;
}

class Round {
  #pages;
  #report;
  #leaving = false;
  /** Ends the wait for an acknowledgement. */
  #wake;

  constructor(query, shared, options, shown) {
    let begun = false;
    const window = query.window && windowAt(query.window);
    const handle = query.round(options, (status) => begun && shared.status.set(status), shown, window);
    this.#report = () => handle.report();
    const take = (page) => (query.mirror ? shared.changes.take(page, shown) : undefined);
    const pages = this.#run(handle, shared, options, () => (begun = true), take);
    this.#pages = {
      next: () => pages.next(),
      return: (value) => {
        // A generator would wait for the page that a read-ahead has asked for, which waits for an acknowledgement.
        this.#leaving = true;
        this.#wake?.();
        return pages.return(value);
      },
      throw: (error) => pages.throw(error),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  get report() {
    return this.#report();
  }

  [Symbol.asyncIterator]() {
    return this.#pages;
  }

  async *#run(handle, shared, options, begin, take) {
    let release;
    let left = false;
    let current;
    try {
      release = await turn(shared, options?.signal);
      begin();
      for (let page; (page = await handle.next()); ) {
        // Of this page alone: a late call for an earlier one must not acknowledge it.
        const acked = (current = {});
        const tell = take(page);
        delete page.unchanged;
        const ack = () => {
          if (!acked.done) {
            if (left) return Promise.reject(new DeltaError("the round was left before this page was acknowledged; the next round delivers it again", { code: "aborted", retryable: true }));
            acked.done = handle.ack().then(() => {
              acked.told = tell?.();
            });
            this.#wake?.();
          }
          return acked.done;
        };
        page.ack = ack;
        yield page;
        if (options?.ack === "manual" && !acked.done) await until((resolve) => (this.#wake = resolve), shared, options.signal);
        if (this.#leaving && !acked.done) return;
        await ack();
        if (acked.told) await until((resolve) => acked.told.then(resolve), shared, options?.signal);
      }
    } finally {
      left = true;
      // An acknowledgement that nobody waited for is still on its way to the store.
      await current?.done?.catch(() => {});
      handle.leave();
      const report = handle.report();
      this.#report = () => report;
      handle.free();
      release?.();
    }
  }
}

/** Waits until `start`'s callback is called, or rejects when the caller's signal fires or the client closes. */
function until(start, shared, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal?.aborted ? signal.reason : closed());
    if (signal?.aborted || shared.ending.aborted) return stop();
    const signals = [signal, shared.ending].filter(Boolean);
    for (const one of signals) one.addEventListener("abort", stop, { once: true });
    start(() => {
      for (const one of signals) one.removeEventListener("abort", stop);
      resolve();
    });
  });
}

/** Waits for its turn, with the status `following` as long as another round of the query runs. */
async function turn(shared, signal) {
  const waiting = new AbortController();
  const got = shared.turns.acquire(shared.lock, waiting.signal);
  let release;
  got.then((free) => (release = free), () => {});
  const before = shared.status.get();
  const timer = setTimeout(() => shared.status.set({ phase: "following" }), 50);
  try {
    await until((resolve) => got.then(resolve, resolve), shared, signal);
    return release ?? (await got);
  } catch (reason) {
    waiting.abort();
    got.then((free) => free(), () => {});
    if (shared.status.get().phase === "following") shared.status.set(before);
    throw reason;
  } finally {
    clearTimeout(timer);
  }
}

/** Fits `useSyncExternalStore` and Svelte: the same object until something changes. */
class Status {
  #value = { phase: "idle" };
  #runs = new Set();

  get() {
    return this.#value;
  }

  set(value) {
    if (this.#value.phase === "closed") return;
    const { lastSyncedAt } = this.#value;
    this.#value = Object.freeze(lastSyncedAt ? { lastSyncedAt, ...value } : value);
    for (const run of this.#runs) this.#call(run);
  }

  subscribe(run) {
    const entry = (value) => run(value);
    this.#runs.add(entry);
    this.#call(entry);
    return () => this.#runs.delete(entry);
  }

  #call(run) {
    try {
      run(this.#value);
    } catch (error) {
      report(error);
    }
  }
}
