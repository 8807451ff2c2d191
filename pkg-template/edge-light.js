// @ts-check
import wasm from "./deltalink.wasm?module";
import { createApi } from "./api.js";

// As in workerd.js. Bundlers for edge runtimes require the query `?module`.
export const { openDelta, init } = createApi(async (given = wasm) => [
  given,
  given === wasm ? "module" : "given",
]);
export { DeltaError } from "./error.js";
