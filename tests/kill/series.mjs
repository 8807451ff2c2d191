// Rounds that are killed again and again at one point, with edits in between. After each kill the
// mirror is what was committed, page for page, and the next start goes on there; at the end the
// mirror is what the fake's table holds.
import assert from "node:assert/strict";
import { delayed } from "../wait.mjs";
import { byId, crash, dice, startLine } from "./harness.mjs";

export const KILLS = Number(process.env.KILLS ?? 5);
const SEED = Number(process.env.SEED ?? 1 + Math.floor(Math.random() * 1e9));

/** Each point with the ways to be at it. */
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
/** What is heard of a page that is there. Of `fetch` the fake's log tells. */
const HEARD = { waiting: "waiting", committing: "soon" };

/** The plan of the kill of this number. */
export function planned(point, kill, { roll }) {
  const how = POINTS[point][kill % POINTS[point].length];
  // A note comes only with a page of new items.
  if (how === "noted") return { point, at: "note", how, times: 1 };
  const [at] = Object.entries(POINTS).find(([, ways]) => ways.includes(how));
  return { point, at, how, times: 1 + roll(3) };
}

/** Each series has its own numbers, so that one that fails can be run alone. */
export function seeded(context, name) {
  context.diagnostic(`SEED=${SEED}`);
  return dice([...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), SEED));
}

/** A world and what happens in it. */
export async function startWorld(site, point, { roll }) {
  const sweeping = point === "sweep";
  // The sweep looks through 500 rows at once: three pages of it.
  const options = sweeping ? { page_size: 400, honour_maxpagesize: false } : {};
  const world = await site.fake.world({
    seed: 1 + roll(1e6),
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
        return world.edits({ collection: "contacts", op: "random", count: 5 + roll(25) }, ...some("add", 1));
      await world.edits(...some("remove", 60), ...some("add", 60));
      // No removal tells of them now: they are ghosts.
      return world.expire({});
    },
    async asked() {
      const log = await world.log();
      return log.filter(({ kind }) => kind !== "preflight");
    },
    /** Begins to lay the plan: what the page can't do to itself. */
    async lay({ at, how, times }) {
      if (at === "fetch")
        await world.faults({
          match: { collection: "contacts", skip: times - 1 },
          fault: { name: how, ...FAULTS[how] },
        });
    },
  };
}

/** Waits until a page is where it is to be killed. What it told on the way. */
export async function reached(line, world, plan, { roll }, life) {
  if (plan.at !== "fetch") {
    const told = await line.until(HEARD[plan.how] ?? "stopped", life);
    if (plan.how === "committing") await delayed(roll(4));
    return told;
  }
  const over = Date.now() + 20_000;
  while (!(await world.asked()).some(({ fault }) => fault === plan.how)) {
    assert.ok(Date.now() < over, "no request met its fault within 20 s");
    line.check();
  }
  return line.take();
}

/** `way` is `renderer` or `process`: what is killed. */
export async function series(context, site, browser, way, point) {
  const chance = seeded(context, `${way} ${point}`);
  const world = await startWorld(site, point, chance);
  const line = await startLine();
  const model = new Model(world.sweeping);
  let hits = 0;
  let dropped = 0;
  try {
    // The sweep needs a mirror that another round has filled.
    if (world.sweeping) await whole(site, browser, world, line, model);
    for (let kill = 0; kill < KILLS; kill += 1) {
      await world.move();
      const plan = planned(point, kill, chance);
      await world.lay(plan);
      let page = await wake(site, browser, world, line);
      if (browser.dropped()) {
        dropped += 1;
        model.dropped();
        // The sweep needs a mirror again.
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
        () => assert.fail("a page outlived its end"),
        () => {},
      );
      hits += 1;
      model.lived(told, await world.asked(), plan);
      await world.clearLog();
    }
    await world.move();
    await whole(site, browser, world, line, model);
    assert.deepEqual(
      byId(model.items()),
      byId(await world.table("contacts")),
      "the mirror is what the server lists",
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

/** A life that nobody cuts short: it ends the round of before and runs one more. */
async function whole(site, browser, world, line, model) {
  const page = await wake(site, browser, world, line);
  if (browser.dropped()) model.dropped();
  const life = page.evaluate(() => window.live());
  const told = await line.until("end", life);
  await life;
  await page.close();
  model.lived(told, await world.asked());
  await world.clearLog();
}

/** What is committed, by what the pages told and where they were killed. */
class Model {
  #rows = new Map();
  /** Of the page that was committed last. */
  #last = { last: true, index: 0 };
  /** Delivered, and not known to be committed. */
  #page;
  /**
   * Whether the first request repeats the last one: true, false, or undefined where both are right.
   */
  #repeats = false;
  #asked = new Set();
  #latest;
  #sweeping;

  constructor(sweeping) {
    this.#sweeping = sweeping;
  }

  items() {
    return [...this.#rows.values()];
  }

  /** The browser has lost everything: the next round begins with nothing. */
  dropped() {
    this.#rows.clear();
    this.#asked.clear();
    this.#last = { last: true, index: 0 };
    this.#page = undefined;
    this.#repeats = false;
    this.#latest = undefined;
  }

  /** A life, from its start to its end at the plan's point. */
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
        assert.equal(message.index, going ? this.#last.index + 1 : 0, "the round goes on where it was");
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
    if (!plan || ["fetch", "note", "announcement"].includes(plan.at)) this.#commit();
    const open = plan?.how === "committing";
    this.#repeats = open ? undefined : plan !== undefined && plan.at !== "announcement";
    if (!open) this.#page = undefined;
  }

  /** The mirror as a start finds it: what was committed, and nothing of a page that was not. */
  #started(items) {
    const found = byId(items);
    if (this.#page) {
      const before = byId(this.items());
      const without = found.length === before.length && JSON.stringify(found) === JSON.stringify(before);
      this.#repeats = without;
      if (without) this.#page = undefined;
      this.#commit();
    }
    assert.deepEqual(found, byId(this.items()), "the mirror is what was committed, page for page");
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

  /** A link is asked twice only if its page was not committed. */
  #requested(urls, inSweep) {
    if (inSweep !== false) assert.equal(inSweep, 0, "the sweep goes on without a request");
    else if (this.#latest && this.#repeats)
      assert.equal(urls[0], this.#latest, "the page that was not committed is asked again");
    const again = urls
      .slice(this.#repeats && inSweep === false ? 1 : 0)
      .filter((url) => this.#asked.has(url));
    if (!this.#sweeping) assert.deepEqual(again, [], "nothing that was committed is asked again");
    // A resync begins with the query itself.
    else
      assert.ok(
        again.every((url) => url === [...this.#asked][0]),
        "nothing but the query itself is asked again",
      );
    for (const url of urls) this.#asked.add(url);
    this.#latest = urls.at(-1) ?? this.#latest;
  }
}
