import type {
  CallRecording,
  DriveItem,
  Event,
  Group,
  Message,
  OrgContact,
  Subscription,
  User,
} from "@microsoft/microsoft-graph-types";
import type { DeltaStore, TokenRequest } from "deltalink";
import type { fetch } from "./host.js";

/**
 * Makes a fake of Microsoft Graph's delta queries, in this process and without a server. Its pages,
 * links, throttles, resets and errors are like those of the service; deltalink's own tests use it.
 * Equal seeds, clocks and calls lead to equal responses.
 *
 * @example
 *   const graph = await fakeGraph({ populate: { users: 25 } });
 *   const client = await openDelta({ fetch: graph.fetch, token: graph.token, store: "memory" });
 *   const users = client.track("/users/delta");
 *   await users.sync();
 *   graph.remove("users", graph.items("users")[0].id);
 *   graph.fault({ name: "throttle", retryAfter: 1 });
 *   await users.sync(); // waits a second, then removes one
 */
export function fakeGraph(options?: FakeGraphOptions): Promise<FakeGraph>;

/** The options of `fakeGraph()`. */
export interface FakeGraphOptions {
  /** The seed of ids, tokens and generated content. Default 1. */
  seed?: number;
  /** The initial content. Default: none. */
  populate?: FakeContent;
  settings?: FakeSettings;
  /**
   * The clock, in milliseconds since 1970. Default: `Date.now` at each call, so that fake timers
   * replace it.
   */
  now?: () => number;
  /**
   * The root of Graph, equal to the one that the client's `cloud` or `endpoint` sets. Default
   * `https://graph.microsoft.com/v1.0`.
   */
  endpoint?: string;
}

/** The number of items of each kind. */
export type FakeContent = { [C in FakeCollection]?: number } & {
  /** The day around which events, recordings and messages are generated. Default: today. */
  around?: string | Date;
};

/** The kinds of items, by their collection. */
export interface FakeItems {
  /** `client.events()`, of `/me` or a user. */
  events: Event;
  /** `client.orgContacts()` */
  contacts: OrgContact;
  /** `client.callRecordings()`, with {@link FakeGraph.appToken} only. */
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

/** A collection of the fake. */
export type FakeCollection = keyof FakeItems;

/**
 * A part of a collection. Default: that of the signed-in user, the default calendar, the inbox.
 */
export interface FakePlace {
  user?: string;
  calendar?: string;
  folder?: string;
}

/** A fake of Microsoft Graph. */
export interface FakeGraph {
  /** A `fetch` for `openDelta()` or another client of Graph. It sends no request to the network. */
  readonly fetch: typeof fetch;
  /**
   * A token source of the signed-in user. Its `account` is the user's id. If you call it from your
   * own function, pass the request on: without it, a refused token is not replaced.
   */
  readonly token: ((request?: Pick<TokenRequest, "reason">) => string) & { account: string };
  /** A token source for app-only tokens. */
  readonly appToken: ((request?: Pick<TokenRequest, "reason">) => string) & { account: string };
  readonly endpoint: string;
  /** The signed-in user, who is also the organizer of the recordings. */
  readonly user: { id: string; address: string };

  /** The time of the fake: `options.now()` plus the time that `advance()` has added. */
  readonly now: Date;
  /**
   * Advances the clock by this many milliseconds. Links of users, groups and contacts expire after
   * seven days.
   */
  advance(ms: number): void;

  /** Adds generated content. */
  populate(what: FakeContent): void;
  /**
   * Adds an item and returns its id. Without `item` it is generated. An event with the type
   * `seriesMaster` gets `count` occurrences, one every `everyDays` days, at the same time of day in
   * the time zone of its `start`.
   */
  add<C extends FakeCollection>(
    collection: C,
    item?: FakeItem<C>,
    where?: FakePlace & { count?: number; everyDays?: number },
  ): string;
  /**
   * Changes properties of an item. Without `patch` the change is generated. An occurrence becomes
   * an exception.
   */
  edit<C extends FakeCollection>(collection: C, id: string, patch?: FakeItem<C>): void;
  /**
   * Removes an item: a series with its occurrences, a folder with its content. The next round
   * reports it as `@removed`. With `soft`, users, groups and contacts can be restored.
   */
  remove(collection: FakeCollection, id: string, options?: { soft?: boolean }): void;
  /** Restores an item that was removed with `soft`. */
  restore(collection: "users" | "groups" | "contacts", id: string): void;
  /** Makes this number of random additions, changes and removals. Returns the affected ids. */
  churn(collection: FakeCollection, count: number, where?: FakePlace): string[];
  /**
   * Returns the current items, which a mirror must have after a round. `start` and `end` limit
   * events to a window.
   */
  items<C extends FakeCollection>(
    collection: C,
    where?: FakePlace & { start?: string | Date; end?: string | Date },
  ): (FakeItems[C] & { id: string })[];

  /** Changes the behavior from now on. */
  set(settings: FakeSettings): void;
  /**
   * Makes the next request that matches `when` fail, or the next `times` ones. If several faults
   * match, the first one that is not used up applies. Returns the function that removes the fault.
   */
  fault(fault: FakeFault, when?: FakeMatch): () => void;
  /** Removes all faults. */
  clearFaults(): void;
  /** Refuses all links issued so far, so that the next round is a full one. */
  expireLinks(collection?: FakeCollection): void;
  /** Refuses all tokens issued so far. */
  revokeTokens(): void;

  /**
   * Returns the subscriptions to change notifications that have not expired. The fake keeps them by
   * Graph's rules, but sends no notifications.
   */
  subscriptions(): (Subscription & { id: string })[];

  /** Returns the requests so far, the oldest first. */
  requests(): FakeRequest[];
  /** Empties the list of requests. */
  clearRequests(): void;
}

/**
 * The properties of an item. Dates may be strings. `start` and `end` of an event may be in any time
 * zone that the host knows; the fake stores and sends them in UTC, as Graph does. `members` is an
 * array of ids or an object `{ add, remove }`, `manager` an id or null.
 */
export type FakeItem<C extends FakeCollection> = Omit<
  Partial<FakeItems[C]>,
  "start" | "end" | "members" | "manager"
> & { [property: string]: unknown };

/** The behavior of the fake. By default it is Graph's usual one. */
export interface FakeSettings {
  /** The number of items per page. Default 10. */
  pageSize?: number;
  /** The delay of each response, in milliseconds. Default 0. */
  latencyMs?: number;
  /** The bytes of a body that arrive per second; null, the default, for no limit. */
  bytesPerSecond?: number | null;
  /** The number of empty pages before each page but the first. Default 0. */
  emptyPages?: number;
  /** Whether the deltaLink is on a separate, empty page. Default `false`. */
  trailingEmptyPage?: boolean;
  /** Items that are sent twice: within a page, or on two pages. Default `"none"`. */
  duplicates?: "none" | "page" | "pages" | "both";
  /** Whether the order of the items is random. Default `false`. */
  reorder?: boolean;
  /** Where a change during a round is reported. Default `"next-round"`. */
  changesDuringRound?: "next-round" | "later-in-round" | "both" | "live";
  /** How many links of a calendar or a folder stay valid; null, the default, for all. */
  generations?: number | null;
  /** The lifetime of tokens issued from now on, in milliseconds; null, the default, forever. */
  tokenLifetimeMs?: number | null;
  /** How many days links of users, groups and contacts stay valid. Default 7. */
  directoryTokenDays?: number;
  /** Whether incremental rounds leave out series masters. Default `true`. */
  withholdMasters?: boolean;
  /** Whether the deletion of an occurrence is not reported. Default `false`. */
  silentOccurrenceDelete?: boolean;
  /** The number of members in one part of `members@delta`. Default 20. */
  membersSlice?: number;
  /** Whether recordings that have not changed are sent again. Default `false`. */
  olderArtifacts?: boolean;
}

/** A fault, or its name if it has no required fields. */
export type FakeFault = NameOnly<FakeFaults> | FakeFaults;

type NameOnly<Fault> = Fault extends { name: infer Name }
  ? { name: Name } extends Fault
    ? Name
    : never
  : never;

/** A fault with its fields. */
export type FakeFaults =
  /** 429, with `Retry-After` in seconds. */
  | { name: "throttle"; retryAfter?: number }
  /** An error response. Default 503. The default code is one that Graph uses with the status. */
  | {
      name: "status";
      status?: number;
      code?: string;
      message?: string;
      headers?: Record<string, string | number>;
    }
  /** A reset signal. `spelling`: which of the 16 forms that Graph uses, from 1. Default 1. */
  | { name: "reset"; spelling?: number }
  /** The token is refused with 401. */
  | { name: "unauthorized" }
  /** The token is refused with 401 and a claims challenge. */
  | { name: "claims"; claims?: object | string }
  /** `network`: the connection breaks at once. `hang`: no response arrives. */
  | { name: "network" | "hang" }
  /** The connection breaks after `n` bytes of the body. */
  | { name: "cut"; n: number }
  | { name: "delay"; ms: number }
  | { name: "slow"; bytesPerSecond: number }
  /** A response that a proxy might send. */
  | { name: "html" | "notJson" | "empty503" }
  /** The link of the request is refused from now on. */
  | { name: "poisoned" }
  /** A page with wrong links or without content. */
  | { name: "neitherLink" | "bothLinks" | "sameLink" | "emptyPage" | "noValue" }
  | { name: "livelock"; cycle?: number }
  /** A page with a link to another origin. */
  | { name: "foreignLink"; link?: string };

/** The requests that a fault applies to. */
export interface FakeMatch {
  collection?: FakeCollection;
  /**
   * `initial`: the first request of a round without a link. `next`, `delta`: a request with that
   * link. `item`: a request for a single item. `subscription`: one for subscriptions. Default
   * `"any"`.
   */
  kind?: "initial" | "next" | "delta" | "item" | "subscription" | "any";
  /** The number of matching requests to skip first. Default 0. */
  skip?: number;
  /** A substring of the URL. */
  url?: string;
  /** How often the fault applies. Default 1; `Infinity`: until it is removed. */
  times?: number;
}

/** A request to the fake Graph. */
export interface FakeRequest {
  /** The number of the request. */
  n: number;
  /** The time of the request, in milliseconds since 1970. */
  at: number;
  method: string;
  /** The path and the query. */
  url: string;
  collection: FakeCollection | null;
  kind: "initial" | "next" | "delta" | "item" | "subscription" | "unexpected";
  /** The status of the response; 0 if there was none. */
  status: number;
  /** The headers. Instead of a token, `authorization` is `delegated`, `app`, `other` or `none`. */
  headers: Record<string, string>;
  /** The number of items in the response. */
  items: number;
  /** The name of the fault that applied, as `fault()` takes it. */
  fault: FakeFaults["name"] | null;
}

/** A test of one rule of {@link DeltaStore}. */
export interface StoreRule {
  /** The rule, as a sentence. */
  name: string;
  /** Runs the test. Rejects with a description of the difference if the store breaks the rule. */
  run(): Promise<void>;
}

/** The options of `storeContract()`. */
export interface StoreContractOptions<S extends DeltaStore> {
  /**
   * Opens the data of `store` a second time. Only for a persistent store. Adds the rules about two
   * open stores on the same data.
   */
  reopen?: (store: S) => S | Promise<S>;
}

/**
 * Returns the rules that a {@link DeltaStore} must keep, as tests for any framework.
 *
 * Each test opens a store, uses its own keys, which begin with `contract `, and clears them at the
 * end. `open` may return the same store each time, and the store need not be empty.
 *
 * @example
 *   for (const { name, run } of storeContract(() => myStore())) test(name, run);
 */
export function storeContract<S extends DeltaStore>(
  open: () => S | Promise<S>,
  options?: StoreContractOptions<S>,
): StoreRule[];
