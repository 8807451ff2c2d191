// @ts-check
// The list of mailboxes, as a Worker uses it: calls the registries and the objects of the
// mailboxes. See mailbox-list.d.ts.
import { clientStateOf } from "./client-state.js";
import { report } from "./error.js";
import { handleNotification } from "./notifications.js";
import { checkNames, checkSettings, readCount, readName, readNamespace } from "./option-checks.js";
import { redact } from "./refusal.js";
import { registryOf, SHARDS } from "./registries.js";
import { shardOf } from "./shards.js";

/** @type {typeof import("./mailbox-list.js").mailboxList} */
export function mailboxList(options) {
  const owner = "mailboxList()";
  checkSettings(options, ["mailboxes", "registries", "shards"], owner);
  const mailboxes = readNamespace(options, "mailboxes", owner);
  const registries = readNamespace(options, "registries", owner);
  const count = readCount(options, "shards", owner, SHARDS);
  const homeOf = (mailbox) => registryOf(registries, shardOf(readName(mailbox, owner), count));
  /** Calls every registry. */
  const eachRegistry = (call) =>
    Promise.all(Array.from({ length: count }, (_, shard) => call(registryOf(registries, shard), shard)));

  return {
    async add(mailbox) {
      await homeOf(mailbox).add([mailbox]);
    },
    async remove(mailbox) {
      const home = homeOf(mailbox);
      // Another registry may still list it after `shards` has grown, and may be moving it to its
      // home.
      const others = await eachRegistry((registry) => registry.remove(mailbox));
      const isRemoved = await home.remove(mailbox);
      // Also called if it was not on the list: an earlier removal may have been interrupted.
      await mailboxes.getByName(mailbox).remove();
      return isRemoved || others.includes(true);
    },
    async tick() {
      await eachRegistry((registry, shard) => registry.tick(shard, count));
    },
    async statuses(range) {
      checkNames(range ?? undefined, ["after", "limit"], "statuses()");
      const { after = "" } = range ?? {};
      const limit = readCount(range, "limit", "statuses()", 100);
      const lists = await eachRegistry((registry) => registry.list(after, limit));
      const names = [...new Set(lists.flatMap((list) => list.mailboxes))].sort().slice(0, limit);
      const statusOf = (mailbox) =>
        mailboxes
          .getByName(mailbox)
          .status()
          .catch((error) => ({
            phase: "failed",
            lastError: { code: "object", message: redact(String(error?.message ?? error)), at: Date.now() },
          }));
      return {
        count: lists.reduce((sum, list) => sum + list.count, 0),
        mailboxes: await Promise.all(
          names.map(async (mailbox) => ({ ...(await statusOf(mailbox)), mailbox })),
        ),
      };
    },
  };
}

/** @type {typeof import("./mailbox-list.js").receiveNotifications} */
export async function receiveNotifications(request, options) {
  const owner = "receiveNotifications()";
  checkNames(options, ["mailbox", "mailboxes", "secret"], owner);
  const mailbox = readName(options?.mailbox, owner);
  const mailboxes = readNamespace(options, "mailboxes", owner);
  const clientState = await clientStateOf(options.secret, mailbox, owner);
  const { response, wake, renew } = await handleNotification(request, { clientState });
  try {
    if (wake.length) await mailboxes.getByName(mailbox).notify(renew);
    return response;
  } catch (error) {
    report(error);
    // Graph repeats the notification for up to four hours.
    return new Response(null, { status: 503 });
  }
}
