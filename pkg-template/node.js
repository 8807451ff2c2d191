import { readFile } from "node:fs/promises";
import { createApi } from "./index.js";

export const { openDelta, init } = createApi(() => readFile(new URL("./deltalink.wasm", import.meta.url)));
export { DeltaError } from "./error.js";
