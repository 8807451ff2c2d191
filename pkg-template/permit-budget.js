// @ts-check
// The permits for rounds, and the mailboxes that wait for one. Pure: the time is an argument. See
// permit-budget.d.ts.
import { checkNumber } from "./option-checks.js";
import { DAY } from "./refusal.js";
import { MAX_ROUND } from "./round-plan.js";

/** The time after which a permit expires that its mailbox has not released. */
const PERMIT_DURATION = MAX_ROUND + 2 * 60_000;

export class PermitBudget {
  /** @type {Map<string, number>} By mailbox: when its permit expires, in this order. */
  permits = new Map();
  /** @type {Set<string>} */
  waiting = new Set();
  #inOrder = this.waiting.values();

  /**
   * @param {number} limit
   * @param {{ stored?: Iterable<import("./permit-budget.js").Permit>, throttledUntil?: number }}
   * [options]
   */
  constructor(limit, { stored = [], throttledUntil = 0 } = {}) {
    this.limit = checkNumber(limit, "the limit of PermitBudget", 1);
    this.throttledUntil = throttledUntil;
    for (const { mailbox, until } of stored)
      if (until === null) this.waiting.add(mailbox);
      else this.permits.set(mailbox, until);
  }

  acquire(mailbox, now = Date.now()) {
    const isHeld = (this.permits.get(mailbox) ?? 0) > now;
    if (isHeld || (!this.waiting.size && this.#free(now) > 0)) return this.#give(mailbox, now);
    this.waiting.add(mailbox);
    return null;
  }

  release(mailbox, { now = Date.now(), retryAt = 0, jitter = 0 } = {}) {
    this.permits.delete(mailbox);
    // An implausible time would stop all mailboxes for ever.
    if (retryAt - now <= DAY && retryAt > this.#throttleEnd(now))
      this.throttledUntil = Math.ceil(retryAt + jitter);
  }

  grant(now = Date.now()) {
    const granted = [];
    for (let free = this.#free(now); free > 0 && this.waiting.size; free--) {
      const mailbox = this.#first();
      granted.push({ mailbox, until: this.#give(mailbox, now) });
    }
    return granted;
  }

  nextAt(now = Date.now()) {
    if (!this.waiting.size) return Infinity;
    if (this.#throttleEnd(now) > now) return this.#throttleEnd(now);
    const [first = now] = this.permits.values();
    return this.#free(now) > 0 ? now : first;
  }

  /**
   * The mailbox that waits longest. Continues one iterator, because a new one would step over all
   * removed entries again.
   */
  #first() {
    let next = this.#inOrder.next();
    if (next.done) next = (this.#inOrder = this.waiting.values()).next();
    return next.value ?? "";
  }

  #give(mailbox, now) {
    this.waiting.delete(mailbox);
    this.permits.delete(mailbox);
    this.permits.set(mailbox, now + PERMIT_DURATION);
    return now + PERMIT_DURATION;
  }

  #free(now) {
    if (this.#throttleEnd(now) > now) return 0;
    for (const [mailbox, until] of this.permits) {
      if (until > now) break;
      this.permits.delete(mailbox);
    }
    return this.limit - this.permits.size;
  }

  /** The end of the throttle. One that is more than a day ahead was stored by another version. */
  #throttleEnd(now) {
    return this.throttledUntil - now <= DAY ? this.throttledUntil : 0;
  }
}
