// The API of index.d.ts around the wasm's own exports. What is here is shorter in JavaScript: loading, iterating, listening.
import { Changes } from "./changes.js";
import { Drive, until } from "./drive.js";
import { Engine } from "./engine.js";
import { DeltaError, bad, closed, noIndexedDb, report } from "./error.js";
import { Turns } from "./lock.js";
import { Mirror } from "./mirror.js";
import { Store } from "./store.js";
import { windowAt } from "./window.js";

const makeError = (message, fields) => new DeltaError(message, fields);

/**
 * `source` gives the wasm as a module, and where that comes from: what `init()` was given, else the host's own. `IndexedDb` is there
 * where the host can have one.
 */
export function createApi(source, IndexedDb) {
  const engine = new Engine();
  let loading;

  function init(wasm) {
    loading ??= (async () => {
      const [module, rung] = await source(wasm);
      await engine.load(module);
      return rung;
    })().catch((cause) => {
      loading = undefined;
      throw new DeltaError(
        `the wasm of deltalink can't be loaded (${cause?.message ?? cause}); under a Content-Security-Policy it needs script-src 'wasm-unsafe-eval'; init(wasm) takes it from elsewhere`,
        { code: "wasm", retryable: true, cause },
      );
    });
    return loading;
  }

  async function openDelta(options) {
    await init();
    const [named, account, prefix] = new engine.Client(options, makeError).wanted;
    let inner = named;
    if (named === "memory") inner = new (await import("./memory.js")).MemoryStore();
    else if (named === "indexeddb") {
      if (!IndexedDb) throw noIndexedDb();
      inner = await IndexedDb.open(account, prefix);
    }
    const store = new Store(inner, prefix, inner !== named);
    const wasm = engine.keep((Wasm) => {
      const made = new Wasm(options, makeError);
      made.keep(store);
      return made;
    });
    return new Client(engine, wasm, store, named);
  }

  return { init, openDelta };
}

class Client {
  #engine;
  #wasm;
  #store;
  #kind;
  #turns;
  #ending = new AbortController();
  #lanes = {};
  /** What all queries of one key share. */
  #shared = new Map();

  constructor(engine, wasm, store, kind) {
    this.#engine = engine;
    this.#wasm = wasm;
    this.#store = store;
    this.#kind = kind;
    // Another tab has deleted the database, or the browser has taken it away.
    store.onclosed(() => this.#end());
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
    const { signal } = this.#ending;
    if (signal.aborted) throw signal.reason;
    const wasm = this.#engine.keep(() => this.#wasm().query(call, path, options));
    const [key, mirrored, window] = wasm().about;
    try {
      if (window) windowAt(window);
    } catch {
      const words = `options.window.timeZone must be an IANA name that this host knows, such as "Europe/Berlin", got ${JSON.stringify(window[2])}`;
      throw bad(words);
    }
    let shared = this.#shared.get(key);
    if (!shared) {
      const mirror = new Mirror(this.#store, key);
      const changes = new Changes(this.#store, key, this.#kind === "indexeddb");
      shared = { mirror, changes, status: new Status(), ending: signal, lanes: this.#lanes, engine: this.#engine, turns: this.#turns, lock: `deltalink | ${key}` };
      this.#shared.set(key, shared);
      this.#store.touch(key);
      // The status tells of the last time before the first round of this page. Whoever syncs gets the store's errors.
      const { status } = shared;
      mirror.syncedAt().then((lastSyncedAt) => lastSyncedAt && !status.get().lastSyncedAt && status.set({ ...status.get(), lastSyncedAt }), () => {});
    }
    return mirrored ? new Query(wasm, shared) : new Feed(wasm, shared);
  }

  resume() {
    this.#wasm().resume();
    for (const { status, again } of this.#shared.values()) {
      if (status.get().phase !== "needs-auth") continue;
      status.set({ phase: "idle" });
      again?.();
    }
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
    this.#ending.abort(closed());
    this.#wasm().resume();
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
    [this.key] = wasm().about;
    const { get, subscribe } = shared.status;
    this.status = { get, subscribe };
  }

  round(options) {
    // Its consumer begins the next one.
    this._shared.again = undefined;
    return new Round(this._wasm, this._shared, options, true);
  }

  reset() {
    return this._shared.mirror.reset((stored) => this._wasm().fresh(stored));
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
    shared.again = () => (shared.syncing = new Sync(wasm, shared));
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
  if (other) {
    throw bad(`options.${other} is no option of sync(): the only option is signal; round() takes more`);
  }
  return signalOf(options);
}

function signalOf(options) {
  const signal = options?.signal;
  // By shape: a signal of another realm is no instance of ours.
  if (signal !== undefined && typeof signal?.aborted !== "boolean") throw bad("options.signal must be an AbortSignal");
  return signal;
}

/** A round whose iterator is garbage lets go of its turn: its loop can never go on. */
const abandoned = new FinalizationRegistry((hold) => hold.end());

class Round {
  #pages;
  #report;
  #leaving = false;
  /** Ends the wait for an acknowledgement. */
  #wake;

  constructor(query, shared, options, shown) {
    const hold = new Hold(query, shared, options, shown);
    const before = hold.handle.report();
    this.#report = () => hold.handle.report() ?? before;
    const pages = (this.#pages = this.#run(hold, options?.ack === "manual", query().about[1] ? shared.changes : undefined, shown));
    const leave = pages.return.bind(pages);
    pages.return = (value) => {
      // A generator would wait for the page that a read-ahead has asked for, which waits for an acknowledgement.
      this.#leaving = true;
      this.#wake?.();
      return leave(value);
    };
  }

  get report() {
    return this.#report();
  }

  [Symbol.asyncIterator]() {
    return this.#pages;
  }

  async *#run(hold, manual, changes, shown) {
    const { handle, signal } = hold;
    let left = false;
    let current;
    try {
      await hold.begin();
      abandoned.register(this, hold, hold);
      for (let page; (page = await hold.next(!!changes?.heard)); ) {
        // Of this page alone: a late call for an earlier one must not acknowledge it.
        const acked = (current = {});
        const tell = changes?.take(page, shown);
        delete page.unchanged;
        const ack = () => {
          if (!acked.done) {
            if (left) return Promise.reject(new DeltaError("the round was left before this page was acknowledged; the next round delivers it again", { code: "aborted", retryable: true }));
            const before = changes?.commit;
            acked.done = hold.ack();
            acked.done.then(
              () => {
                acked.told = tell?.();
              },
              // The loop hears of it. The round may have been cut off while the store was at it.
              () => changes?.commit !== before && changes.commit.then((done) => done && tell(), () => {}),
            );
            this.#wake?.();
          }
          return acked.done;
        };
        page.ack = ack;
        yield page;
        if (manual && !acked.done) await until((resolve) => (this.#wake = resolve), signal);
        if (this.#leaving && !acked.done) return;
        await ack();
        if (acked.told) await until((resolve) => acked.told.then(resolve), signal);
      }
    } finally {
      left = true;
      // An acknowledgement that nobody waited for is still on its way to the store.
      await current?.done?.catch(() => {});
      handle.leave();
      const report = this.#report();
      this.#report = () => report;
      abandoned.unregister(hold);
      hold.end();
    }
  }
}

/**
 * What a round has and must let go of. It does not know the round, whose end is noticed by its being garbage: what the wasm and the
 * caller's signal hold is this.
 */
class Hold extends Drive {
  #shared;
  #release;
  /** Whether the status is this round's to tell. */
  #speaks = false;

  constructor(query, shared, options, shown) {
    if (shared.ending.aborted) throw shared.ending.reason;
    // First of all: it may begin an instance.
    const wasm = query();
    super(shared.lanes, signalOf(options), shared.ending);
    this.fate = shared.engine.fate;
    this.#shared = shared;
    const [, , window] = wasm.about;
    this.handle = wasm.round(options, this, shown, window && windowAt(window));
  }

  tell(status) {
    if (this.#speaks) this.#shared.status.set(status);
  }

  /** Waits for its turn, with the status `following` as long as another round of the query runs. */
  async begin() {
    this.follow();
    const { signal } = this;
    const { turns, lock, status } = this.#shared;
    const lose = () => this.#lose();
    // A frozen page lets go: all others would wait for it.
    globalThis.document?.addEventListener("freeze", lose, { signal });
    const before = status.get();
    const timer = setTimeout(() => status.set({ phase: "following" }), 50);
    try {
      this.#release = await turns.acquire(lock, signal, lose);
      if (signal.aborted) throw signal.reason;
      this.#speaks = true;
    } finally {
      clearTimeout(timer);
      if (status.get().phase === "following") status.set(before);
    }
  }

  #lose() {
    if (this.signal.aborted) return;
    const error = new DeltaError(
      "this round lost its turn: its page was frozen, or another one took its lock; the next round goes on from what it stored",
      { code: "conflict", retryable: true },
    );
    this.#speaks = false;
    this.#shared.status.set({ phase: "failed", error });
    this.stop(error);
    this.#release?.();
  }

  end() {
    super.end();
    this.#release?.();
  }
}

/** Fits `useSyncExternalStore` and Svelte: the same object until something changes. */
class Status {
  #value = { phase: "idle" };
  #runs = new Set();

  get = () => this.#value;

  set(value) {
    if (this.#value.phase === "closed") return;
    const { lastSyncedAt } = this.#value;
    this.#value = Object.freeze(lastSyncedAt ? { lastSyncedAt, ...value } : value);
    for (const run of this.#runs) this.#call(run);
  }

  subscribe = (run) => {
    const entry = (value) => run(value);
    this.#runs.add(entry);
    this.#call(entry);
    return () => this.#runs.delete(entry);
  };

  #call(run) {
    try {
      run(this.#value);
    } catch (error) {
      report(error);
    }
  }
}
