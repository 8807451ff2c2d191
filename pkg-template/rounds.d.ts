import type { AbortSignal } from "./host.js";

/** The options of `sync()` and `round()`. */
export interface RoundOptions {
  /** Ends the round, or a wait for it. The call rejects with the signal's reason, unchanged. */
  signal?: AbortSignal;
}

/** The options that only `round()` has. */
export interface PageOptions {
  /** `"manual"`: only `page.ack()` acknowledges a page. Default `"next"`: `next()` does too. */
  ack?: "next" | "manual";
  /** The number of pages after which the round stops. The next round continues there. */
  maxPages?: number;
  /**
   * The time in milliseconds after which no further page is fetched. The next round continues
   * there.
   */
  maxMs?: number;
}

/** A round, as an iterable of its pages. */
export interface Round<T> extends AsyncIterable<Page<T>> {
  [Symbol.asyncIterator](): AsyncGenerator<Page<T>, void, undefined>;
  /** The report so far. It is final when the round has ended. */
  readonly report: RoundReport;
}

/** One page of a round. */
export interface Page<T> {
  changes: Change<T>[];
  kind: "full" | "incremental";
  /**
   * The number of full rounds of the query so far. The number increases with the first page of a
   * full round.
   */
  generation: number;
  /**
   * The number of the page within the round, from 0. A round that continues an interrupted one
   * continues its numbering.
   */
  index: number;
  /** Whether this is the last page of the round. */
  last: boolean;
  /**
   * Acknowledges the page: its changes and its link are committed in one transaction. Resolves
   * after the commit. A second call returns the same promise.
   *
   * Rejects with `aborted` if the caller has left the loop, with the round's error if the round has
   * failed, and with the signal's reason if the signal has fired.
   */
  ack(): Promise<void>;
}

/** A change of one item. */
export type Change<T> =
  | { type: "upsert"; id: string; item: T; isNew?: boolean; old?: T; partial?: undefined }
  /** Only of a feed with `minimal`: a property that is absent has not changed. */
  | { type: "upsert"; id: string; item: Partial<T> & { id: string }; partial: true }
  /**
   * The reason `deleted`: Graph reports the item as removed. An event may still exist outside the
   * window. `changed`: deleted, but restorable (Graph's term is soft-deleted). `ghost`: Graph did
   * not report the removal, but a full round no longer lists the item, its series moved to other
   * dates, or another item of the drive took its name. `left-window`: the event is no longer within
   * the rolling window. Minor versions may add reasons.
   *
   * A removal of an id that the mirror never had is not reported, unless an interrupted round has
   * delivered that id without an acknowledgement.
   */
  | { type: "remove"; id: string; reason: "deleted" | "changed" | "ghost" | "left-window"; old?: T };

/** The page that a commit has stored. */
export interface CommitInfo {
  kind: "full" | "incremental";
  generation: number;
  index: number;
  last: boolean;
  /** Whether another tab has committed it. */
  remote: boolean;
}

/** The report of a round. */
export interface RoundReport {
  /**
   * `partial`: the round ended early; the next one continues it. Minor versions may add outcomes.
   */
  outcome: "running" | "complete" | "partial" | "failed";
  kind: "full" | "incremental";
  generation: number;
  /** Whether the round has continued an interrupted one. */
  resumed: boolean;
  /** Committed pages. */
  pages: number;
  /** Received items of all pages. */
  items: number;
  /** Items that are new to the mirror. */
  added: number;
  /** Items that differ from those in the mirror. */
  changed: number;
  /** Items that are equal to those in the mirror. */
  unchanged: number;
  /** Series masters that were fetched individually, because no page contained them. */
  masters: number;
  /**
   * The last requested page size, if the round changed it: larger after pages without anything new,
   * and half as large after a page has failed twice with 503, 504, 408 or a timeout. A reduced size
   * grows back slowly. For events it is at least 50.
   */
  pageSize?: number;
  /** Removals that Graph has reported, of ids that the mirror had. */
  removed: number;
  /** Removals with the reason `ghost`. Not counted in `removed`. */
  ghosts: number;
  /** Removals with the reason `left-window`. Not counted in `removed` or `ghosts`. */
  leftWindow: number;
  /** Items that a later item with the same id in the same page has replaced. */
  duplicates: number;
  /** Items that could not be read, by reason. */
  skipped: { noId: number; notAnObject: number };
  /** Sent requests, including look-ahead requests whose pages were not needed. */
  requests: number;
  /** Requests that repeated a failed one. */
  retries: number;
  /**
   * Bytes of the bodies that the round has used, after the host has decompressed them. If a custom
   * `fetch` returns responses without a stream, characters instead of bytes.
   */
  bytes: number;
  /** Graph's ids of requests that it refused, for Microsoft's support: the first twenty. */
  failedRequestIds?: string[];
  /** The time spent in the store, in milliseconds. */
  storeMs: number;
  /** The waits, with their times in milliseconds. */
  waits: { reason: WaitReason; ms: number }[];
  /**
   * Why this round became a full one: the code (or status) of Graph's reset signal or refusal of
   * the link; `forbidden` after three rounds that ended with 402 or 403 on a link; or `livelock`.
   */
  resync?: string;
  startedAt: Date;
  endedAt?: Date;
}

/**
 * Why a round waits. Minor versions may add reasons. `throttled`: Graph has throttled this query or
 * another one with the same limits (those of a mailbox, or else those of the app in a workload); or
 * the client delays a request to stay within the limits. Successive delays are one entry of
 * `waits`. `server`: a response with a status 5xx or 408, or a token source that asks to be called
 * later. `network`: no response to the client or to the token source. `timeout`: a response, or the
 * rest of one, that did not arrive in time. `offline`: the host has no network. `malformed`: a
 * response that is not a page. `resync`: a full round that Graph demanded is delayed by up to
 * 2 × `retry.base`, so that not all queries start theirs at the same time. `caller`: `onError`
 * returned `{ after }`.
 */
export type WaitReason =
  "throttled" | "server" | "network" | "timeout" | "offline" | "malformed" | "resync" | "caller";
