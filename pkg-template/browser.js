import { ladder } from "./compile.js";
import { createApi } from "./index.js";
import { IndexedDb } from "./indexed-db.js";

// Bundlers take these words, as they are, for an asset.
export const { openDelta, init } = createApi(ladder("url", async () => new URL("./deltalink.wasm", import.meta.url)), IndexedDb);
export { DeltaError } from "./error.js";
