// @ts-check
import { onAbort } from "./abort.js";
import { DeltaError } from "./error.js";
import { Round } from "./round.js";

/**
 * A round that is applied to the mirror, shared by all callers of `sync()` that join it. It stops
 * when the last of them has left.
 */
export class Sync {
  #stop = new AbortController();
  #callers = 0;
  #query;
  #stealsLock;
  #done;
  #stopsAfterPage = false;

  /** `stealsLock`: take the round lock from a tab that does not respond. */
  constructor(query, stealsLock = false) {
    this.#query = query;
    this.#stealsLock = stealsLock;
    const { state } = query;
    state.syncAgain = () => (state.syncing ??= new Sync(query));
    this.#done = this.#run().finally(() => this.#end());
    // If all callers have left, nothing else handles a rejection.
    this.#done.catch(() => {});
  }

  /** Adds a caller. Resolves to the report. The signal ends the wait of this caller only. */
  join(signal) {
    this.#callers += 1;
    if (!signal) return this.#done;
    return new Promise((resolve, reject) => {
      const leave = () => {
        reject(signal.reason);
        this.#callers -= 1;
        if (this.#callers > 0) return;
        this.#close();
        this.#stop.abort(signal.reason);
      };
      this.#done.then(resolve, reject).finally(onAbort(signal, leave));
    });
  }

  /** Ends the round after the current page. Returns false, and does nothing, if others wait. */
  stopAfterPage() {
    if (this.#callers > 1) return false;
    this.#stopsAfterPage = true;
    return true;
  }

  async #run() {
    const options = { signal: this.#stop.signal };
    const round = new Round(this.#query, options, false, () => this.#close(), this.#stealsLock);
    for await (const page of round) {
      if (!this.#stopsAfterPage || page.last) continue;
      await page.ack();
      break;
    }
    const { report } = round;
    if (report.outcome === "complete") return report;
    if (this.#stopsAfterPage)
      throw new DeltaError("the round was stopped after a page: another tab continues it", {
        code: "aborted",
        retryable: true,
        report,
      });
    throw new DeltaError("the round ended early, although no signal fired; call sync() again", {
      code: "internal",
      retryable: true,
      report,
    });
  }

  #end() {
    this.#close();
    const { state } = this.#query;
    // Only a sync() that waits for a sign-in is repeated by resume().
    if (!state.syncing && state.status.get().phase !== "needs-auth") state.syncAgain = undefined;
  }

  /** After this, `sync()` begins another round instead of joining this one. */
  #close() {
    const { state } = this.#query;
    if (state.syncing === this) state.syncing = undefined;
  }
}
