// @ts-check
// When to come back after a failure.
import { DAY } from "./refusal.js";

const MINUTE = 60_000;
/** The codes of errors that only a user or an administrator can resolve. */
const NEEDS_USER = ["interaction", "claims", "unauthorized", "forbidden", "account"];

/** The first wait before such an error is tried again, in multiples of the first back-off. */
const RARELY = 64;

/** @type {typeof import("./notifications.js").nextAlarm} */
export function nextAlarm(error, attempts, options) {
  const { now = Date.now(), random = Math.random(), base = 5000, cap = 30 * MINUTE } = options ?? {};
  // By its shape: an error may come from another realm, or from another object.
  const { code, retryable, retryAt } = /** @type {any} */ (error ?? {});
  /** A wait that doubles with each attempt. Jitter shortens it by at most half. */
  const after = (first, longest) => {
    const wait = Math.min(first * 2 ** Math.max((attempts || 1) - 1, 0), longest);
    return Math.ceil(now + wait / 2 + (random * wait) / 2);
  };
  if (code === "not-found") return { at: after(RARELY * base, DAY), reason: "gone" };
  if (retryable === false)
    return { at: after(RARELY * base, cap), reason: NEEDS_USER.includes(code) ? "needs-user" : "failed" };
  const backOff = after(base, cap);
  const allowed = new Date(retryAt ?? NaN).getTime();
  if (allowed > backOff && allowed - now <= DAY) return { at: Math.ceil(allowed), reason: "retry-after" };
  return { at: backOff, reason: "back-off" };
}
