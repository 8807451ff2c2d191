// @ts-check
// Returns the same query object for the same options, so that a render function may call
// `client.events()` and the like.
import { badRequest } from "./error.js";

/**
 * The maximum number of queries within a second that differ only in instants, by less than a
 * minute. All times are in milliseconds.
 */
const MAX_QUERIES = 30;
const SECOND = 1000;
const MINUTE = 60_000;
/** The options that are instants. */
const INSTANTS = ["start", "end", "startDateTime", "endDateTime"];

/** The query objects of one client. They are held weakly. */
export class QueryCache {
  #queries = new Map();
  #collected = new FinalizationRegistry((fingerprint) => {
    // A new object may have the fingerprint by now.
    if (!this.#queries.get(fingerprint)?.deref()) this.#queries.delete(fingerprint);
  });
  /** The last instants and the times of their calls, by the other options of the query. */
  #instants = new Map();

  /** Returns the query object for a call with these options. `make` makes it if none exists. */
  get(call, path, options, make) {
    const fingerprint = fingerprintOf([call, path, options]);
    const existing = this.#queries.get(fingerprint)?.deref();
    // Options without a fingerprint are invalid: `make` throws an error that says why.
    if (existing && fingerprint) return existing;
    this.#checkInstants(call, path, options);
    const query = make();
    this.#queries.set(fingerprint, new WeakRef(query));
    this.#collected.register(query, fingerprint);
    return query;
  }

  /** Throws if a render function seems to pass the current time, a new query for each call. */
  #checkInstants(call, path, options) {
    // Converting anything but a string may throw. The wasm refuses it with a message.
    const texts = INSTANTS.map((name) => options?.[name]).filter((value) => typeof value === "string");
    const instants = texts.map((text) => Date.parse(text)).filter((instant) => instant);
    if (!instants.length) return;
    const others = { ...options };
    for (const name of INSTANTS) delete others[name];
    const fingerprint = fingerprintOf([call, path, others]);
    const now = Date.now();
    for (const [other, entries] of this.#instants)
      if (entries.every(({ at }) => now - at >= SECOND)) this.#instants.delete(other);
    const similar = (this.#instants.get(fingerprint) ?? []).filter(
      (entry) =>
        now - entry.at < SECOND &&
        instants.every((instant, index) => Math.abs(instant - entry.instants[index]) < MINUTE),
    );
    if (similar.length >= MAX_QUERIES)
      throw badRequest(
        `${call}() was called ${MAX_QUERIES} times within a second, each time with different instants: with "start: new Date()" each call makes a new query; use options.window, or the start of a day`,
      );
    this.#instants.set(fingerprint, [...similar, { at: now, instants }]);
  }
}

/**
 * Returns the same text for equal values, whatever the order of their properties. Undefined for
 * values that JSON.stringify() rejects.
 */
function fingerprintOf(value) {
  try {
    return JSON.stringify(value, canonical);
  } catch {
    return undefined;
  }
}

function canonical(_name, part) {
  // JSON.stringify() would omit these values, reject them or write null.
  if (["function", "symbol", "bigint"].includes(typeof part) || Number.isNaN(part))
    return { [typeof part]: 0 };
  if (part === Infinity || part === -Infinity) return { infinity: String(part) };
  if (part === null || typeof part !== "object" || Array.isArray(part)) return part;
  const copy = {};
  const names = [];
  // Inherited properties are options too.
  for (const name in part) names.push(name);
  for (const name of names.sort()) copy[name] = part[name];
  return copy;
}
