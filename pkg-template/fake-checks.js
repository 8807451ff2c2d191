// @ts-check
// The properties of the arguments of deltalink/testing, by the names and types in testing.d.ts.
// They are checked here, because the wasm has other names.

/**
 * A check of a value, and what the value must be.
 *
 * @typedef {[accepts: (value: any) => boolean, mustBe: string]} Kind
 *
 * @typedef {Record<string, Kind>} Properties
 */

const list = (names) => `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;

/** @type {Kind} */
const text = [(value) => typeof value === "string", "a string"];
/** @type {Kind} */
const flag = [(value) => typeof value === "boolean", "true or false"];
/** @type {Kind} */
const seconds = [(value) => Number.isFinite(value) && value >= 0, "a number of at least 0"];
/** @type {Kind} */
const date = [
  (value) => (typeof value === "string" || value instanceof Date) && !Number.isNaN(+new Date(value)),
  "a date",
];
/** @returns {Kind} */
const whole = (least = 0, most = Infinity) => [
  (value) => Number.isSafeInteger(value) && value >= least && value <= most,
  `a whole number ${most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`}`,
];
/** @returns {Kind} */
const oneOf = (...values) => [
  (value) => values.includes(value),
  list(values.map((value) => JSON.stringify(value))),
];
/** @returns {Kind} */
const or = ([accepts, mustBe], other, name) => [
  (value) => accepts(value) || value === other,
  `${mustBe} or ${name}`,
];

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
/** @type {Kind} */
const headers = [
  (value) =>
    isObject(value) &&
    Object.values(value).every((header) => typeof header === "string" || Number.isFinite(header)),
  "an object of strings and numbers",
];
/** @type {Kind} */
const claims = [(value) => isObject(value) || text[0](value), "an object or a string"];

/**
 * The fields of each fault.
 *
 * @type {Record<string, Properties>}
 */
const FAULTS = {
  throttle: { retryAfter: seconds },
  status: { status: whole(200, 599), code: text, message: text, headers },
  reset: { spelling: whole(1, 16) },
  unauthorized: {},
  claims: { claims },
  network: {},
  hang: {},
  cut: { n: whole() },
  delay: { ms: whole() },
  slow: { bytesPerSecond: whole(1) },
  html: {},
  notJson: {},
  empty503: {},
  poisoned: {},
  neitherLink: {},
  bothLinks: {},
  sameLink: {},
  emptyPage: {},
  noValue: {},
  livelock: { cycle: whole(1) },
  foreignLink: { link: text },
};

/** @type {Properties} */
const MATCH = {
  collection: text,
  kind: oneOf("initial", "next", "delta", "item", "subscription", "any"),
  skip: whole(),
  url: text,
  times: or(whole(), Infinity, "Infinity"),
};

/** @type {Properties} */
export const PLACE = { user: text, calendar: text, folder: text };
/** @type {Properties} */
export const ADDED = { ...PLACE, count: whole(), everyDays: whole(1) };
/** @type {Properties} */
export const LISTED = { ...PLACE, start: date, end: date };

/** @type {Properties} */
export const SETTINGS = {
  pageSize: whole(1),
  latencyMs: whole(),
  bytesPerSecond: or(whole(1), null, "null"),
  emptyPages: whole(),
  trailingEmptyPage: flag,
  duplicates: oneOf("none", "page", "pages", "both"),
  reorder: flag,
  changesDuringRound: oneOf("next-round", "later-in-round", "both", "live"),
  generations: or(whole(), null, "null"),
  tokenLifetimeMs: or(whole(), null, "null"),
  directoryTokenDays: whole(),
  withholdMasters: flag,
  silentOccurrenceDelete: flag,
  membersSlice: whole(1),
  olderArtifacts: flag,
};

/**
 * Throws if an object has an unknown property or a wrong value. `what` names it in the message.
 * Undefined counts as missing.
 *
 * @param {unknown} given
 * @param {string} what
 * @param {Properties} known
 * @param {string} word The word for a property.
 */
export function check(given, what, known, word = "property") {
  if (given === undefined) return;
  if (!isObject(given)) throw new TypeError(`${what} must be an object, got ${got(given)}`);
  const has = `it has ${Object.keys(known).join(", ") || "none"}`;
  for (const [name, value] of Object.entries(/** @type {object} */ (given))) {
    if (!Object.hasOwn(known, name)) throw new TypeError(`${what} has no ${word} ${name}: ${has}`);
    const [accepts, mustBe] = known[name];
    if (value !== undefined && !accepts(value))
      throw new TypeError(`${what}: ${name} must be ${mustBe}, got ${got(value)}; ${has}`);
  }
}

/** Throws if a fault or the requests that it applies to are wrong. */
export function checkFault(fault, when) {
  const { name, ...fields } = typeof fault === "string" ? { name: fault } : (fault ?? {});
  if (!Object.hasOwn(FAULTS, name))
    throw new TypeError(`there is no fault ${got(name)}: the faults are ${Object.keys(FAULTS).join(", ")}`);
  check(fields, `the fault ${name}`, FAULTS[name], "field");
  check(when, "the second argument of fault()", MATCH);
}

/** A value in a message: a string quoted and shortened, a simple value, or the value's type. */
function got(value) {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 60));
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}
