import { readFile } from "node:fs/promises";
import { ladder } from "./compile.js";
import { createApi } from "./index.js";

export const { openDelta, init } = createApi(
  ladder("file", async () => readFile(new URL("./deltalink.wasm", import.meta.url))),
);
export { DeltaError } from "./error.js";
