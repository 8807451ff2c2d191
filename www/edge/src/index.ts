// Mirrors a resource of many mailboxes by delta queries and sends each change to a queue. README.md
// says how to set it up.
import { clientStateFor, handleNotification } from "deltalink/notifications";
import { consume } from "./consumer";
import { type ChangeMessage, type Env, homeOf, type MailboxStatus, registryOf, shardsOf } from "./env";
import { resourceOf } from "./env";
import { PER_PAGE, type Row, statusPage } from "./status";

export { AppBudget } from "./budget";
export { Mailbox } from "./mailbox";
export { Registry } from "./registry";

const empty = (status: number, headers = {}) => new Response(null, { status, headers });

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, route = "", name, ...more] = pathname.split("/");
    const mailbox = more.length ? undefined : mailboxName(name);
    if (route === "notifications" && mailbox) return receiveNotifications(request, env, mailbox);
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
    if (route === "mailboxes" && mailbox) {
      // Forms of other pages cannot send these methods.
      if (request.method === "PUT") await homeOf(env, mailbox).add([mailbox]);
      else if (request.method !== "DELETE") return empty(405, { allow: "PUT, DELETE" });
      else if (!(await remove(env, mailbox)))
        return new Response("this mailbox is not on the list\n", { status: 404 });
      return empty(204);
    }
    if (request.method !== "GET" || !["", "status.json"].includes(route) || name !== undefined)
      return new Response("there is no such page\n", { status: 404 });
    const after = searchParams.get("after") ?? "";
    const { count, mailboxes } = await statuses(env, after);
    return route === "status.json"
      ? Response.json({ count, mailboxes }, { headers: { "cache-control": "no-store" } })
      : statusPage(count, mailboxes, after);
  },

  async scheduled(_controller, env): Promise<void> {
    const problem = configurationProblem(env);
    if (problem) console.error(problem);
    await Promise.all(shards(env).map((shard) => registryOf(env, shard).tick(shard)));
  },

  async queue(batch, env): Promise<void> {
    await consume(batch, env);
  },
} satisfies ExportedHandler<Env, ChangeMessage>;

const shards = (env: Env) => Array.from({ length: shardsOf(env) }, (_, shard) => shard);

/** Passes genuine notifications to the object of the mailbox, which only sets an alarm. */
async function receiveNotifications(request: Request, env: Env, mailbox: string): Promise<Response> {
  const clientState = await clientStateFor(env.NOTIFICATION_SECRET, mailbox);
  const { response, wake, renew } = await handleNotification(request, { clientState });
  try {
    if (wake.length) await env.MAILBOXES.getByName(mailbox).notify(renew);
    return response;
  } catch {
    // Graph repeats the notification for up to four hours.
    return empty(503);
  }
}

/** Removes a mailbox. Resolves to whether it was on the list. */
async function remove(env: Env, mailbox: string): Promise<boolean> {
  const home = homeOf(env, mailbox);
  // Another registry may still list it after `SHARDS` has grown, and may be moving it to its home.
  const others = await Promise.all(shards(env).map((shard) => registryOf(env, shard).remove(mailbox)));
  const isRemoved = await home.remove(mailbox);
  // Also called if it was not on the list: an earlier removal may have been interrupted.
  await env.MAILBOXES.getByName(mailbox).remove();
  return isRemoved || others.includes(true);
}

/** The statuses of the mailboxes after the name `after`: one page, sorted by name. */
async function statuses(env: Env, after: string): Promise<{ count: number; mailboxes: Row[] }> {
  const lists = await Promise.all(shards(env).map((shard) => registryOf(env, shard).list(after, PER_PAGE)));
  const names = [...new Set(lists.flatMap(({ mailboxes }) => mailboxes))].sort().slice(0, PER_PAGE);
  const status = (mailbox: string): Promise<Partial<MailboxStatus>> =>
    env.MAILBOXES.getByName(mailbox)
      .status()
      .catch((error: Error) => ({
        phase: "failed",
        lastError: { code: "object", message: error.message, at: Date.now() },
      }));
  const mailboxes = await Promise.all(
    names.map(async (mailbox) => ({ ...(await status(mailbox)), mailbox })),
  );
  return { count: lists.reduce((sum, { count }) => sum + count, 0), mailboxes };
}

/** Returns what is wrong with the settings, if anything. The Worker then serves no page. */
function configurationProblem(env: Env): string | undefined {
  try {
    resourceOf(env);
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
