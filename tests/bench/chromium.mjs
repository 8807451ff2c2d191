// Starts Chromium with a profile on disk, by playwright-core.
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
];

/** The time between two samples of a profile, in microseconds. */
const SAMPLING_INTERVAL = 200;

export const engine = {
  name: "Chromium",
  missing: () => !process.env.CHROMIUM && "it is not installed",

  /** Starts a browser with a new profile in this folder and one web page. */
  async start(folder) {
    const profile = await mkdtemp(join(folder, "profile-"));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CHROMIUM,
      args: [...ARGS, "--disable-component-update", "--disable-sync"],
    });
    context.setDefaultTimeout(300_000);
    let [page] = context.pages();
    let devtools = await context.newCDPSession(page);
    return {
      version: context.browser().version(),
      async goto(url) {
        await page.goto(url);
        await page.waitForFunction(() => window.bench);
      },
      /** Replaces the web page with a new one of the same profile. */
      async renew(url) {
        const old = page;
        page = await context.newPage();
        await old.close();
        devtools = await context.newCDPSession(page);
        await this.goto(url);
      },
      call: (name, ...values) =>
        page.evaluate(([called, given]) => window.bench[called](...given), [name, values]),
      /**
       * The live bytes after a garbage collection: JavaScript heap, buffers and memory of the wasm.
       */
      async liveBytes() {
        await devtools.send("HeapProfiler.collectGarbage");
        const {
          usedSize,
          embedderHeapUsedSize = 0,
          backingStorageSize = 0,
        } = await devtools.send("Runtime.getHeapUsage");
        return usedSize + embedderHeapUsedSize + backingStorageSize;
      },
      /** Runs `work` under V8's sampling profiler. Returns its result and the profile. */
      async profile(work) {
        await devtools.send("Profiler.enable");
        await devtools.send("Profiler.setSamplingInterval", { interval: SAMPLING_INTERVAL });
        await devtools.send("Profiler.start");
        const result = await work();
        const { profile: samples } = await devtools.send("Profiler.stop");
        return { result, samples };
      },
      async stop() {
        await context.close();
        await rm(profile, { recursive: true, maxRetries: 20, retryDelay: 50 });
      },
    };
  },
};
