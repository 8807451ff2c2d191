// The types of what the Durable Objects of this Worker store, and of the methods that they call on
// each other. They are in a separate file because env.ts needs them, and both objects need env.ts.

export interface Notification {
  subscriptionId: string;
  /** Set in lifecycle notifications only. */
  lifecycleEvent?: string;
}

export interface Subscription {
  id: string;
  /** The end of the subscription, in milliseconds since 1970. */
  expires: number;
  /** The result of `settingsHash()` when the subscription was created. */
  settingsHash: string;
}

export interface MailboxState {
  /** The organizer. Undefined if this mailbox is not on the list. */
  mailbox?: string;
  /** The number of requested rounds. Further requests before a round begins are not counted. */
  requestedRounds: number;
  /** The value of `requestedRounds` that the last complete round has fulfilled. */
  fulfilledRounds: number;
  /** The earliest start of the next round. */
  notBefore: number;
  /** The number of consecutive rounds that failed. */
  failures: number;
  /** The start of the running round, or of one that was aborted. */
  startedAt?: number | undefined;
  lastSync?: number;
  lastError?: { code: string; message: string; requestId?: string | undefined; at: number } | undefined;
  items?: number;
  /** The number of changes that the queue accepted, including repeated ones. */
  sent: number;
  subscription?: Subscription | undefined;
  subscribeAt: number;
  subscribeFailures: number;
  subscribeError?: string | undefined;
}

export interface MailboxStatus extends MailboxState {
  /** `new` until the first round is complete. */
  phase: "new" | "syncing" | "current" | "waiting" | "failed";
  nextTry?: number | undefined;
}

/** The methods of `Mailbox` that the Worker and the registry call. */
export interface MailboxObject extends Rpc.DurableObjectBranded {
  wake(mailbox: string): Promise<boolean>;
  notify(notifications: Notification[]): Promise<void>;
  remove(): Promise<void>;
  item(id: string): Promise<object | undefined>;
  status(): MailboxStatus;
}

/** The methods of `Registry` that the Worker and the mailboxes call. */
export interface RegistryObject extends Rpc.DurableObjectBranded {
  add(mailbox: string): Promise<void>;
  remove(mailbox: string): Promise<boolean>;
  tick(): Promise<void>;
  acquirePermit(mailbox: string, duration: number): Promise<boolean>;
  releasePermit(mailbox: string, retryAt?: number): Promise<void>;
  count(): number;
  statuses(after: string, limit: number): Promise<(Partial<MailboxStatus> & { mailbox: string })[]>;
}
