// Unpacks the packages that are measured, and bundles each contestant into one folder as a web
// app's bundler would.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));

/** A folder for everything that the bench writes, which removes it at its end. */
export const makeFolder = () => mkdtempSync(join(tmpdir(), "deltalink-bench-"));

/** Unpacks a tarball of `npm pack`. */
export function unpack(tarball, into) {
  mkdirSync(into, { recursive: true });
  execFileSync("tar", ["xzf", tarball, "-C", into, "--strip-components=1"]);
  const { version } = JSON.parse(readFileSync(join(into, "package.json"), "utf8"));
  return { folder: into, version };
}

/** The version of an installed package, of the bench's own or of the repository. */
export function versionOf(name) {
  for (const place of [here, join(here, "../..")]) {
    try {
      return JSON.parse(readFileSync(join(place, "node_modules", name, "package.json"), "utf8")).version;
    } catch {
      // The other place has it.
    }
  }
  throw new Error(`${name} is not installed`);
}

/**
 * Bundles a contestant for browsers; with splitting, as the package's fallback is a chunk that is
 * loaded only when it is needed.
 */
export async function bundlePage(source, into, deltalink) {
  await build({
    entryPoints: { app: join(here, "contestants", source) },
    outdir: into,
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    target: "es2022",
    conditions: ["browser"],
    alias: deltalink && { deltalink: join(deltalink.folder, "browser.js") },
    logLevel: "warning",
  });
  if (deltalink) copyFileSync(join(deltalink.folder, "deltalink.wasm"), join(into, "deltalink.wasm"));
}

/** Bundles a Worker as wrangler does: the wasm stays a module of its own. */
export async function bundleWorker(source, into, deltalink) {
  await build({
    entryPoints: { worker: join(here, "workers", source) },
    outdir: into,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    alias: deltalink && { deltalink: join(deltalink.folder, "workerd.js") },
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
    outExtension: { ".js": ".mjs" },
    logLevel: "warning",
  });
}
