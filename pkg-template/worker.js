// @ts-check
// The entry of the condition `worker`, which tools set for web workers and for Cloudflare Workers.
// It does not import the wasm, because bundlers for browsers cannot import one. In workerd, init()
// needs a module.
import { createApi } from "./api.js";
import { fallbackChain } from "./fallback.js";

// Bundlers recognize this expression, exactly as written, as an asset.
export const { openDelta, init } = createApi(
  fallbackChain("worker", "url", async () => new URL("./deltalink.wasm", import.meta.url)),
);
export { DeltaError } from "./error.js";
