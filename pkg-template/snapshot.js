// @ts-check
// Copies the options of a call.

/** The names of options whose values are not copied. */
const NOT_COPIED = new Set(["token", "store", "fetch", "signal"]);

/**
 * Returns a deep copy of options, so that nothing is read from the caller's object later. Arrays,
 * objects and Dates are copied, inherited properties too; functions and the values of `NOT_COPIED`
 * are not.
 */
export function snapshot(options) {
  try {
    return copy(options);
  } catch {
    // The wasm rejects options that cannot be read, with a message.
    return options;
  }
}

function copy(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(copy);
  // A Date, or a date object of a library. For an invalid Date, `toISOString()` throws.
  if (typeof value.toISOString === "function") return attempt(() => value.toISOString()) ?? value;
  const own = Reflect.ownKeys(value).filter((name) => typeof name === "string");
  // Inherited properties stay inherited, so that the methods of a class do not count as options.
  return Object.setPrototypeOf(pick(value, own), pick(value, inherited(value)));
}

/** Returns a plain object with copies of these properties. */
const pick = (value, names) => Object.fromEntries(names.map((name) => [name, read(value, name)]));

/** Reads one property. One that throws counts as missing. */
function read(value, name) {
  const property = attempt(() => value[name]);
  return NOT_COPIED.has(name) ? property : copy(property);
}

/** Returns the names of the properties that an object inherits. */
function inherited(value) {
  const names = new Set();
  let prototype = Object.getPrototypeOf(value);
  while (prototype && Object.getPrototypeOf(prototype)) {
    for (const name of Reflect.ownKeys(prototype)) if (typeof name === "string") names.add(name);
    prototype = Object.getPrototypeOf(prototype);
  }
  return [...names];
}

function attempt(call) {
  try {
    return call();
  } catch {
    return undefined;
  }
}
