// The benchmarks in browsers.
import { USER_PROPERTIES } from "./data.mjs";
import { engine as chromium } from "./chromium.mjs";
import { TOKEN } from "./graph.mjs";
import { median } from "./stats.mjs";
import { PATHS } from "./world.mjs";
import { firefox, webkit } from "./webdriver.mjs";

const WINDOW = { start: "2026-11-01T00:00:00Z", end: "2026-12-01T00:00:00Z" };
const QUERY = {
  events: `?startDateTime=${WINDOW.start}&endDateTime=${WINDOW.end}`,
  users: `?$select=${USER_PROPERTIES.join(",")}`,
};
const MANY_USERS = { kind: "users", pages: 100, size: 1000 };
const EVENTS = { kind: "events", pages: 20, size: 200 };
const BANDWIDTH = 5_000_000;
/** A run repeats short rounds and reads this often. The value of the run is their median. */
const ROUNDS = 15;
const READS = 5;

/** The options of a contestant for a world. */
function optionsOf(contestant, world) {
  return {
    module: `/${contestant.key}/app.js`,
    name: `bench ${contestant.key}`,
    root: world.root,
    path: PATHS[world.kind] + QUERY[world.kind],
    kind: world.kind,
    ...WINDOW,
    select: USER_PROPERTIES,
    pageSize: world.size,
    prefer: world.kind === "events" ? `odata.maxpagesize=${world.size}` : undefined,
    token: TOKEN,
    way: contestant.way,
  };
}

/**
 * Fails unless the rows equal those of the server, and each page took one preflight and one
 * request.
 */
async function verify(session, contestant, world, requests) {
  const found = await session.call("check");
  const same = found.count === world.expected.count && found.sum === world.expected.sum;
  if (!same) {
    const [actual, expected] = [found, world.expected].map(
      ({ count, sum }) => `${count} rows with the checksum ${sum}`,
    );
    throw new Error(`${contestant.label} has ${actual}, the server has ${expected}`);
  }
  if (world.preflights < world.pages) {
    throw new Error(`${contestant.label} sent ${world.preflights} preflights for ${world.pages} pages`);
  }
  if (world.requests !== requests) {
    throw new Error(`${contestant.label} sent ${world.requests} requests for pages, not ${requests}`);
  }
}

/** Runs `work` several times. Returns the median of its results. */
async function medianOf(count, work) {
  const values = [];
  for (let times = 0; times < count; times++) values.push(await work());
  return median(values);
}

/** Calls the function of the web page that a row measures; with `make bench PROFILE=1` profiled. */
const measured = (stage, contestant, session, id, ...call) =>
  stage.profiles ? stage.profiles.record(id, contestant, session, call) : session.call(...call);

/** Opens a contestant in a browser with a new profile and a new world. */
async function withSession(stage, engine, contestant, size, work) {
  const world = stage.graph.world(size);
  const session = await engine.start(stage.folder);
  stage.versions[engine.name] ??= session.version;
  try {
    await session.goto(`${stage.site.origin}/`);
    return await work(session, world, optionsOf(contestant, world));
  } finally {
    await session.stop();
    stage.graph.remove(world);
  }
}

/** Measures a first round of a world of this size. */
function firstRound(id, engine, size, runs) {
  return {
    rows: [id],
    engine,
    isProfiled: true,
    runs,
    run: (contestant, stage) =>
      withSession(stage, engine, contestant, size, async (session, world, options) => {
        await session.call("open", options);
        const elapsed = await measured(stage, contestant, session, id, "round");
        await verify(session, contestant, world, world.pages);
        return { [id]: elapsed };
      }),
  };
}

/**
 * Measures a filled mirror of 4,000 events: rounds without and with changes, reads of all rows, and
 * a full round that removes rows.
 */
const onMirror = {
  rows: ["incremental-4k-0", "incremental-4k-5", "all-4k", "full-again"],
  engine: chromium,
  isProfiled: true,
  runs: { quick: 1, full: 7 },
  run: (contestant, stage) =>
    withSession(stage, chromium, contestant, EVENTS, async (session, world, options) => {
      const call = (...named) => measured(stage, contestant, session, ...named);
      await session.call("open", options);
      await session.call("round");
      await session.renew(`${stage.site.origin}/`);
      await session.call("open", options);
      const values = {
        "incremental-4k-0": await medianOf(ROUNDS, () => call("incremental-4k-0", "round")),
        "incremental-4k-5": await medianOf(ROUNDS, () => {
          world.change(5);
          return call("incremental-4k-5", "round");
        }),
        "all-4k": await medianOf(READS, () => call("all-4k", "all")),
      };
      world.removeSilently(20);
      await session.call("reset");
      values["full-again"] = await call("full-again", "round");
      await verify(session, contestant, world, 2 * world.pages + 2 * ROUNDS);
      return values;
    }),
};

/** Measures a mirror of 100,000 users, filled once. Each run opens it in a new web page. */
const onLargeMirror = {
  rows: ["incremental-100k-0", "incremental-100k-5", "all-100k"],
  engine: chromium,
  isProfiled: true,
  runs: { quick: 0, full: 5 },
  async prepare(contestant, stage) {
    const world = stage.graph.world(MANY_USERS);
    const session = await chromium.start(stage.folder);
    const options = optionsOf(contestant, world);
    const url = `${stage.site.origin}/`;
    await session.goto(url);
    await session.call("open", options);
    await session.call("round");
    return { world, session, options, url, stop: () => session.stop() };
  },
  async run(contestant, stage, { world, session, options, url }) {
    const call = (...named) => measured(stage, contestant, session, ...named);
    await session.renew(url);
    await session.call("open", options);
    const before = world.requests;
    const values = {
      "incremental-100k-0": await medianOf(ROUNDS, () => call("incremental-100k-0", "round")),
      "incremental-100k-5": await medianOf(ROUNDS, () => {
        world.change(5);
        return call("incremental-100k-5", "round");
      }),
      "all-100k": await medianOf(READS, () => call("all-100k", "all")),
    };
    await verify(session, contestant, world, before + 2 * ROUNDS);
    return values;
  },
};

/**
 * Measures the loading of a contestant at the first visit of the web page, and at the fourth, from
 * caches.
 */
const onImport = {
  rows: ["import-cold", "import-warm"],
  engine: chromium,
  isProfiled: true,
  runs: { quick: 1, full: 7 },
  run: (contestant, stage) =>
    withSession(
      stage,
      chromium,
      contestant,
      { kind: "events", pages: 1, size: 20 },
      async (session, world, options) => {
        const visit = (id) => measured(stage, contestant, session, id, "firstRequest", options);
        const cold = await visit("import-cold");
        let warm;
        for (let visits = 0; visits < 3; visits++) {
          await session.renew(`${stage.site.origin}/`);
          warm = await visit("import-warm");
        }
        await verify(session, contestant, world, 4);
        return { "import-cold": cold, "import-warm": warm };
      },
    ),
};

/**
 * Measures the peak of live memory during a first round, minus the live memory before the round.
 */
function peakHeap(id, pages, runs) {
  return {
    rows: [id],
    engine: chromium,
    runs,
    run: (contestant, stage) =>
      withSession(stage, chromium, contestant, { ...EVENTS, pages }, async (session, world, options) => {
        await session.call("open", options);
        const before = await session.liveBytes();
        let hasEnded = false;
        const round = session.call("round").finally(() => (hasEnded = true));
        let peak = before;
        while (!hasEnded) peak = Math.max(peak, await session.liveBytes());
        await round;
        await verify(session, contestant, world, world.pages);
        return { [id]: (peak - before) / 1e6 };
      }),
  };
}

/** Measures a first round and all() in a browser that WebDriver controls. */
function byWebDriver(id, engine) {
  return {
    rows: [`${id}-first`, `${id}-all`],
    engine,
    runs: { quick: 0, full: 5 },
    run: (contestant, stage) =>
      withSession(stage, engine, contestant, EVENTS, async (session, world, options) => {
        await session.call("open", options);
        const elapsed = await session.call("round");
        const all = await medianOf(READS, () => session.call("all"));
        await verify(session, contestant, world, world.pages);
        return { [`${id}-first`]: elapsed, [`${id}-all`]: all };
      }),
  };
}

/** Measures all() of 100,000 rows in a browser that WebDriver controls. */
function manyByWebDriver(id, engine) {
  return {
    rows: [id],
    engine,
    runs: { quick: 0, full: 3 },
    run: (contestant, stage) =>
      withSession(stage, engine, contestant, MANY_USERS, async (session, world, options) => {
        await session.call("open", options);
        await session.call("round");
        const all = await medianOf(READS, () => session.call("all"));
        await verify(session, contestant, world, world.pages);
        return { [id]: all };
      }),
  };
}

export const browserBenchmarks = [
  firstRound("first-0ms", chromium, EVENTS, { quick: 3, full: 9 }),
  firstRound("first-50ms", chromium, { ...EVENTS, latency: 50, rate: BANDWIDTH }, { quick: 1, full: 5 }),
  firstRound("first-150ms", chromium, { ...EVENTS, latency: 150, rate: BANDWIDTH }, { quick: 0, full: 3 }),
  firstRound("users", chromium, { kind: "users", pages: 40, size: 100 }, { quick: 2, full: 7 }),
  onMirror,
  onLargeMirror,
  onImport,
  peakHeap("heap-20", 20, { quick: 1, full: 3 }),
  peakHeap("heap-200", 200, { quick: 0, full: 1 }),
  byWebDriver("firefox", firefox),
  byWebDriver("webkit", webkit),
  manyByWebDriver("firefox-all-100k", firefox),
  manyByWebDriver("webkit-all-100k", webkit),
];
