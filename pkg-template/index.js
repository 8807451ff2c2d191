// The API of index.d.ts around the wasm's own exports. What is here is shorter in JavaScript: loading, iterating, listening.
import load, { open } from "./deltalink.js";
import { DeltaError } from "./error.js";
import { acquire } from "./lock.js";
import { MemoryStore } from "./memory.js";

const CHUNK = 500;
const makeError = (message, fields) => new DeltaError(message, fields);
const closed = () => new DeltaError("this client is closed; open another one with openDelta()", { code: "closed" });

/** `source` gives the host's own wasm. */
export function createApi(source) {
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
    const memory = options?.store === "memory";
    return new Client(await open(memory ? { ...options, store: new MemoryStore() } : options, makeError), memory);
  }

  return { init, openDelta };
}

class Client {
  #wasm;
  #memory;
  #ending = new AbortController();
  /** What all queries of one key share. */
  #shared = new Map();

  constructor(wasm, memory) {
    this.#wasm = wasm;
    this.#memory = memory;
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
    let shared = this.#shared.get(wasm.key);
    if (!shared) {
      // A store in memory is this client's alone, and so are its locks.
      const lock = this.#memory ? `deltalink | ${crypto.randomUUID?.() ?? Math.random()}` : `deltalink | ${wasm.key}`;
      shared = { status: new Status(), ending: this.#ending.signal, lock, syncing: undefined };
      this.#shared.set(wasm.key, shared);
      // The status tells of the last time before the first round of this page. Whoever syncs gets the store's errors.
      const { status } = shared;
      wasm.syncedAt().then((lastSyncedAt) => lastSyncedAt && !status.get().lastSyncedAt && status.set({ ...status.get(), lastSyncedAt }), () => {});
    }
    return wasm.mirror ? new Query(wasm, shared) : new Feed(wasm, shared);
  }

  resume() {
    this.#wasm.resume();
    for (const { status } of this.#shared.values()) if (status.get().phase === "needs-auth") status.set({ phase: "idle" });
  }

  async forget() {
    this.#end();
    await this.#wasm.forget();
  }

  async close() {
    this.#end();
    this.#wasm.close();
  }

  #end() {
    this.#ending.abort();
    for (const { status } of this.#shared.values()) status.set({ phase: "closed" });
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
  sync(options) {
    const shared = this._shared;
    shared.syncing ??= (async () => {
      const round = new Round(this._wasm, shared, options, false);
      for await (const page of round) void page;
      return round.report;
    })().finally(() => (shared.syncing = undefined));
    return shared.syncing;
  }

  all() {
    return this._wasm.all();
  }

  async *items() {
    for (let chunk; (chunk = await this._wasm.chunk(chunk?.[0], CHUNK)); ) yield* chunk[1];
  }

  async get(id) {
    return this._wasm.get(String(id));
  }

  count() {
    return this._wasm.count();
  }
}

class Round {
  #pages;
  #report;

  constructor(query, shared, options, shown) {
    const handle = query.round(options, (status) => shared.status.set(status), shown);
    this.#report = () => handle.report();
    this.#pages = this.#run(handle, shared, options);
  }

  get report() {
    return this.#report();
  }

  [Symbol.asyncIterator]() {
    return this.#pages;
  }

  async *#run(handle, shared, options) {
    const release = await turn(shared, options?.signal);
    let left = false;
    try {
      for (let page; (page = await handle.next()); ) {
        let acked;
        let called;
        const ack = () => {
          if (left && !acked) {
            return Promise.reject(new DeltaError("the round was left before this page was acknowledged; the next round delivers it again", { code: "aborted", retryable: true }));
          }
          acked ??= handle.ack();
          called?.();
          return acked;
        };
        page.ack = ack;
        yield page;
        if (options?.ack === "manual" && !acked) await until((resolve) => (called = resolve), shared, options.signal);
        await ack();
      }
    } finally {
      left = true;
      handle.leave();
      const report = handle.report();
      this.#report = () => report;
      handle.free();
      release();
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
  const got = acquire(shared.lock, waiting.signal);
  let release;
  got.then((free) => (release = free), () => {});
  const before = shared.status.get();
  const timer = setTimeout(() => shared.status.set({ phase: "following" }), 50);
  try {
    await until((resolve) => got.then(resolve, resolve), shared, signal);
    return release;
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
      // A listener's error is the listener's: it must not end a round.
      setTimeout(() => {
        throw error;
      });
    }
  }
}
