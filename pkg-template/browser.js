// @ts-check
import { fallbackChain } from "./compile.js";
import { createApi } from "./api.js";

// Bundlers recognize this expression, exactly as written, as an asset.
export const { openDelta, init } = createApi(
  fallbackChain("url", async () => new URL("./deltalink.wasm", import.meta.url)),
);
export { DeltaError } from "./error.js";
