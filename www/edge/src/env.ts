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
  /** The password of the status page and of the requests that change the list of mailboxes. */
  ADMIN_PASSWORD: string;
  PUBLIC_URL?: string;
  GRAPH_ENDPOINT?: string;
  AUTHORITY?: string;
  PAUSE_MS?: string;
  BACKOFF_MS?: string;
  ROUNDS_AT_ONCE?: string;
}

/**
 * A message of the queue. Queues deliver at least once and without an order. A consumer that needs
 * the newest state of an item reads it from the object of the mailbox.
 */
export type ChangeMessage = { mailbox: string; id: string } & (
  | { type: "upsert"; item: object }
  /**
   * The item is too large for a message: read it by `env.MAILBOXES.getByName(mailbox).item(id)`.
   */
  | { type: "upsert"; reference: true }
  | { type: "remove"; reason: "deleted" | "changed" | "ghost" }
);

/** The registry. The Worker has one. */
export function registryOf(env: Env): DurableObjectStub<RegistryObject> {
  return env.REGISTRY.getByName("registry");
}

export function graphRoot(env: Env): string {
  return (env.GRAPH_ENDPOINT || "https://graph.microsoft.com/v1.0").replace(/\/$/, "");
}
