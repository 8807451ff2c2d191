// The stores and the Durable Objects of the package with Cloudflare's own types.
import type { DeltaStore } from "deltalink";
import { clientCredentials } from "deltalink/auth";
import { BudgetObject, MailboxObject, type MailboxOptions, RegistryObject } from "deltalink/durable-objects";
import { D1Store } from "deltalink/stores/d1";
import { DurableObjectStore } from "deltalink/stores/durable-object";
import { mailboxList, type MailboxStatus, receiveNotifications, sendChanges } from "deltalink/workers";

declare const ctx: DurableObjectState;
declare const env: { DB: D1Database; KV: KVNamespace };

export const stores: DeltaStore[] = [
  new DurableObjectStore(ctx.storage),
  new D1Store(env.DB),
  new D1Store(env.DB.withSession()),
];

// @ts-expect-error There is no store on Workers KV.
export const none = new D1Store(env.KV);

/** As `wrangler types` writes it: the bindings name the classes of this file. */
interface Env {
  CALENDARS: DurableObjectNamespace<Calendar>;
  REGISTRY: DurableObjectNamespace<Registry>;
  BUDGET: DurableObjectNamespace<Budget>;
  CHANGES: Queue;
  SECRET: string;
}

const settingsOf = ({ CALENDARS, REGISTRY, BUDGET }: Env) => ({
  mailboxes: CALENDARS,
  registries: REGISTRY,
  budget: BUDGET,
});

export class Calendar extends MailboxObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    const token = clientCredentials({ tenant: "t", clientId: "c", secret: env.SECRET });
    super(ctx, env, {
      ...settingsOf(env),
      token: () => token,
      query: (client, user) => client.events({ user, window: { daysBack: 7, daysAhead: 60 } }),
      deliver: (user, changes) => sendChanges(env.CHANGES, changes, { properties: { user } }),
      subscription: (user) => ({
        resource: `users/${user}/events`,
        notificationUrl: `https://w.example/${user}`,
      }),
      secret: env.SECRET,
    });
  }

  async subject(id: string): Promise<string> {
    return `${this.env.SECRET.length} ${JSON.stringify(await this.item(id))} ${String(await this.ctx.storage.getAlarm())}`;
  }
}

interface User {
  id: string;
  mail?: string;
}

/** The changes have the type of the items. */
export class Users extends MailboxObject<Env, User> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, {
      token: () => () => env.SECRET,
      query: (client) => client.track<User>("/users/delta"),
      async deliver(_, changes, { signal }) {
        for (const change of changes)
          if (change.type === "upsert") await env.CHANGES.send(change.item.mail?.toLowerCase());
        signal.throwIfAborted();
      },
    });
  }
}

export class Registry extends RegistryObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, settingsOf(env));
  }
}

export class Budget extends BudgetObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, { ...settingsOf(env), roundsAtOnce: 5 });
  }
}

export default {
  async fetch(request, env): Promise<Response> {
    const list = mailboxList(settingsOf(env));
    await list.add("ann");
    const { phase }: MailboxStatus = await env.CALENDARS.getByName("ann").status();
    void phase;
    return receiveNotifications(request, { mailbox: "ann", secret: env.SECRET, mailboxes: env.CALENDARS });
  },
} satisfies ExportedHandler<Env>;

// @ts-expect-error a mailbox needs a token source, a query and a consumer
export const missing: MailboxOptions = { pause: 1000 };
