// @ts-check
// The entry `deltalink/inline`: needs no file, no request and no import(), for service workers and
// for bundles of one file.
import { createApi } from "./api.js";
import { compileCopy, compileGiven } from "./compile.js";
import inlined from "./inline.js";

export const { openDelta, init } = createApi(async (given) =>
  given === undefined ? compileCopy("inline", inlined()) : compileGiven("inline", given),
);
export { DeltaError } from "./error.js";
