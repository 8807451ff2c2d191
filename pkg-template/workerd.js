import wasm from "./deltalink.wasm";
import { createApi } from "./index.js";

// Nothing is compiled at run time here: the module comes compiled.
export const { openDelta, init } = createApi(async (given = wasm) => [
  given,
  given === wasm ? "module" : "given",
]);
export { DeltaError } from "./error.js";
