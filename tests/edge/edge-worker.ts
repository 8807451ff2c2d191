// The edge example with extra routes, by which tests abort its objects and read items.
import example, {
  AppBudget as RealBudget,
  Mailbox as RealMailbox,
  Registry as RealRegistry,
} from "../../www/edge/src/index";
import { clientCredentials } from "deltalink/auth";
import { shardOf } from "deltalink/workers";
import { settingsOf, type Env, type Message } from "../../www/edge/src/env";

/** Counts the calls of the objects, and what they store, by class and method. */
let counts: Record<string, number> = {};
const count = (what: string, n = 1) => void (counts[what] = (counts[what] ?? 0) + n);

/** Counts the rows that an object writes to its key-value storage and for its alarm. */
function countWrites(kind: string, { storage }: DurableObjectState) {
  const { kv } = storage;
  const [put, setAlarm, deleteAlarm] = [kv.put.bind(kv), storage.setAlarm.bind(storage), storage.deleteAlarm];
  kv.put = (key, value) => (count(`${kind} rows`), put(key, value));
  storage.setAlarm = (...values) => (count(`${kind} rows`), setAlarm(...values));
  storage.deleteAlarm = (...values) => (count(`${kind} rows`), deleteAlarm.apply(storage, values));
}

/** Counts by name how often this process called wake() of a mailbox. */
const wakeCalls = new Map<string, number>();
/** The tokens of the route `token`. */
const cache = new Map();

export class Mailbox extends RealMailbox {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    countWrites("mailboxes", ctx);
    const { sql } = ctx.storage;
    const exec = sql.exec.bind(sql);
    // The store uses only `toArray()` of a cursor.
    sql.exec = (text, ...values) => {
      const cursor = exec(text, ...values);
      const rows = cursor.toArray();
      count("store rows", cursor.rowsWritten);
      return { toArray: () => rows } as never;
    };
  }

  override async alarm(): Promise<void> {
    count("alarm");
    return super.alarm();
  }

  override async notify(renew: string[]): Promise<void> {
    count("notify");
    return super.notify(renew);
  }

  override async usePermit(): Promise<boolean> {
    count("usePermit");
    return super.usePermit();
  }

  /** Fails the first two calls for a name that begins with `flaky`. */
  override async wake(mailbox: string): Promise<void> {
    const times = (wakeCalls.get(mailbox) ?? 0) + 1;
    wakeCalls.set(mailbox, times);
    count("wake");
    if (mailbox.startsWith("flaky") && times < 3) throw new Error("this object is overloaded");
    return super.wake(mailbox);
  }

  /** Changes what is stored, as another version may have done. */
  async patchState(changes: object): Promise<void> {
    const { kv } = this.ctx.storage;
    kv.put("state", { ...kv.get<object>("state"), ...changes });
  }

  abort() {
    this.ctx.abort("by a test");
  }
}

export class Registry extends RealRegistry {
  abort() {
    this.ctx.abort("by a test");
  }
}

export class AppBudget extends RealBudget {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    countWrites("budget", ctx);
  }

  #answer = () => {};
  #answered = new Promise<void>((resolve) => (this.#answer = resolve));

  /** Answers a name that begins with `late` only after a call of `answer()`. */
  override async acquire(mailbox: string): Promise<boolean> {
    count("acquire");
    if (mailbox.startsWith("late")) await this.#answered;
    return super.acquire(mailbox);
  }

  async answer(): Promise<void> {
    this.#answer();
  }

  override async release(mailbox: string, retryAt?: number): Promise<void> {
    count("release");
    return super.release(mailbox, retryAt);
  }

  /** How many mailboxes have a permit or wait for one. */
  async queued(): Promise<number> {
    return Number(this.ctx.storage.sql.exec("select count(*) as n from permits").one()["n"]);
  }

  /** Changes what is stored, as another version may have done. */
  async storeThrottle(throttledUntil: number): Promise<void> {
    this.ctx.storage.kv.put("throttledUntil", throttledUntil);
    this.ctx.abort("by a test");
  }

  /** The time of its alarm. */
  async alarmAt(): Promise<number | null> {
    return this.ctx.storage.getAlarm();
  }

  abort() {
    this.ctx.abort("by a test");
  }
}

interface TestBindings {
  MAILBOXES: DurableObjectNamespace<Mailbox>;
  REGISTRY: DurableObjectNamespace<Registry>;
  BUDGET: DurableObjectNamespace<AppBudget>;
}

/** The answers to the routes `/test/WHAT/NAME`. */
const routes: Record<string, (env: Env, name: string, query: URLSearchParams) => Promise<unknown>> = {
  item: (env, name, query) => mailboxOf(env, name).item(query.get("id") ?? ""),
  done: (env, name, query) => budgetOf(env).release(name, Number(query.get("at"))),
  throttle: (env, _, query) => settled(budgetOf(env).storeThrottle(Number(query.get("until")))),
  state: (env, name, query) => mailboxOf(env, name).patchState(JSON.parse(query.get("changes") ?? "{}")),
  alarm: (env) => budgetOf(env).alarmAt(),
  queued: (env) => budgetOf(env).queued(),
  answer: (env) => budgetOf(env).answer(),
  counts: async () => {
    const counted = counts;
    counts = {};
    return counted;
  },
  home: async (env, name) => {
    const lists = await Promise.all(registriesOf(env).map((registry) => registry.has(name)));
    return {
      home: lists[shardOf(name, lists.length)],
      count: lists.filter(Boolean).length,
    };
  },
  token: async ({ TENANT, CLIENT, CLIENT_SECRET, AUTHORITY }, _, query) => {
    const claims = query.get("claims");
    const source = clientCredentials({
      tenant: TENANT,
      clientId: CLIENT,
      secret: CLIENT_SECRET,
      authority: AUTHORITY ?? "",
      cache,
    });
    const scopes = ["https://graph.microsoft.com/.default"];
    const { signal } = new AbortController();
    await source({ reason: claims ? "claims" : "start", ...(claims && { claims }), scopes, signal });
  },
  abort: async (env, name) => {
    // An aborted object never resolves the call, so nothing awaits it.
    if (name === "budget") void settled(budgetOf(env).abort());
    else if (name) void settled(mailboxOf(env, name).abort());
    else for (const registry of registriesOf(env)) void settled(registry.abort());
  },
};

const mailboxOf = (env: Env, name: string) => (env as unknown as TestBindings).MAILBOXES.getByName(name);
const budgetOf = (env: Env) => (env as unknown as TestBindings).BUDGET.getByName("budget");
/** The registries, in the order of their numbers. */
const registriesOf = (env: Env) =>
  Array.from({ length: settingsOf(env).shards }, (_, shard) =>
    (env as unknown as TestBindings).REGISTRY.getByName(`registry-${shard}`),
  );
/** Resolves when a call has ended, even with an error. */
const settled = (call: unknown) => Promise.resolve(call).catch(() => {});

export default {
  ...example,
  async fetch(request, env, ctx): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (!pathname.startsWith("/test/")) return example.fetch(request, env);
    const [, , what = "", name = ""] = decodeURIComponent(pathname).split("/");
    const result = routes[what]?.(env, name, searchParams);
    ctx.waitUntil(settled(result));
    return Response.json((await result) ?? null);
  },
} satisfies ExportedHandler<Env, Message>;
