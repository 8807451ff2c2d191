// @ts-check
import { createApi } from "./api.js";
import { fallbackChain } from "./fallback.js";

// Bundlers recognize this expression, exactly as written, as an asset.
export const { openDelta, init } = createApi(
  fallbackChain("browser", "url", async () => new URL("./deltalink.wasm", import.meta.url)),
);
export { DeltaError } from "./error.js";
