// Calls init() without and then with the wasm, and runs a round. Resolves to the error of the first
// call, the origin after the second, and the result of the round.
import { init } from "deltalink";
import { round } from "./round.js";

export async function given(wasm, options) {
  const failure = await init().then(
    (origin) => ({ origin }),
    ({ name, code, message, retryable }) => ({ name, code, message, retryable }),
  );
  const origin = await init(wasm);
  return { failure, origin, result: await round({ ...options, store: "memory" }) };
}
