/** The caller's own objects: they are used, not copied. */
const KEPT = new Set(["token", "store", "fetch", "signal"]);

/**
 * A deep copy of options, so that nothing is read from the caller's object later. Arrays, objects
 * and Dates are copied, what an object inherits too; functions and the caller's own objects stay as
 * they are.
 */
export function snapshot(options) {
  try {
    return copy(options);
  } catch {
    // What cannot be read is refused where it is checked.
    return options;
  }
}

function copy(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(copy);
  // Dates, and what libraries make of them. An invalid one says so by an exception.
  if (typeof value.toISOString === "function") return attempt(() => value.toISOString()) ?? value;
  const own = Reflect.ownKeys(value).filter((name) => typeof name === "string");
  // Inherited options stay inherited: a method of a class beside them is not taken for an option.
  return Object.setPrototypeOf(picked(value, own), picked(value, inherited(value)));
}

/** A plain object of these properties. */
const picked = (value, names) => Object.fromEntries(names.map((name) => [name, read(value, name)]));

/** One property. What cannot be read is as good as missing. */
function read(value, name) {
  const member = attempt(() => value[name]);
  return KEPT.has(name) ? member : copy(member);
}

/** The names of what an object has from its prototypes. */
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
