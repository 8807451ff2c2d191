import type { Event } from "./items.js";
import type { Live, LiveOptions } from "./live-queries.js";
import type { OccurrenceOptions, View, ViewOptions } from "./views.js";
import type { QueryStatus, Readable } from "./query-status.js";
import type { Change, CommitInfo, PageOptions, Round, RoundOptions, RoundReport } from "./rounds.js";

/** Rounds over one collection, without a mirror of its items. */
export interface DeltaFeed<T> {
  /** The key of the stored state. The browser's developer tools show it. */
  readonly key: string;
  /** The hash of the key by which entries of `openDelta({ log })` name this query. */
  readonly keyHash: string;
  /**
   * Runs one round, page by page. Requesting the next page acknowledges the previous one, which
   * commits it.
   *
   * Up to two pages are requested ahead, with the same token: while a page is delivered, the next
   * one may already arrive, and while it is committed, also the one after that. They are kept until
   * the loop requests them, or dropped if you leave the loop.
   *
   * Leaving the loop ends the round. Acknowledged pages stay committed; the next round delivers the
   * others again. The iterator's `return()` also ends a `next()` that is waiting.
   *
   * Only one round of a query runs at a time, across all tabs: a second one waits before its first
   * page. While it waits for another tab or client, the status is `following`. A round ends with
   * `conflict` if its tab is frozen or its lock is stolen.
   *
   * @example
   *   for await (const page of query.round()) await save(page.changes);
   */
  round(options?: RoundOptions & PageOptions): Round<T>;
  /** The status of the query, shared by all queries with the same key. */
  readonly status: Readable<QueryStatus>;
  /**
   * Deletes the link, so that the next round is a full one. The mirror stays readable until that
   * round has replaced it. Rejects with `conflict` while a round commits.
   */
  reset(): Promise<void>;
  /**
   * Empties the mirror and deletes the link, so that the next round is a first one. For a
   * collection that was deleted (`error.gone`) or is no longer needed. Does not call the listeners
   * of `change`. Rejects with `conflict` while a round commits.
   */
  clear(): Promise<void>;
}

/** Rounds over one collection, and a mirror of its items. */
export interface DeltaQuery<T> extends DeltaFeed<T> {
  /**
   * Runs one round and applies it to the mirror. A call during such a round joins it. A signal
   * ends the wait of its own call only; the round stops when all callers have left.
   *
   * Rejects with a `DeltaError`, or with the reason of the signal.
   */
  sync(options?: RoundOptions): Promise<RoundReport>;
  /**
   * Keeps the mirror fresh: runs rounds until the handle is stopped, its signal fires or the client
   * is closed. `status` shows each round and when the next one is due.
   *
   * If the host has Web Locks and `BroadcastChannel`, only one of the tabs with this query runs the
   * rounds, preferably a visible one. The others follow: their listeners and their status show its
   * rounds. If the mirror is older than `every`, a round is due at once when the user comes back to
   * the tab, the network is back, or `client.resume()` is called.
   *
   * A tab runs at most 4 rounds of live queries at once and starts at most 60 in a minute. After a
   * failure the interval doubles, up to 15 minutes.
   *
   * Throws `not-supported` in Cloudflare Workers. Call `sync()` in an alarm instead.
   *
   * @example
   *   const live = query.live();
   *   refreshButton.onclick = () => live.syncNow();
   *   // When the view is closed:
   *   live.stop();
   */
  live(options?: LiveOptions): Live;
  /**
   * Returns a list of the items: filtered, sorted, and updated after each commit of any tab. It
   * misses no commit between the subscription and the first read.
   *
   * A view reads the mirror when it gets its first subscriber, and after a commit only the changed
   * items. Updates come with the next frame, and at most four times a second while the tab is
   * hidden. The items stay in memory until a second after the last subscriber has left. A view
   * supports up to 100,000 items; use `items()` for more.
   *
   * @example
   *   const view = query.view({ orderBy: "displayName" });
   *   const stop = view.subscribe(({ items, ready }) => ready && render(items));
   */
  view(options?: ViewOptions<T>): View<T>;
  /** Returns all items of the mirror. No commit happens while they are read. */
  all(): Promise<T[]>;
  /**
   * Iterates over the mirror, or a range of it, in chunks of at most 500 items. A round may commit
   * between the reads of two chunks, but not during one.
   */
  items(options?: ItemsOptions): AsyncIterable<T>;
  /** Returns one item of the mirror, or undefined. */
  get(id: string): Promise<T | undefined>;
  /** Returns the number of items in the mirror. */
  count(): Promise<number>;
  /**
   * Calls the listener after each commit that has changed the mirror, with the changes. Commits
   * of other tabs on the same IndexedDB are announced too, with `info.remote` and without `old`.
   *
   * Listeners are called in the order of the commits, and awaited: the next page of the round waits
   * for them, unless the round is aborted or the client closed. After the last page, the round
   * releases its lock before the listeners return, and only the promise of `sync()` waits for them.
   * An error of a listener is passed to `reportError`.
   *
   * A listener must not wait for a round of its own query, which waits for the listener. A `sync()`
   * or `round()` that it calls before its first `await` fails with `bad-request`. If either is
   * called later, or by other code in this tab, running rounds of the query stop waiting for their
   * listeners.
   *
   * A listener gets only the commits after it was added, and none of other tabs while its own tab
   * is frozen or in the back/forward cache: use a view to show the mirror. To get every change, use
   * `round()`.
   *
   * @returns The function that removes the listener.
   */
  on(event: "change", listener: (changes: Change<T>[], info: CommitInfo) => void | Promise<void>): () => void;
}

/**
 * A query of events.
 *
 * Graph lists an occurrence without the properties that it shares with its series. Here an
 * occurrence gets its missing properties from its series master, and masters are left out, because
 * they are not appointments. This holds for all methods, for views, and for `change`: a change of a
 * master is announced as changes of its occurrences, without `old`; an event that becomes a series
 * is announced as removed. The `old` of an occurrence has the properties of its series as they were
 * before the commit. With `{ occurrences: "raw" }` a method gives the events as Graph sent
 * them.
 */
export interface EventQuery extends DeltaQuery<Event> {
  all(options?: OccurrenceOptions): Promise<Event[]>;
  items(options?: ItemsOptions & OccurrenceOptions): AsyncIterable<Event>;
  get(id: string, options?: OccurrenceOptions): Promise<Event | undefined>;
  count(options?: OccurrenceOptions): Promise<number>;
  on(
    event: "change",
    listener: (changes: Change<Event>[], info: CommitInfo) => void | Promise<void>,
    options?: OccurrenceOptions,
  ): () => void;
}

/** A range of the mirror. */
export interface ItemsOptions {
  /** Only items after this id, in the order of the ids. Default: from the first item. */
  after?: string;
  /** The maximum number of items. Default: no limit. */
  limit?: number;
}
