import type { MailboxObject, RegistryObject } from "./objects";

/** What wrangler.jsonc binds, and the secrets. */
export interface Env {
  MAILBOXES: DurableObjectNamespace<MailboxObject>;
  REGISTRY: DurableObjectNamespace<RegistryObject>;
  CHANGES: Queue<ChangeMessage>;
  TENANT: string;
  CLIENT: string;
  CLIENT_SECRET: string;
  /** Makes the `clientState` of notifications. At least 32 random letters. */
  NOTIFICATION_SECRET: string;
  /** Of the status page and of what changes the list of mailboxes. */
  ADMIN_PASSWORD: string;
  PUBLIC_URL?: string;
  GRAPH_ENDPOINT?: string;
  AUTHORITY?: string;
  PAUSE_MS?: string;
  BACKOFF_MS?: string;
  ROUNDS_AT_ONCE?: string;
}

/**
 * What a consumer gets. At least once, and in no order: queues keep none. Whoever needs the newest
 * state of an item asks the mailbox's object for it, as for an item that is too large for a
 * message.
 */
export type ChangeMessage = { mailbox: string; id: string } & (
  | { type: "upsert"; item: object }
  /** Over the size of a message: `env.MAILBOXES.getByName(mailbox).item(id)` has it. */
  | { type: "upsert"; reference: true }
  | { type: "remove"; reason: "deleted" | "changed" | "ghost" }
);

/** The only registry. */
export function registryOf(env: Env): DurableObjectStub<RegistryObject> {
  return env.REGISTRY.getByName("registry");
}

export function graphRoot(env: Env): string {
  return (env.GRAPH_ENDPOINT || "https://graph.microsoft.com/v1.0").replace(/\/$/, "");
}
