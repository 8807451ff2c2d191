// @ts-check
// Options that are checked in JavaScript. All others are checked in the wasm: src/web/options.rs.
import { badRequest, typeOf } from "./error.js";

/** Returns the caller's signal. Checks its shape only: another realm has another AbortSignal. */
export function signalOf(options) {
  const signal = options?.signal;
  const isSignal = typeof signal?.aborted === "boolean" && typeof signal.addEventListener === "function";
  if (signal !== undefined && !isSignal)
    throw badRequest(`options.signal must be an AbortSignal, got ${typeOf(signal)}`);
  return signal;
}

/**
 * Returns the options of a query's method, with defaults. Rejects wrong values, and names not in
 * `names`. `hint` ends the message of the error that lists the names.
 */
export function readOptions(options, call, names, hint = "") {
  if (options === null || typeof (options ??= {}) !== "object")
    throw badRequest(`the options of ${call}() must be an object, got ${typeOf(options)}`);
  const other = Object.keys(options).find((name) => !names.includes(name));
  if (other)
    throw badRequest(
      `options.${other} is not an option of ${call}(): the options are ${names.join(", ")}${hint}`,
    );
  const { after, limit = Infinity, occurrences = "complete", ...rest } = options;
  if (after !== undefined && typeof after !== "string")
    throw badRequest(`options.after must be a string, the id of an item, got ${typeOf(after)}`);
  if (limit !== Infinity && (!Number.isInteger(limit) || limit < 1))
    throw badRequest(
      `options.limit must be a whole number of at least 1, got ${typeof limit === "number" ? limit : typeOf(limit)}`,
    );
  if (occurrences !== "complete" && occurrences !== "raw")
    throw badRequest(
      `options.occurrences must be "complete" or "raw", got ${typeof occurrences === "string" ? JSON.stringify(occurrences) : typeOf(occurrences)}`,
    );
  return { ...rest, after, limit, completes: occurrences === "complete" };
}

/** The shortest interval of a live query, in milliseconds. */
const MIN_INTERVAL = 5000;

/** Returns the options of `live()`, with defaults. */
export function liveOptions(options) {
  const {
    every = 60_000,
    hidden = "slow",
    signal,
  } = readOptions(options, "live", ["every", "hidden", "signal"]);
  if (!Number.isFinite(every) || every < MIN_INTERVAL)
    throw badRequest(
      `options.every must be a number of milliseconds of at least ${MIN_INTERVAL}, got ${typeof every === "number" ? every : typeOf(every)}`,
    );
  if (hidden !== "slow" && hidden !== "pause")
    throw badRequest(
      `options.hidden must be "slow" or "pause", got ${typeof hidden === "string" ? JSON.stringify(hidden) : typeOf(hidden)}`,
    );
  signalOf({ signal });
  return { every, hidden, signal };
}
