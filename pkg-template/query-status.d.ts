import type { DeltaError } from "./errors.js";
import type { WaitReason } from "./rounds.js";

/** The status of a query. */
export interface QueryStatus {
  /**
   * `new`: no round has been completed yet. `following`: another tab or client runs a round, and
   * this one waits for it or shows its progress. `resyncing`: an incremental round has become a
   * full one. `waiting`: a round waits; or, without `progress`, a live query waits for the
   * network. `needs-auth`: the user has to sign in; call `client.resume()` afterwards. Minor
   * versions may add phases.
   *
   * With a store that you provide, the phase is `new` until the stored state has been read.
   */
  phase:
    "new" | "idle" | "syncing" | "resyncing" | "waiting" | "following" | "needs-auth" | "failed" | "closed";
  /** The end of the last complete round. */
  lastSyncedAt?: Date;
  /** While a round runs: its committed pages, received items, sent requests and received bytes. */
  progress?: { pages: number; items: number; requests: number; bytes: number };
  /** In the phases `waiting` and `following`: the end of the wait, if it is known. */
  waitUntil?: Date;
  /** In the phase `waiting`: the reason for the wait; in `following`, if the round waits. */
  waitReason?: WaitReason;
  /** Of a live query: when its next round is due. Absent while one runs or none is planned. */
  nextRoundAt?: Date;
  /** In the phases `failed` and `needs-auth`: the error that ended the round. */
  error?: DeltaError;
}

/** A value that changes. Fits React's `useSyncExternalStore` and Svelte's store contract. */
export interface Readable<V> {
  /** Returns the current value: the same object until it changes. */
  get(): V;
  /** Calls `run` at once and after each change. Returns the function that ends the subscription. */
  subscribe(run: (value: V) => void): () => void;
}
