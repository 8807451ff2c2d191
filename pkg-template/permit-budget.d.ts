/** The permit of a mailbox. `until` is null while the mailbox waits for one. */
export interface Permit {
  mailbox: string;
  /** When the permit expires, in milliseconds since 1970. */
  until: number | null;
}

/** What an earlier instance of a budget has stored. */
export interface StoredBudget {
  /** The permits by their end, and the waiting mailboxes in their order. */
  stored?: Iterable<Permit>;
  throttledUntil?: number;
}

/**
 * The rounds that may run at the same time in a whole app, and the mailboxes that wait. They get
 * permits in the order in which they asked. A permit ends with its round, or after seven minutes
 * if its object is gone. Without I/O: `BudgetObject` stores it in a Durable Object.
 *
 * The constructor throws `bad-request` if `limit` is not a number of at least 1.
 *
 * @example
 *   const budget = new PermitBudget(10);
 *   if (budget.acquire("ann@contoso.com") === null) return; // a later grant() names it
 *   // … the round …
 *   budget.release("ann@contoso.com");
 *   for (const { mailbox } of budget.grant()) wake(mailbox);
 */
export class PermitBudget {
  constructor(limit: number, stored?: StoredBudget);
  readonly limit: number;
  /** By mailbox: when its permit expires, in milliseconds since 1970, in this order. */
  readonly permits: ReadonlyMap<string, number>;
  /** The mailboxes that wait, in their order. */
  readonly waiting: ReadonlySet<string>;
  /** The end of the throttle of the whole app, in milliseconds since 1970. */
  readonly throttledUntil: number;
  /**
   * Asks for a permit. Returns when it expires, or null if the mailbox has to wait. A waiting
   * mailbox that asks again keeps its place.
   */
  acquire(mailbox: string, now?: number): number | null;
  /**
   * Releases a permit. If Graph has throttled the whole app, no round begins until `jitter`
   * milliseconds after `retryAt`. A throttle of more than a day is ignored.
   */
  release(mailbox: string, options?: { now?: number; retryAt?: number | undefined; jitter?: number }): void;
  /** Gives the free permits to the mailboxes that wait longest. The caller wakes them. */
  grant(now?: number): { mailbox: string; until: number }[];
  /**
   * Returns when to call `grant()` if no permit is released before. Infinity if no mailbox waits.
   */
  nextAt(now?: number): number;
}
