import type {
  CallRecording,
  DriveItem,
  Event,
  Group,
  Message,
  OrgContact,
  User,
} from "@microsoft/microsoft-graph-types";
import type { DeltaStore, TokenRequest } from "deltalink";
import type { fetch } from "./host.js";

/**
 * A stand-in for Microsoft Graph's delta queries, in this process and without a server: it pages,
 * links, throttles, resets and breaks as the service does. It is deltalink's own test bench. The
 * same seed, clock and calls give the same answers.
 *
 * @example const graph = await fakeGraph({ populate: { users: 25 } }); const client = await
 * openDelta({ fetch: graph.fetch, token: graph.token, store: "memory" }); const users =
 * client.track("/users/delta"); await users.sync(); graph.remove("users",
 * graph.items("users")[0].id); graph.fault({ name: "throttle", retryAfter: 1 }); await
 * users.sync(); // waits a second, then removes one
 */
export function fakeGraph(options?: FakeGraphOptions): Promise<FakeGraph>;

export interface FakeGraphOptions {
  /** Of ids, tokens and all content that is made up. Default 1. */
  seed?: number;
  /** What is there from the start. Default: nothing. */
  populate?: FakeContent;
  settings?: FakeSettings;
  /**
   * The clock, in milliseconds. Default `Date.now`, as it is when it is asked: fake timers move it.
   */
  now?: () => number;
  /**
   * The root that it stands in for, where the client has another one by `cloud` or `endpoint`.
   * Default `https://graph.microsoft.com/v1.0`.
   */
  endpoint?: string;
}

/** How many of each. */
export type FakeContent = { [C in FakeCollection]?: number } & {
  /** The day around which events, recordings and messages lie. Default today. */
  around?: string | Date;
};

/** The kinds of items, and where Graph has them. */
export interface FakeItems {
  /** `client.events()`, of `/me` or a user. */
  events: Event;
  /** `client.orgContacts()` */
  contacts: OrgContact;
  /** `client.callRecordings()`, by {@link FakeGraph.appToken} only. */
  recordings: CallRecording;
  /** `/users/delta` */
  users: User;
  /** `/groups/delta` */
  groups: Group;
  /** `/me/drive/root/delta` */
  drive: DriveItem;
  /** `/me/mailFolders/{id}/messages/delta` */
  messages: Message;
}

export type FakeCollection = keyof FakeItems;

/** Whose, and in which part. Default: the signed-in user, the default calendar, the inbox. */
export interface FakePlace {
  user?: string;
  calendar?: string;
  folder?: string;
}

export interface FakeGraph {
  /** Hand it to `openDelta`, or to any other client of Graph. It reaches nothing but this fake. */
  readonly fetch: typeof fetch;
  /**
   * A token source of the signed-in user: it renews a token that was refused. Its `account` is the
   * user's id.
   */
  readonly token: ((request?: Pick<TokenRequest, "reason">) => string) & { account: string };
  /** A token source of an app. */
  readonly appToken: ((request?: Pick<TokenRequest, "reason">) => string) & { account: string };
  readonly endpoint: string;
  /** The signed-in user: `organizer` of the recordings, for example. */
  readonly user: { id: string; address: string };

  /** What its clock shows: `options.now()`, and what it was advanced by. */
  readonly now: Date;
  /** Moves its clock on. Links of users, groups and contacts expire after seven days. */
  advance(ms: number): void;

  /** Makes up more content. */
  populate(what: FakeContent): void;
  /**
   * Adds an item, without `item` a believable one, and returns its id. An event with `type:
   * "seriesMaster"` gets `count` occurrences, `everyDays` apart.
   */
  add<C extends FakeCollection>(
    collection: C,
    item?: FakeItem<C>,
    where?: FakePlace & { count?: number; everyDays?: number },
  ): string;
  /**
   * Changes some properties, without `patch` believable ones. An occurrence becomes an exception.
   */
  edit<C extends FakeCollection>(collection: C, id: string, patch?: FakeItem<C>): void;
  /**
   * The next round says `@removed`. A series or a folder takes along what is in it. `soft`: users,
   * groups and contacts can be restored.
   */
  remove(collection: FakeCollection, id: string, options?: { soft?: boolean }): void;
  restore(collection: "users" | "groups" | "contacts", id: string): void;
  /** So many random additions, changes and removals. Returns the ids that they touched. */
  churn(collection: FakeCollection, count: number, where?: FakePlace): string[];
  /**
   * The items as they are now: what a mirror must hold after a round. Events of a window with
   * `start` and `end`.
   */
  items<C extends FakeCollection>(
    collection: C,
    where?: FakePlace & { start?: string | Date; end?: string | Date },
  ): (FakeItems[C] & { id: string })[];

  /** Changes how it behaves from now on. */
  set(settings: FakeSettings): void;
  /**
   * What happens to the next request that fits, or to the next `times`. The first rule that fits
   * and is not used up acts.
   */
  fault(fault: FakeFault, when?: FakeMatch): void;
  clearFaults(): void;
  /** Every link given out so far is refused: the next round is a full one. */
  expireLinks(collection?: FakeCollection): void;
  /** Every token given out so far is refused. */
  revokeTokens(): void;

  /** What it was asked, oldest first. */
  requests(): FakeRequest[];
  clearRequests(): void;
}

/**
 * As Graph has it, or with dates as plain texts. `members` is a list of ids or `{ add, remove }`,
 * `manager` an id or null.
 */
export type FakeItem<C extends FakeCollection> = Omit<
  Partial<FakeItems[C]>,
  "start" | "end" | "members" | "manager"
> & { [property: string]: unknown };

/** All are off, or as Graph mostly is, unless it says otherwise. */
export interface FakeSettings {
  /** Items a page. Default 10. */
  pageSize?: number;
  /** Before each answer. */
  latencyMs?: number;
  bytesPerSecond?: number | null;
  /** So many empty pages before each further one. */
  emptyPages?: number;
  /** The deltaLink comes on an empty page of its own. */
  trailingEmptyPage?: boolean;
  /** Items that come twice: in a page, or on two. */
  duplicates?: "none" | "page" | "pages" | "both";
  reorder?: boolean;
  /** Where a change made while a round is being paged shows up. Default `"next-round"`. */
  changesDuringRound?: "next-round" | "later-in-round" | "both" | "live";
  /** So many links of a calendar or a folder stay good; null for all, the default. */
  generations?: number | null;
  /** Of tokens made from now on; null for ever, the default. */
  tokenLifetimeMs?: number | null;
  /** How long links of users, groups and contacts stay good. Default 7. */
  directoryTokenDays?: number;
  /** Masters of series are missing from incremental rounds. Default true. */
  withholdMasters?: boolean;
  /** A deleted occurrence gives no sign. */
  silentOccurrenceDelete?: boolean;
  /** Members in one slice of `members@delta`. Default 20. */
  membersSlice?: number;
  /** Recordings that did not change come again. */
  olderArtifacts?: boolean;
}

/** A name alone, where nothing else need be said. */
export type FakeFault = FakeFaults["name"] | FakeFaults;

export type FakeFaults =
  /** 429, with `Retry-After` in seconds. */
  | { name: "throttle"; retryAfter?: number }
  /** Any error. Default 503. */
  | {
      name: "status";
      status?: number;
      code?: string;
      message?: string;
      headers?: Record<string, string | number>;
    }
  /** The link is no longer good, in one of the 15 spellings that Graph has for it. Default 1. */
  | { name: "reset"; spelling?: number }
  /** The token is refused; with `claims`, a claims challenge. */
  | { name: "unauthorized" }
  | { name: "claims"; claims?: object | string }
  /** The connection breaks, before or after `n` bytes; or nobody answers. */
  | { name: "network" | "hang" }
  | { name: "cut"; n: number }
  | { name: "delay"; ms: number }
  | { name: "slow"; bytesPerSecond: number }
  /** What proxies make of an answer. */
  | { name: "html" | "notJson" | "empty503" }
  /** This link is refused for ever. */
  | { name: "poisoned" }
  /** Pages that lead nowhere. */
  | { name: "neitherLink" | "bothLinks" | "sameLink" | "emptyPage" | "noValue" }
  | { name: "livelock"; cycle?: number }
  /** A link to another origin. */
  | { name: "foreignLink"; link?: string };

export interface FakeMatch {
  collection?: FakeCollection;
  /**
   * `initial`: a round's first request without a link; `next`, `delta`: by that link; `item`: of a
   * single item. Default any.
   */
  kind?: "initial" | "next" | "delta" | "item" | "any";
  /** Lets so many pass first. */
  skip?: number;
  /** A part of the URL. */
  url?: string;
  /** How often. Default 1; `Infinity` until {@link FakeGraph.clearFaults}. */
  times?: number;
}

export interface FakeRequest {
  n: number;
  /** Milliseconds of its clock. */
  at: number;
  method: string;
  /** Path and query. */
  url: string;
  collection: FakeCollection | null;
  kind: "initial" | "next" | "delta" | "item" | "unexpected";
  /** 0: no answer. */
  status: number;
  /** Without the token: `authorization` is `delegated`, `app`, `other` or `none`. */
  headers: Record<string, string>;
  /** How many items the page had. */
  items: number;
  fault: string | null;
}

/** One rule of {@link DeltaStore}. */
export interface StoreRule {
  /** A sentence. */
  name: string;
  /** Rejects with what was found where the store breaks the rule. */
  run(): Promise<void>;
}

export interface StoreContractOptions<S extends DeltaStore> {
  /**
   * For a store that outlives its opening: opens again what `store` has opened. Adds the rules
   * about two openings.
   */
  reopen?: (store: S) => S | Promise<S>;
}

/**
 * The rules that a {@link DeltaStore} has to keep, as tests for any framework.
 *
 * Each rule opens a store, works under keys of its own that begin with `contract `, and clears them
 * in the end: `open` may give the same store again, and need not give an empty one.
 *
 * @example for (const { name, run } of storeContract(() => myStore())) test(name, run);
 */
export function storeContract<S extends DeltaStore>(
  open: () => S | Promise<S>,
  options?: StoreContractOptions<S>,
): StoreRule[];
