// Live queries in several tabs: one tab runs the rounds, and another one takes over when that tab
// is closed, hidden, frozen or hung. tests/live.rs tests the schedule.
import assert from "node:assert/strict";
import { test } from "node:test";
import { requestsOf, waitForPendingRequests } from "../fake.mjs";
import { crash } from "../kill/harness.mjs";
import { until } from "../wait.mjs";
import { freeze, goLive, leads, waitUntilResting, thaw } from "./kit.mjs";
import { context, hideable, site, tab } from "./setup.mjs";

const makeWorld = () => site.fake.world({ populate: { contacts: 5 } });

const syncNow = (page) => page.evaluate(() => window.outcome(window.live.syncNow()));
const requests = async (world) => (await requestsOf(world)).length;
const add = (world) => world.edits({ op: "add", collection: "contacts" });

test("of four tabs one runs the rounds, and the others show its status and announce its changes", async () => {
  const world = await makeWorld();
  const tabs = [];
  for (let number = 0; number < 4; number += 1) {
    const page = await tab(world);
    await goLive(page);
    tabs.push(page);
  }
  assert.deepEqual(await Promise.all(tabs.map(leads)), [true, false, false, false]);
  assert.equal(await requests(world), 1, "the first round of the first tab");
  await add(world);
  // Only the tab that has run the round has its report.
  assert.deepEqual(await syncNow(tabs[2]), { value: undefined });
  assert.equal(await requests(world), 2);
  for (const page of tabs) {
    // The first tab has announced its first round too.
    await until(() => page.evaluate(() => [1, 6].includes(window.changes.length) || window.changes.length));
    assert.equal(await page.evaluate(() => window.query.count()), 6);
  }
  assert.equal((await syncNow(tabs[0])).value.outcome, "complete");
  const next = await Promise.all(
    tabs.map((page) =>
      waitUntilResting(page).then(() => page.evaluate(() => +window.query.status.get().nextRoundAt)),
    ),
  );
  assert.equal(new Set(next).size, 1, "all tabs show the same next round");
});

test("without network, each of two tabs waits offline, and none follows the other", async () => {
  const world = await makeWorld();
  const tabs = [await tab(world), await tab(world)];
  for (const page of tabs) await goLive(page);
  for (const page of tabs)
    await page.evaluate(() => {
      window.shown = [];
      window.query.status.subscribe(({ phase, waitReason }) => window.shown.push(waitReason ?? phase));
    });
  await context.setOffline(true);
  for (const page of tabs) await until(() => page.evaluate(() => window.shown.at(-1) === "offline"));
  await context.setOffline(false);
  for (const page of tabs) {
    await waitUntilResting(page);
    assert.deepEqual(await page.evaluate(() => [...new Set(window.shown)]), ["idle", "offline"]);
  }
});

test("when the leading tab is closed or crashes, another tab leads", async () => {
  const world = await makeWorld();
  const [closed, crashed, last] = [await tab(world), await tab(world), await tab(world)];
  for (const page of [closed, crashed, last]) await goLive(page);
  await closed.close();
  await until(() => leads(crashed));
  await crash(crashed);
  await until(() => leads(last));
  await add(world);
  assert.equal((await syncNow(last)).value.added, 1);
});

test("a second after stop() another tab leads, and sends no request", async () => {
  const world = await makeWorld();
  const [first, second] = [await tab(world), await tab(world)];
  for (const page of [first, second]) await goLive(page);
  const before = await requests(world);
  await first.evaluate(() => window.live.stop());
  await until(() => leads(second));
  await waitForPendingRequests(site.fake);
  assert.equal(await requests(world), before);
  const { held, pending } = await first.evaluate(() => navigator.locks.query());
  assert.deepEqual([held.length, pending.length], [1, 0]);
});

test("a hidden tab hands over to a tab that becomes visible", async (test) => {
  const world = await makeWorld();
  const within = await hideable(test);
  const first = await tab(world, { within });
  await goLive(first);
  assert.equal(await leads(first), true);
  // A new tab comes to the front.
  const second = await tab(world, { within });
  await goLive(second);
  await until(() => leads(second));
  await first.bringToFront();
  await until(() => leads(first));
  await add(world);
  assert.equal((await syncNow(first)).value.added, 1);
  await until(() => second.evaluate(() => window.query.count().then((count) => count === 6 || count)));
});

test("a frozen tab releases everything, another tab leads, and the first one follows when it resumes", async (test) => {
  const world = await makeWorld();
  const within = await hideable(test);
  const first = await tab(world, { within });
  await goLive(first);
  // Another tab is in front, so the first one can be frozen.
  const other = await tab(world, { within });
  await freeze(first);
  await until(() => other.evaluate(async () => (await navigator.locks.query()).held.length === 0));
  await goLive(other);
  await until(() => leads(other));
  await add(world);
  assert.equal((await syncNow(other)).value.added, 1);
  await thaw(first);
  await waitUntilResting(first);
  assert.equal(await leads(first), false);
  assert.equal(await first.evaluate(() => window.query.count()), 6);
});

test("another tab steals the lock of a hung tab after three seconds, and the hung tab follows later", async () => {
  const world = await makeWorld();
  const [hung, other] = [await tab(world), await tab(world)];
  for (const page of [hung, other]) await goLive(page);
  await hung.session.send("Debugger.enable");
  await hung.session.send("Debugger.pause");
  // An idle tab does not pause before it runs a script.
  hung.evaluate(() => 0).catch(() => {});
  await add(world);
  assert.equal((await syncNow(other)).value.added, 1);
  assert.equal(await leads(other), true);
  await hung.session.send("Debugger.disable");
  await until(async () => (await leads(hung)) === false);
  await add(world);
  assert.deepEqual(await syncNow(hung), { value: undefined });
  assert.equal(await hung.evaluate(() => window.query.count()), 7);
});

test("a sign-in in one tab continues the live query of all tabs", async () => {
  const world = await makeWorld();
  const [first, second] = [await tab(world), await tab(world)];
  for (const page of [first, second]) await goLive(page);
  await world.faults({ match: {}, fault: "claims" });
  await first.evaluate(() => {
    const refusal = Object.assign(new Error("again"), {
      errorCode: "interaction_required",
      claims: '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}',
    });
    window.signIn = () => Promise.reject(refusal);
    void window.live.syncNow().catch(() => {});
  });
  const needsSignIn = (page) =>
    page.evaluate(() => window.until(window.query, ({ phase }) => phase === "needs-auth"));
  await Promise.all([first, second].map(needsSignIn));
  const claims = await second.evaluate(() => window.query.status.get().error.claims);
  assert.equal(typeof claims, "string", "the other tab knows what to ask the user for");
  await first.evaluate(() => (window.signIn = undefined));
  await second.evaluate(() => window.client.resume());
  for (const page of [first, second]) await waitUntilResting(page);
});

test("a sign-in in a tab without a live query continues the live query of another tab", async () => {
  const world = await makeWorld();
  const [live, other] = [await tab(world), await tab(world)];
  await goLive(live);
  await world.faults({ match: {}, fault: "claims" });
  await live.evaluate(() => {
    const refusal = Object.assign(new Error("again"), { errorCode: "interaction_required" });
    window.signIn = () => Promise.reject(refusal);
    void window.live.syncNow().catch(() => {});
    return window.until(window.query, ({ phase }) => phase === "needs-auth");
  });
  await live.evaluate(() => (window.signIn = undefined));
  await other.evaluate(() => window.client.resume());
  await waitUntilResting(live);
});

test("a tab with a live query can enter the back/forward cache, and follows after its return", async (test) => {
  const world = await makeWorld();
  const within = await hideable(test);
  const page = await tab(world, { within });
  await page.evaluate(() => {
    window.addEventListener("pageshow", ({ persisted }) => (window.persisted = persisted));
  });
  await goLive(page);
  await page.evaluate(() => {
    window.view = window.query.view();
    window.view.subscribe(() => {});
  });
  await until(() => page.evaluate(() => window.view.get().total === 5 || window.view.get().total));
  const other = await tab(world, { within });
  const run = (expression) =>
    page.session
      .send("Runtime.evaluate", { expression, returnByValue: true })
      .then(({ result }) => result.value);
  await run("void (location.href = '/site.html')");
  await until(async () => (await run("location.pathname")) === "/site.html");
  // A commit that the first tab does not receive.
  await add(world);
  assert.equal((await other.evaluate(() => window.query.sync())).added, 1);
  await page.bringToFront();
  await run("history.back()");
  await until(async () => (await run("window.persisted")) === true);
  await waitUntilResting(page);
  await until(() => page.evaluate(() => window.view.get().total === 6 || window.view.get().total));
  await add(world);
  assert.equal((await syncNow(page)).value.added, 1);
});
