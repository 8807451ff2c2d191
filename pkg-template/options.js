// @ts-check
// Options that are checked in JavaScript. All others are checked in the wasm: src/web/options.rs.
import { bad } from "./error.js";

/** Returns the caller's signal, checked by its shape: another realm has another AbortSignal. */
export function signalOf(options) {
  const signal = options?.signal;
  const isSignal = typeof signal?.aborted === "boolean" && typeof signal.addEventListener === "function";
  if (signal !== undefined && !isSignal) throw bad("options.signal must be an AbortSignal");
  return signal;
}

/** Returns the options of a call of a query. Rejects names other than these, and wrong values. */
export function readOptions(options, call, names, more = "") {
  if (options === null || typeof (options ??= {}) !== "object")
    throw bad(`the options of ${call}() must be an object`);
  const other = Object.keys(options).find((name) => !names.includes(name));
  if (other)
    throw bad(`options.${other} is not an option of ${call}(): the options are ${names.join(", ")}${more}`);
  const { after = "", limit = 1, occurrences = "complete" } = options;
  if (typeof after !== "string") throw bad("options.after must be the id of an item");
  if (!Number.isInteger(limit) || limit < 1) throw bad("options.limit must be a whole number of at least 1");
  if (occurrences !== "complete") throw bad('options.occurrences must be "complete"');
  return options;
}
