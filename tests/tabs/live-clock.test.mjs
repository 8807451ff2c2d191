// Ten minutes of a live query in four tabs, whose clock the test sets.
import assert from "node:assert/strict";
import { test } from "node:test";
import { requestsOf } from "../fake.mjs";
import { goLive, leads, waitUntilResting } from "./kit.mjs";
import { context, site, tab } from "./setup.mjs";

test("in ten minutes, four tabs send as many requests as one tab", async () => {
  const world = await site.fake.world({ populate: { contacts: 5 } });
  // All tabs have the same clock.
  await context.clock.install();
  const tabs = [];
  for (let number = 0; number < 4; number += 1) {
    const page = await tab(world);
    await goLive(page, { every: 60_000 });
    tabs.push(page);
  }
  // A tab waits three seconds for a message of the leader. No message arrives while the clock runs.
  for (let step = 0; step < 210; step += 1) {
    await context.clock.runFor(2900);
    // A running round ends before the clock continues.
    await waitUntilResting(tabs[0]);
  }
  // The interval doubles: rounds after about 0, 1, 3 and 7 minutes.
  assert.equal((await requestsOf(world)).length, 4);
  assert.deepEqual(await Promise.all(tabs.map(leads)), [true, false, false, false]);
});
