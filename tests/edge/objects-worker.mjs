// A Worker with small subclasses of deltalink/durable-objects: mailboxes without a registry, whose
// changes go to the test. The name of a mailbox chooses its options.
import { DurableObject } from "cloudflare:workers";
import { DeltaError } from "deltalink";
import { BudgetObject, MailboxObject, RegistryObject } from "deltalink/durable-objects";
import { MAX_ROUND } from "deltalink/workers";
import { shortenTimers } from "../wait.mjs";

/** What the test has set by the route `set`. */
const settings = {};

const subscription = (mailbox) => ({
  resource: "users",
  notificationUrl: `https://worker.example/${encodeURIComponent(mailbox)}`,
});
const secret = "a secret of the tests, long enough";

/** By mailbox: the ends of the throttles that it has reported to the budget. */
const released = {};

const throttled = async () => Response.json({}, { status: 429, headers: { "retry-after": "30" } });

/** Sends a request. Graph deletes no subscription while `graph` is `down`. */
const fetchFromGraph = (input, init) =>
  settings.graph === "down" && init?.method === "DELETE"
    ? Promise.resolve(Response.json({ error: { code: "Busy", message: "not now" } }, { status: 503 }))
    : fetch(input, init);
const subscribed = { subscription, secret, fetch: fetchFromGraph };

/** Rejects when its signal is aborted, and stores the reason. */
async function abortedDeliver(mailbox, changes, { signal }) {
  settings[mailbox] ??= "delivers";
  await new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", resolve);
  });
  settings[mailbox] = signal.reason.message;
  throw signal.reason;
}

globalThis.reportError = (error) => (settings.reported = error.message);

/** Throws an error like those of another library, with a link and a token. */
function leak() {
  throw new Error(
    "PUT https://user:PASSWORD@b.example/c?sv=1&sig=SECRETSIG failed (Authorization: Bearer eyJhb.eyJzd.c2ln), token=eyJhb.x",
  );
}

/** Options of mailboxes with these names. */
const optionsOf = (env) => ({
  "budget down": { budget: env.BUDGET },
  "budget wrong": { budget: env.PROBE },
  "query of nothing": { query: () => undefined },
  "query later": { query: async (client) => client.track("/users/delta") },
  "no resource": { secret, subscription: () => ({ notificationUrl: "https://x.example" }) },
  "no address": {
    secret,
    subscription() {
      throw new Error("there is no address");
    },
  },
  subscribed: subscribed,
  "subscribed again": subscribed,
  "subscribed to restart": subscribed,
  "subscribed briefly": {
    ...subscribed,
    subscription: (mailbox) => ({ ...subscription(mailbox), lifetime: 1500 }),
  },
  "now polled": {
    ...subscribed,
    subscription: (mailbox) => (settings.polled === "yes" ? undefined : subscription(mailbox)),
  },
  "secret in deliver": { deliver: leak },
  "secret in token": { token: leak },
  "secret in subscription": { subscription: leak, secret },
  throttled: { budget: env.BUDGET, fetch: throttled },
  "throttled consumer": {
    budget: env.BUDGET,
    sharesLimit: true,
    async deliver() {
      const retryAt = new Date(Date.now() + 30_000);
      throw new DeltaError("the queue is busy", { code: "throttled", retryable: true, retryAt });
    },
  },
  "throttled for all": { budget: env.BUDGET, sharesLimit: true, fetch: throttled },
  slow: { deliver: abortedDeliver },
  late: { deliver: abortedDeliver },
  "alarm fails": {},
  "log rejects": {
    subscription: leak,
    secret,
    async log({ event }) {
      if (event === "subscription") throw new Error("a rejected log()");
    },
  },
  "new client": {
    token: () =>
      Object.assign(() => env.TOKEN, {
        account: `client ${(settings.clients = (settings.clients ?? 0) + 1)}`,
      }),
  },
});

export class Mailbox extends MailboxObject {
  constructor(ctx, env) {
    super(ctx, env, {
      token: () => () => env.TOKEN,
      query(client, mailbox) {
        if (mailbox === "throws") throw new Error("a mistake of the app");
        if (mailbox === "feed") return client.track("/users/delta", { mirror: false });
        return client.track("/users/delta", mailbox === "wrong" ? { top: 2 } : {});
      },
      async deliver(mailbox, changes) {
        const body = JSON.stringify({ mailbox, names: changes.map(({ item }) => item.displayName) });
        const response = await env.END.fetch("http://end", { method: "POST", body });
        if (!response.ok) throw new Error(`the consumer responded with ${response.status}`);
      },
      endpoint: env.ENDPOINT,
      pause: 10,
      backOff: 20,
      log({ mailbox, event, code, message, retryAt }) {
        if (event === "round") return;
        console.log("failure", JSON.stringify({ mailbox, event, code, message, retryAt }));
        throw new Error("a mistake in log()");
      },
      ...optionsOf(env)[ctx.id.name],
    });
    const { name } = ctx.id;
    if (name === "late") shortenTimers(MAX_ROUND, 50);
    if (name !== "alarm fails") return;
    const { storage } = ctx;
    const setAlarm = storage.setAlarm.bind(storage);
    let calls = 0;
    // The second call is that of the round.
    storage.setAlarm = async (at) => {
      if (++calls === 2) throw new Error("the storage is overloaded");
      return setAlarm(at);
    };
  }

  async alarm() {
    try {
      await super.alarm();
    } catch (error) {
      console.log("failure", JSON.stringify({ event: "alarm", message: error.message }));
    }
  }

  /** What is stored: the keys, the tables and the time of the alarm. */
  async stored() {
    const { kv, sql } = this.ctx.storage;
    const tables = sql
      .exec("select name from sqlite_master where name not like '\\_cf%' escape '\\'")
      .toArray();
    const keys = [...kv.list()].map(([key]) => key);
    return { keys, tables: tables.map(({ name }) => name), alarm: await this.ctx.storage.getAlarm() };
  }

  /** A method of the subclass, which uses those of its class. */
  async nameOf(id) {
    return (await this.item(id))?.displayName;
  }
}

export class Budget extends BudgetObject {
  constructor(ctx, env) {
    super(ctx, env, { mailboxes: env.MAILBOXES });
  }

  async acquire(mailbox) {
    if (settings.budget === "down") throw new Error("the budget is overloaded");
    return super.acquire(mailbox);
  }

  async release(mailbox, retryAt) {
    (released[mailbox] ??= []).push(retryAt ?? null);
    return super.release(mailbox, retryAt);
  }
}

const [token, query, deliver] = [() => () => "", () => {}, async () => {}];
const good = { token, query, deliver };
const namespace = { getByName() {} };
const both = { mailboxes: namespace, registries: namespace };
/** Wrong options: the class, and what it gets. The names of bindings in an array become stubs. */
const WRONG = {
  "no options": [MailboxObject, undefined],
  "no token": [MailboxObject, { query, deliver }],
  "a query that is not a function": [MailboxObject, { ...good, query: "events" }],
  "no deliver": [MailboxObject, { token, query }],
  "a subscription that is not a function": [MailboxObject, { ...good, subscription: { resource: "users" } }],
  "a log that is not a function": [MailboxObject, { ...good, log: true }],
  "a budget that is a stub": [MailboxObject, { ...good, budget: ["BUDGET"] }],
  "a budget that is a service": [MailboxObject, { ...good, budget: "END" }],
  "mailboxes that are a stub": [BudgetObject, { mailboxes: ["MAILBOXES"] }],
  "no secret": [MailboxObject, { ...good, subscription }],
  "a short secret": [MailboxObject, { ...good, subscription, secret: "short" }],
  "a typo": [MailboxObject, { ...good, backoff: 1 }],
  "a typo of a budget": [BudgetObject, { mailboxes: namespace, rounds: 1 }],
  "a shared limit alone": [MailboxObject, { ...good, sharesLimit: true }],
  "a pause in words": [MailboxObject, { ...good, pause: "2 s" }],
  "no back-off": [MailboxObject, { ...good, backOff: 0 }],
  "no mailboxes": [RegistryObject, { registries: namespace }],
  "no registries": [RegistryObject, { mailboxes: namespace }],
  "a negative spread": [RegistryObject, { ...both, spread: -1 }],
  "no mailboxes of a budget": [BudgetObject, {}],
  "no rounds at once": [BudgetObject, { mailboxes: namespace, roundsAtOnce: 0 }],
  "a pause that is not a number": [BudgetObject, { mailboxes: namespace, pause: NaN }],
  nothing: [MailboxObject, good],
};

export class Probe extends DurableObject {
  async errorOf(name) {
    const [Class, options] = WRONG[name];
    const real = Object.entries(options ?? {}).map(([key, value]) => {
      if (Array.isArray(value)) return [key, this.env[value[0]].getByName("one")];
      return [key, this.env[value] ?? value];
    });
    try {
      new Class(this.ctx, this.env, options && Object.fromEntries(real));
      return null;
    } catch ({ name, code, message }) {
      return { name, code, message };
    }
  }
}

export default {
  async fetch(request, { MAILBOXES, PROBE }) {
    const { pathname, searchParams } = new URL(request.url);
    const [, method, name] = decodeURIComponent(pathname).split("/");
    if (method === "set") {
      settings[name] = searchParams.get("value");
      return Response.json(null);
    }
    if (method === "get") return Response.json(settings[name] ?? null);
    if (method === "released") return Response.json(released[name] ?? []);
    if (method === "errors") {
      const probe = PROBE.getByName("probe");
      const names = Object.keys(WRONG);
      const errors = await Promise.all(names.map(async (one) => [one, await probe.errorOf(one)]));
      return Response.json(Object.fromEntries(errors));
    }
    try {
      const values = searchParams.has("value") ? [searchParams.get("value")] : [];
      const result = await MAILBOXES.getByName(name)[method](...values);
      return Response.json(result ?? null);
    } catch (error) {
      return Response.json({ error: error.message });
    }
  },
};
