import { createApi } from "./index.js";
import { IndexedDb } from "./indexed-db.js";

export const { openDelta, init } = createApi(() => new URL("./deltalink.wasm", import.meta.url), IndexedDb);
export { DeltaError } from "./error.js";
