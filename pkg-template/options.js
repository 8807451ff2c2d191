// Options that are checked in JavaScript. All others are checked in the wasm: src/web/options.rs.
import { bad } from "./error.js";

/** Returns the caller's signal, checked by its shape: another realm has another AbortSignal. */
export function signalOf(options) {
  const signal = options?.signal;
  if (signal !== undefined && typeof signal?.aborted !== "boolean")
    throw bad("options.signal must be an AbortSignal");
  return signal;
}
