// Crashes the one of two tabs that holds the lock, at each point of a round. The other tab takes
// over.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser, byId, crash, startLine, startSite } from "./harness.mjs";
import { KILLS, planned, POINTS, reached, seeded, startWorld, WHERE } from "./series.mjs";

const browser = new Browser();
let site;
before(async () => {
  [site] = await Promise.all([startSite(), browser.start()]);
});
after(async () => {
  await browser.stop();
  await site?.stop();
});

for (const point of Object.keys(POINTS)) {
  test(`after a crash ${WHERE[point]} the other tab gets the lock and completes the mirror`, async (context) => {
    const chance = seeded(context, `tabs ${point}`);
    const world = await startWorld(site, point, chance);
    const [line, other] = await Promise.all([startLine(), startLine()]);
    let hits = 0;
    try {
      let follower = await browser.page(site, other.next());
      await follower.evaluate((login) => window.follow(login), world.login);
      for (let kill = 0; kill < KILLS; kill += 1) {
        await world.move();
        await world.clearLog();
        const plan = planned(point, kill, chance);
        await world.lay(plan);
        const leader = await browser.page(site, line.next());
        const life = leader.evaluate(
          ([login, plan]) => window.wake(login).then(() => window.live(plan)),
          [world.login, plan],
        );
        life.catch(() => {});
        await reached(line, world, plan, chance, life);
        other.take();
        const following = follower.evaluate((login) => window.follow(login), world.login);
        await other.until("following", following);
        const sent = (await world.requests()).map(({ url }) => url);
        await crash(leader);
        const { report, items } = await following;
        assert.equal(report.outcome, "complete");
        const later = (await world.requests()).map(({ url }) => url).slice(sent.length);
        const again = later.filter((url) => sent.includes(url));
        const open = sent.slice(-2);
        assert.deepEqual(
          again,
          open.filter((url) => again.includes(url)),
          "at most the page that was not committed and the one ahead of it are requested again",
        );
        if (world.sweeping && report.resumed)
          assert.deepEqual(later, [], "the sweep continues without a request");
        // A resumed round may have begun before the edits.
        if (!report.resumed) assert.deepEqual(byId(items), byId(await world.table("contacts")));
        hits += 1;
        // In one of three cases a new tab follows.
        if (chance.below(3) === 0) {
          await follower.close();
          follower = await browser.page(site, other.next());
        }
      }
      await world.move();
      const { items } = await follower.evaluate(
        (login) => window.follow(login).then(() => window.follow(login)),
        world.login,
      );
      assert.deepEqual(
        byId(items),
        byId(await world.table("contacts")),
        "the mirror equals the table of the server",
      );
      await follower.close();
      context.diagnostic(`tabs: ${point} ${hits}`);
      assert.equal(hits, KILLS);
    } finally {
      line.stop();
      other.stop();
    }
  });
}
