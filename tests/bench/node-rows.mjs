// The benchmarks outside of browsers: the CPU time of a round in Node, and the first response of a
// Worker.
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Miniflare } from "miniflare";
import { deltalinks } from "./contestants.mjs";
import { TOKEN } from "./graph.mjs";
import { bundleWorker } from "./packages.mjs";

const PROCESS = fileURLToPath(new URL("cpu-process.mjs", import.meta.url));

/**
 * Measures the CPU time of first rounds. Each contestant has one process for all runs. A first run
 * warms it up and does not count.
 */
function cpuBenchmark(id, world, ways, runs) {
  return {
    rows: [id],
    engine: { name: "Node" },
    runs,
    contestants: (packages) => [
      { key: "reference", label: "r.json() + Map.set", way: "reference" },
      ...deltalinks(packages, ways).map((contestant) => ({
        ...contestant,
        label: contestant.label.replace("feed()", "round() of a feed"),
      })),
    ],
    async prepare({ way, deltalink }) {
      const child = fork(PROCESS, [JSON.stringify({ way, ...world, folder: deltalink?.folder })]);
      // Rejects the pending measurement if the process exits.
      const ended = new AbortController();
      child.once("exit", (code) => ended.abort(new Error(`the process of ${way} exited with ${code}`)));
      const prepared = {
        async measure() {
          child.send("run");
          const [{ value, error }] = await once(child, "message", { signal: ended.signal });
          if (error) throw new Error(error);
          return value;
        },
        async stop() {
          if (child.exitCode !== null) return;
          child.disconnect();
          await once(child, "exit");
        },
      };
      await prepared.measure();
      return prepared;
    },
    run: async (_contestant, _stage, prepared) => ({ [id]: await prepared.measure() }),
  };
}

/**
 * Measures the time from the start of workerd to the response of a Worker with a round of one page.
 */
const workerBenchmark = {
  rows: ["workerd-cold"],
  engine: { name: "workerd" },
  runs: { quick: 2, full: 9 },
  contestants: (packages) => [
    { key: "reference", label: "fetch + Map.set", source: "plain.js" },
    ...deltalinks(packages, ["sync"]).map((contestant) => ({ ...contestant, source: "deltalink.js" })),
  ],
  async prepare({ key, source, deltalink }, stage) {
    const folder = join(stage.folder, `worker-${key}`);
    await bundleWorker(source, folder, deltalink);
    const modules = [{ type: "ESModule", path: join(folder, "worker.mjs") }];
    if (deltalink) modules.push({ type: "CompiledWasm", path: join(folder, "deltalink.wasm") });
    return { folder, modules, stop: async () => {} };
  },
  async run({ label }, stage, { folder, modules }) {
    const world = stage.graph.world({ kind: "events", pages: 1, size: 20 });
    const start = performance.now();
    const miniflare = new Miniflare({
      modules,
      modulesRoot: folder,
      compatibilityDate: "2026-07-01",
      bindings: { ROOT: world.root, TOKEN },
    });
    try {
      const { count, sum } = await (await miniflare.dispatchFetch("http://worker.example/")).json();
      const elapsed = performance.now() - start;
      if (count !== world.expected.count || sum !== world.expected.sum)
        throw new Error(`the rows of ${label} differ from those of the server`);
      return { "workerd-cold": elapsed };
    } finally {
      await miniflare.dispose();
      stage.graph.remove(world);
    }
  },
};

const EVENTS = { kind: "events", pages: 20, size: 200 };
export const nodeBenchmarks = [
  cpuBenchmark("cpu-events", EVENTS, ["sync", "round", "feed"], { quick: 5, full: 15 }),
  cpuBenchmark("cpu-users", { kind: "users", pages: 40, size: 100 }, ["sync"], { quick: 5, full: 15 }),
  workerBenchmark,
];
