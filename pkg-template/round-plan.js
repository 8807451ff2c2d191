// @ts-check
// Decides when a mailbox runs a round, and when it makes or renews its subscription. Pure: the
// state, the time and the randomness are arguments. See round-plan.d.ts.
import { badRequest, typeOf } from "./error.js";
import { nextAlarm } from "./next-alarm.js";
import { checkNumber, checkSettings } from "./option-checks.js";
import { DAY } from "./refusal.js";

const MINUTE = 60_000;
/**
 * The maximum duration of a round, in milliseconds. It leaves time for the other work of an alarm,
 * which Cloudflare ends after 15 minutes.
 */
export const MAX_ROUND = 5 * MINUTE;
/**
 * The time in milliseconds after which a mailbox that waits for a permit asks again, in case the
 * call of the budget was lost.
 */
export const ASK_AGAIN = 10 * MINUTE;

/** @type {import("./round-plan.js").RoundState} */
export const NO_ROUNDS = { requestedRounds: 0, fulfilledRounds: 0, notBefore: 0, failures: 0 };

/** @type {typeof import("./round-plan.js").requestRound} */
export function requestRound(state, running) {
  const { requestedRounds, fulfilledRounds } = checkState(state, "requestRound()");
  const isRequested = requestedRounds > (running ?? fulfilledRounds);
  return isRequested ? state : { ...state, requestedRounds: requestedRounds + 1 };
}

/** @type {typeof import("./round-plan.js").isRoundDue} */
export const isRoundDue = (state, now = Date.now()) => now >= dueTimeOf(checkState(state, "isRoundDue()"));

/** @type {typeof import("./round-plan.js").roundDueAt} */
export const roundDueAt = (state) => dueTimeOf(checkState(state, "roundDueAt()"));

const dueTimeOf = ({ requestedRounds, fulfilledRounds, notBefore }) =>
  requestedRounds > fulfilledRounds ? notBefore : Infinity;

/** @type {typeof import("./round-plan.js").beginRound} */
export function beginRound(state, options) {
  const owner = "beginRound()";
  return withNextFailure(checkState(state, owner), options, owner);
}

/** @type {typeof import("./round-plan.js").continueRound} */
export function continueRound(state, options) {
  const owner = "continueRound()";
  return withNextFailure({ ...checkState(state, owner), failures: 0 }, options, owner);
}

/**
 * Counts one more failure. A round is stored as failed before it begins: a Durable Object that is
 * aborted during the round cannot store the failure afterwards.
 */
function withNextFailure(state, options, owner) {
  const failures = state.failures + 1;
  return { ...state, failures, notBefore: endOfBackOff(undefined, failures, options, owner) };
}

/** @type {typeof import("./round-plan.js").endRound} */
export function endRound(state, end) {
  checkState(state, "endRound()");
  checkSettings(end, ["running", "complete", "pause", "now"], "endRound()");
  const { complete, now = Date.now() } = end ?? {};
  const running = checkNumber(end?.running, "running of endRound()");
  const pause = checkNumber(end?.pause ?? 2000, "pause of endRound()");
  const fulfilled = complete ? { fulfilledRounds: running, notBefore: now + pause } : { notBefore: now };
  return { ...state, failures: 0, ...fulfilled };
}

/** @type {typeof import("./round-plan.js").failRound} */
export function failRound(state, error, options) {
  const { failures } = checkState(state, "failRound()");
  return { ...state, notBefore: endOfBackOff(error, failures, options, "failRound()") };
}

/** @type {typeof import("./round-plan.js").backOffTime} */
export const backOffTime = (error, failures, options) =>
  endOfBackOff(error, failures, options, "backOffTime()");

function endOfBackOff(error, failures, options, owner) {
  checkSettings(options, ["now", "random", "backOff"], owner);
  const { now, random, backOff } = options ?? {};
  if (backOff !== undefined) checkNumber(backOff, "backOff of a round", 1);
  return nextAlarm(error, failures, { now, random, base: backOff }).at;
}

/** @type {typeof import("./round-plan.js").maySubscribe} */
export function maySubscribe(state, options) {
  checkSettings(options, ["waitsForPermit", "now"], "maySubscribe()");
  const { waitsForPermit = false, now = Date.now() } = options ?? {};
  // The wait for a permit can be longer than the rest of the subscription's lifetime, because a
  // throttle may stop all rounds for a day. A renewal is one request in days, with its own
  // back-off.
  if (waitsForPermit) return state.subscription !== undefined && now >= state.subscribeAt;
  return !state.subscribeFailures || now >= state.subscribeAt;
}

/** @type {typeof import("./round-plan.js").alarmDueAt} */
export function alarmDueAt(rounds, subscription, options) {
  checkSettings(options, ["waitsForPermit", "now"], "alarmDueAt()");
  const { waitsForPermit = false, now = Date.now() } = options ?? {};
  if (!waitsForPermit) return Math.min(roundDueAt(rounds), subscription.subscribeAt);
  const isSubscribed = subscription.subscription !== undefined;
  return Math.min(now + ASK_AGAIN, isSubscribed ? subscription.subscribeAt : Infinity);
}

/** @type {typeof import("./round-plan.js").alarmTime} */
export const alarmTime = (at, now = Date.now()) => Math.min(Math.max(at || 0, now + 1), now + DAY);

/**
 * @template {import("./round-plan.js").RoundState} S
 * @param {S} state
 */
function checkState(state, call) {
  for (const name of Object.keys(NO_ROUNDS))
    if (typeof state?.[name] !== "number" || Number.isNaN(state[name]))
      throw badRequest(
        `the state of ${call} must have the number ${name}, got ${typeOf(state?.[name])}; begin with NO_ROUNDS`,
      );
  return state;
}
