// Measures the segment layout of docs/decisions/0005-segment-layout.md:
//
//   make build && . scripts/env.sh && node tests/bench/segments/bench.mjs [WORD…]
//
// A word selects benchmarks by their names. RUNS=n sets the number of runs, KEYS=rows,segments the
// contestants.
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { engine as chromium } from "../chromium.mjs";
import { idOf, USER_PROPERTIES } from "../data.mjs";
import { startGraph, TOKEN } from "../graph.mjs";
import { shuffled } from "../order.mjs";
import { bundleContestant, makeFolder, unpack } from "../packages.mjs";
import { startSite } from "../site.mjs";
import { median, ratios, summary } from "../stats.mjs";
import { describeMachine } from "../versions.mjs";
import { Browser } from "../../kill/harness.mjs";
import { delayed } from "../../wait.mjs";
import { firefox, webkit } from "../webdriver.mjs";

const EVENTS = { kind: "events", pages: 20, size: 200 };
const SLOW = { ...EVENTS, latency: 50, rate: 5_000_000 };
const USERS = { kind: "users", pages: 100, size: 1000 };
const ROUNDS = 15;
const READS = 5;
const GETS = 40;
const KILLS = 30;
/** The time from the beginning of a round to its kill, in milliseconds. */
const delayOf = (kill) => 20 + ((kill * 97) % 900);

/** `isCompacted`: the bench compacts the mirror before it measures reads and further rounds. */
const ALL = [
  { key: "rows", label: "rows in JavaScript", way: "rows" },
  { key: "package", label: "the package", way: "indexeddb" },
  { key: "text", label: "rows as JSON", way: "text" },
  { key: "short", label: "rows with short keys", way: "short" },
  { key: "segments", label: "segments", way: "segments" },
  { key: "compacted", label: "segments, compacted", way: "segments", isCompacted: true },
  { key: "small", label: "segments, 1 MB in memory", way: "small" },
  { key: "small-compacted", label: "the same, compacted", way: "small", isCompacted: true },
  { key: "index", label: "segments, index of IndexedDB", way: "index" },
  { key: "objects", label: "segments of objects", way: "objects" },
];
const KEYS = process.env.KEYS?.split(",") ?? ALL.map(({ key }) => key);
const contestantsOf = (...keys) => ALL.filter(({ key }) => keys.includes(key));

const optionsOf = ({ key, way }, world) => ({
  module: "/segments/app.js",
  name: `bench ${key}`,
  root: world.root,
  kind: world.kind,
  start: "2026-11-01T00:00:00Z",
  end: "2026-12-01T00:00:00Z",
  select: USER_PROPERTIES,
  pageSize: world.size,
  token: TOKEN,
  way,
});

async function verify(session, { label }, world) {
  const found = await session.call("check");
  if (found.count === world.expected.count && found.sum === world.expected.sum) return;
  throw new Error(`${label} has ${JSON.stringify(found)}, the server has ${JSON.stringify(world.expected)}`);
}

/** Runs `work` several times. Returns the median of its results. */
async function medianOf(count, work) {
  const values = [];
  for (let number = 0; number < count; number++) values.push(await work(number));
  return median(values);
}

/** Runs `work` with an open contestant, in a new profile of the browser and with a new world. */
async function withSession(stage, engine, contestant, size, work) {
  const world = stage.graph.world(size);
  const session = await engine.start(stage.folder);
  try {
    await session.goto(`${stage.origin}/`);
    await session.call("open", optionsOf(contestant, world));
    return await work(session, world);
  } finally {
    await session.stop();
    stage.graph.remove(world);
  }
}

/** Opens the contestant in a new web page. */
async function renew(stage, session, contestant, world) {
  await session.renew(`${stage.origin}/`);
  await session.call("open", optionsOf(contestant, world));
}

const firstRound = (name, engine, size, runs, contestants) => ({
  name,
  runs,
  contestants,
  run: (stage, contestant) =>
    withSession(stage, engine, contestant, size, async (session, world) => {
      const elapsed = await session.call("round");
      await verify(session, contestant, world);
      return { "first round": elapsed };
    }),
});

/** Times get() of scattered ids: the first call in the tab, and the median of further calls. */
async function timeGets(session, world) {
  const id = (number) => idOf(world.kind, (number * 733 + 5) % (world.pages * world.size));
  const cold = await session.call("time", "get", id(GETS));
  return {
    "first get()": cold,
    "get()": await medianOf(GETS, (index) => session.call("time", "get", id(index))),
  };
}

/** Times get(), rounds with 5 changes, and reads of all rows. */
async function timeUse(session, world) {
  return {
    ...(await timeGets(session, world)),
    "5 changes": await medianOf(ROUNDS, () => {
      world.change(5);
      return session.call("round");
    }),
    "all rows at once": await medianOf(READS, () => session.call("time", "bulk")),
    "all() of the package": await medianOf(READS, () => session.call("time", "all")),
  };
}

async function fullRound(session, world) {
  world.removeSilently(20);
  await session.call("reset");
  return session.call("round");
}

const mirror = {
  name: "mirror of 4,000 events",
  runs: 5,
  contestants: ALL,
  run: (stage, contestant) =>
    withSession(stage, chromium, contestant, EVENTS, async (session, world) => {
      await session.call("round");
      const compaction = contestant.isCompacted ? await session.call("time", "compact") : 0;
      const bytes = await session.call("run", "usage");
      await renew(stage, session, contestant, world);
      const values = { compaction, "MB on disk": bytes / 1e6, ...(await timeUse(session, world)) };
      values["full round again"] = await fullRound(session, world);
      await verify(session, contestant, world);
      if (contestant.isCompacted) values["compaction again"] = await session.call("time", "compact");
      await verify(session, contestant, world);
      return values;
    }),
};

const slowAgain = {
  name: "full round over a full mirror, 50 ms",
  runs: 5,
  contestants: contestantsOf("rows", "package", "segments", "compacted"),
  run: (stage, contestant) =>
    withSession(stage, chromium, contestant, SLOW, async (session, world) => {
      await session.call("round");
      if (contestant.isCompacted) await session.call("time", "compact");
      await renew(stage, session, contestant, world);
      const values = { "full round again": await fullRound(session, world) };
      await verify(session, contestant, world);
      return values;
    }),
};

const large = {
  name: "mirror of 100,000 users",
  runs: 5,
  contestants: contestantsOf("rows", "package", "text", "short", "segments", "compacted", "small-compacted"),
  async prepare(stage, contestant) {
    const world = stage.graph.world(USERS);
    const session = await chromium.start(stage.folder);
    await session.goto(`${stage.origin}/`);
    await session.call("open", optionsOf(contestant, world));
    const first = { "first round": await session.call("round") };
    if (contestant.isCompacted) first.compaction = await session.call("time", "compact");
    first["MB on disk"] = (await session.call("run", "usage")) / 1e6;
    return { world, session, first, isUsed: false };
  },
  async run(stage, contestant, prepared) {
    const { world, session, first } = prepared;
    await renew(stage, session, contestant, world);
    const values = {
      ...first,
      ...(await timeGets(session, world)),
      "5 changes": await medianOf(ROUNDS, () => {
        world.change(5);
        return session.call("round");
      }),
      "all rows at once": await medianOf(READS, () => session.call("time", "bulk")),
    };
    // A scan would compact the pages, so only `end` runs one, in its full round.
    return values;
  },
  async end(stage, contestant, { world, session }) {
    const values = { "full round again": await fullRound(session, world) };
    await verify(session, contestant, world);
    return values;
  },
};

const byWebDriver = (engine) => ({
  name: `${engine.name}, mirror of 4,000 events`,
  runs: 5,
  contestants: contestantsOf("rows", "package", "text", "segments", "compacted", "small", "small-compacted"),
  engine,
  run: (stage, contestant) =>
    withSession(stage, engine, contestant, EVENTS, async (session, world) => {
      const first = await session.call("round");
      if (contestant.isCompacted) await session.call("time", "compact");
      await renew(stage, session, contestant, world);
      const values = { "first round": first, ...(await timeUse(session, world)) };
      values["full round again"] = await fullRound(session, world);
      await verify(session, contestant, world);
      return values;
    }),
});

/**
 * Closes the tab during rounds and compactions. After the last round the mirror equals the server.
 */
const closedTabs = {
  name: "closed tabs",
  runs: 1,
  contestants: contestantsOf("rows", "segments", "index"),
  run: (stage, contestant) =>
    withSession(stage, chromium, contestant, EVENTS, async (session, world) => {
      let interrupted = 0;
      for (let kill = 0; kill < KILLS; kill++) {
        if (kill % 10 === 9) await session.call("reset");
        world.change(5);
        const ended = session.call("round").then(() => session.call("time", "compact"));
        const isDone = ended.then(
          () => true,
          () => false,
        );
        await Promise.race([delayed(delayOf(kill)), isDone]);
        await renew(stage, session, contestant, world);
        if (!(await isDone)) interrupted += 1;
      }
      await session.call("round");
      await verify(session, contestant, world);
      return { "interrupted rounds or compactions": interrupted };
    }),
};

/** Kills the browser. The next browser must complete the round, and its mirror equal the server. */
const killedBrowsers = {
  name: "killed browsers",
  runs: 1,
  contestants: contestantsOf("rows", "package", "segments"),
  async run(stage, contestant) {
    const world = stage.graph.world(EVENTS);
    const browser = new Browser();
    let [interrupted, dropped] = [0, 0];
    try {
      for (let kill = 0; kill <= KILLS; kill++) {
        await browser.start();
        const page = await browser.context.newPage();
        await page.goto(`${stage.origin}/`);
        await page.waitForFunction(() => window.bench);
        const call = (name, ...values) =>
          page.evaluate(([called, given]) => window.bench[called](...given), [name, values]);
        await call("open", optionsOf(contestant, world));
        await call("round");
        await verify({ call }, contestant, world);
        if (kill === KILLS) break;
        // Half of the kills come during a full round, the others during a compaction.
        const isRound = kill % 2 === 0 || !contestant.way.startsWith("segments");
        if (isRound) {
          world.change(5);
          await call("reset");
        }
        const ended = isRound ? call("round") : call("time", "compact");
        const isDone = ended.then(
          () => true,
          () => false,
        );
        await Promise.race([delayed(isRound ? delayOf(kill) : 2 * kill), isDone]);
        await browser.kill();
        if (!(await isDone)) interrupted += 1;
        if (browser.dropped()) dropped += 1;
      }
    } finally {
      await browser.stop();
      stage.graph.remove(world);
    }
    return { "interrupted rounds or compactions": interrupted, "databases deleted by Chromium": dropped };
  },
};

const contract = (engine) => ({
  name: `contract in ${engine.name}`,
  runs: 1,
  engine,
  contestants: contestantsOf("rows", "segments", "index", "objects"),
  run: (stage, contestant) =>
    withSession(stage, engine, contestant, EVENTS, async (session) => ({
      "rules kept": await session.call("run", "contract"),
    })),
});

const benchmarks = [
  contract(chromium),
  contract(firefox),
  contract(webkit),
  firstRound(
    "first round, no latency",
    chromium,
    EVENTS,
    7,
    contestantsOf("rows", "package", "text", "short", "segments", "index", "objects"),
  ),
  firstRound("first round, 50 ms", chromium, SLOW, 5, contestantsOf("rows", "package", "text", "segments")),
  firstRound(
    "first round of 100,000 users, 50 ms",
    chromium,
    { ...USERS, latency: 50, rate: 5_000_000 },
    3,
    contestantsOf("rows", "package", "segments"),
  ),
  slowAgain,
  mirror,
  large,
  closedTabs,
  killedBrowsers,
  byWebDriver(firefox),
  byWebDriver(webkit),
];

/** Prints medians, their range, and the ratio to the first contestant. */
function print({ name, contestants }, results) {
  const titles = new Set([...results.values()].flat().flatMap(Object.keys));
  console.log(`\n${name}, ${results.get(contestants[0]).length} runs`);
  const number = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
  for (const title of titles) {
    console.log(`  ${title}`);
    const reference = results.get(contestants[0]).map((values) => values[title]);
    for (const one of contestants) {
      const values = results
        .get(one)
        .map((run) => run[title])
        .filter((value) => value !== undefined);
      if (values.length === 0) continue;
      const { median: middle, min, max } = summary(values);
      const ratio = reference[0] ? median(ratios(values, reference)).toFixed(2) : "";
      console.log(
        `    ${one.label.padEnd(30)} ${number(middle).padStart(8)}  (${number(min)}–${number(max)})  ${ratio}`,
      );
    }
  }
}

async function measure(stage, benchmark, runs) {
  benchmark.contestants = benchmark.contestants.filter(({ key }) => KEYS.includes(key));
  const results = new Map(benchmark.contestants.map((one) => [one, []]));
  const prepared = new Map();
  try {
    for (const one of benchmark.contestants) prepared.set(one, await benchmark.prepare?.(stage, one));
    for (let run = 0; run < runs; run++) {
      for (const one of shuffled(benchmark.contestants, run))
        results.get(one).push(await benchmark.run(stage, one, prepared.get(one)));
    }
    for (const one of benchmark.contestants)
      Object.assign(results.get(one)[0], await benchmark.end?.(stage, one, prepared.get(one)));
  } finally {
    for (const one of prepared.values()) await one?.session.stop();
  }
  print(benchmark, results);
}

const words = process.argv.slice(2).map((word) => word.toLowerCase());
const folder = makeFolder();
process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
const deltalink = unpack(resolve("dist/deltalink.tgz"), join(folder, "package"));
await bundleContestant("../segments/contestant.mjs", join(folder, "segments"), deltalink);
const graph = await startGraph();
const site = await startSite(folder);
try {
  console.log(`deltalink ${deltalink.version}; ${describeMachine()}`);
  for (const benchmark of benchmarks) {
    if (words.length && !words.some((word) => benchmark.name.toLowerCase().includes(word))) continue;
    const missing = benchmark.engine?.missing?.();
    if (missing) console.log(`\nskipped: ${benchmark.name}; ${missing}`);
    else
      await measure(
        { folder, graph, origin: site.origin },
        benchmark,
        Number(process.env.RUNS) || benchmark.runs,
      );
  }
} finally {
  graph.stop();
  site.stop();
}
