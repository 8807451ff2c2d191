// Bundles Workers like wrangler and runs them in workerd, by Miniflare.
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { Miniflare } from "miniflare";

/**
 * Bundles a Worker with the condition workerd and the wasm as a separate module. Returns the
 * folder.
 */
export async function bundle(entry) {
  const folder = await mkdtemp(join(tmpdir(), "deltalink-edge-"));
  await build({
    entryPoints: [entry],
    outdir: folder,
    entryNames: "worker",
    bundle: true,
    format: "esm",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
    outExtension: { ".js": ".mjs" },
    logLevel: "warning",
  });
  return folder;
}

/** The CPU time of the workerd that this process has started, in seconds. 0 without /proc. */
function cpuTime() {
  try {
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
    const stats = children.map((pid) => readFileSync(`/proc/${pid}/stat`, "utf8"));
    // After the name, which may contain spaces: fields 14 and 15 are ticks of 10 ms.
    const times = stats
      .filter((stat) => stat.includes("(workerd)"))
      .map((stat) => stat.split(") ")[1].split(" ").slice(11, 13));
    return times.flat().reduce((sum, ticks) => sum + Number(ticks) / 100, 0);
  } catch {
    return 0;
  }
}

/**
 * Starts a Worker whose process a test can restart with the same storage. `dispose` removes the
 * storage. `others` are further Workers, `shared` the options for all of them.
 */
export async function startWorker(entry, options, others = [], shared = {}) {
  const folder = await bundle(entry);
  const worker = {
    name: "worker",
    modules: [
      { type: "ESModule", path: join(folder, "worker.mjs") },
      { type: "CompiledWasm", path: join(folder, "deltalink.wasm") },
    ],
    modulesRoot: folder,
    compatibilityDate: "2026-07-01",
    ...options,
  };
  const settings = { defaultPersistRoot: join(folder, "stored"), workers: [worker, ...others], ...shared };
  let miniflare = new Miniflare(settings);
  let ended = 0;
  return {
    /** The CPU time of workerd since the start, in seconds, with that before a restart. */
    get cpuTime() {
      return ended + cpuTime();
    },
    get miniflare() {
      return miniflare;
    },
    async restart() {
      ended += cpuTime();
      await miniflare.dispose();
      miniflare = new Miniflare(settings);
    },
    async fetch(path, init) {
      return miniflare.dispatchFetch(`http://worker.example${path}`, init);
    },
    async dispose() {
      await miniflare.dispose();
      await rm(folder, { recursive: true });
    },
  };
}
