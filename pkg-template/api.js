// @ts-check
// openDelta(), init() and the client of index.d.ts, around the wasm's own exports.
/** @import { DeltaClient } from "./client.js" */
import { onAbort } from "./abort.js";
import { Instance } from "./engine.js";
import { DeltaError, badRequest, closed, report } from "./error.js";
import { onLifecycle } from "./lifecycle.js";
import { LiveQueries } from "./live.js";
import { Locks } from "./locks.js";
import { Feed, Query } from "./query.js";
import { QueryCache } from "./query-cache.js";
import { QueryStates } from "./query-state.js";
import { SignIns } from "./sign-ins.js";
import { snapshot } from "./snapshot.js";
import { windowAt } from "./window.js";

const makeError = (message, fields) => new DeltaError(message, fields);

/** The pause in milliseconds if a subscriber of a status calls `resume()`. */
const RESUME_PAUSE = 1000;

/**
 * Makes the API for one entry of the package. `source` is called with the argument of `init()`, or
 * with undefined, and resolves to the compiled wasm and its `WasmOrigin`.
 */
export function createApi(source) {
  let loading;

  function load(wasm) {
    loading ??= (async () => {
      const [module, origin] = await source(wasm);
      // `first` becomes the instance of the first client.
      return { module, origin, first: await new Instance().start(module) };
    })().catch((cause) => {
      loading = undefined;
      const reason = cause?.message ?? cause;
      const message =
        globalThis.navigator?.onLine === false
          ? "this host has no network, and the wasm of deltalink cannot be loaded: cache deltalink.wasm in the service worker of the app, or see cause"
          : `the wasm of deltalink cannot be loaded (${reason}); under a Content-Security-Policy it needs script-src 'wasm-unsafe-eval'; init(wasm) loads it from another place`;
      throw new DeltaError(message, { code: "wasm", retryable: true, cause });
    });
    return loading;
  }

  /** @type {typeof import("./index.js").init} */
  async function init(wasm) {
    return (await load(wasm)).origin;
  }

  /** @type {typeof import("./index.js").openDelta} */
  async function openDelta(options) {
    const copy = snapshot(options);
    const engine = await load();
    const instance = engine.first ?? (await new Instance().start(engine.module));
    engine.first = undefined;
    const client = new Client(engine.module, instance, copy);
    await client.opened;
    const { persist, store = "indexeddb" } = copy;
    // The client works in the same way if the browser refuses.
    if (persist && store === "indexeddb") globalThis.navigator?.storage?.persist?.().catch(report);
    return client;
  }

  return { init, openDelta };
}

/** @implements {DeltaClient} */
class Client {
  #module;
  #options;
  #instance;
  #wasm;
  #locks;
  #live;
  #signIns;
  #stopListening;
  #ending = new AbortController();
  #states = new QueryStates();
  #queries = new QueryCache();
  /** By key: when the last complete round ended, as stored when the client was opened. */
  #syncedAt = new Map();

  constructor(module, instance, options) {
    this.#module = module;
    this.#options = options;
    this.signInError = this.#states.signInError;
    this.#begin(instance);
    // Other tabs do not see a store in memory, so its rounds need no lock across tabs.
    this.#locks = new Locks(this.#wasm.store_kind !== "memory");
    const hasTabs = this.#wasm.store_kind === "indexeddb";
    if (hasTabs) this.#signIns = new SignIns(this.#wasm.account, () => this.#onSignIn());
    this.#signIns?.listen();
    this.#stopListening = onLifecycle(
      () => {
        this.#signIns?.stop();
        this.#eachChanges((changes) => changes.pause());
      },
      () => {
        this.#signIns?.listen();
        // A sign-in in another tab may have been missed.
        if ([...this.#states].some(({ needsSignIn }) => needsSignIn)) this.#onSignIn();
        this.#eachChanges((changes) => changes.resume());
      },
    );
    this.#live = new LiveQueries({
      hasTabs,
      makeSchedule: (...values) => this.#makeSchedule(...values),
    });
    // openDelta() rejects with the reason.
    this.opened.catch(() => this.#end());
  }

  get closed() {
    return this.#ending.signal.aborted;
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

  resume() {
    this.#signIns?.announce();
    this.#onSignIn();
  }

  /** The user has signed in, in this tab or in another one. */
  #onSignIn() {
    this.#current().wasm.resume();
    // If a subscriber of a status has called `resume()`, the round that needs the sign-in is about
    // to end. The pause limits a subscriber that always does so.
    const isEnding = [...this.#states].some(({ needsSignIn, syncing }) => needsSignIn && syncing);
    if (isEnding) setTimeout(() => this.#continueQueries(), RESUME_PAUSE);
    else this.#continueQueries();
  }

  #continueQueries() {
    if (this.#ending.signal.aborted) return;
    for (const state of this.#states) {
      if (!state.needsSignIn) continue;
      state.status.set({ phase: "idle" });
      state.syncAgain?.();
    }
    this.#live.onSignIn();
  }

  async forget() {
    this.#end();
    await this.#run((wasm) => wasm.forget());
  }

  async close() {
    this.#end();
    await this.#run((wasm) => wasm.close());
  }

  #run(call) {
    const { instance, wasm } = this.#current();
    return instance.run(() => call(wasm));
  }

  /** Makes a schedule in the current instance. */
  #makeSchedule(id, hasPeers) {
    const { instance } = this.#current();
    const schedule = instance.run(({ Schedule }) => new Schedule(id, hasPeers));
    return { step: (input) => instance.run(() => schedule.step(input)) };
  }

  /** Makes the wasm's client in this instance, from the copied options. */
  #begin(instance) {
    this.#instance = instance;
    onAbort(instance.signal, () => this.#live?.restart());
    this.#wasm = instance.run(({ Client: Wasm }) => new Wasm(this.#options, makeError));
    // The client also ends when another tab deletes the database, or the browser closes it.
    this.opened = instance
      .run(() => this.#wasm.open(() => this.#end()))
      .then((times) => (this.#syncedAt = new Map(times)));
  }

  /**
   * Returns the wasm's client and its instance. Makes new ones if a defect has ended the instance.
   */
  #current() {
    if (this.#instance.ended) {
      this.#begin(new Instance().startAtOnce(this.#module));
      // If the store does not open, each call that needs it rejects with the reason.
      this.opened.catch(() => {});
      // A mirror in memory was lost with the instance.
      this.#eachChanges((changes) => changes.reload());
    }
    return { instance: this.#instance, wasm: this.#wasm };
  }

  /** @returns {any} */
  #query(call, path, options) {
    const { signal } = this.#ending;
    if (signal.aborted) throw signal.reason;
    const copy = snapshot(options);
    return this.#queries.get(call, path, copy, () => this.#makeQuery(call, path, copy));
  }

  #makeQuery(call, path, copy) {
    const { signal } = this.#ending;
    const make = () => {
      const { instance, wasm } = this.#current();
      return { instance, wasm: instance.run(() => wasm.query(call, path, copy)) };
    };
    const made = make();
    const { key, has_mirror, window } = made.wasm;
    try {
      if (window) windowAt(window);
    } catch {
      throw badRequest(
        `options.window.timeZone must be an IANA name that this host knows, such as "Europe/Berlin" (not a Windows name), got ${JSON.stringify(window.timeZone)}`,
      );
    }
    const existing = this.#states.get(key);
    const reader = {
      hasSeries: made.wasm.has_series,
      readChanged: (...values) => query.call((wasm) => wasm.changed(...values)),
      complete: (items) => query.call((wasm) => wasm.completed(items)),
    };
    const parts = {
      key,
      ending: signal,
      locks: this.#locks,
      live: this.#live,
      hasTabs: this.#wasm.store_kind === "indexeddb",
      reader,
    };
    const state = existing ?? this.#states.make(parts);
    if (!existing) state.status.restoreSyncedAt(this.#syncedAt.get(key));
    const query = new (has_mirror ? Query : Feed)(made, make, state);
    if (!existing) {
      // Until this tab has run a round, the status shows the end of the last complete round, from
      // the store. `sync()` reports an error of the store.
      state.restored = query
        .call((wasm) => wasm.synced_at())
        .then(
          (ms) => state.status.restoreSyncedAt(ms),
          () => {},
        );
    }
    return query;
  }

  #eachChanges(call) {
    for (const { changes } of this.#states) call(changes);
  }

  #end() {
    if (this.#ending.signal.aborted) return;
    this.#stopListening();
    this.#signIns?.stop();
    this.#ending.abort(closed());
    this.#states.end();
    this.#live.end();
    for (const { status, changes } of this.#states) {
      status.set({ phase: "closed" });
      changes.close();
    }
  }
}
