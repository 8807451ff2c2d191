// Unpacks the measured packages, and bundles each contestant like a web app.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Makes a temporary folder for all files. The caller removes it. */
export const makeFolder = () => mkdtempSync(join(tmpdir(), "deltalink-bench-"));

/** Unpacks a tarball of `npm pack`. */
export function unpack(tarball, into) {
  mkdirSync(into, { recursive: true });
  execFileSync("tar", ["xzf", tarball, "-C", into, "--strip-components=1"]);
  const { version } = JSON.parse(readFileSync(join(into, "package.json"), "utf8"));
  return { folder: into, version };
}

/** The version of a package that is installed for the benchmarks or in the repository. */
export function versionOf(name) {
  for (const folder of [here, join(here, "../..")]) {
    try {
      return JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8")).version;
    } catch {
      // The package is installed in the other folder.
    }
  }
  throw new Error(`bench: ${name} is not installed; "make bench" installs it`);
}

/**
 * Bundles a contestant for browsers, with splitting, so that the package's fallback for the wasm is
 * a separate chunk.
 */
export async function bundleContestant(source, into, deltalink) {
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

/** Bundles a Worker like wrangler, with the wasm as a separate module. */
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
