// Two tabs of one profile: one is killed while it has the turn, at each point of a round, and the
// other takes over.
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
  test(`a tab that crashes ${WHERE[point]} leaves its turn to the other tab, which ends with what the server lists`, async (context) => {
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
        const asked = (await world.asked()).map(({ url }) => url);
        await crash(leader);
        const { report, items } = await following;
        assert.equal(report.outcome, "complete");
        const later = (await world.asked()).map(({ url }) => url).slice(asked.length);
        const again = later.filter((url) => asked.includes(url));
        assert.ok(
          again.length === 0 || (again.length === 1 && again[0] === asked.at(-1)),
          `at most the page that was not committed is asked again, but ${again}`,
        );
        if (world.sweeping && report.resumed)
          assert.deepEqual(later, [], "the sweep goes on without a request");
        // A round that was taken over may have begun before the edits.
        if (!report.resumed) assert.deepEqual(byId(items), byId(await world.table("contacts")));
        hits += 1;
        // The next one to follow is another tab, now and then.
        if (chance.roll(3) === 0) {
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
        "the mirror is what the server lists",
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
