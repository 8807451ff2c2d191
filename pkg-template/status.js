// @ts-check
/** @import { QueryStatus, Readable } from "./query-status.js" */
import { NEW } from "./initial.js";
import { Value } from "./readable.js";

/** The phases of a round that runs in this tab. */
export const RUNNING = ["syncing", "resyncing", "waiting"];

/** The phases in which this tab sends no requests. */
const RESTING = ["new", "idle", "following", "waiting"];

/** The codes of a failed round that the return of the network may mend. */
const NO_NETWORK = ["offline", "network"];

/**
 * The status of a query. The value is the same object until it changes, as `useSyncExternalStore`
 * and Svelte require.
 *
 * @implements {Readable<QueryStatus>}
 */
export class Status {
  /**
   * A separate object for each query, for React: see `#state` of `View`.
   *
   * @type {QueryStatus}
   */
  #base = Object.freeze({ ...NEW });
  /** What subscribers get: `#base` with the plan of a live query. */
  #shown;
  /** When the next round of a live query is due. */
  #nextRoundAt;
  /** Whether a live query cannot start rounds, because the host has no network. */
  #isOffline = false;
  /** Whether the value is the status of the tab that leads a live query. */
  #isFollowing = false;

  /** `onUse` is called when a subscriber is added or removed, and when the status changes. */
  constructor(onUse) {
    this.#shown = new Value(this.#base, onUse);
    this.get = this.#shown.get;
    this.subscribe = this.#shown.subscribe;
  }

  /** The status without the plan of a live query. */
  get base() {
    return this.#base;
  }

  get hasSubscribers() {
    return this.#shown.hasSubscribers;
  }

  /** Sets the status of an emptied mirror. */
  clear() {
    this.#base = NEW;
    this.#set(NEW);
  }

  /** Sets the status of a round of this client. */
  set(value) {
    this.#isFollowing = false;
    this.#set(value);
  }

  /** Shows the status of the tab that leads a live query. */
  follow(value) {
    if (RUNNING.includes(this.#base.phase)) return;
    this.#isFollowing = true;
    this.#set(RUNNING.includes(value.phase) ? { ...value, phase: "following" } : value);
  }

  /**
   * Shows the plan of a live query: when its next round is due, in milliseconds since 1970, and
   * whether the host has no network.
   */
  showPlan({ isFollowing, isOffline, nextRoundAt }) {
    // The tab that ran the round is gone, or this tab leads now.
    const isStale = !isFollowing && this.#isFollowing && this.#base.phase === "following";
    const next = nextRoundAt ?? undefined;
    if (!isStale && this.#isOffline === isOffline && this.#nextRoundAt?.getTime() === next) return;
    this.#isOffline = isOffline;
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
    const { phase, error } = this.#base;
    const isResting = RESTING.includes(phase) || NO_NETWORK.includes(error?.code);
    const shown = this.#isOffline && isResting ? this.#offline() : this.#base;
    this.#shown.set(Object.freeze(nextRoundAt ? { ...shown, nextRoundAt } : shown));
  }

  /**
   * Returns the status of a live query whose host has no network. A round that waits, for another
   * reason, needs the network afterwards.
   *
   * @returns {QueryStatus}
   */
  #offline() {
    const { phase, lastSyncedAt, progress } = this.#base;
    return {
      ...(lastSyncedAt && { lastSyncedAt }),
      ...(phase === "waiting" && progress && { progress }),
      phase: "waiting",
      waitReason: "offline",
    };
  }

  /** Shows the stored end of the last complete round, in milliseconds since 1970. */
  restoreSyncedAt(ms) {
    if (ms !== undefined && !this.#base.lastSyncedAt)
      this.#set({ ...this.#base, lastSyncedAt: new Date(ms) });
  }
}
