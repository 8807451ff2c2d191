// Kills rounds again and again at one point, with edits in between. Checks after each kill that the
// mirror has exactly the committed pages and that the next start continues there, and at the end
// that the mirror equals the table of the fake Graph.
import assert from "node:assert/strict";
import { delayed } from "../wait.mjs";
import { byId, crash, seededRandom, startLine } from "./harness.mjs";

export const KILLS = Number(process.env.KILLS ?? 5);
const SEED = Number(process.env.SEED ?? 1 + Math.floor(Math.random() * 1e9));

/** Each point with the ways to reach it. */
export const POINTS = {
  fetch: ["hang", "delay", "slow"],
  transaction: ["issued", "compared", "written", "committing", "noted"],
  announcement: ["committed"],
  consumer: ["waiting", "busy"],
  sweep: ["waiting", "busy", "issued", "compared", "written", "committing", "committed"],
};
export const WHERE = {
  fetch: "in a fetch",
  transaction: "in the transaction of a page",
  announcement: "between a commit and its announcement",
  consumer: "in the consumer's code",
  sweep: "in the sweep",
};
const FAULTS = { hang: {}, delay: { ms: 60_000 }, slow: { bytes_per_second: 200 } };
/** The message that a page sends at a point. For `fetch` the log of the fake Graph shows it. */
const HEARD = { waiting: "waiting", committing: "soon" };

/** Plans one kill. */
export function planned(point, kill, { below }) {
  const how = POINTS[point][kill % POINTS[point].length];
  // The round saves a record before a page only if the page has new items.
  if (how === "noted") return { point, at: "note", how, times: 1 };
  const [at] = Object.entries(POINTS).find(([, ways]) => ways.includes(how));
  return { point, at, how, times: 1 + below(3) };
}

/** Seeds the random numbers by the name of the series, so that each series can run alone. */
export function seeded(context, name) {
  context.diagnostic(`SEED=${SEED}`);
  return seededRandom([...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), SEED));
}

/** Starts a world and the edits in it. */
export async function startWorld(site, point, { below }) {
  const sweeping = point === "sweep";
  // The sweep reads 500 rows at a time, so it takes three pages.
  const options = sweeping ? { page_size: 400, honour_maxpagesize: false } : {};
  const world = await site.fake.world({
    seed: 1 + below(1e6),
    options,
    populate: { contacts: sweeping ? 1200 : 60 },
  });
  const some = (op, count) => Array.from({ length: count }, () => ({ collection: "contacts", op }));
  return {
    ...world,
    sweeping,
    login: { root: world.root, token: world.tokens.delegated },
    async move() {
      if (!sweeping)
        return world.edits({ collection: "contacts", op: "random", count: 5 + below(25) }, ...some("add", 1));
      await world.edits(...some("remove", 60), ...some("add", 60));
      // Expired links make them ghosts: Graph reports no removal.
      return world.expire({});
    },
    async requests() {
      const log = await world.log();
      return log.filter(({ kind }) => kind !== "preflight");
    },
    /** Prepares the part of a plan that the page cannot do: the faults of the server. */
    async lay({ at, how, times }) {
      if (at === "fetch")
        await world.faults({
          match: { collection: "contacts", skip: times - 1 },
          fault: { name: how, ...FAULTS[how] },
        });
    },
  };
}

/** Waits until a page is at the point of the plan. Resolves to its messages up to there. */
export async function reached(line, world, plan, { below }, life) {
  if (plan.at !== "fetch") {
    const told = await line.until(HEARD[plan.how] ?? "stopped", life);
    if (plan.how === "committing") await delayed(below(4));
    return told;
  }
  const over = Date.now() + 20_000;
  while (!(await world.requests()).some(({ fault }) => fault === plan.how)) {
    assert.ok(Date.now() < over, "no request met its fault within 20 s");
    line.check();
  }
  return line.take();
}

/** Runs a series of kills. `way` says what to kill: `renderer` or `process`. */
export async function series(context, site, browser, way, point) {
  const chance = seeded(context, `${way} ${point}`);
  const world = await startWorld(site, point, chance);
  const line = await startLine();
  const model = new Model(world.sweeping);
  let hits = 0;
  let dropped = 0;
  try {
    // A sweep only happens in a mirror that an earlier round has filled.
    if (world.sweeping) await whole(site, browser, world, line, model);
    for (let kill = 0; kill < KILLS; kill += 1) {
      await world.move();
      const plan = planned(point, kill, chance);
      await world.lay(plan);
      let page = await wake(site, browser, world, line);
      if (browser.dropped()) {
        dropped += 1;
        model.dropped();
        // Fills the mirror for the next sweep.
        if (world.sweeping) {
          await page.close();
          await whole(site, browser, world, line, model);
          await world.move();
          page = await wake(site, browser, world, line);
        }
      }
      const life = page.evaluate((plan) => window.live(plan), plan);
      life.catch(() => {});
      const told = await reached(line, world, plan, chance, life);
      if (way === "renderer") await crash(page);
      else await browser.kill().then(() => browser.start());
      await life.then(
        () => assert.fail("the page was still alive after the kill"),
        () => {},
      );
      hits += 1;
      model.lived(told, await world.requests(), plan);
      await world.clearLog();
    }
    await world.move();
    await whole(site, browser, world, line, model);
    assert.deepEqual(
      byId(model.items()),
      byId(await world.table("contacts")),
      "the mirror equals the table of the server",
    );
    context.diagnostic(
      `${way}: ${point} ${hits}${dropped ? `, the database dropped by Chromium ${dropped}` : ""}`,
    );
    assert.equal(hits, KILLS);
  } finally {
    line.stop();
  }
}

async function wake(site, browser, world, line) {
  const page = await browser.page(site, line.next());
  await page.evaluate((login) => window.wake(login), world.login);
  return page;
}

/** Runs a page without a kill: it completes the interrupted round and runs another one. */
async function whole(site, browser, world, line, model) {
  const page = await wake(site, browser, world, line);
  if (browser.dropped()) model.dropped();
  const life = page.evaluate(() => window.live());
  const told = await line.until("end", life);
  await life;
  await page.close();
  model.lived(told, await world.requests());
  await world.clearLog();
}

/** The expected state: what is committed, derived from the messages of the pages and the kills. */
class Model {
  #rows = new Map();
  /** The page that was committed last. */
  #last = { last: true, index: 0 };
  /** The page that was delivered and is not known to be committed. */
  #page;
  /** Whether the first request must repeat the last one; undefined if both are right. */
  #repeats = false;
  #requestedUrls = new Set();
  /** The URL of the query: the first that was requested. */
  #query;
  #sweeping;

  constructor(sweeping) {
    this.#sweeping = sweeping;
  }

  items() {
    return [...this.#rows.values()];
  }

  /** The browser has lost the database: the next round is a first one. */
  dropped() {
    this.#rows.clear();
    this.#requestedUrls.clear();
    this.#query = undefined;
    this.#last = { last: true, index: 0 };
    this.#page = undefined;
    this.#repeats = false;
  }

  /** Checks the messages of one page, from its start to its kill. */
  lived(told, log, plan) {
    let inSweep = false;
    let fresh = true;
    for (const message of told) {
      if (message.kind === "start") {
        this.#started(message.items);
        inSweep = this.#sweeping && !this.#last.last;
      }
      if (message.kind === "page") {
        this.#commit();
        const going = !this.#last.last;
        assert.equal(
          message.index,
          going ? this.#last.index + 1 : 0,
          "the round continues after the last committed page",
        );
        if (fresh) assert.equal(message.resumed, going);
        fresh &&= message.index > 0;
        this.#page = message;
      }
      if (message.kind === "round") {
        this.#commit();
        assert.equal(message.report.outcome, "complete");
        fresh = false;
      }
      if (message.kind === "end") assert.deepEqual(byId(message.items), byId(this.items()));
    }
    this.#requested(
      log.map(({ url }) => url),
      inSweep && (told.find(({ kind }) => kind === "round")?.report.requests ?? log.length),
    );
    if (!plan || ["note", "announcement"].includes(plan.at)) this.#commit();
    // The next page is requested while the commit of the current one is still to come.
    const open = plan?.how === "committing" || plan?.at === "fetch";
    this.#repeats = open ? undefined : plan !== undefined && plan.at !== "announcement";
    if (!open) this.#page = undefined;
  }

  /** Checks the mirror at a start: it has the committed pages, and nothing of another page. */
  #started(items) {
    const found = byId(items);
    if (this.#page) {
      const before = byId(this.items());
      const without = found.length === before.length && JSON.stringify(found) === JSON.stringify(before);
      this.#repeats = without;
      if (without) this.#page = undefined;
      this.#commit();
    }
    assert.deepEqual(found, byId(this.items()), "the mirror has exactly the committed pages");
  }

  #commit() {
    if (!this.#page) return;
    for (const { type, id, item } of this.#page.changes) {
      if (type === "upsert") this.#rows.set(id, item);
      else this.#rows.delete(id);
    }
    this.#last = this.#page;
    this.#page = undefined;
  }

  /**
   * Checks that a link is requested twice only if its page was not committed: the page that was
   * delivered, and the one that was requested ahead of it.
   */
  #requested(urls, inSweep) {
    const open = [...this.#requestedUrls].slice(-2);
    if (inSweep !== false) assert.equal(inSweep, 0, "the sweep continues without a request");
    else if (open.length && this.#repeats)
      assert.ok(open.includes(urls[0]), "the page that was not committed is requested again");
    const again = urls.filter((url) => this.#requestedUrls.has(url));
    if (!this.#sweeping)
      assert.deepEqual(
        again,
        open.filter((url) => again.includes(url)),
        "no committed page is requested again",
      );
    // A resync begins with the URL of the query.
    else
      assert.ok(
        again.every((url) => url === this.#query),
        "only the URL of the query is requested again",
      );
    this.#query ??= urls[0];
    // In the order of their last requests.
    for (const url of urls) {
      this.#requestedUrls.delete(url);
      this.#requestedUrls.add(url);
    }
  }
}
