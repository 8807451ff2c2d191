// Mirrors the recordings of many organizers by delta queries and sends each change to a queue.
// README.md says how to set it up.
import { consume } from "./consumer";
import { type ChangeMessage, configurationProblem, type Env, registryOf } from "./env";
import { equalsSecret, receiveNotifications } from "./notifications";
import { PER_PAGE, statusPage } from "./status";

export { Mailbox } from "./mailbox";
export { Registry } from "./registry";

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, route = "", name, ...more] = pathname.split("/");
    const mailbox = mailboxName(name);
    if (route === "notifications" && mailbox && !more.length) {
      return request.method === "POST"
        ? receiveNotifications(request, env, mailbox)
        : new Response(null, { status: 405, headers: { allow: "POST" } });
    }
    const problem = configurationProblem(env);
    if (problem) {
      console.error(problem);
      return new Response(`${problem}\n`, { status: 500 });
    }
    if (!hasPassword(request, env))
      return new Response("the password is required\n", {
        status: 401,
        headers: { "www-authenticate": 'Basic realm="deltalink", charset="UTF-8"' },
      });
    const registry = registryOf(env);
    if (route === "mailboxes" && mailbox && !more.length) {
      // Forms of other pages cannot send these methods.
      if (request.method === "PUT") await registry.add(mailbox);
      else if (request.method === "DELETE") {
        if (!(await registry.remove(mailbox)))
          return new Response("this mailbox is not on the list\n", { status: 404 });
      } else return new Response(null, { status: 405, headers: { allow: "PUT, DELETE" } });
      return new Response(null, { status: 204 });
    }
    if (request.method !== "GET" || !["", "status.json"].includes(route) || name !== undefined)
      return new Response("there is no such page\n", { status: 404 });
    const after = searchParams.get("after") ?? "";
    const [count, mailboxes] = await Promise.all([registry.count(), registry.statuses(after, PER_PAGE)]);
    return route === "status.json"
      ? Response.json({ count, mailboxes }, { headers: { "cache-control": "no-store" } })
      : statusPage(count, mailboxes, after);
  },

  async scheduled(_controller, env): Promise<void> {
    const problem = configurationProblem(env);
    if (problem) console.error(problem);
    await registryOf(env).tick();
  },

  async queue(batch, env): Promise<void> {
    await consume(batch, env);
  },
} satisfies ExportedHandler<Env, ChangeMessage>;

/** Checks the password of HTTP Basic, for which browsers show a dialog. Ignores the user name. */
function hasPassword(request: Request, env: Env): boolean {
  const [scheme, value = ""] = (request.headers.get("authorization") ?? "").split(" ");
  if (scheme?.toLowerCase() !== "basic") return false;
  try {
    const given = new TextDecoder().decode(Uint8Array.from(atob(value), (letter) => letter.charCodeAt(0)));
    return equalsSecret(given.slice(given.indexOf(":") + 1), env.ADMIN_PASSWORD);
  } catch {
    return false;
  }
}

/** The name of a mailbox, in lower case: principal names and object ids ignore case. */
function mailboxName(text: string | undefined): string | undefined {
  try {
    return text && decodeURIComponent(text).toLowerCase();
  } catch {
    return undefined;
  }
}
