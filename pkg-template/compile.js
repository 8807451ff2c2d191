// @ts-check
// Compiles the wasm from a file, a URL or bytes, on hosts that allow this at run time. Workers
// import a compiled module instead.

/** Identifies the build. The build writes the same value into the wasm. */
const STAMP = "";

/** Checks that a module is of this build: another one exports other names. */
function checkBuild(module) {
  const [section] = WebAssembly.Module.customSections(module, "deltalink");
  if (!section || new TextDecoder().decode(section) !== STAMP)
    throw new Error("this is not the wasm of this build of deltalink");
  return module;
}

// These check the shape of a value: an object of another realm is not an `instanceof` this global.
const isModule = (source) => Object.prototype.toString.call(source) === "[object WebAssembly.Module]";
const isUrl = (source) => typeof source === "string" || typeof source?.href === "string";
const isResponse = (source) =>
  typeof source?.arrayBuffer === "function" && typeof source.headers?.get === "function";

/** Compiles any of the forms of `WasmSource`. */
async function compile(given) {
  let source = await given;
  if (isModule(source)) return source;
  if (isUrl(source)) source = await fetch(source);
  if (!isResponse(source)) return WebAssembly.compile(source);
  if (!source.ok) throw new Error(`the response of ${source.url} has the status ${source.status}`);
  // Compiling while it arrives requires the content type of wasm.
  const streams =
    WebAssembly.compileStreaming && /^application\/wasm\b/.test(source.headers.get("content-type"));
  return streams ? WebAssembly.compileStreaming(source) : WebAssembly.compile(await source.arrayBuffer());
}

/**
 * Returns the source of a host for `createApi()`. It tries in turn: what the caller has given to
 * `init()`; the package's wasm file, which `locate` finds; the copy of the wasm in JavaScript,
 * which is imported only if the file fails. `origin` is the `WasmOrigin` of the file.
 */
export const fallbackChain = (origin, locate) => async (given) => {
  if (given !== undefined) return [checkBuild(await compile(given)), "given"];
  try {
    return [checkBuild(await compile(locate())), origin];
  } catch (error) {
    try {
      return [checkBuild(await compile((await import("./inline.js")).default())), "inline"];
    } catch (last) {
      throw new AggregateError([error, last], [...new Set([error.message, last.message])].join("; "), {
        cause: last,
      });
    }
  }
};
