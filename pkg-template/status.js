import { report } from "./error.js";

/**
 * The status of a query. Fits `useSyncExternalStore` and Svelte: the same object until something
 * changes.
 */
export class Status {
  #value = { phase: "idle" };
  #subscribers = new Set();
  #onUse;

  /** `onUse` is called when a subscriber comes or goes, and when the status changes. */
  constructor(onUse) {
    this.#onUse = onUse;
  }

  /** Whether anybody subscribes. */
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

  /** Takes over when the last complete round of an earlier page ended, in milliseconds. */
  remember(ms) {
    if (ms !== undefined && !this.#value.lastSyncedAt)
      this.set({ ...this.#value, lastSyncedAt: new Date(ms) });
  }

  subscribe = (run) => {
    // Each subscription is its own, also of the same function.
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
