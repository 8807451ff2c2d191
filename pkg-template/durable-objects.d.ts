/**
 * Durable Objects of a Worker that mirrors many mailboxes. For workerd only: they extend the class
 * of `cloudflare:workers`. docs/edge.md has a Worker for three calendars, `www/edge` one for any
 * number.
 */
import { DurableObject } from "cloudflare:workers";
import type { Change, Cloud, DeltaClient, DeltaErrorCode, DeltaFeed, LogEntry } from "deltalink";
import type { TokenSource } from "deltalink";
import type { AbortSignal, fetch } from "./host.js";
import type { MailboxStatus, MailboxStub, Namespace, RegistryStub } from "./mailbox-list.js";
import type { Subscription, SubscriptionOptions } from "./notifications.js";

export type { MailboxStatus, MailboxStub, Namespace, RegistryStub } from "./mailbox-list.js";

/** The methods of a `BudgetObject` that mailboxes call. */
export interface BudgetStub {
  acquire(mailbox: string): Promise<boolean>;
  release(mailbox: string, retryAt?: number): Promise<void>;
}

/** The options of a `MailboxObject`. The functions get the name of the mailbox. */
export interface MailboxOptions<T extends { id: string } = { id: string }> {
  /**
   * Returns the token source. Called for each round: make a source, or its cache, outside of this
   * function. An `account` of the source is ignored: the account is the name of the mailbox, so
   * that another source continues the same mirror.
   */
  token(mailbox: string): TokenSource;
  /**
   * Returns the query. A feed (`mirror: false`) writes no row per item, but `item()` then finds
   * nothing, also not an item that was too large for a message.
   */
  query(client: DeltaClient, mailbox: string): DeltaFeed<T>;
  /**
   * Takes the changes of a page, in most cases by `sendChanges()`. When it resolves, the page is
   * acknowledged; when it rejects, a later round delivers the same page again. `changes` is empty
   * for a page without changes, such as the last one of most rounds.
   *
   * The signal is aborted by `remove()`, and five minutes after the start of the round.
   */
  deliver(mailbox: string, changes: Change<T>[], options: { signal: AbortSignal }): Promise<void>;
  /**
   * Returns the resource and the URL of the subscription, and other options of `subscriptions()`.
   * Without this function, if it returns undefined, or if Graph has no notifications for the
   * resource, the mailbox is only polled: something else has to call `wake()`. Put the name of the
   * mailbox into the URL.
   */
  subscription?(
    mailbox: string,
  ): Omit<SubscriptionOptions, "token" | "clientState" | "cloud" | "endpoint" | "fetch"> | undefined;
  /**
   * The key for the `clientState` of subscriptions, by `clientStateFor()`: at least 32 random
   * characters. Required with `subscription`.
   */
  secret?: string;
  /** The binding of the class that extends `BudgetObject`. Without it, rounds are not limited. */
  budget?: Namespace<BudgetStub>;
  /**
   * Whether all mailboxes share one throttling limit of Graph, so that a 429 for one of them stops
   * all. In Outlook each mailbox has its own limit. Default false.
   */
  sharesLimit?: boolean;
  /** The time between two rounds, in milliseconds. Default 2000. */
  pause?: number;
  /** The back-off after a first failure, in milliseconds. Default 5000. */
  backOff?: number;
  /** A national cloud. Default `"global"`. */
  cloud?: Cloud;
  /** The root of another Graph, as for `openDelta()`. If it is empty, that of the cloud. */
  endpoint?: string | undefined;
  /** Called instead of the host's `fetch`. */
  fetch?: typeof fetch;
  /**
   * Gets the entries of the client's `log`, and one for each failure that the client does not see.
   * An error that it throws, or with which its promise rejects, goes to `reportError()`.
   */
  log?(entry: (LogEntry | FailureLogEntry) & { mailbox: string }): unknown;
}

/** A failure of a mailbox that is not one of a round of the client. */
export interface FailureLogEntry {
  /**
   * `open`: `token()` or `query()` has thrown, the client could not be opened, or the alarm could
   * not be set. `deliver`: a call of `deliver()` has rejected. `subscription`: it was not made,
   * renewed or deleted. `budget`: a call of `acquire()` has rejected, for example because the
   * binding is that of another class.
   */
  event: "open" | "deliver" | "subscription" | "budget";
  level: "warn";
  time: Date;
  /** The message of the error, at most 500 characters. */
  message: string;
  /** When the mailbox tries again. */
  retryAt: Date;
  /** The code of a `DeltaError`. */
  code?: DeltaErrorCode;
  /** Graph's id of the request, for Microsoft's support. */
  requestId?: string;
}

/** The subscriptions of a removed mailbox that Graph has not deleted yet. */
export interface RemovedSubscriptions {
  mailbox: string;
  subscriptions: Subscription[];
  /** The number of consecutive attempts that failed. */
  failures: number;
  /** When to delete them, in milliseconds since 1970. */
  at: number;
}

/**
 * Mirrors one mailbox: one round at a time, in its alarm; back-off that survives eviction; its
 * subscription. `this.env.MAILBOXES.getByName(mailbox)` is its object. Its class must be a
 * SQLite-backed one; it uses the table `deltalink` and the key `state`.
 *
 * The constructor throws `bad-request` for missing, wrong and unknown options. It ignores those of
 * the two other classes, so that the settings of all three can be spread into its options. A
 * subclass may have more methods, but must call `super.alarm()` if it overrides `alarm()`. `T` is
 * the type of the items.
 *
 * @example
 *   export class Calendar extends MailboxObject<Env> {
 *     constructor(ctx: DurableObjectState, env: Env) {
 *       const { TENANT: tenant, CLIENT: clientId, SECRET: secret } = env;
 *       const token = clientCredentials({ tenant, clientId, secret });
 *       super(ctx, env, {
 *         token: () => token,
 *         query: (client, user) => client.events({ user, window: { daysBack: 7, daysAhead: 60 } }),
 *         deliver: (user, changes) => sendChanges(env.CHANGES, changes, { properties: { user } }),
 *       });
 *     }
 *   }
 */
export class MailboxObject<
  Env = unknown,
  T extends { id: string } = { id: string },
> extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env, options: MailboxOptions<T>);
  /**
   * Requests a round. Rejects with `bad-request` if the object has another name. The first call for
   * an object without a name, by its id, sets the name of the mailbox until `remove()`.
   */
  wake(mailbox: string): Promise<void>;
  /** Requests a round, and renews the subscription if its id is in `renew`. */
  notify(renew?: string[]): Promise<void>;
  /**
   * Stops a running round, and deletes everything that is stored, also tables, keys and the alarm
   * of a subclass. The alarm then deletes the subscription at Graph, again with back-off if that
   * fails, until the subscription has expired.
   */
  remove(): Promise<void>;
  /** Returns an item of the mirror. Undefined if there is none with this id, or no mirror. */
  item(id: string): Promise<object | undefined>;
  status(): MailboxStatus & { removing?: RemovedSubscriptions };
  /** Called by the budget: takes a permit. Returns false if the mailbox no longer needs it. */
  usePermit(): Promise<boolean>;
  alarm(): Promise<void>;
}

/** The options of a `RegistryObject`. */
export interface RegistryOptions {
  /** The binding of the class that extends `MailboxObject`. */
  mailboxes: Namespace<Pick<MailboxStub, "wake" | "remove">>;
  /** The binding of the class that extends `RegistryObject`. */
  registries: Namespace<RegistryStub>;
  /** The time over which `tick()` spreads the rounds, in milliseconds. Default 600000. */
  spread?: number;
  /** The back-off after a first failed attempt to wake a mailbox, in milliseconds. Default 5000. */
  backOff?: number;
  /** Gets an entry for each failed attempt to wake a mailbox. */
  log?(entry: WakeLogEntry): void;
}

/** A failed attempt to wake a mailbox. It is repeated at `retryAt`. */
export interface WakeLogEntry {
  event: "wake";
  level: "warn";
  time: Date;
  mailbox: string;
  /** The message of the error, at most 500 characters. */
  message: string;
  retryAt: Date;
}

/**
 * Lists the mailboxes whose names have its hash, and wakes them. `mailboxList()` calls it. It uses
 * the table `mailboxes`. The constructor throws `bad-request` for wrong options.
 */
export class RegistryObject<Env = unknown> extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env, options: RegistryOptions);
  /** Adds mailboxes, and wakes them within `spread` milliseconds. */
  add(mailboxes: string[], spread?: number): Promise<void>;
  has(mailbox: string): boolean;
  /** Removes a mailbox from the list only. Resolves to whether it was on the list. */
  remove(mailbox: string): Promise<boolean>;
  /**
   * Marks every mailbox as due, and moves those that have another home: `shard` is the number of
   * this registry, `shards` that of all registries.
   */
  tick(shard: number, shards: number): Promise<void>;
  list(after: string, limit: number): Promise<{ count: number; mailboxes: string[] }>;
  alarm(): Promise<void>;
}

/** The options of a `BudgetObject`. */
export interface BudgetOptions {
  /** The binding of the class that extends `MailboxObject`. */
  mailboxes: Namespace<Pick<MailboxStub, "usePermit">>;
  /** How many rounds run at the same time. Default 10. */
  roundsAtOnce?: number;
  /** After a throttle, rounds begin spread over this time, in milliseconds. Default 2000. */
  pause?: number;
}

/**
 * Gives out the permits for rounds: one object, named `budget`, for the whole app. Permits, and the
 * mailboxes that wait for one, are stored in the table `permits`. The constructor throws
 * `bad-request` for wrong options.
 */
export class BudgetObject<Env = unknown> extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env, options: BudgetOptions);
  acquire(mailbox: string): Promise<boolean>;
  release(mailbox: string, retryAt?: number): Promise<void>;
  alarm(): Promise<void>;
}
