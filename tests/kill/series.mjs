// Kills rounds again and again at one point, with edits in between. Checks after each kill that the
// mirror has exactly the committed pages and that the next start continues there, and at the end
// that the mirror equals the table of the fake Graph.
import assert from "node:assert/strict";
import { delayed } from "../wait.mjs";
import { byId, crash, seededRandom, startChannel } from "./harness.mjs";

export const KILLS = Number(process.env.KILLS ?? 5);
const SEED = Number(process.env.SEED ?? 1 + Math.floor(Math.random() * 1e9));

/** Each point with the ways to reach it. */
export const POINTS = {
  fetch: ["hang", "delay", "slow"],
  transaction: ["issued", "compared", "written", "committing", "saved"],
  announcement: ["committed"],
  consumer: ["waiting", "busy"],
  sweep: ["waiting", "busy", "issued", "compared", "written", "committing", "committed"],
};
export const DESCRIPTIONS = {
  fetch: "in a fetch",
  transaction: "in the transaction of a page",
  announcement: "between a commit and its announcement",
  consumer: "in the consumer's code",
  sweep: "in the sweep",
};
const FAULTS = { hang: {}, delay: { ms: 60_000 }, slow: { bytes_per_second: 200 } };
/** The ways that a tab announces by a message of the same name. For others it sends "stopped". */
const ANNOUNCED = ["waiting", "committing"];

/** Plans one kill. `place`: where the tab stops. In a sweep and for `saved` it is not `point`. */
export function planKill(point, kill, { below }) {
  const how = POINTS[point][kill % POINTS[point].length];
  // The round saves a record before a page only if the page has new items.
  if (how === "saved") return { point, place: "record", how, times: 1 };
  const [place] = Object.entries(POINTS).find(([, ways]) => ways.includes(how));
  return { point, place, how, times: 1 + below(3) };
}

/** Random numbers seeded by the name of the series, so that each series can run alone. */
export function randomOf(context, name) {
  context.diagnostic(`SEED=${SEED}`);
  return seededRandom([...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), SEED));
}

/** Starts a world and the edits in it. */
export async function startWorld(site, point, { below }) {
  const isSweep = point === "sweep";
  // The sweep reads 500 rows at a time, so it takes three pages.
  const options = isSweep ? { page_size: 400, honour_maxpagesize: false } : {};
  const world = await site.fake.world({
    seed: 1 + below(1e6),
    options,
    populate: { contacts: isSweep ? 1200 : 60 },
  });
  const some = (op, count) => Array.from({ length: count }, () => ({ collection: "contacts", op }));
  return {
    ...world,
    isSweep,
    login: { root: world.root, token: world.tokens.delegated },
    async edit() {
      if (!isSweep)
        return world.edits({ collection: "contacts", op: "random", count: 5 + below(25) }, ...some("add", 1));
      await world.edits(...some("remove", 60), ...some("add", 60));
      // Expired links make them ghosts: Graph reports no removal.
      return world.expire({});
    },
    async requests() {
      const log = await world.log();
      return log.filter(({ kind }) => kind !== "preflight");
    },
    /** Makes the faults of the server that a plan needs. For other plans, the tab stops itself. */
    async setFaults({ place, how, times }) {
      if (place === "fetch")
        await world.faults({
          match: { collection: "contacts", skip: times - 1 },
          fault: { name: how, ...FAULTS[how] },
        });
    },
  };
}

/** Waits until a tab has reached the point of the plan. Resolves to its messages until then. */
export async function waitForPoint(channel, world, plan, { below }, run) {
  if (plan.place !== "fetch") {
    const messages = await channel.until(ANNOUNCED.includes(plan.how) ? plan.how : "stopped", run);
    if (plan.how === "committing") await delayed(below(4));
    return messages;
  }
  const deadline = Date.now() + 20_000;
  while (!(await world.requests()).some(({ fault }) => fault === plan.how)) {
    assert.ok(Date.now() < deadline, "no request met its fault within 20 s");
    channel.check();
  }
  return channel.take();
}

/** Runs a series of kills of `target`: `renderer` or `process`. */
export async function series(context, site, browser, target, point) {
  const random = randomOf(context, `${target} ${point}`);
  const world = await startWorld(site, point, random);
  const channel = await startChannel();
  const model = new Model(world.isSweep);
  let kills = 0;
  let dropped = 0;
  try {
    // Only a mirror that an earlier round has filled can be swept.
    if (world.isSweep) await runToEnd(site, browser, world, channel, model);
    for (let kill = 0; kill < KILLS; kill += 1) {
      await world.edit();
      const plan = planKill(point, kill, random);
      await world.setFaults(plan);
      let page = await openPage(site, browser, world, channel);
      if (browser.dropped()) {
        dropped += 1;
        model.clear();
        // Fills the mirror for the next sweep.
        if (world.isSweep) {
          await page.close();
          await runToEnd(site, browser, world, channel, model);
          await world.edit();
          page = await openPage(site, browser, world, channel);
        }
      }
      const run = page.evaluate((plan) => window.runRounds(plan), plan);
      run.catch(() => {});
      const messages = await waitForPoint(channel, world, plan, random, run);
      if (target === "renderer") await crash(page);
      else await browser.kill().then(() => browser.start());
      await run.then(
        () => assert.fail("the tab was still alive after the kill"),
        () => {},
      );
      kills += 1;
      model.check(messages, await world.requests(), plan);
      await world.clearLog();
    }
    await world.edit();
    await runToEnd(site, browser, world, channel, model);
    assert.deepEqual(
      byId(model.items()),
      byId(await world.table("contacts")),
      "the mirror equals the table of the server",
    );
    context.diagnostic(
      `${target}: ${point} ${kills}${dropped ? `, ${dropped} databases deleted by Chromium` : ""}`,
    );
    assert.equal(kills, KILLS);
  } finally {
    channel.stop();
  }
}

async function openPage(site, browser, world, channel) {
  const page = await browser.page(site, channel.next());
  await page.evaluate((login) => window.openQuery(login), world.login);
  return page;
}

/** Runs a tab without killing it: it completes the interrupted round and runs another one. */
async function runToEnd(site, browser, world, channel, model) {
  const page = await openPage(site, browser, world, channel);
  if (browser.dropped()) model.clear();
  const run = page.evaluate(() => window.runRounds());
  const messages = await channel.until("end", run);
  await run;
  await page.close();
  model.check(messages, await world.requests());
  await world.clearLog();
}

/** The expected committed state, derived from the messages of the tabs and the kills. */
class Model {
  #rows = new Map();
  /** The page that was committed last. */
  #last = { last: true, index: 0 };
  /** The delivered page, unless it is known to be committed. */
  #page;
  /** Whether the first request must repeat an earlier one; undefined if it may. */
  #repeats = false;
  #requestedUrls = new Set();
  /** The URL of the query, which is requested first. */
  #query;
  #isSweep;

  constructor(isSweep) {
    this.#isSweep = isSweep;
  }

  items() {
    return [...this.#rows.values()];
  }

  /** Expects an empty database, after the browser has deleted it. */
  clear() {
    this.#rows.clear();
    this.#requestedUrls.clear();
    this.#query = undefined;
    this.#last = { last: true, index: 0 };
    this.#page = undefined;
    this.#repeats = false;
  }

  /** Checks the messages and the requests of one tab, from its start to its kill. */
  check(messages, log, plan) {
    let inSweep = false;
    let isFirstPage = true;
    for (const message of messages) {
      if (message.kind === "start") {
        this.#checkMirror(message.items);
        inSweep = this.#isSweep && !this.#last.last;
      }
      if (message.kind === "page") {
        this.#commit();
        const resumes = !this.#last.last;
        assert.equal(
          message.index,
          resumes ? this.#last.index + 1 : 0,
          "the round continues after the last committed page",
        );
        if (isFirstPage) assert.equal(message.resumed, resumes);
        isFirstPage &&= message.index > 0;
        this.#page = message;
      }
      if (message.kind === "round") {
        this.#commit();
        assert.equal(message.report.outcome, "complete");
        isFirstPage = false;
      }
      if (message.kind === "end") assert.deepEqual(byId(message.items), byId(this.items()));
    }
    this.#checkRequests(
      log.map(({ url }) => url),
      inSweep && (messages.find(({ kind }) => kind === "round")?.report.requests ?? log.length),
    );
    if (!plan || ["record", "announcement"].includes(plan.place)) this.#commit();
    // The next page is requested before the current one is committed.
    const isUncertain = plan?.how === "committing" || plan?.place === "fetch";
    this.#repeats = isUncertain ? undefined : plan !== undefined && plan.place !== "announcement";
    if (!isUncertain) this.#page = undefined;
  }

  /** Checks the mirror when a tab starts: it has the committed pages, and nothing else. */
  #checkMirror(items) {
    const found = byId(items);
    if (this.#page) {
      const before = byId(this.items());
      const isUnchanged = found.length === before.length && JSON.stringify(found) === JSON.stringify(before);
      this.#repeats = isUnchanged;
      if (isUnchanged) this.#page = undefined;
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
   * delivered, and the two that are requested ahead while it is committed.
   */
  #checkRequests(urls, inSweep) {
    const latest = [...this.#requestedUrls].slice(-3);
    if (inSweep !== false) assert.equal(inSweep, 0, "the sweep continues without a request");
    else if (latest.length && this.#repeats)
      assert.ok(latest.includes(urls[0]), "the page that was not committed is requested again");
    const again = urls.filter((url) => this.#requestedUrls.has(url));
    if (!this.#isSweep)
      assert.deepEqual(
        again,
        latest.filter((url) => again.includes(url)),
        "no committed page is requested again",
      );
    // A resync begins with the URL of the query.
    else
      assert.ok(
        again.every((url) => url === this.#query),
        "only the URL of the query is requested again",
      );
    this.#query ??= urls[0];
    // Keeps the URLs in the order of their last requests.
    for (const url of urls) {
      this.#requestedUrls.delete(url);
      this.#requestedUrls.add(url);
    }
  }
}
