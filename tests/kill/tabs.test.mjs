// Of two tabs, crashes the one that holds the lock, at each point of a round. The other tab then
// gets the lock.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser, byId, crash, startChannel, startSite } from "./harness.mjs";
import { KILLS, planKill, POINTS, waitForPoint, randomOf, startWorld, DESCRIPTIONS } from "./series.mjs";

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
  test(`after a crash ${DESCRIPTIONS[point]} the other tab gets the lock and completes the mirror`, async (context) => {
    const random = randomOf(context, `tabs ${point}`);
    const world = await startWorld(site, point, random);
    const [channel, other] = await Promise.all([startChannel(), startChannel()]);
    let kills = 0;
    try {
      let follower = await browser.page(site, other.next());
      await follower.evaluate((login) => window.runFollower(login), world.login);
      for (let kill = 0; kill < KILLS; kill += 1) {
        await world.edit();
        await world.clearLog();
        const plan = planKill(point, kill, random);
        await world.setFaults(plan);
        const leader = await browser.page(site, channel.next());
        const run = leader.evaluate(
          ([login, plan]) => window.openQuery(login).then(() => window.runRounds(plan)),
          [world.login, plan],
        );
        run.catch(() => {});
        await waitForPoint(channel, world, plan, random, run);
        other.take();
        const following = follower.evaluate((login) => window.runFollower(login), world.login);
        await other.until("following", following);
        const sent = (await world.requests()).map(({ url }) => url);
        await crash(leader);
        const { report, items } = await following;
        assert.equal(report.outcome, "complete");
        const later = (await world.requests()).map(({ url }) => url).slice(sent.length);
        const again = later.filter((url) => sent.includes(url));
        const latest = sent.slice(-3);
        assert.deepEqual(
          again,
          latest.filter((url) => again.includes(url)),
          "at most the page that was not committed and the two ahead of it are requested again",
        );
        if (world.isSweep && report.resumed)
          assert.deepEqual(later, [], "the sweep continues without a request");
        // A resumed round may have begun before the edits.
        if (!report.resumed) assert.deepEqual(byId(items), byId(await world.table("contacts")));
        kills += 1;
        // In one of three cases a new tab follows.
        if (random.below(3) === 0) {
          await follower.close();
          follower = await browser.page(site, other.next());
        }
      }
      await world.edit();
      const { items } = await follower.evaluate(
        (login) => window.runFollower(login).then(() => window.runFollower(login)),
        world.login,
      );
      assert.deepEqual(
        byId(items),
        byId(await world.table("contacts")),
        "the mirror equals the table of the server",
      );
      await follower.close();
      context.diagnostic(`tabs: ${point} ${kills}`);
      assert.equal(kills, KILLS);
    } finally {
      channel.stop();
      other.stop();
    }
  });
}
