// What the Durable Objects of this Worker store and which methods they call on each other. Types
// only: env.ts names both objects, and both need env.ts, so their types cannot stand with them.

export interface Notification {
  subscriptionId: string;
  /** Of lifecycle notifications. */
  lifecycleEvent?: string;
}

export interface Subscription {
  id: string;
  /** Milliseconds. */
  expires: number;
  /** What it was made with: `keyOf`'s answer then. */
  key: string;
}

export interface MailboxState {
  /** The organizer whose recordings these are. None: nobody watches this mailbox. */
  mailbox?: string;
  /** Grows with each wish for a round that no wish before covers. */
  wanted: number;
  /** The wish that the last complete round has met. */
  met: number;
  /** No round before. */
  notBefore: number;
  /** Rounds in a row that have not come to their end. */
  failures: number;
  /** When the round began that runs, or was cut off. */
  startedAt?: number | undefined;
  lastSync?: number;
  lastError?: { code: string; message: string; requestId?: string | undefined; at: number } | undefined;
  items?: number;
  /** Changes that the queue took, repeats included. */
  sent: number;
  subscription?: Subscription | undefined;
  subscribeAt: number;
  subscribeFailures: number;
  subscribeError?: string | undefined;
}

export interface MailboxStatus extends MailboxState {
  /** `new` until a first round is complete. */
  phase: "new" | "syncing" | "current" | "waiting" | "failed";
  nextTry?: number | undefined;
}

/** The methods of `Mailbox` that the Worker and the registry call. */
export interface MailboxObject extends Rpc.DurableObjectBranded {
  watch(mailbox: string): Promise<boolean>;
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
  turn(mailbox: string, length: number): Promise<boolean>;
  done(mailbox: string, retryAt?: number): Promise<void>;
  count(): number;
  statuses(after: string, limit: number): Promise<(Partial<MailboxStatus> & { mailbox: string })[]>;
}
