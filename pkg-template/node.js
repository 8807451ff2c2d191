// @ts-check
import { readFile } from "node:fs/promises";
import { createApi } from "./api.js";
import { fallbackChain } from "./fallback.js";

export const { openDelta, init } = createApi(
  fallbackChain("node", "file", async () => readFile(new URL("./deltalink.wasm", import.meta.url))),
);
export { DeltaError } from "./error.js";
