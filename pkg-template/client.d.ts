import type { BufferSource, Response, URL, WebAssemblyModule, fetch } from "./host.js";
import type { DeltaFeed, DeltaQuery, EventQuery } from "./queries.js";
import type { CallRecording, Event, OrgContact } from "./items.js";
import type {
  CallRecordingsOptions,
  MirrorOption,
  OptionsWithStartAndEnd,
  OptionsWithWindow,
  OrgContactsOptions,
  TrackOptions,
} from "./query-options.js";
import type { DeltaError } from "./errors.js";
import type { LogEntry } from "./log.js";
import type { Readable } from "./query-status.js";
import type { DeltaStore } from "./store.js";
import type { TokenCredential, TokenFunction } from "./tokens.js";
import type { Narrowed, PropertyName, Selected, Tracked } from "./tracked.js";

/** The options of `openDelta()`. They are read once, when it is called. */
export interface DeltaOptions {
  /**
   * Returns access tokens: a function, `fromMsal(…)`, or any object with `getToken()`. A token
   * itself is not accepted.
   */
  token: TokenFunction | TokenCredential;
  /**
   * Separates the stored state of accounts: two accounts in one browser share no row. Use a stable
   * id, such as MSAL's `homeAccountId`. Required with a store that outlives the tab, unless the
   * token source has an `account`, as those of `fromMsal()` and `clientCredentials()` do.
   */
  account?: string;
  /**
   * The national cloud, which determines the root of Graph. Default `"global"`. A token of one
   * cloud is not valid in another one.
   */
  cloud?: Cloud;
  /**
   * The root of Graph instead of the one of `cloud`, for example `http://127.0.0.1:4010/v1.0`.
   * Without a path, `/v1.0` is added. The token is sent to its origin only. Must be `https:`, or
   * `http:` on loopback. Not together with `cloud`.
   */
  endpoint?: string;
  /**
   * The store of links and items. Default `"indexeddb"`. Required on a host without IndexedDB
   * (Node, Workers): nothing falls back to `"memory"`, which is lost with the tab or the process.
   */
  store?: "indexeddb" | "memory" | DeltaStore;
  /**
   * Called instead of the host's `fetch`. The signal that it receives fires when the request is
   * aborted, and also after the response has been read. Two calls may overlap, because pages are
   * requested ahead.
   */
  fetch?: typeof fetch;
  /** When and how often a failed request is repeated. */
  retry?: Partial<RetryPolicy>;
  /**
   * Decides what to do about an error that would end a round, after all attempts of `retry`. It is
   * called once for each error, and may let a round continue `retry.attempts` times in a row.
   *
   * `"retry"` repeats the failed request at once, `{ after }` after this many milliseconds, but
   * never earlier than Graph allows (`error.retryAt`). `"stop"` ends the round with the error. If
   * the function throws, the round ends with the error, and `error.cause` is the thrown value.
   *
   * Not called for aborts, for the codes `foreign-link`, `account`, `closed`, `conflict` and
   * `internal`, nor while a page is delivered or committed.
   *
   * @example openDelta({
   *     token,
   *     onError: (error) => (error.code === "network" ? { after: 30_000 } : "stop"),
   *   });
   */
  onError?: (error: DeltaError) => ErrorDecision | Promise<ErrorDecision>;
  /**
   * Called at the end of each round, and after each request without a usable response. The client
   * does not await its result. An error that it throws is passed to `reportError` and does not
   * affect the round.
   */
  log?: (entry: LogEntry) => unknown;
  /**
   * Asks the browser to keep the storage of the app's origin when the disk is nearly full
   * (`navigator.storage.persist()`). Default `false`. Firefox asks the user; other browsers decide
   * without asking. After a refusal the client works in the same way. Only with IndexedDB.
   */
  persist?: boolean;
}

/** The decision of `onError`. `after` is in milliseconds. */
export type ErrorDecision = "retry" | "stop" | { after: number };

/** A national cloud (Graph's page "National cloud deployments"). */
export type Cloud = "global" | "usgov" | "usgov-dod" | "china";

/** When and how often a failed request is repeated. All times are in milliseconds. */
export interface RetryPolicy {
  /** The round ends after this number of consecutive failures of one request. Default 6. */
  attempts: number;
  /** The first back-off. It doubles with each failure, with full jitter. Default 1000. */
  base: number;
  /** The longest back-off. A `Retry-After` is honored in full, up to a day. Default 60000. */
  cap: number;
  /**
   * The longest single wait of a round. If Graph asks for a longer one, the round ends with
   * `throttled` and `retryAt`; if the host has no network for longer, with `offline`. The next
   * round continues at the same page. Default 300000.
   */
  maxWait: number;
  /**
   * A request for which nothing arrives for this time, neither headers nor a byte of the body, is
   * aborted and repeated. A slow response that keeps arriving is not aborted. A token function may
   * take as long as `maxWait`, or as `timeout` if that is longer. Default 100000.
   */
  timeout: number;
}

/** A wasm for `init()`, if the package's own file cannot be used. workerd takes a module only. */
export type WasmSource = URL | string | Response | BufferSource | WebAssemblyModule;

/**
 * The origin of the wasm. Minor versions may add origins. `url`: fetched from a URL next to the
 * JavaScript. `file`: read from a file next to it. `module`: imported as a compiled module.
 * `inline`: the copy in JavaScript, which loads more slowly, because the file could not be loaded.
 * `given`: the argument of `init()`.
 */
export type WasmOrigin = "url" | "file" | "module" | "inline" | "given";

/**
 * A client of one account. Its queries throw a `DeltaError` for wrong options (`bad-request`,
 * `not-supported`) and after `close()` or `forget()` (`closed`). Queries with the same options
 * share their stored state, their status and their listeners.
 */
export interface DeltaClient {
  /** The events of a calendar between two instants (Graph's page "event: delta"). */
  events<M extends boolean = true>(
    options: (OptionsWithStartAndEnd | OptionsWithWindow) & MirrorOption<M>,
  ): Mirrored<M, EventQuery, DeltaFeed<Event>>;
  /**
   * The contacts of the organization, not a user's own contacts (Graph's page "orgContact: delta").
   */
  orgContacts<S extends PropertyName<OrgContact> = never, M extends boolean = true>(
    options?: OrgContactsOptions & { select?: readonly S[] } & MirrorOption<M>,
  ): Mirrored<M, DeltaQuery<Narrowed<OrgContact, S>>, DeltaFeed<Narrowed<OrgContact, S>>>;
  /**
   * The recordings of the meetings of one organizer (Graph's page "callRecording: delta").
   *
   * Requires an app-only token: Graph supports no delegated permission here. Graph reports
   * additions only, and may report older recordings again (known issue 22934).
   */
  callRecordings<M extends boolean = true>(
    options: CallRecordingsOptions & MirrorOption<M>,
  ): Mirrored<M, DeltaQuery<CallRecording>, DeltaFeed<CallRecording>>;
  /**
   * Any other delta resource, by its path below the root, for example `/users/delta`.
   *
   * Graph sends some relationships in parts (`members@delta`, `manager@delta`). The mirror has the
   * whole relationship as an array under the plain name (`members`), complete at the end of the
   * round.
   *
   * The type of the items is inferred from the path, if that is a literal, and from `select`. A
   * type argument overrides it.
   *
   * @example
   *   // DeltaQuery<Pick<User, "id" | "mail">>
   *   client.track("/users/delta", { select: ["id", "mail"] });
   *   client.track<MyUser>("/users/delta", { select: ["id", "mail", "extension_1f2_shoeSize"] });
   */
  track<P extends string, S extends PropertyName<Tracked<P>> = never, M extends boolean = true>(
    path: P,
    options?: TrackOptions & { select?: readonly S[] } & MirrorOption<M>,
  ): Mirrored<M, DeltaQuery<Selected<P, S>>, DeltaFeed<Selected<P, S>>>;
  track<T extends object>(path: string, options: TrackOptions & { mirror: false }): DeltaFeed<T>;
  track<T extends object>(path: string, options?: TrackOptions & MirrorOption<true>): DeltaQuery<T>;
  track<T extends object>(path: string, options: TrackOptions & MirrorOption): DeltaQuery<T> | DeltaFeed<T>;
  /**
   * Whether this client is closed: by `close()` or `forget()` in any tab, or because its database
   * was deleted or upgraded.
   */
  readonly closed: boolean;
  /**
   * The error because of which the user has to sign in again, and undefined otherwise: one of the
   * queries of this client is in the phase `needs-auth`. If an error has `claims`, it is this one.
   * Subscribers are also called when the client is closed.
   *
   * @example
   *   client.signInError.subscribe((error) => (button.hidden = !error));
   *   button.onclick = () => signIn(client.signInError.get()?.claims).then(() => client.resume());
   */
  readonly signInError: Readable<DeltaError | undefined>;
  /**
   * Call this after the user has signed in again. Clears the cached token and ends the phase
   * `needs-auth` of all queries, in all tabs of the account. A `sync()` that ended in this phase
   * starts again at the same page, and `status` shows its result. A `round()` does not start again.
   */
  resume(): void;
  /**
   * Signs out: ends running rounds with `closed`, waits for commits that have begun, and deletes
   * the links and mirrors of this account. The client is closed afterwards.
   */
  forget(): Promise<void>;
  /**
   * Ends running rounds with `closed`, waits for commits that have begun, and closes the store.
   * Stored state is kept.
   */
  close(): Promise<void>;
}

/** A query with a mirror, or a feed for `mirror: false`. Either of them if `M` is `boolean`. */
export type Mirrored<M extends boolean, Query, Feed> = M extends false ? Feed : Query;
