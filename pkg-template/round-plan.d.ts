// The decisions of a mailbox: when it runs a round, and when it makes or renews its subscription.
// All times are in milliseconds: points in time since 1970, and spans.

/** What a mailbox stores about its rounds. It can be stored as JSON. */
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

/** The state of a mailbox that no round was requested for. */
export const NO_ROUNDS: Readonly<RoundState>;

/** The `maxMs` of a round: five minutes. Cloudflare ends an alarm after 15 minutes. */
export const MAX_ROUND: number;

/** The time after which a mailbox that waits for a permit asks again: ten minutes. */
export const ASK_AGAIN: number;

/** The inputs of a back-off. */
export interface BackOffOptions {
  /** The current time. Default: `Date.now()`. */
  now?: number;
  /** A number from 0 to 1 for the jitter. Default: `Math.random()`. */
  random?: number;
  /** The back-off after a first failure. Default 5000. It doubles, up to half an hour. */
  backOff?: number;
}

/**
 * Requests a round, unless one is requested that has not begun: a thousand notifications during a
 * round lead to one more round. `running` is the value of `requestedRounds` at the start of the
 * running round. Returns the same object if nothing changes, so that nothing needs to be stored.
 *
 * This function, and all others that take a `RoundState`, throw `bad-request` if a number of the
 * state is missing.
 */
export function requestRound<S extends RoundState>(state: S, running?: number): S;

/** Whether a round is requested and may begin. */
export function isRoundDue(state: RoundState, now?: number): boolean;

/** Returns when the requested round may begin. Infinity if none is requested. */
export function roundDueAt(state: RoundState): number;

/**
 * Begins a round: store the result before the first request. The round counts as failed until it
 * ends, so that the back-off also applies if the object is aborted during the round.
 */
export function beginRound<S extends RoundState>(state: S, options?: BackOffOptions): S;

/** Records that a page was acknowledged: the next failure counts as the first one. */
export function continueRound<S extends RoundState>(state: S, options?: BackOffOptions): S;

/** How a round ended without an error. */
export interface RoundEnd {
  /** The value of `requestedRounds` at the start of the round. */
  running: number;
  /** Whether `report.outcome` is `complete`. The next round continues one that ended early. */
  complete: boolean;
  /** The current time. Default: `Date.now()`. */
  now?: number;
  /** The time between two rounds. Default 2000. A round that ended early continues at once. */
  pause?: number;
}

/** Ends a round. Requests that arrived during the round remain. */
export function endRound<S extends RoundState>(state: S, end: RoundEnd): S;

/**
 * Ends a round with an error. The next round waits for its back-off, and for the end of a throttle
 * (`nextAlarm()` of `deltalink/notifications`).
 */
export function failRound<S extends RoundState>(state: S, error: unknown, options?: BackOffOptions): S;

/** Returns when to try again after `failures` consecutive failures, the last of them `error`. */
export function backOffTime(error: unknown, failures: number, options?: BackOffOptions): number;

/** What a mailbox stores about its subscription. */
export interface SubscriptionState {
  /** Undefined until Graph has created it. */
  subscription?: object | undefined;
  /** When to renew it, or to try again. Pass Infinity for a mailbox that is only polled. */
  subscribeAt: number;
  /** The number of consecutive attempts that failed. */
  subscribeFailures: number;
}

/** The situation of a mailbox. */
export interface PermitWait {
  /** Whether it has asked for a permit that it does not have yet. Default false. */
  waitsForPermit?: boolean;
  /** The current time. Default: `Date.now()`. */
  now?: number;
}

/**
 * Whether the alarm calls `ensure()` now. A renewal needs no permit. A mailbox without a
 * subscription waits for the permit of its first round, which limits how many are created at once.
 */
export function maySubscribe(state: SubscriptionState, wait?: PermitWait): boolean;

/**
 * Returns when the next alarm of a mailbox is due: for its round or its subscription. Infinity if
 * none is. While the mailbox waits for a permit, the budget wakes it for the round.
 */
export function alarmDueAt(rounds: RoundState, subscription: SubscriptionState, wait?: PermitWait): number;

/**
 * Returns a time that `setAlarm()` accepts: after `now`, and at most a day ahead. workerd refuses
 * times that are centuries ahead. When an alarm ends, workerd deletes a next alarm that was set to
 * the time of the ended one. An alarm that comes too early is harmless if it checks what is due.
 */
export function alarmTime(at: number, now?: number): number;
