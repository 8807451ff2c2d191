// @ts-check
import wasm from "./deltalink.wasm";
import { createApi } from "./api.js";
import { fromModule } from "./compile.js";

// Workers must not compile at run time. This import is a compiled module.
export const { openDelta, init } = createApi(fromModule("workerd", wasm));
export { DeltaError } from "./error.js";
