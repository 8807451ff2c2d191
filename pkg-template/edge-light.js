import wasm from "./deltalink.wasm?module";
import { createApi } from "./index.js";

// As in workerd; the bundlers of edge runtimes know a module by its query.
export const { openDelta, init } = createApi(async (given = wasm) => [
  given,
  given === wasm ? "module" : "given",
]);
export { DeltaError } from "./error.js";
