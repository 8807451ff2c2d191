// @ts-check
// The queries of queries.d.ts: a feed has rounds, a query has a mirror too.
/** @import { DeltaFeed, DeltaQuery } from "./queries.js" */
import { DeltaError, bad } from "./error.js";
import { readOptions, signalOf } from "./options.js";
import { Round } from "./round.js";
import { Sync } from "./sync.js";

/** The most rows that `items()` reads at once. */
const CHUNK = 500;

/**
 * Rounds over one collection.
 *
 * @implements {DeltaFeed<any>}
 */
export class Feed {
  #made;
  #make;
  #shared;

  /**
   * @param {import("./shared.js").Shared} shared
   */
  constructor(made, make, shared) {
    this.#made = made;
    this.#make = make;
    this.key = shared.key;
    const { get, subscribe } = shared.status;
    this.status = { get, subscribe };
    this.#shared = shared;
  }

  /** For round-run.js and sync.js. */
  get shared() {
    return this.#shared;
  }

  round(options) {
    this.shared.changes.roundCalled("round");
    // After a sign-in its consumer begins another round.
    this.shared.syncAgain = undefined;
    return new Round(this, options, true);
  }

  reset() {
    return this.call((wasm) => wasm.reset());
  }

  clear() {
    return this.call((wasm) => wasm.clear());
  }

  /**
   * Returns the wasm's query. Makes it again, from the same options, if a defect has ended its
   * instance.
   */
  current() {
    if (this.#made.instance.ended) {
      const made = this.#make();
      if (made.wasm.key !== this.key)
        throw new DeltaError("a query that was made again has another key", { code: "internal" });
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
 * Rounds over one collection, and the mirror of it.
 *
 * @implements {DeltaQuery<any>}
 */
export class Query extends Feed {
  get mirrored() {
    return true;
  }

  async sync(options) {
    const signal = onlySignal(options);
    const { shared } = this;
    shared.changes.roundCalled("sync");
    if (signal?.aborted) throw signal.reason;
    shared.syncing ??= new Sync(this);
    return shared.syncing.join(signal);
  }

  async all(options) {
    const { occurrences } = readOptions(options, "all", ["occurrences"]);
    return this.call((wasm) => wasm.all(occurrences === "complete"));
  }

  async *items(options) {
    const {
      after,
      limit = Infinity,
      occurrences,
    } = readOptions(options, "items", ["after", "limit", "occurrences"]);
    let remaining = limit;
    const seen = new Set();
    for (let next = after; remaining > 0;) {
      if (seen.has(next))
        throw new DeltaError("scan() of options.store returned the same row twice", { code: "store" });
      seen.add(next);
      const chunk = await this.call((wasm) =>
        wasm.chunk(next, Math.min(limit, CHUNK), occurrences === "complete"),
      );
      yield* chunk.items.slice(0, remaining);
      remaining -= chunk.items.length;
      if ((next = chunk.next) === undefined) return;
    }
  }

  get(id) {
    return this.call((wasm) => wasm.get(String(id)));
  }

  count() {
    return this.call((wasm) => wasm.count());
  }

  on(event, listener) {
    if (event !== "change" || typeof listener !== "function") {
      throw bad('on() takes the event "change" and a function');
    }
    return this.shared.changes.on(listener);
  }
}

function onlySignal(options) {
  readOptions(options, "sync", ["signal"], "; round() takes more");
  return signalOf(options);
}
