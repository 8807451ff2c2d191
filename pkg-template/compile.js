// From a file, a URL or bytes to a module, for the hosts that may compile one at run time. Workers
// import theirs.

/** The build writes it here and into the wasm. */
const STAMP = "";

/** A file that an old page or another version left behind would be called by the wrong names. */
function own(module) {
  const [section] = WebAssembly.Module.customSections(module, "deltalink");
  if (!section || new TextDecoder().decode(section) !== STAMP)
    throw new Error("this is not the wasm of this build of deltalink");
  return module;
}

/**
 * By shape: one of another realm, or of a page that replaces a global, is not an instance of ours.
 */
const isModule = (source) => Object.prototype.toString.call(source) === "[object WebAssembly.Module]";
const isUrl = (source) => typeof source === "string" || typeof source?.href === "string";
const isResponse = (source) =>
  typeof source?.arrayBuffer === "function" && typeof source.headers?.get === "function";

/** The module that `init()` was given, in any of the forms it takes. */
async function compile(given) {
  let source = await given;
  if (isModule(source)) return source;
  if (isUrl(source)) source = await fetch(source);
  if (!isResponse(source)) return WebAssembly.compile(source);
  if (!source.ok) throw new Error(`${source.url} answers ${source.status}`);
  // Only what says that it is wasm can be compiled while it comes.
  const streams =
    WebAssembly.compileStreaming && /^application\/wasm\b/.test(source.headers.get("content-type"));
  return streams ? WebAssembly.compileStreaming(source) : WebAssembly.compile(await source.arrayBuffer());
}

/**
 * The source of a host: what the caller gives; else the package's own wasm, which `reach` finds
 * beside its JavaScript; else, however that failed, the copy that is JavaScript itself. Bundlers
 * know it by its `import`, and it is loaded only then.
 */
export const ladder = (rung, reach) => async (given) => {
  if (given !== undefined) return [own(await compile(given)), "given"];
  try {
    return [own(await compile(reach())), rung];
  } catch (error) {
    try {
      return [own(await compile((await import("./inline.js")).default())), "inline"];
    } catch (last) {
      throw new AggregateError([error, last], [...new Set([error.message, last.message])].join("; "), {
        cause: last,
      });
    }
  }
};
