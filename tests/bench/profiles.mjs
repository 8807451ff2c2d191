// Shows in whose code the time of deltalink's sync() goes, by V8's sampling profiler:
// `make bench PROFILE=1`.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROWS } from "./rows.mjs";

/** The parts of the time, in the order of the columns. */
const PARTS = {
  waiting: "waits for the network and the database, which are other processes",
  browser: "the browser's code in the process of the web page: parsing, copying, IndexedDB, garbage",
  wasm: "deltalink's wasm",
  javascript: "deltalink's JavaScript",
};

/** The profiler counts the work of these built-in getters and functions to their callers. */
const BUILT_IN = /^\(\w*\)\s*\{\s*return (\w+\.result|JSON\.parse\(\w+\))\s*\}/;

export class Profiles {
  #folder;
  /** By row: the microseconds of each part, and the number of profiled calls. */
  #rows = new Map();
  #sources = new Map();

  /** `folder` has the bundles of the contestants. */
  constructor(folder) {
    this.#folder = folder;
  }

  /** Calls a function of the web page under the profiler. */
  async record(id, contestant, session, call) {
    const { result, samples } = await session.profile(() => session.call(...call));
    const row = this.#rows.get(id) ?? { calls: 0, waiting: 0, browser: 0, wasm: 0, javascript: 0 };
    this.#rows.set(id, row);
    row.calls += 1;
    const frames = new Map(samples.nodes.map(({ id: node, callFrame }) => [node, callFrame]));
    // The profiler also samples the time before and after the call.
    const parts = samples.samples.map((node) => this.#part(frames.get(node), contestant.key));
    const isPackageCode = (part) => part === "wasm" || part === "javascript";
    const [first, last] = [parts.findIndex(isPackageCode), parts.findLastIndex(isPackageCode)];
    samples.timeDeltas.forEach((time, index) => {
      if (index >= first && index <= last) row[parts[index]] += time;
    });
    return result;
  }

  /** By row: the share of each part, between 0 and 1. */
  get shares() {
    const sharesOf = ({ calls: _, ...times }) => {
      const total = Object.values(times).reduce((sum, time) => sum + time, 0);
      return Object.fromEntries(Object.entries(times).map(([part, time]) => [part, time / total]));
    };
    return Object.fromEntries([...this.#rows].map(([id, row]) => [id, sharesOf(row)]));
  }

  /** Prints a row: the time of one call, and the share of each part. */
  print(id) {
    const { calls, ...times } = this.#rows.get(id);
    const total = Object.values(times).reduce((sum, time) => sum + time, 0);
    console.log(`\n${ROWS[id].title}  [${id}; ${calls} calls of ${(total / calls / 1000).toFixed(1)} ms]`);
    for (const [part, share] of Object.entries(this.shares[id]))
      console.log(`  ${(100 * share).toFixed(0).padStart(3)} %  ${PARTS[part]}`);
  }

  #part({ functionName, url, lineNumber, columnNumber }, key) {
    if (functionName === "(idle)") return "waiting";
    if (url.endsWith(".wasm") || /^(wasm-to-js|js-to-wasm)/.test(functionName)) return "wasm";
    if (!url.endsWith(`/${key}/app.js`)) return "browser";
    if (!this.#sources.has(key))
      this.#sources.set(key, readFileSync(join(this.#folder, key, "app.js"), "utf8").split("\n"));
    const text = this.#sources.get(key)[lineNumber]?.slice(columnNumber, columnNumber + 80) ?? "";
    return BUILT_IN.test(text) ? "browser" : "javascript";
  }
}
