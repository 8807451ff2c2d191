// The bindings and settings of wrangler.jsonc, and the options that they become.
import type { BudgetObject, MailboxObject, RegistryObject } from "deltalink/durable-objects";
import type { ChangeMessage } from "deltalink/workers";

export interface Env {
  MAILBOXES: DurableObjectNamespace<MailboxObject>;
  REGISTRY: DurableObjectNamespace<RegistryObject>;
  BUDGET: DurableObjectNamespace<BudgetObject>;
  CHANGES: Queue<Message>;
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

/** A message of the queue. */
export type Message = ChangeMessage<object, { mailbox: string }>;

/** The options that the list and the three classes of objects share. */
export const settingsOf = (env: Env) => ({
  mailboxes: env.MAILBOXES,
  registries: env.REGISTRY,
  budget: env.BUDGET,
  shards: Math.max(Math.trunc(Number(env.SHARDS || 16)), 1),
  roundsAtOnce: Number(env.ROUNDS_AT_ONCE || 10),
  pause: Number(env.PAUSE_MS || 2000),
  backOff: Number(env.BACKOFF_MS || 5000),
  spread: Number(env.SPREAD_MS || 600_000),
});
