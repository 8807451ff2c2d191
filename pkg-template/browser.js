import { createApi } from "./index.js";

export const { openDelta, init } = createApi(() => new URL("./deltalink.wasm", import.meta.url));
export { DeltaError } from "./error.js";
