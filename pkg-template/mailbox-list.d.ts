import type { Request, Response } from "./host.js";
import type { Subscription } from "./notifications.js";
import type { RoundState, SubscriptionState } from "./round-plan.js";

/** The part of a binding of Durable Objects that this package uses. */
export interface Namespace<Stub> {
  getByName(name: string): Stub;
}

/** What the object of a mailbox stores. Times are in milliseconds since 1970. */
export interface MailboxState extends RoundState, SubscriptionState {
  /** The name of the mailbox. Undefined if nothing has woken it, or if it was removed. */
  mailbox?: string;
  /** The start of the running round, or of one that was aborted. */
  startedAt?: number | undefined;
  /** The end of the last complete round. */
  lastSync?: number;
  /**
   * Why the last round failed. The code is that of a `DeltaError`, `deliver` for another error of
   * `deliver()`, `budget` if the budget did not answer, or, in `statuses()` only, `object` if the
   * object of the mailbox could not be called.
   */
  lastError?: { code: string; message: string; requestId?: string | undefined; at: number } | undefined;
  /** The number of items of the mirror. */
  items?: number;
  /** The number of delivered changes, including repeated ones. */
  sent: number;
  subscription?: Subscription | undefined;
  /** Why the last request for a subscription failed. */
  subscribeError?: string | undefined;
}

/** The status of a mailbox. */
export interface MailboxStatus extends MailboxState {
  /** `new`: no round is requested, and none was complete. */
  phase: "new" | "syncing" | "current" | "waiting" | "failed";
  /** When the requested round may begin. */
  nextTry?: number | undefined;
}

/** The methods of a `MailboxObject` that others call. */
export interface MailboxStub {
  wake(mailbox: string): Promise<void>;
  usePermit(): Promise<boolean>;
  notify(renew: string[]): Promise<void>;
  remove(): Promise<void>;
  status(): Promise<MailboxStatus>;
}

/** The methods of a `RegistryObject` that others call. */
export interface RegistryStub {
  add(mailboxes: string[], spread?: number): Promise<void>;
  has(mailbox: string): Promise<boolean>;
  remove(mailbox: string): Promise<boolean>;
  tick(shard: number, shards: number): Promise<void>;
  list(after: string, limit: number): Promise<{ count: number; mailboxes: string[] }>;
}

/** The options of `mailboxList()`. */
export interface MailboxListOptions {
  /** The binding of the class that extends `MailboxObject`. */
  mailboxes: Namespace<MailboxStub>;
  /** The binding of the class that extends `RegistryObject`. */
  registries: Namespace<RegistryStub>;
  /** The number of registries that share the list. It can grow, but not shrink. Default 16. */
  shards?: number;
}

/** The mailboxes of an app. A name is an id of a user, of a tenant, or of whatever is mirrored. */
export interface MailboxList {
  /** Adds a mailbox and wakes it at once, also if it is on the list already. */
  add(mailbox: string): Promise<void>;
  /**
   * Removes a mailbox with its mirror, also during a round. Its alarm deletes the subscription.
   * Resolves to whether it was on the list.
   */
  remove(mailbox: string): Promise<boolean>;
  /**
   * Wakes every mailbox within the time that the option `spread` of `RegistryObject` sets: call it
   * from `scheduled()`. Also moves the mailboxes that belong to another registry since `shards` has
   * grown.
   */
  tick(): Promise<void>;
  /**
   * Returns the number of mailboxes, and the statuses of at most `limit` of them (default 100) that
   * follow the name `after`, sorted by name. Calls each registry, and the object of each mailbox.
   */
  statuses(options?: { after?: string; limit?: number }): Promise<{
    count: number;
    mailboxes: (Partial<MailboxStatus> & { mailbox: string })[];
  }>;
}

/**
 * Returns the list of mailboxes of an app. Throws `bad-request` for wrong options; its methods
 * reject with `bad-request` for an empty name, and with the error of an object that they cannot
 * call. Only `statuses()` returns a failed status for a mailbox whose object it cannot call.
 *
 * @example
 *   const list = mailboxList({ mailboxes: env.MAILBOXES, registries: env.REGISTRY });
 *   await list.add("ann@contoso.com");
 */
export function mailboxList(options: MailboxListOptions): MailboxList;

/** The options of `receiveNotifications()`. */
export interface ReceiveOptions {
  /** The name of the mailbox, from the URL of the request. Anybody can send any name. */
  mailbox: string;
  /** The key for the `clientState`, as in the options of the `MailboxObject`. */
  secret: string;
  /** The binding of the class that extends `MailboxObject`. */
  mailboxes: Namespace<Pick<MailboxStub, "notify">>;
}

/**
 * Reads a request of Graph to the notification URL of a mailbox, wakes the mailbox, and resolves to
 * the response. Forged notifications wake nothing. If the object cannot be called, it passes the
 * error to `reportError` or `console.error` and responds with 503: Graph then repeats the
 * notification. The other responses are those of `handleNotification()`.
 *
 * Rejects with `bad-request` for wrong options, and for a secret of fewer than 32 characters.
 *
 * @example
 *   const { NOTIFICATION_SECRET: secret, MAILBOXES: mailboxes } = env;
 *   return receiveNotifications(request, { mailbox, secret, mailboxes });
 */
export function receiveNotifications(request: Request, options: ReceiveOptions): Promise<Response>;
