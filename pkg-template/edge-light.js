// @ts-check
import wasm from "./deltalink.wasm?module";
import { createApi } from "./api.js";
import { fromModule } from "./compile.js";

// A compiled module, as in workerd.js. Bundlers for edge runtimes require the query `?module`.
export const { openDelta, init } = createApi(fromModule("edge-light", wasm));
export { DeltaError } from "./error.js";
