// @ts-check
import { readFile } from "node:fs/promises";
import { fallbackChain } from "./compile.js";
import { createApi } from "./api.js";

export const { openDelta, init } = createApi(
  fallbackChain("file", async () => readFile(new URL("./deltalink.wasm", import.meta.url))),
);
export { DeltaError } from "./error.js";
