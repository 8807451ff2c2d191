/** The caller's own objects: they are used, not copied. */
const KEPT = new Set(["token", "store", "fetch", "signal"]);

/**
 * A deep copy of options, so that nothing is read from the caller's object later. Arrays, plain objects and Dates are copied; anything
 * else stays as it is.
 */
export function snapshot(value) {
  try {
    return copy(value);
  } catch {
    // What cannot be read is refused where it is checked.
    return value;
  }
}

function copy(value) {
  if (Array.isArray(value)) return value.map(copy);
  if (isDate(value)) return Number.isNaN(value.getTime()) ? value : value.toISOString();
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, KEPT.has(name) ? member : copy(member)]));
}

/** By shape: one of another realm is not an instance of ours. */
const isDate = (value) => typeof value?.toISOString === "function" && typeof value.getTime === "function";

function isPlain(value) {
  if (value === null || typeof value !== "object") return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
