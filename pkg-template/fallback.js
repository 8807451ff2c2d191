// @ts-check
// Loads the wasm file of the package, or the copy in JavaScript if that fails. Entries that must
// not contain the copy do not import this module.
import { compileCopy, compileFile, compileGiven, failure } from "./compile.js";

/**
 * Returns the source of an entry for `createApi()`. It uses the wasm that the caller has passed to
 * `init()`. Without one, it tries the package's wasm file, which `locate` finds, then the copy of
 * the wasm in JavaScript, which is imported only if the file fails. `origin` is the `WasmOrigin` of
 * the file.
 */
export const fallbackChain = (entry, origin, locate) => async (given) => {
  if (given !== undefined) return compileGiven(entry, given);
  try {
    return await compileFile(origin, locate);
  } catch (error) {
    let bytes;
    try {
      bytes = await (await import("./inline.js")).default();
    } catch (last) {
      // Service workers forbid import().
      throw failure(
        entry,
        [error, last],
        'on a host that can neither fetch the file nor import a module, such as a service worker, import from "deltalink/inline"',
      );
    }
    return compileCopy(entry, bytes, [error]);
  }
};
