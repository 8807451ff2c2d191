// The edge example with extra routes, by which tests abort its objects and read items.
import example, {
  AppBudget as RealBudget,
  Mailbox as Real,
  Registry as RealRegistry,
} from "../../www/edge/src/index";
import { clientCredentials } from "deltalink/auth";
import { homeOf, registryOf, shardsOf, type ChangeMessage, type Env } from "../../www/edge/src/env";

/** Counts by name how often this process called wake() of a mailbox. */
const wakeCalls = new Map<string, number>();
/** The tokens of the route `token`. */
const cache = new Map();

export class Mailbox extends Real {
  /** Fails the first two calls for a name that begins with `flaky`. */
  override async wake(mailbox: string): Promise<void> {
    const times = (wakeCalls.get(mailbox) ?? 0) + 1;
    wakeCalls.set(mailbox, times);
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
  throttle: (env, _, query) => aborted(budgetOf(env).storeThrottle(Number(query.get("until")))),
  state: (env, name, query) => mailboxOf(env, name).patchState(JSON.parse(query.get("changes") ?? "{}")),
  alarm: (env) => budgetOf(env).alarmAt(),
  home: async (env, name) => {
    const all = Array.from({ length: shardsOf(env) }, (_, shard) => registryOf(env, shard).has(name));
    return {
      home: await homeOf(env, name).has(name),
      count: (await Promise.all(all)).filter(Boolean).length,
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
    if (name === "budget") void aborted(budgetOf(env).abort());
    else if (name) void aborted(mailboxOf(env, name).abort());
    else {
      const { REGISTRY } = env as unknown as TestBindings;
      for (let shard = 0; shard < shardsOf(env); shard++)
        void aborted(REGISTRY.getByName(`registry-${shard}`).abort());
    }
  },
};

const mailboxOf = (env: Env, name: string) => (env as unknown as TestBindings).MAILBOXES.getByName(name);
const budgetOf = (env: Env) => (env as unknown as TestBindings).BUDGET.getByName("budget");
const aborted = (call: unknown) => Promise.resolve(call).catch(() => {});

export default {
  ...example,
  async fetch(request, env, ctx): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (!pathname.startsWith("/test/")) return example.fetch(request, env);
    const [, , what = "", name = ""] = decodeURIComponent(pathname).split("/");
    const result = routes[what]?.(env, name, searchParams);
    ctx.waitUntil(aborted(result));
    return Response.json((await result) ?? null);
  },
} satisfies ExportedHandler<Env, ChangeMessage>;
