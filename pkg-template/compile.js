// @ts-check
// Compiles the wasm from a file, a URL or bytes. Hosts that forbid this at run time pass a compiled
// module. Errors name the entry of the package that the host or bundler has chosen.

/** Identifies the build. scripts/stamp.mjs writes the same value into the wasm. */
const STAMP = "";

/** Checks that a module is of this build, because another build exports other names. */
function checkBuild(module) {
  const [section] = WebAssembly.Module.customSections(module, "deltalink");
  if (!section || new TextDecoder().decode(section) !== STAMP)
    throw new Error("this is not the wasm of this build of deltalink");
  return module;
}

// These check the shape of a value: an object of another realm has another class.
const isModule = (source) => Object.prototype.toString.call(source) === "[object WebAssembly.Module]";
const isUrl = (source) => typeof source === "string" || typeof source?.href === "string";
const isResponse = (source) =>
  typeof source?.arrayBuffer === "function" && typeof source.headers?.get === "function";

/**
 * Compiles any of the forms of `WasmSource`. Not a function declaration: OpenNext for Cloudflare
 * mistakes one that returns `WebAssembly.compileStreaming()` for Turbopack's loader, and replaces
 * it.
 */
const compile = async (given) => {
  let source = await given;
  if (isModule(source)) return source;
  if (isUrl(source)) source = await fetch(source);
  if (!isResponse(source)) return WebAssembly.compile(source);
  if (!source.ok) throw new Error(`the response of ${source.url} has the status ${source.status}`);
  // A response can be compiled while it arrives only if it has the content type of wasm.
  const canStream =
    WebAssembly.compileStreaming && /^application\/wasm\b/.test(source.headers.get("content-type"));
  return canStream ? WebAssembly.compileStreaming(source) : WebAssembly.compile(await source.arrayBuffer());
};

const IN_WORKERD =
  'on a host that does not allow compilation at run time, such as workerd: import wasm from "deltalink/deltalink.wasm"; await init(wasm); in Next.js import from "deltalink/edge-light"';

/** Returns the error of a failed load. `advice` says what to do. */
export function failure(entry, errors, advice) {
  const reasons = [...new Set(errors.map((error) => error?.message ?? String(error)))].join("; ");
  return new AggregateError(errors, `the entry "${entry}" was loaded: ${reasons}; ${advice}`, {
    cause: errors.at(-1),
  });
}

/** Compiles the wasm that was passed to `init()`. Resolves to the module and its origin. */
export async function compileGiven(entry, given) {
  try {
    return [checkBuild(await compile(given)), "given"];
  } catch (error) {
    throw failure(entry, [error], `init() takes the deltalink.wasm of this version; ${IN_WORKERD}`);
  }
}

/**
 * Compiles the package's wasm file. Resolves to the module and `origin`, its `WasmOrigin`. `locate`
 * returns the URL or the bytes of the file.
 */
export const compileFile = async (origin, locate) => [checkBuild(await compile(locate())), origin];

/**
 * Compiles the bytes of the copy in JavaScript. Resolves to the module and its origin. `errors` are
 * those of earlier attempts.
 */
export async function compileCopy(entry, bytes, errors = []) {
  try {
    return [checkBuild(await compile(bytes)), "inline"];
  } catch (error) {
    throw failure(entry, [...errors, error], IN_WORKERD);
  }
}

/**
 * Returns the source for `createApi()` of a host whose bundler imports the wasm as a compiled
 * module. Other bundlers make a URL or bytes of the import: these are compiled here.
 */
export const fromModule = (entry, wasm) => async (given) => {
  if (given !== undefined && given !== wasm) return compileGiven(entry, given);
  try {
    return [await compile(wasm), "module"];
  } catch (error) {
    throw failure(
      entry,
      [error],
      'its bundler must import wasm as a compiled module; elsewhere import from "deltalink/browser", "deltalink/node" or "deltalink/inline"',
    );
  }
};
