// @ts-check
/** @import { QueryStatus, Readable } from "./query-status.js" */
import { report } from "./error.js";

/** The phases of a round that runs in this tab. */
export const RUNNING = ["syncing", "resyncing", "waiting"];

/**
 * The status of a query. The value is the same object until it changes, as `useSyncExternalStore`
 * and Svelte require.
 *
 * @implements {Readable<QueryStatus>}
 */
export class Status {
  /** @type {QueryStatus} */
  #base = { phase: "new" };
  /** What subscribers get: `#base` with `#nextRoundAt`, if a round is planned. */
  #value = this.#base;
  /** When the next round of a live query is due. */
  #nextRoundAt;
  /** Whether the value is the status of the tab that leads a live query. */
  #isFollowing = false;
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

  /** Sets the status of an emptied mirror. */
  clear() {
    this.#base = { phase: "new" };
    this.#set(this.#base);
  }

  /** Sets the status of a round of this client. */
  set(value) {
    this.#isFollowing = false;
    this.#set(value);
  }

  /** Shows the status of the tab that leads a live query. */
  follow(value) {
    if (RUNNING.includes(this.#value.phase)) return;
    this.#isFollowing = true;
    this.#set(RUNNING.includes(value.phase) ? { ...value, phase: "following" } : value);
  }

  /** Shows when the next round of a live query is due, in milliseconds since 1970. */
  showPlan(isFollowing, nextRoundAt) {
    // The tab that ran the round is gone, or this tab leads now.
    const isStale = !isFollowing && this.#isFollowing && this.#base.phase === "following";
    const next = nextRoundAt ?? undefined;
    if (!isStale && this.#nextRoundAt?.getTime() === next) return;
    this.#nextRoundAt = next === undefined ? undefined : new Date(next);
    this.#set(isStale ? { phase: "idle" } : this.#base);
  }

  #set(value) {
    if (this.#base.phase === "closed") return;
    const { lastSyncedAt } = this.#base;
    this.#base = lastSyncedAt ? { lastSyncedAt, ...value } : { ...value };
    delete this.#base.nextRoundAt;
    // A mirror is new until its first complete round, and idle afterwards.
    if (this.#base.phase === "idle" && !this.#base.lastSyncedAt) this.#base.phase = "new";
    else if (this.#base.phase === "new" && this.#base.lastSyncedAt) this.#base.phase = "idle";
    const nextRoundAt = this.#nextRoundAt;
    this.#value = Object.freeze(nextRoundAt ? { ...this.#base, nextRoundAt } : this.#base);
    this.#onUse();
    for (const run of this.#subscribers) this.#call(run);
  }

  /** Shows the stored end of the last complete round, in milliseconds since 1970. */
  restoreSyncedAt(ms) {
    if (ms !== undefined && !this.#base.lastSyncedAt)
      this.#set({ ...this.#base, lastSyncedAt: new Date(ms) });
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
