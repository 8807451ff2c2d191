// The bindings and settings of wrangler.jsonc, and the types of what the objects store and call.
import type { Subscription } from "deltalink/notifications";
import { DAY, type RoundState, type Settings, shardOf, type SubscriptionState } from "./plan";
import { RESOURCES } from "./resource";

export interface Env {
  MAILBOXES: DurableObjectNamespace<MailboxObject>;
  REGISTRY: DurableObjectNamespace<RegistryObject>;
  BUDGET: DurableObjectNamespace<BudgetObject>;
  CHANGES: Queue<ChangeMessage>;
  /** `recordings`, `calendars` or `users`. */
  RESOURCE?: string;
  TENANT: string;
  CLIENT: string;
  CLIENT_SECRET: string;
  /** The key for the `clientState` of notifications: at least 32 random characters. */
  NOTIFICATION_SECRET: string;
  /** For the status page and the list. At least 16 characters: attempts are not limited. */
  ADMIN_PASSWORD: string;
  PUBLIC_URL?: string;
  GRAPH_ENDPOINT?: string;
  AUTHORITY?: string;
  SHARDS?: string;
  PAUSE_MS?: string;
  BACKOFF_MS?: string;
  SPREAD_MS?: string;
  ROUNDS_AT_ONCE?: string;
}

/**
 * A message of the queue. Queues deliver at least once and in any order. A consumer that needs the
 * newest state of an item reads it by `env.MAILBOXES.getByName(mailbox).item(id)`.
 */
export type ChangeMessage = { mailbox: string; id: string } & (
  | { type: "upsert"; item: object }
  /** The item is too large for a message: read it by `item(id)`. */
  | { type: "upsert"; reference: true }
  | { type: "remove"; reason: "deleted" | "changed" | "ghost" | "left-window" }
);

export interface MailboxState extends RoundState, SubscriptionState {
  /** The name on the list. Undefined if this mailbox is not on the list. */
  mailbox?: string;
  /** The start of the running round, or of one that was aborted. */
  startedAt?: number | undefined;
  lastSync?: number;
  lastError?: { code: string; message: string; requestId?: string | undefined; at: number } | undefined;
  items?: number;
  /** The number of changes that the queue accepted, including repeated ones. */
  sent: number;
  subscription?: Subscription | undefined;
  subscribeError?: string | undefined;
}

export interface MailboxStatus extends MailboxState {
  /** `new` until the first round is complete. */
  phase: "new" | "syncing" | "current" | "waiting" | "failed";
  nextTry?: number | undefined;
}

export interface MailboxObject extends Rpc.DurableObjectBranded {
  wake(mailbox: string): Promise<void>;
  usePermit(): Promise<boolean>;
  notify(renew: string[]): Promise<void>;
  remove(): Promise<void>;
  item(id: string): Promise<object | undefined>;
  status(): MailboxStatus;
}

export interface RegistryObject extends Rpc.DurableObjectBranded {
  add(mailboxes: string[], spread?: number): Promise<void>;
  has(mailbox: string): boolean;
  remove(mailbox: string): Promise<boolean>;
  tick(shard: number): Promise<void>;
  list(after: string, limit: number): Promise<{ count: number; mailboxes: string[] }>;
}

export interface BudgetObject extends Rpc.DurableObjectBranded {
  acquire(mailbox: string): Promise<boolean>;
  release(mailbox: string, retryAt?: number): Promise<void>;
}

export const shardsOf = (env: Env) => Math.max(Math.trunc(Number(env.SHARDS || 16)), 1);

/** Returns the registry with this number. */
export const registryOf = (env: Env, shard: number) => env.REGISTRY.getByName(`registry-${shard}`);

/** Returns the registry that lists a mailbox. */
export const homeOf = (env: Env, mailbox: string) => registryOf(env, shardOf(mailbox, shardsOf(env)));

/** Returns the budget. The app has only one. */
export const budgetOf = (env: Env) => env.BUDGET.getByName("budget");

export function resourceOf(env: Env) {
  const resource = RESOURCES[env.RESOURCE || "recordings"];
  if (!resource) throw new Error(`RESOURCE must be one of ${Object.keys(RESOURCES).join(", ")}`);
  return resource;
}

export const settingsOf = (env: Env): Settings => ({
  pause: Number(env.PAUSE_MS || 2000),
  backOff: Number(env.BACKOFF_MS || 5000),
});

/**
 * Limits the time of an alarm to at most a day from now, because workerd refuses times that are
 * centuries ahead. An alarm that fires too early is harmless: it checks what is due. The time is
 * after now, because the end of a running alarm deletes an alarm with the same time.
 */
export const alarmTime = (at: number, now = Date.now()) => Math.min(Math.max(at || 0, now + 1), now + DAY);
