// @ts-check
/** @import { QueryStatus, Readable } from "./query-status.js" */
import { report } from "./error.js";

/**
 * The status of a query. The value is the same object until it changes, as `useSyncExternalStore`
 * and Svelte require.
 *
 * @implements {Readable<QueryStatus>}
 */
export class Status {
  /** @type {QueryStatus} */
  #value = { phase: "idle" };
  #subscribers = new Set();
  #onUse;

  /** `onUse` is called when a subscriber is added or removed, and when the status changes. */
  constructor(onUse) {
    this.#onUse = onUse;
  }

  /** Whether there are subscribers. */
  get hasSubscribers() {
    return this.#subscribers.size > 0;
  }

  get = () => this.#value;

  set(value) {
    if (this.#value.phase === "closed") return;
    const { lastSyncedAt } = this.#value;
    this.#value = Object.freeze(lastSyncedAt ? { lastSyncedAt, ...value } : value);
    this.#onUse();
    for (const run of this.#subscribers) this.#call(run);
  }

  /** Shows when the last complete round of an earlier page ended, in milliseconds since 1970. */
  restoreSyncedAt(ms) {
    if (ms !== undefined && !this.#value.lastSyncedAt)
      this.set({ ...this.#value, lastSyncedAt: new Date(ms) });
  }

  subscribe = (run) => {
    // The same function may subscribe twice.
    const entry = (value) => run(value);
    this.#subscribers.add(entry);
    this.#onUse();
    this.#call(entry);
    return () => {
      this.#subscribers.delete(entry);
      this.#onUse();
    };
  };

  #call(run) {
    try {
      run(this.#value);
    } catch (error) {
      report(error);
    }
  }
}
