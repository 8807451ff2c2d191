// @ts-check
// Computes when to try again after a failure.
import { checkNames } from "./option-checks.js";
import { DAY } from "./refusal.js";

const MINUTE = 60_000;
/** The codes of errors that only a user or an administrator can resolve. */
const NEEDS_USER = ["interaction", "claims", "unauthorized", "forbidden", "account"];

/** The first wait after an error that will not pass soon, in multiples of the first back-off. */
const LONG_WAIT_FACTOR = 64;

/** @type {typeof import("./notifications.js").nextAlarm} */
export function nextAlarm(error, attempts, options) {
  checkNames(options ?? undefined, ["now", "random", "base", "cap"], "nextAlarm()");
  const { now = Date.now(), random = Math.random(), base = 5000, cap = 30 * MINUTE } = options ?? {};
  // Reads properties instead of checking the class: the error may come from another realm, or
  // through a call of another Durable Object.
  const { code, retryable, retryAt } = /** @type {any} */ (error ?? {});
  /** The end of a wait that doubles with each attempt. Jitter shortens it by at most half. */
  const endOfWait = (first, longest) => {
    const wait = Math.min(first * 2 ** Math.max((attempts || 1) - 1, 0), longest);
    return Math.ceil(now + wait / 2 + (random * wait) / 2);
  };
  if (code === "not-found") return { at: endOfWait(LONG_WAIT_FACTOR * base, DAY), reason: "gone" };
  if (retryable === false)
    return {
      at: endOfWait(LONG_WAIT_FACTOR * base, cap),
      reason: NEEDS_USER.includes(code) ? "needs-user" : "failed",
    };
  const backOff = endOfWait(base, cap);
  const retryAfter = new Date(retryAt ?? NaN).getTime();
  if (retryAfter > backOff && retryAfter - now <= DAY)
    return { at: Math.ceil(retryAfter), reason: "retry-after" };
  return { at: backOff, reason: "back-off" };
}
