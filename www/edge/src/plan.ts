// The decisions of this Worker: when a round runs, who may run one, and which registry lists a
// mailbox. Pure: time and randomness are arguments. The Durable Objects and the simulation of
// `make scale` both use it.
import { nextAlarm } from "deltalink/notifications";

export const MINUTE = 60_000;
export const DAY = 86_400_000;
/**
 * The time after which an alarm stops its round. The next alarm continues the round. Cloudflare
 * ends an alarm after 15 minutes.
 */
export const MAX_ROUND = 5 * MINUTE;
/** The time after which a permit expires if the mailbox does not release it. */
const PERMIT_DURATION = MAX_ROUND + 2 * MINUTE;
/** The time after which a mailbox that waits for a permit asks again, in case a call was lost. */
export const ASK_AGAIN = 10 * MINUTE;

export interface Settings {
  /** In milliseconds: the time between two rounds of a mailbox. */
  pause: number;
  /** In milliseconds: the back-off after a first failure. */
  backOff: number;
}

/** What a mailbox stores about its rounds. Times are in milliseconds since 1970. */
export interface RoundState {
  /** The number of requested rounds. Further requests before a round begins are not counted. */
  requestedRounds: number;
  /** The value of `requestedRounds` that the last complete round has fulfilled. */
  fulfilledRounds: number;
  /** The earliest start of the next round. */
  notBefore: number;
  /** The number of consecutive rounds that failed. */
  failures: number;
}

export const INITIAL: RoundState = { requestedRounds: 0, fulfilledRounds: 0, notBefore: 0, failures: 0 };

/**
 * Requests a round, unless one is requested that has not begun. `running` is the value of
 * `requestedRounds` at the start of the running round.
 */
export function request<S extends RoundState>(state: S, running?: number): S {
  const isRequested = state.requestedRounds > (running ?? state.fulfilledRounds);
  return isRequested ? state : { ...state, requestedRounds: state.requestedRounds + 1 };
}

/** Whether a round is requested and may begin. */
export function isDue({ requestedRounds, fulfilledRounds, notBefore }: RoundState, now: number): boolean {
  return requestedRounds > fulfilledRounds && now >= notBefore;
}

/** When the requested round may begin. Infinity if none is requested. */
export function roundAt({ requestedRounds, fulfilledRounds, notBefore }: RoundState): number {
  return requestedRounds > fulfilledRounds ? notBefore : Infinity;
}

/** What a mailbox stores about its subscription. */
export interface SubscriptionState {
  /** Undefined until Graph has created it. */
  subscription?: object | undefined;
  /** When to renew it, or to try again. Infinity if the mailbox is only polled. */
  subscribeAt: number;
  /** The number of consecutive attempts that failed. */
  subscribeFailures: number;
}

/**
 * Whether the alarm creates or renews the subscription now. A renewal needs no permit: the wait for
 * one can be longer than the rest of the subscription's lifetime, because a throttle may stop all
 * rounds for a day. It is one request in days, and has its own back-off. A mailbox without a
 * subscription waits for the permit of its first round, which limits how many are created at once.
 */
export function maySubscribe(state: SubscriptionState, waitsForPermit: boolean, now: number): boolean {
  if (waitsForPermit) return state.subscription !== undefined && now >= state.subscribeAt;
  return !state.subscribeFailures || now >= state.subscribeAt;
}

/**
 * When the next alarm of a mailbox is due: for its round or its subscription. While the mailbox
 * waits for a permit, the budget wakes it for the round.
 */
export function alarmAt(
  state: RoundState,
  { subscription, subscribeAt }: SubscriptionState,
  waitsForPermit: boolean,
  now: number,
): number {
  if (!waitsForPermit) return Math.min(roundAt(state), subscribeAt);
  return Math.min(now + ASK_AGAIN, subscription === undefined ? Infinity : subscribeAt);
}

/**
 * Begins a round. It is stored as failed before it begins, so that the back-off also applies if the
 * object is aborted during the round.
 */
export function begin<S extends RoundState>(state: S, now: number, random: number, settings: Settings): S {
  const failures = state.failures + 1;
  return { ...state, failures, notBefore: backOff(undefined, failures, now, random, settings).at };
}

/** Records that a page was acknowledged: the next failure counts as the first one. */
export function progress<S extends RoundState>(state: S, now: number, random: number, settings: Settings): S {
  return begin({ ...state, failures: 0 }, now, random, settings);
}

/** Ends a round. If it ended early, after `MAX_ROUND`, the next one continues it at once. */
export function end<S extends RoundState>(
  state: S,
  { running, complete }: { running: number; complete: boolean },
  now: number,
  settings: Settings,
): S {
  const fulfilled = complete
    ? { fulfilledRounds: running, notBefore: now + settings.pause }
    : { notBefore: now };
  return { ...state, failures: 0, ...fulfilled };
}

export function fail<S extends RoundState>(
  state: S,
  error: unknown,
  now: number,
  random: number,
  settings: Settings,
): S {
  return { ...state, notBefore: backOff(error, state.failures, now, random, settings).at };
}

export function backOff(error: unknown, failures: number, now: number, random: number, settings: Settings) {
  return nextAlarm(error, failures, { now, random, base: settings.backOff });
}

/** The permit of a mailbox, with its end. `until` is null while the mailbox waits for one. */
export interface Permit {
  mailbox: string;
  until: number | null;
}

/**
 * The rounds that may run at the same time in the whole app, and the mailboxes that wait for one.
 * Mailboxes get permits in the order in which they asked. A permit ends with its round, or when it
 * expires because its object is gone.
 */
export class Budget {
  readonly limit: number;
  /** By mailbox: when its permit expires, in this order. */
  readonly permits = new Map<string, number>();
  readonly waiting = new Set<string>();
  throttledUntil: number;
  #inOrder = this.waiting.values();

  constructor(limit: number, stored: Permit[] = [], throttledUntil = 0) {
    this.limit = limit;
    this.throttledUntil = throttledUntil;
    for (const { mailbox, until } of stored)
      if (until === null) this.waiting.add(mailbox);
      else this.permits.set(mailbox, until);
  }

  /**
   * Asks for a permit. Returns when the permit expires, or null if the mailbox has to wait. A
   * waiting mailbox that asks again keeps its place.
   */
  acquire(mailbox: string, now: number): number | null {
    const isHeld = (this.permits.get(mailbox) ?? 0) > now;
    if (isHeld || (!this.waiting.size && this.#free(now) > 0)) return this.#give(mailbox, now);
    this.waiting.add(mailbox);
    return null;
  }

  /** Releases a permit. If Graph throttled the whole app, no round begins before `retryAt`. */
  release(mailbox: string, now: number, retryAt = 0, jitter = 0): void {
    this.permits.delete(mailbox);
    // An implausible time would stop all mailboxes for ever.
    if (retryAt - now <= DAY && retryAt > this.#throttleEnd(now))
      this.throttledUntil = Math.ceil(retryAt + jitter);
  }

  /** Gives the free permits to the mailboxes that wait longest. The caller wakes them. */
  grant(now: number): { mailbox: string; until: number }[] {
    const granted = [];
    for (let free = this.#free(now); free > 0 && this.waiting.size; free--) {
      const mailbox = this.#first();
      granted.push({ mailbox, until: this.#give(mailbox, now) });
    }
    return granted;
  }

  /** When to call `grant()` if no permit is released before. Infinity if no mailbox waits. */
  nextAt(now: number): number {
    if (!this.waiting.size) return Infinity;
    if (this.#throttleEnd(now) > now) return this.#throttleEnd(now);
    const [first = now] = this.permits.values();
    return this.#free(now) > 0 ? now : first;
  }

  /** The mailbox that waits longest. Keeps its iterator: a new one would pass removed entries. */
  #first(): string {
    let next = this.#inOrder.next();
    if (next.done) next = (this.#inOrder = this.waiting.values()).next();
    return next.value ?? "";
  }

  #give(mailbox: string, now: number): number {
    this.waiting.delete(mailbox);
    this.permits.delete(mailbox);
    this.permits.set(mailbox, now + PERMIT_DURATION);
    return now + PERMIT_DURATION;
  }

  #free(now: number): number {
    if (this.#throttleEnd(now) > now) return 0;
    for (const [mailbox, until] of this.permits) {
      if (until > now) break;
      this.permits.delete(mailbox);
    }
    return this.limit - this.permits.size;
  }

  /** The end of the throttle. One that is more than a day ahead was stored by another version. */
  #throttleEnd(now: number): number {
    return this.throttledUntil - now <= DAY ? this.throttledUntil : 0;
  }
}

/** Returns a hash of 32 bits: FNV-1a, mixed once more because its lowest bits are alike. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** Returns the number of the registry that lists a mailbox. */
export const shardOf = (mailbox: string, shards: number): number => hash(mailbox) % shards;

/** The number of steps of a spread. A registry has one alarm for all mailboxes of a step. */
const STEPS = 600;

/**
 * Returns when the cron trigger's round of a mailbox is due: always at the same offset within
 * `spread` milliseconds, so that the load is even and a mailbox is polled at equal intervals.
 */
export const dueAt = (mailbox: string, now: number, spread: number): number =>
  Math.ceil(now + ((hash(`${mailbox} offset`) % STEPS) / STEPS) * spread);
