// Mirrors a resource of many mailboxes by delta queries and sends each change to a queue. README.md
// says how to set it up.
import { mailboxList, receiveNotifications } from "deltalink/workers";
import { consume } from "./consumer";
import { type Env, type Message, settingsOf } from "./env";
import { resourceOf } from "./resource";
import { MAX_ROWS, statusPage } from "./status";

export { AppBudget, Mailbox, Registry } from "./objects";

const empty = (status: number, headers = {}) => new Response(null, { status, headers });

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, route = "", name, ...more] = pathname.split("/");
    const mailbox = more.length ? undefined : mailboxName(name);
    const { MAILBOXES: mailboxes, NOTIFICATION_SECRET: secret } = env;
    if (route === "notifications" && mailbox)
      return receiveNotifications(request, { mailbox, secret, mailboxes });
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
    const list = mailboxList(settingsOf(env));
    if (route === "mailboxes" && mailbox) {
      // Forms of other web pages cannot send these methods.
      if (request.method === "PUT") await list.add(mailbox);
      else if (request.method !== "DELETE") return empty(405, { allow: "PUT, DELETE" });
      else if (!(await list.remove(mailbox)))
        return new Response("this mailbox is not on the list\n", { status: 404 });
      return empty(204);
    }
    if (request.method !== "GET" || !["", "status.json"].includes(route) || name !== undefined)
      return new Response("there is nothing at this path\n", { status: 404 });
    const after = searchParams.get("after") ?? "";
    const statuses = await list.statuses({ after, limit: MAX_ROWS });
    return route === "status.json"
      ? Response.json(statuses, { headers: { "cache-control": "no-store" } })
      : statusPage(statuses.count, statuses.mailboxes, after);
  },

  async scheduled(_controller, env): Promise<void> {
    const problem = configurationProblem(env);
    if (problem) console.error(problem);
    await mailboxList(settingsOf(env)).tick();
  },

  async queue(batch, env): Promise<void> {
    await consume(batch, env);
  },
} satisfies ExportedHandler<Env, Message>;

/** Returns what is wrong with the settings. `fetch()` then accepts notifications only. */
function configurationProblem(env: Env): string | undefined {
  try {
    resourceOf(env.RESOURCE);
  } catch (error) {
    return String((error as Error).message);
  }
  for (const name of ["SHARDS", "ROUNDS_AT_ONCE"] as const)
    if (env[name] && !(Number(env[name]) >= 1)) return `${name} must be a number of at least 1`;
  if (!(env.NOTIFICATION_SECRET?.length >= 32))
    return "the secret NOTIFICATION_SECRET must have at least 32 characters; set it by `wrangler secret put NOTIFICATION_SECRET`";
  if (env.ADMIN_PASSWORD?.length >= 16) return undefined;
  return "the secret ADMIN_PASSWORD must have at least 16 characters; set it by `wrangler secret put ADMIN_PASSWORD`";
}

/** Checks the password of HTTP Basic, for which browsers show a dialog. Ignores the user name. */
function hasPassword(request: Request, env: Env): boolean {
  const [scheme, value = ""] = (request.headers.get("authorization") ?? "").split(" ");
  if (scheme?.toLowerCase() !== "basic") return false;
  try {
    const given = Uint8Array.from(atob(value), (letter) => letter.charCodeAt(0));
    const password = new TextEncoder().encode(env.ADMIN_PASSWORD);
    const sent = given.slice(given.indexOf(":".charCodeAt(0)) + 1);
    // timingSafeEqual requires equal numbers of bytes. The length is not secret.
    return sent.length === password.length && crypto.subtle.timingSafeEqual(sent, password);
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
