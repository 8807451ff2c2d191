// Imports TypeScript of the dashboard into Node, bundled by esbuild in memory.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const absolutePath = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Bundles a source file. Resolves to the text of the bundle. */
export async function bundle(path, options = {}) {
  const { outputFiles } = await build({
    entryPoints: [absolutePath(path)],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    logLevel: "error",
    ...options,
  });
  return outputFiles[0].text;
}

export async function load(path) {
  return import(`data:text/javascript;base64,${Buffer.from(await bundle(path)).toString("base64")}`);
}
