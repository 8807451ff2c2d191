// @ts-check
// Describes the status of a query for a user. Of an error it uses only `code` and `retryAt`.
/** @import { Sentences, SentenceValues } from "./describe.js" */
import { badRequest, report, typeOf } from "./error.js";

/** @type {Sentences} */
export const english = {
  new: "Not loaded yet.",
  idle: "Updated {since}.",
  syncing: "Updating.[ Items received: {items}.]",
  resyncing: "Loading everything again; the list stays usable.[ Items received: {items}.]",
  following: "Another tab is updating this list.",
  "needs-auth": "Please sign in.",
  closed: "No longer updated. Reload the page.",
  waiting: "Waiting.[ Continues {until}.]",
  "waiting-throttled": "Waiting, because the server limits requests.[ Continues {until}.]",
  "waiting-server": "The server has a problem.[ Trying again {until}.]",
  "waiting-network": "The server cannot be reached.[ Trying again {until}.]",
  "waiting-timeout": "The server takes too long to respond.[ Trying again {until}.]",
  "waiting-offline": "This device is offline. The update continues when it is online again.",
  "waiting-malformed": "The response of the server cannot be read.[ Trying again {until}.]",
  "waiting-resync": "Everything is about to be loaded again.[ Begins {until}.]",
  "waiting-caller": "The next attempt is about to start.[ Begins {until}.]",
  failed: "The update failed.",
  "failed-aborted": "The update was stopped.",
  "failed-network": "The server cannot be reached. Check the connection.",
  "failed-offline": "This device is offline.",
  "failed-throttled": "The server is busy and asked for a pause.[ Try again {until}.]",
  "failed-unauthorized": "The sign-in failed.",
  "failed-claims": "Please sign in: the server asks for another check.",
  "failed-interaction": "Please sign in.",
  "failed-forbidden": "This account has no permission to read this list.",
  "failed-not-found": "This list was not found. It may have been deleted.",
  "failed-bad-request": "This list does not work because of a mistake in the app.",
  "failed-not-supported": "This list cannot be kept up to date for this account.",
  "failed-resync-loop": "The server keeps asking to start over. Try again later.",
  "failed-livelock": "The server sends nothing new and does not finish. Try again later.",
  "failed-protocol": "The response of the server cannot be read.",
  "failed-foreign-link": "The server pointed to an address that is not its own. The update was stopped.",
  "failed-store": "The data cannot be stored or read on this device.",
  "failed-quota": "This device has no space left for the data.",
  "failed-conflict": "Another tab has changed the same data. Try again.",
  "failed-account": "No account is selected.",
  "failed-closed": "No longer updated. Reload the page.",
  "failed-wasm": "A part of the app could not be loaded. Check the connection, then reload the page.",
  "failed-internal": "Something unexpected went wrong. Try again.",
  last: "Last successful update: {since}.",
  next: "Next attempt {next}.",
};

/** In milliseconds. While it is subscribed, a description is made again each second. */
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** @type {typeof import("./describe.js").describe} */
export function describe(status, { now = Date.now(), sentences, locale = "en" } = {}) {
  if (typeof status?.phase !== "string")
    throw badRequest(
      `describe() needs the value of a status, such as query.status.get(), got ${typeOf(status)}`,
    );
  const { phase, progress, lastSyncedAt, waitReason, waitUntil, nextRoundAt, error } = status;
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const future = (date) => date && span(relative, Math.max(0, date - Number(now)));
  const isWaiting = isWaitingStatus(status);
  const isOffline = isWaiting && waitReason === "offline";
  const isFailure = phase === "failed" || phase === "needs-auth" || isOffline;
  const age = lastSyncedAt && floored(Math.max(0, Number(now) - Number(lastSyncedAt)), isFailure);
  const retryAt = nextRoundAt ? undefined : error?.retryAt;
  /** @type {SentenceValues} */
  const values = {
    since: age === undefined ? undefined : span(relative, -age),
    until: future(isWaiting ? waitUntil : retryAt),
    next: future(nextRoundAt),
    items: progress?.items ? new Intl.NumberFormat(locale).format(progress.items) : undefined,
  };
  const templateOf = (name) => sentences?.[name] ?? english[name];
  const sentenceFor = (name) => {
    const template = templateOf(name);
    return typeof template === "function" ? template(values) : fill(template, values);
  };
  // Later versions of the package may add phases, reasons and codes.
  const parts = [sentenceFor(namesOf(status).find((name) => templateOf(name) !== undefined))];
  if (isFailure) {
    // "Last successful update: now." would be read as if the update had succeeded.
    if (age) parts.push(sentenceFor("last"));
    if (values.next) parts.push(sentenceFor("next"));
  }
  return parts.filter(Boolean).join(" ");
}

/** @type {typeof import("./describe.js").description} */
export function description(status, options) {
  if (typeof status?.get !== "function" || typeof status.subscribe !== "function")
    throw badRequest(`description() needs query.status, got ${typeOf(status)}`);
  const get = () => describe(status.get(), options);
  return {
    get,
    subscribe(run) {
      let shown;
      const update = () => {
        try {
          const text = get();
          if (text !== shown) run((shown = text));
        } catch (error) {
          report(error);
        }
      };
      const stop = status.subscribe(update);
      /** @type {any} */
      const timer = setInterval(update, SECOND);
      timer.unref?.();
      return () => {
        clearInterval(timer);
        stop();
      };
    },
  };
}

/**
 * Whether a round waits, in this tab or in the one that leads.
 *
 * @param {import("./query-status.js").QueryStatus} status
 */
const isWaitingStatus = ({ phase, waitReason }) =>
  phase === "waiting" || (phase === "following" && waitReason !== undefined);

/**
 * Returns the names of the sentences for a status, the most specific first.
 *
 * @param {import("./query-status.js").QueryStatus} status
 */
function namesOf(status) {
  const { phase, waitReason, error, lastSyncedAt } = status;
  const idle = lastSyncedAt ? "idle" : "new";
  if (isWaitingStatus(status)) return [`waiting-${waitReason}`, "waiting"];
  if (phase === "failed") return [`failed-${error?.code}`, "failed"];
  if (phase === "needs-auth") return [error?.code === "claims" ? "failed-claims" : phase];
  return phase === "idle" ? [idle] : [phase, idle];
}

/**
 * Replaces each `{name}` by its value. Omits a part in brackets if one of its values is missing.
 */
function fill(sentence, values) {
  const replaced = (text) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  const isComplete = (text) => [...text.matchAll(/\{(\w+)\}/g)].every(([, name]) => values[name]);
  return replaced(sentence.replace(/\[([^\]]*)\]/g, (_, part) => (isComplete(part) ? part : "")));
}

/**
 * Rounds an age down: to minutes, or beside a failure to 10 seconds if it is below a minute. In
 * milliseconds.
 */
function floored(age, isFailure) {
  const step = isFailure && age < MINUTE ? 10 * SECOND : MINUTE;
  return Math.floor(age / step) * step;
}

/** Returns a span from now in words, such as "in 5 seconds". It begins with whole seconds. */
function span(relative, ms) {
  const seconds = Math.ceil(ms / SECOND);
  const size = Math.abs(seconds);
  if (size < 60) return relative.format(seconds, "second");
  if (size < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (size < 86_400) return relative.format(Math.round(seconds / 3600), "hour");
  return relative.format(Math.round(seconds / 86_400), "day");
}
