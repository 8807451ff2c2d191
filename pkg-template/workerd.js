import wasm from "./deltalink.wasm";
import { createApi } from "./index.js";

export const { openDelta, init } = createApi(() => wasm);
export { DeltaError } from "./error.js";
