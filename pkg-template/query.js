// @ts-check
// The queries of queries.d.ts: a feed has rounds, a query has a mirror too.
/** @import { DeltaFeed, DeltaQuery } from "./queries.js" */
import { DeltaError, badRequest } from "./error.js";
import { readOptions, signalOf } from "./options.js";
import { Round } from "./round.js";
import { Sync } from "./sync.js";
import { View } from "./view.js";

/** The maximum number of rows that `items()` reads at once. */
const CHUNK = 500;

/**
 * Rounds over one collection.
 *
 * @implements {DeltaFeed<any>}
 */
export class Feed {
  #made;
  #make;
  #state;

  /**
   * `make()` makes the wasm's query, and returns it with its instance. `made` is the first result.
   *
   * @param {import("./query-state.js").QueryState} state
   */
  constructor(made, make, state) {
    this.#made = made;
    this.#make = make;
    this.key = state.key;
    this.keyHash = made.wasm.key_hash;
    const { get, subscribe } = state.status;
    this.status = { get, subscribe };
    this.#state = state;
  }

  /** For round-run.js and sync.js. */
  get state() {
    return this.#state;
  }

  round(options) {
    this.state.changes.onRoundCall("round");
    // After a sign-in, the consumer begins the next round: resume() must not start a sync().
    this.state.syncAgain = undefined;
    return new Round(this, options, true, undefined);
  }

  reset() {
    return this.call((wasm) => wasm.reset());
  }

  clear() {
    return this.call((wasm) => wasm.clear());
  }

  /**
   * Returns the wasm's query and its instance. If a defect has ended the instance, makes the query
   * again from the same options.
   */
  current() {
    if (this.#made.instance.ended) {
      const made = this.#make();
      if (made.wasm.key !== this.key)
        throw new DeltaError("after a defect this query was made again, with another key", {
          code: "internal",
        });
      this.#made = made;
    }
    return this.#made;
  }

  async call(work) {
    const { instance, wasm } = this.current();
    return instance.run(() => work(wasm));
  }
}

/**
 * Rounds over one collection, and a mirror of its items.
 *
 * @implements {DeltaQuery<any>}
 */
export class Query extends Feed {
  get hasMirror() {
    return true;
  }

  async sync(options) {
    const signal = onlySignal(options);
    const { state } = this;
    state.changes.onRoundCall("sync");
    if (signal?.aborted) throw signal.reason;
    return this.join(signal);
  }

  /** Joins the round that is applied to the mirror, or starts one. For live.js. */
  join(signal, stealsLock) {
    const { state } = this;
    state.syncing ??= new Sync(this, stealsLock);
    return state.syncing.join(signal);
  }

  view(options) {
    return new View((completes) => this.state.rowsOf(this, completes), this.state.hasSeries, options);
  }

  live(options) {
    return this.state.live.start(this, options);
  }

  async all(options) {
    const { completes } = readOptions(options, "all", ["occurrences"]);
    return this.call((wasm) => wasm.all(completes));
  }

  async *items(options) {
    const { after, limit, completes } = readOptions(options, "items", ["after", "limit", "occurrences"]);
    let remaining = limit;
    const seen = new Set();
    for (let next = after; remaining > 0;) {
      if (seen.has(next))
        throw new DeltaError("scan() of options.store returned the same row twice", { code: "store" });
      seen.add(next);
      const chunk = await this.call((wasm) => wasm.chunk(next, Math.min(limit, CHUNK), completes));
      yield* chunk.items.slice(0, remaining);
      remaining -= chunk.items.length;
      if ((next = chunk.next) === undefined) return;
    }
  }

  async get(id, options) {
    const { completes } = readOptions(options, "get", ["occurrences"]);
    return this.call((wasm) => wasm.get(String(id), completes));
  }

  async count(options) {
    const { completes } = readOptions(options, "count", ["occurrences"]);
    return this.call((wasm) => wasm.count(completes));
  }

  on(event, listener, options) {
    if (event !== "change" || typeof listener !== "function") {
      throw badRequest('on() takes the event "change" and a function');
    }
    const { completes } = readOptions(options, "on", ["occurrences"]);
    return this.state.changes.on(listener, completes);
  }

  async clear() {
    await super.clear();
    this.state.status.clear();
    this.state.changes.reloadAll();
    this.state.live.onClear(this.key);
  }
}

function onlySignal(options) {
  readOptions(options, "sync", ["signal"], "; round() takes more");
  return signalOf(options);
}
