// @ts-check
import { onAbort } from "./abort.js";
import { DeltaError } from "./error.js";
import { Round } from "./round.js";

/**
 * A round that is applied to the mirror for every caller of `sync()` who joins it. It stops when
 * the last of them has left.
 */
export class Sync {
  #stop = new AbortController();
  #members = 0;
  #query;
  #done;

  constructor(query) {
    this.#query = query;
    const { shared } = query;
    shared.syncAgain = () => (shared.syncing ??= new Sync(query));
    this.#done = this.#run().finally(() => this.#close());
    // A caller who has left does not handle a rejection.
    this.#done.catch(() => {});
  }

  /** Resolves to the report. The signal ends this caller's wait and no other one. */
  join(signal) {
    this.#members += 1;
    if (!signal) return this.#done;
    return new Promise((resolve, reject) => {
      const leave = () => {
        reject(signal.reason);
        this.#members -= 1;
        if (this.#members > 0) return;
        this.#close();
        this.#stop.abort(signal.reason);
      };
      this.#done.then(resolve, reject).finally(onAbort(signal, leave));
    });
  }

  async #run() {
    const round = new Round(this.#query, { signal: this.#stop.signal }, false, () => this.#close());
    for await (const page of round) void page;
    const { report } = round;
    if (report.outcome === "complete") return report;
    throw new DeltaError("the round ended early, though nobody stopped it; call again", {
      code: "internal",
      retryable: true,
      report,
    });
  }

  /** From now on a call of `sync()` begins another round rather than joining this one. */
  #close() {
    const { shared } = this.#query;
    if (shared.syncing === this) shared.syncing = undefined;
  }
}
