// The edge example with extra routes, by which tests abort its objects and read items.
import example, { Mailbox as Real, Registry as RealRegistry } from "../../www/edge/src/index";
import { tokenSource } from "../../www/edge/src/token";
import type { ChangeMessage, Env } from "../../www/edge/src/env";

/** Counts by name how often this process called wake() of a mailbox. */
const wakeCalls = new Map<string, number>();

export class Mailbox extends Real {
  /** Fails the first two calls for a name that begins with `flaky`. */
  override async wake(mailbox: string): Promise<boolean> {
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
  /** Changes what is stored, as another version may have done. */
  async storeThrottle(until: number): Promise<void> {
    this.ctx.storage.kv.put("throttledUntil", until);
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
}

export default {
  ...example,
  async fetch(request, env, ctx): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (!pathname.startsWith("/test/")) return example.fetch(request, env);
    const [, , what, mailbox] = decodeURIComponent(pathname).split("/");
    const { MAILBOXES, REGISTRY } = env as unknown as TestBindings;
    if (what === "item")
      return Response.json(
        (await MAILBOXES.getByName(mailbox ?? "").item(new URL(request.url).searchParams.get("id") ?? "")) ??
          null,
      );
    const { searchParams } = new URL(request.url);
    if (what === "done") {
      await REGISTRY.getByName("registry").releasePermit(mailbox ?? "", Number(searchParams.get("at")));
      return new Response(null);
    }
    if (what === "throttle") {
      await REGISTRY.getByName("registry").storeThrottle(Number(searchParams.get("until")));
      return new Response(null);
    }
    if (what === "state") {
      await MAILBOXES.getByName(mailbox ?? "").patchState(JSON.parse(searchParams.get("changes") ?? "{}"));
      return new Response(null);
    }
    if (what === "alarm") return Response.json(await REGISTRY.getByName("registry").alarmAt());
    if (what === "token") {
      const claims = searchParams.get("claims");
      const scopes = ["https://graph.microsoft.com/.default"];
      const { signal } = new AbortController();
      await tokenSource(env)({
        reason: claims ? "claims" : "start",
        ...(claims && { claims }),
        scopes,
        signal,
      });
      return new Response(null);
    }
    // An aborted object never resolves the call, so nothing awaits it.
    const object = mailbox ? MAILBOXES.getByName(mailbox) : REGISTRY.getByName("registry");
    ctx.waitUntil(Promise.resolve(object.abort()).catch(() => {}));
    return new Response(null);
  },
} satisfies ExportedHandler<Env, ChangeMessage>;
