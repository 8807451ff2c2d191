// Mirrors the recordings of many organizers by delta queries and sends each change to a queue.
// README.md says how to set it up.
import { consume } from "./consumer";
import { type ChangeMessage, type Env, problem, registryOf } from "./env";
import { receive, same } from "./notifications";
import { page, PER_PAGE } from "./status";

export { Mailbox } from "./mailbox";
export { Registry } from "./registry";

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, place = "", name, ...more] = pathname.split("/");
    const mailbox = decoded(name);
    if (place === "notifications" && mailbox && !more.length) {
      return request.method === "POST"
        ? receive(request, env, mailbox)
        : new Response(null, { status: 405, headers: { allow: "POST" } });
    }
    const wrong = problem(env);
    if (wrong) {
      console.error(wrong);
      return new Response(`${wrong}\n`, { status: 500 });
    }
    if (!allowed(request, env))
      return new Response("the password is required\n", {
        status: 401,
        headers: { "www-authenticate": 'Basic realm="deltalink", charset="UTF-8"' },
      });
    const registry = registryOf(env);
    if (place === "mailboxes" && mailbox && !more.length) {
      // Forms of other pages cannot send these methods.
      if (request.method === "PUT") await registry.add(mailbox);
      else if (request.method === "DELETE") {
        if (!(await registry.remove(mailbox)))
          return new Response("this mailbox is not on the list\n", { status: 404 });
      } else return new Response(null, { status: 405, headers: { allow: "PUT, DELETE" } });
      return new Response(null, { status: 204 });
    }
    if (request.method !== "GET" || !["", "status.json"].includes(place) || name !== undefined)
      return new Response("there is no such page\n", { status: 404 });
    const after = searchParams.get("after") ?? "";
    const [count, mailboxes] = await Promise.all([registry.count(), registry.statuses(after, PER_PAGE)]);
    return place === "status.json"
      ? Response.json({ count, mailboxes }, { headers: { "cache-control": "no-store" } })
      : page(count, mailboxes, after);
  },

  async scheduled(_controller, env): Promise<void> {
    const wrong = problem(env);
    if (wrong) console.error(wrong);
    await registryOf(env).tick();
  },

  async queue(batch, env): Promise<void> {
    await consume(batch, env);
  },
} satisfies ExportedHandler<Env, ChangeMessage>;

/** Checks the password of HTTP Basic, for which browsers show a dialog. Accepts any user name. */
function allowed(request: Request, env: Env): boolean {
  const [scheme, value = ""] = (request.headers.get("authorization") ?? "").split(" ");
  if (scheme?.toLowerCase() !== "basic") return false;
  try {
    const given = new TextDecoder().decode(Uint8Array.from(atob(value), (letter) => letter.charCodeAt(0)));
    return same(given.slice(given.indexOf(":") + 1), env.ADMIN_PASSWORD);
  } catch {
    return false;
  }
}

/** The name of a mailbox, in lower case: principal names and object ids ignore case. */
function decoded(text: string | undefined): string | undefined {
  try {
    return text && decodeURIComponent(text).toLowerCase();
  } catch {
    return undefined;
  }
}
