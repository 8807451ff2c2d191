// @ts-check
import wasm from "./deltalink.wasm";
import { createApi } from "./api.js";

// Workers must not compile at run time. This import is a compiled module.
export const { openDelta, init } = createApi(async (given = wasm) => [
  given,
  given === wasm ? "module" : "given",
]);
export { DeltaError } from "./error.js";
