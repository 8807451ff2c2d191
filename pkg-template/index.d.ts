/**
 * deltalink keeps a local copy of a Microsoft Graph collection and, after the first time, fetches
 * only what changed.
 *
 * @example const client = await openDelta({ token: () => getToken(), account:
 * "alex@contoso.example" }); const week = client.events({ start: "2026-11-23", end: "2026-11-30"
 * }); await week.sync(); for (const event of await week.all()) console.log(event.subject);
 */
import type { CallRecording, Event, OrgContact } from "@microsoft/microsoft-graph-types";
import type { AbortSignal, BufferSource, Response, URL, WebAssemblyModule, fetch } from "./host.js";
import type { Entity, Selected, Tracked } from "./tracked.js";

export type { CallRecording, Entity, Event, OrgContact, Selected, Tracked };

/**
 * Opens a client for one account. Loads the wasm once, on first use.
 *
 * Rejects with a {@link DeltaError}: `bad-request` for an option that is missing or wrong, `store`
 * where the named store can't be opened, `wasm` where the module can't be loaded.
 */
export function openDelta(options: DeltaOptions): Promise<DeltaClient>;

/**
 * Loads the wasm ahead of the first `openDelta`. Optional; may be called again after a failure.
 * `wasm` takes the place of the package's own, and is not looked at once one is loaded.
 *
 * @returns where the wasm came from.
 */
export function init(wasm?: WasmSource | Promise<WasmSource>): Promise<WasmOrigin>;

/**
 * Where the wasm comes from, when the package's own file can't be used. Workers take a module only.
 */
export type WasmSource = URL | string | Response | BufferSource | WebAssemblyModule;

/**
 * `url`: fetched, from beside the JavaScript. `file`: read, from beside it. `module`: imported,
 * compiled. `inline`: the copy in JavaScript, because the file could not be reached; it loads
 * somewhat slower. `given`: by the caller of `init()`.
 */
export type WasmOrigin = "url" | "file" | "module" | "inline" | "given";

export interface DeltaOptions {
  /**
   * Supplies access tokens. A function, `fromMsal(...)`, or any object with `getToken()`
   * (`TokenCredential` by shape).
   */
  token: TokenSource;
  /**
   * Isolates stored state: two accounts in one browser share no row. Required with a store that
   * outlives the page, unless the token source carries one (`fromMsal` does). Use something stable,
   * such as MSAL's `homeAccountId`.
   */
  account?: string;
  /** The cloud whose Graph root is used. Default `"global"`. Tokens do not cross clouds. */
  cloud?: Cloud;
  /**
   * Another root, for example `http://127.0.0.1:4010/v1.0`; without a path, `/v1.0` is added. Its
   * origin is the only one that ever gets the token. `https:` only, or `http:` on loopback. Not
   * together with `cloud`.
   */
  endpoint?: string;
  /**
   * Default `"indexeddb"`. Where there is none (Node, Workers), name another one: `"memory"` is a
   * choice, not a fallback.
   */
  store?: "indexeddb" | "memory" | DeltaStore;
  /**
   * Used instead of the host's `fetch`. Its signal fires when the request is given up, and also
   * once its answer has been read.
   */
  fetch?: typeof fetch;
  /** When and how often a request is asked again. */
  retry?: Partial<RetryPolicy>;
}

export type Cloud = "global" | "usgov" | "usgov-dod" | "china";

/** All times in milliseconds. */
export interface RetryPolicy {
  /** Failures in a row of one request, after which the round ends. Default 6. */
  attempts: number;
  /** The first back-off; it doubles each time, with full jitter. Default 1000. */
  base: number;
  /** The longest back-off. `Retry-After` is kept in full, up to a day. Default 60000. */
  cap: number;
  /**
   * The longest single wait that a round sits out. If Graph asks for a longer one, the round ends
   * with `throttled` and `retryAt`, to set an alarm by; without a network for longer, with
   * `offline`. The next round goes on at the same page. Default 300000.
   */
  maxWait: number;
  /**
   * A request of which nothing comes for so long, no headers and no further byte of its body, is
   * cut and asked again; one that is slow but moves is not. A token function may take as long as
   * `maxWait`, or as this if it is longer. Default 100000.
   */
  timeout: number;
}

export type TokenSource = TokenFunction | TokenCredential;

export type TokenFunction = ((request: TokenRequest) => TokenResult | Promise<TokenResult>) & {
  account?: string;
};

/** The shape of `@azure/core-auth`'s interface of the same name. */
export interface TokenCredential {
  getToken(
    scopes: string | string[],
    options?: { claims?: string; enableCae?: boolean; abortSignal?: AbortSignal },
  ): Promise<{ token: string; expiresOnTimestamp?: number } | null>;
  account?: string;
}

export interface TokenRequest {
  /**
   * `start` and `expired`: any valid token. `unauthorized`: Graph refused the last one, a cached
   * one won't do. `claims`: the token must satisfy `claims`; a cached one won't do. Twice at most
   * between two pages, and for the same claims once.
   */
  reason: "start" | "expired" | "unauthorized" | "claims";
  /**
   * With `claims`: what Graph's challenge wants (Graph's page "How to use Continuous Access
   * Evaluation enabled APIs in your applications"), decoded from its `WWW-Authenticate` header, to
   * be handed to MSAL as it is. Graph sends one only to apps that declare the capability `CP1` to
   * their authority.
   */
  claims?: string;
  /** The default scope of the endpoint, for example `https://graph.microsoft.com/.default`. */
  scopes: string[];
  signal: AbortSignal;
}

/**
 * A token function that needs the user throws: MSAL's `InteractionRequiredAuthError`, or a
 * `DeltaError` with the code `interaction`. A failure of the network is waited for and asked again:
 * `fetch`'s own `TypeError`, MSAL's codes for it, or a `DeltaError` with the code `network`. Any
 * other error of it ends the round with `unauthorized` and is its `cause`.
 *
 * A bare string is asked for before each request, unless it answered claims: that one is kept until
 * Graph refuses it. A token with its expiry is reused until five minutes before it, or until its
 * last fifth if that is shorter.
 */
export type TokenResult =
  string | { accessToken: string; expiresOn?: Date | null } | { token: string; expiresOnTimestamp?: number };

export interface DeltaClient {
  /** Events of a calendar between two instants (Graph: "event: delta", a calendarView). */
  events(options: EventsOptions & { mirror: false }): DeltaFeed<Event>;
  events(options: EventsOptions & { mirror?: true }): EventQuery;
  /** The organization's contacts (Graph: "orgContact: delta"). Not a user's own contacts. */
  orgContacts(options: OrgContactsOptions & { mirror: false }): DeltaFeed<OrgContact>;
  orgContacts(options?: OrgContactsOptions & { mirror?: true }): DeltaQuery<OrgContact>;
  /**
   * Recordings of the meetings of one organizer (Graph: "callRecording: delta").
   *
   * Only an app-only token can read them: Graph supports no delegated permission here. Graph
   * reports additions only, and may report older recordings again (known issue 22934).
   */
  callRecordings(options: CallRecordingsOptions & { mirror: false }): DeltaFeed<CallRecording>;
  callRecordings(options: CallRecordingsOptions & { mirror?: true }): DeltaQuery<CallRecording>;
  /**
   * Any other delta resource, by its path below the root, for example `/users/delta`.
   *
   * Relationships that Graph sends in slices (`members@delta`, `manager@delta`) are in the mirror
   * as the whole set, a list under the plain name (`members`), complete when the round that brought
   * them is.
   *
   * The type of its items is known by the path, where that is written out, and by `select`. Another
   * one can be named: it comes first.
   *
   * @example client.track("/users/delta", { select: ["id", "mail"] }); // DeltaQuery<Pick<User,
   * "id" | "mail">> client.track<MyUser>("/users/delta", { select: ["id", "mail",
   * "extension_1f2_shoeSize"] });
   */
  track<P extends string, S extends (keyof Tracked<P> & string) | (string & {}) = never>(
    path: P,
    options: TrackOptions & { select?: readonly S[]; mirror: false },
  ): DeltaFeed<Selected<P, S>>;
  track<P extends string, S extends (keyof Tracked<P> & string) | (string & {}) = never>(
    path: P,
    options?: TrackOptions & { select?: readonly S[]; mirror?: true },
  ): DeltaQuery<Selected<P, S>>;
  track<T extends object>(path: string, options: TrackOptions & { mirror: false }): DeltaFeed<T>;
  track<T extends object>(path: string, options?: TrackOptions & { mirror?: true }): DeltaQuery<T>;
  /**
   * Call it after the user has signed in again: it drops the token that is kept and takes queries
   * out of `needs-auth`. A `sync()` that had ended so is begun again, and goes on with the same
   * page; what it comes to is told by `status`. A `round()` is its consumer's to begin.
   */
  resume(): void;
  /**
   * Signs out: ends what runs, then wipes this account's links and mirrors. The client is closed
   * afterwards.
   */
  forget(): Promise<void>;
  /** Ends what runs with `closed` and closes the store. Nothing stored is lost. */
  close(): Promise<void>;
}

export interface QueryOptions {
  /** Keeps two queries that are alike apart. */
  name?: string;
  /**
   * `false`: keep the link only and no copy of the items; the caller keeps them durably. Default
   * `true`.
   */
  mirror?: boolean;
  /** Query parameters as they are sent. They override the rules that would refuse or add one. */
  query?: Record<string, string>;
  /**
   * A full round at this age of the mirror, in milliseconds; it shows what Graph reports of no
   * change. `round()` delivers all its items, those without a difference too. `false` for never.
   * Default: a day for events and for kinds whose removals Graph does not report, else never; for a
   * feed never.
   */
  refresh?: number | false;
}

/** With `start` and `end`, or with a `window` that moves with the days. */
export type EventsOptions = CalendarOptions &
  ((FixedWindow & { window?: undefined }) | { window: RollingWindow; start?: undefined; end?: undefined });

export interface FixedWindow {
  /** ISO 8601, or a Date. Without an offset it means UTC. At most 1825 days before `end`. */
  start: string | Date;
  end: string | Date;
}

/**
 * Whole days around today. The window stays where it is within a day; the first round that begins
 * on another day lists the new window anew, and announces only what differs. What left the window
 * is removed with the reason `ghost`.
 *
 * @example client.events({ window: { daysBack: 7, daysAhead: 30, timeZone: "Europe/Berlin" } });
 */
export interface RollingWindow {
  /** Default 0: from today on. */
  daysBack?: number;
  /** Default 0: to the end of today. With `daysBack` at most 1824. */
  daysAhead?: number;
  /** Whose days: an IANA name. Default `"UTC"`. */
  timeZone?: string;
}

export interface CalendarOptions extends QueryOptions {
  /** A user's id or principal name. Default: the signed-in user. */
  user?: string;
  /** The id of a calendar. Default: the user's default calendar. */
  calendar?: string;
  /**
   * `start` and `end` of the items are in this zone, for example `"Pacific Standard Time"`. Default
   * UTC.
   */
  timeZone?: string;
  /** Ids that survive a move (Graph: `Prefer: IdType="ImmutableId"`). */
  immutableIds?: boolean;
  /** Items a page, 1 to 1000: a wish that Graph may not keep. */
  pageSize?: number;
}

export interface OrgContactsOptions extends QueryOptions {
  /** Properties to return; `id` always is. */
  select?: readonly string[];
  /** Only these contacts, at most 50. */
  ids?: readonly string[];
  /** Later rounds bring only the properties that changed. The mirror merges them. */
  minimal?: boolean;
}

export interface CallRecordingsOptions extends QueryOptions {
  /** The id of the meeting organizer. */
  organizer: string;
  /** The user in the path. Default: the organizer. */
  user?: string;
  /** Recordings of meetings from here on. ISO 8601, or a Date. */
  startDateTime?: string | Date;
  /** Items a page. Graph may leave out the nextLink when it is given (known issue 22931). */
  top?: number;
}

export interface TrackOptions extends QueryOptions {
  select?: readonly string[];
  filter?: string;
  expand?: string;
  orderby?: string;
  search?: string;
  top?: number;
  /** Only the objects of these ids, where the kind has an id filter. */
  ids?: readonly string[];
  minimal?: boolean;
  pageSize?: number;
  immutableIds?: boolean;
  timeZone?: string;
  /** Further values of the `Prefer` header, such as `"deltashowremovedasdeleted"`. */
  prefer?: readonly string[];
}

/** Rounds over one collection, without a copy of its items. */
export interface DeltaFeed<T> {
  /** The name under which the state is stored. Readable in the browser's developer tools. */
  readonly key: string;
  /**
   * One round, page by page. Asking for the next page acknowledges the one before, which commits
   * it.
   *
   * Leaving the loop commits the acknowledged pages and nothing more: the next round delivers the
   * others again.
   *
   * One round of a query runs at a time, in all tabs: a second one waits at its first page, with
   * the status `following`. A round whose tab is frozen or whose lock is stolen ends with
   * `conflict`.
   *
   * @example for await (const page of query.round()) await save(page.changes);
   */
  round(options?: RoundOptions & PageOptions): Round<T>;
  readonly status: Readable<QueryStatus>;
  /**
   * Forgets the link: the next round is a full one. A mirror stays readable until that round has
   * replaced it.
   */
  reset(): Promise<void>;
  /**
   * Empties the mirror and forgets the link: the next round is a first one. For a collection that
   * is gone (`error.gone`), or that nobody wants to keep. Listeners of `change` do not hear of it.
   * Rejects with `conflict` while a round commits.
   */
  clear(): Promise<void>;
}

/** Rounds over one collection, and a mirror of it. */
export interface DeltaQuery<T> extends DeltaFeed<T> {
  /**
   * One round, applied to the mirror. A second call joins the one that runs; its signal ends its
   * own wait, and the round stops when the last who wait have left.
   */
  sync(options?: RoundOptions): Promise<RoundReport>;
  /** The whole mirror, as of one moment. */
  all(): Promise<T[]>;
  /**
   * The mirror, or a range of it, in chunks of at most 500. Each chunk is of one moment; a round
   * may commit between two.
   */
  items(options?: ItemsOptions): AsyncIterable<T>;
  get(id: string): Promise<T | undefined>;
  count(): Promise<number>;
  /**
   * Calls the listener after each commit that changed something, with the changes as they are
   * stored; what came again without a difference is left out. Commits of other tabs on the same
   * IndexedDB are told too, with `info.remote` and without `old`.
   *
   * In order, and awaited: the next page of the round waits for the listeners, an abort or
   * `close()` ends that wait. After the last page the round is over and its lock released before
   * the listeners return; only the promise of `sync()` still waits for them. What a listener throws
   * goes to `reportError`.
   *
   * A listener must not wait for a round of its own query, which waits for the listener: a `sync()`
   * or `round()` that it calls before its first `await` fails with `bad-request`. A later call
   * looks like one from elsewhere: while listeners run, rounds of the query that somebody else in
   * this page calls for, or joins, go on without waiting for them.
   *
   * Only listeners alive at the commit hear of it: a late one reads the mirror first. Whoever must
   * not miss a change uses `round()`.
   *
   * @returns the function that ends it.
   */
  on(event: "change", listener: (changes: Change<T>[], info: CommitInfo) => void | Promise<void>): () => void;
}

/** Events, whose series may be shown complete. */
export interface EventQuery extends DeltaQuery<Event> {
  all(options?: OccurrenceOptions): Promise<Event[]>;
  items(options?: ItemsOptions & OccurrenceOptions): AsyncIterable<Event>;
}

export interface ItemsOptions {
  /** Only what comes behind this id, in the order of the ids. */
  after?: string;
  /** At most so many items. */
  limit?: number;
}

export interface OccurrenceOptions {
  /**
   * `"complete"`: each occurrence of a series with the properties of its master under its own, and
   * no masters. Without, all items are as Graph sent them: occurrences bare, without subject and
   * location.
   */
  occurrences?: "complete";
}

/** Of which page, of which round, a commit was. */
export interface CommitInfo {
  kind: "full" | "incremental";
  generation: number;
  index: number;
  last: boolean;
  /** Another tab committed it. */
  remote: boolean;
}

export interface RoundOptions {
  /** Ends the round; it rejects with the signal's reason, untouched. */
  signal?: AbortSignal;
}

export interface PageOptions {
  /** `"manual"`: only `page.ack()` acknowledges. Default `"next"`. */
  ack?: "next" | "manual";
  /** Stop, resumable, after this many pages. */
  maxPages?: number;
  /**
   * Stop, resumable, before the first page that would be asked for after this many milliseconds.
   */
  maxMs?: number;
}

export interface Round<T> extends AsyncIterable<Page<T>> {
  [Symbol.asyncIterator](): AsyncGenerator<Page<T>, void, undefined>;
  /** What happened so far. Final when the loop has ended. */
  readonly report: RoundReport;
}

export interface Page<T> {
  changes: Change<T>[];
  kind: "full" | "incremental";
  /** Grows with each full round. */
  generation: number;
  /** From 0, within the round, over interruptions. */
  index: number;
  /** The last page of the round. */
  last: boolean;
  /** Commits the page: its changes and its link, in one transaction. Again: does nothing. */
  ack(): Promise<void>;
}

export type Change<T> =
  | { type: "upsert"; id: string; item: T; isNew?: boolean; old?: T; partial?: undefined }
  /** Only from a feed with `minimal`: an absent property has not changed. */
  | { type: "upsert"; id: string; item: Partial<T> & { id: string }; partial: true }
  /**
   * `deleted`: gone. For events: gone from this window, which is no proof that the event was
   * deleted. `changed`: deleted but restorable (Graph: soft-deleted). `ghost`: a full round no
   * longer lists it. Removals of ids that the mirror never held are silent, but for those that an
   * interrupted round delivered without an acknowledgement.
   */
  | { type: "remove"; id: string; reason: "deleted" | "changed" | "ghost"; old?: T };

export interface RoundReport {
  /** `running`, `complete`, `partial` (ended early; the next round goes on), or `failed`. */
  outcome: "running" | "complete" | "partial" | "failed";
  kind: "full" | "incremental";
  generation: number;
  /** Whether an interrupted round was continued. */
  resumed: boolean;
  pages: number;
  /** Items as received, all pages together. */
  items: number;
  added: number;
  changed: number;
  /** Received again without a difference. */
  unchanged: number;
  /** Series masters that were fetched by themselves, because the round did not bring them. */
  masters: number;
  /**
   * The page size that was asked for last, if not always the configured one: larger ones where
   * pages brought nothing new, smaller ones where Graph failed twice with 503, 504, 408 or silence.
   * Those grow back, slowly. Events never have less than 50.
   */
  pageSize?: number;
  /** Removals that Graph reported, of ids that the mirror held. Ghosts are not among them. */
  removed: number;
  /** Removals that a full round implied. */
  ghosts: number;
  /** Items that a later one of the same page and id replaced. */
  duplicates: number;
  /** Items that could not be read, by reason. */
  skipped: { noId: number; notAnObject: number };
  requests: number;
  retries: number;
  /** What was waited for. Milliseconds. */
  waits: { reason: WaitReason; ms: number }[];
  /**
   * What turned this round into a full one: the code of Graph's reset signal or of its refusal, or
   * `livelock`.
   */
  resync?: string;
  startedAt: Date;
  endedAt?: Date;
}

/**
 * `throttled`: Graph asked for it, of this query or of another one that shares its limits: those of
 * a mailbox, else of the client and the workload. `server`: a 5xx or 408. `network`: no answer, to
 * a request or to the token source. `timeout`: one that stopped coming. `offline`: the host has no
 * network. `malformed`: an answer that is no page.
 * `resync`: a full round that Graph asked for starts up to 2 × `retry.base` later than it could, so
 * that many queries do not start theirs at once.
 */
export type WaitReason = "throttled" | "server" | "network" | "timeout" | "offline" | "malformed" | "resync";

export interface QueryStatus {
  phase: "idle" | "syncing" | "resyncing" | "waiting" | "following" | "needs-auth" | "failed" | "closed";
  /** When the last complete round ended. */
  lastSyncedAt?: Date;
  /** While a round runs: what it has committed. */
  progress?: { pages: number; items: number; requests: number };
  /** With `waiting`: until when, and why. */
  waitUntil?: Date;
  waitReason?: WaitReason;
  /** With `failed` and `needs-auth`. */
  error?: DeltaError;
}

/** Fits React's `useSyncExternalStore` and Svelte's store contract. */
export interface Readable<V> {
  /** The same object until something changes. */
  get(): V;
  /** Calls at once and at each change; returns the function that ends it. */
  subscribe(run: (value: V) => void): () => void;
}

/** Every error of this package but an abort, which is the signal's own reason. */
export class DeltaError extends Error {
  constructor(message: string, fields: DeltaErrorFields);
  readonly code: DeltaErrorCode;
  /** HTTP status. */
  readonly status?: number;
  /** Graph's innermost error code. */
  readonly graphCode?: string;
  /** Graph's name of the request. */
  readonly requestId?: string;
  /**
   * The name that the last request of the round was sent with. Both are what Microsoft's support
   * asks for.
   */
  readonly clientRequestId?: string;
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean;
  /** With `throttled`: not before. */
  readonly retryAt?: Date;
  /**
   * With `interaction` and `claims`: what the user's sign-in has to satisfy, to be handed to MSAL
   * as it is.
   */
  readonly claims?: string;
  /**
   * With `not-found`: what the path names was deleted, such as a folder. Its mirror stays until
   * `clear()`.
   */
  readonly gone?: boolean;
  readonly report?: RoundReport;
}

export interface DeltaErrorFields {
  code: DeltaErrorCode;
  status?: number;
  graphCode?: string;
  requestId?: string;
  clientRequestId?: string;
  retryable?: boolean;
  retryAt?: Date;
  claims?: string;
  gone?: boolean;
  report?: RoundReport;
  cause?: unknown;
}

export type DeltaErrorCode =
  | "aborted"
  | "network"
  | "offline"
  | "throttled"
  | "unauthorized"
  | "claims"
  | "interaction"
  | "forbidden"
  | "not-found"
  | "bad-request"
  | "not-supported"
  | "resync-loop"
  | "livelock"
  | "protocol"
  | "foreign-link"
  | "store"
  | "quota"
  | "conflict"
  | "account"
  | "closed"
  | "wasm"
  | "internal";

/**
 * A store of your own. Keys and rows are opaque to it; all five functions may be called at any
 * time, and `commit` must be one transaction: everything or nothing, after a crash too.
 * `storeContract` of `deltalink/testing` has all its rules as tests.
 *
 * A store may reject with a `DeltaError`, which comes through as it is; anything else becomes one
 * with the code `store`.
 */
export interface DeltaStore {
  /** The state stored under this key, or undefined. */
  load(key: string): Promise<StoredState | undefined>;
  /** The rows of these ids, in this order; undefined for each that there is none of. */
  rows(key: string, ids: string[]): Promise<(StoredRow | undefined)[]>;
  /**
   * Writes a page: compares the stored state's `revision` (or its absence) with `expect`, and if
   * they differ writes nothing and resolves to `false`.
   */
  commit(key: string, batch: StoreBatch): Promise<boolean>;
  /**
   * At most `limit` rows in any fixed order of ids, from after the id `after`, which may be gone by
   * now; all of one moment. Fewer than `limit` only at the end.
   */
  scan(key: string, range: { after?: string; limit: number }): Promise<[id: string, row: StoredRow][]>;
  /** Removes the states and rows of all keys that begin with this prefix. */
  clear(prefix: string): Promise<void>;
}

/** An id stands in it once at most, either to put or to remove. */
export interface StoreBatch {
  /** The revision that must be stored now; undefined if nothing may be stored under this key. */
  expect: string | undefined;
  state: StoredState;
  put: [id: string, row: StoredRow][];
  remove: string[];
}

/** Plain data: it survives `structuredClone` and JSON. */
export interface StoredState {
  revision: string;
  [field: string]: unknown;
}

/** Plain data: it survives `structuredClone` and JSON. */
export interface StoredRow {
  /** The number of the round that last brought it. */
  round: number;
  item: object;
  [field: string]: unknown;
}
