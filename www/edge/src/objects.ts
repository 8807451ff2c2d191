// The Durable Objects: those of deltalink/durable-objects, with the settings of this Worker.
import { clientCredentials } from "deltalink/auth";
import { BudgetObject, MailboxObject, RegistryObject } from "deltalink/durable-objects";
import { sendChanges } from "deltalink/workers";
import { type Env, settingsOf } from "./env";
import { resourceOf } from "./resource";

/** The tokens of all mailboxes in this isolate. */
const cache = new Map();

/** Mirrors one mailbox, and sends its changes to the queue. */
export class Mailbox extends MailboxObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    const { query, notificationResource, sharesLimit, isTenant } = resourceOf(env.RESOURCE);
    const { CLIENT: clientId, CLIENT_SECRET: secret, AUTHORITY: authority } = env;
    const root = env.PUBLIC_URL?.replace(/\/$/, "");
    super(ctx, env, {
      ...settingsOf(env),
      query,
      sharesLimit,
      endpoint: env.GRAPH_ENDPOINT,
      secret: env.NOTIFICATION_SECRET,
      token(mailbox) {
        const tenant = isTenant ? mailbox : env.TENANT;
        return clientCredentials({ tenant, clientId, secret, cache, ...(authority && { authority }) });
      },
      subscription(mailbox) {
        const notificationUrl = `${root}/notifications/${encodeURIComponent(mailbox)}`;
        return root ? { resource: notificationResource(mailbox), notificationUrl } : undefined;
      },
      deliver: (mailbox, changes) => sendChanges(env.CHANGES, changes, { properties: { mailbox } }),
      // Failed requests are in the report of their round.
      log: (entry) => entry.event !== "request" && console.log(entry),
    });
  }
}

/** Lists a part of the mailboxes, and wakes each after a run of the cron trigger. */
export class Registry extends RegistryObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, settingsOf(env));
  }
}

/** Gives out the permits for rounds: one object for the whole app. */
export class AppBudget extends BudgetObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, settingsOf(env));
  }
}
