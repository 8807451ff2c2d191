import type { MailboxObject, RegistryObject } from "./objects";

/** The bindings and variables of wrangler.jsonc, and the secrets. */
export interface Env {
  MAILBOXES: DurableObjectNamespace<MailboxObject>;
  REGISTRY: DurableObjectNamespace<RegistryObject>;
  CHANGES: Queue<ChangeMessage>;
  TENANT: string;
  CLIENT: string;
  CLIENT_SECRET: string;
  /** The key for the `clientState` of notifications: at least 32 random characters. */
  NOTIFICATION_SECRET: string;
  /**
   * The password of the status page and of the requests that change the list of mailboxes. At least
   * 16 characters, because the number of guesses is not limited.
   */
  ADMIN_PASSWORD: string;
  PUBLIC_URL?: string;
  GRAPH_ENDPOINT?: string;
  AUTHORITY?: string;
  PAUSE_MS?: string;
  BACKOFF_MS?: string;
  ROUNDS_AT_ONCE?: string;
}

/**
 * A message of the queue. Queues deliver at least once and in any order. A consumer that needs the
 * newest state of an item reads it from the object of the mailbox.
 */
export type ChangeMessage = { mailbox: string; id: string } & (
  | { type: "upsert"; item: object }
  /**
   * The item is too large for a message: read it by `env.MAILBOXES.getByName(mailbox).item(id)`.
   */
  | { type: "upsert"; reference: true }
  | { type: "remove"; reason: "deleted" | "changed" | "ghost" | "left-window" }
);

/** Returns the registry. A Worker has only one. */
export function registryOf(env: Env): DurableObjectStub<RegistryObject> {
  return env.REGISTRY.getByName("registry");
}

/** Returns what is wrong with the secrets, or undefined. The Worker then serves no page. */
export function configurationProblem(env: Env): string | undefined {
  if (env.ADMIN_PASSWORD?.length >= 16) return undefined;
  return "the secret ADMIN_PASSWORD must have at least 16 characters; set it by `wrangler secret put ADMIN_PASSWORD`";
}

export const DAY = 86_400_000;

/**
 * Returns `at`, a time before which nothing is sent, or 0 if it is not a number or more than
 * `maxWait` milliseconds ahead: deltalink ignores such times too. An older version of this Worker
 * did not check them, so that one may be stored.
 */
export const plausibleTime = (at: number, maxWait = DAY): number => (at - Date.now() <= maxWait ? at : 0);

/**
 * Limits the time of an alarm to at most a day from now, because workerd refuses times that are
 * centuries ahead. An alarm may fire too early, because it checks what is due.
 */
export function alarmTime(at: number): number {
  const now = Date.now();
  return Math.min(Math.max(at, now + 1), now + DAY);
}

export function graphRoot(env: Env): string {
  return (env.GRAPH_ENDPOINT || "https://graph.microsoft.com/v1.0").replace(/\/$/, "");
}
