import { ladder } from "./compile.js";
import { createApi } from "./index.js";

// Bundlers take these words, as they are, for an asset.
export const { openDelta, init } = createApi(
  ladder("url", async () => new URL("./deltalink.wasm", import.meta.url)),
);
export { DeltaError } from "./error.js";
