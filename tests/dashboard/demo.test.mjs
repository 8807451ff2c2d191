// The panel of the demo: its sliders, and the faults that stay on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../wait.mjs";
import { idle, open, press, problem, ready, show, sync, World } from "./harness.mjs";
import { fake, newContext } from "./setup.mjs";

const wide = { viewport: { width: 1440, height: 900 } };
const panel = (page) => page.locator("#demo-panel");
const openPanel = async (page) => {
  await page.getByRole("button", { name: "Demo", exact: true }).click();
  await panel(page).waitFor();
};
const slider = (page, name) => panel(page).getByRole("slider", { name, disabled: false });
const switchOf = (page, fault) => panel(page).getByRole("switch", { name: `${fault}: stays on` });
const options = (world) => world.request("GET", "/options");
const rules = async (world) => (await world.request("GET", "/faults")).rules;

/** Moves a slider by keys until it says a value. */
async function move(page, name, text, key) {
  const control = slider(page, name);
  await control.waitFor();
  for (let step = 0; (await control.getAttribute("aria-valuetext")) !== text; step += 1) {
    assert.ok(step < 12, `${name} has no position ${text}`);
    await control.press(key);
  }
  assert.equal(await panel(page).locator("output", { hasText: text }).count(), 1);
}

/** The history of rounds, the newest first. */
const rounds = (page) =>
  page.evaluate(() => {
    const name = Object.keys(localStorage).find((key) => key.startsWith("deltalink.rounds."));
    return JSON.parse(localStorage.getItem(name)).rounds;
  });

test("the panel is closed by default, and a reload of the tab keeps it open", async () => {
  const world = await World.make(fake.origin);
  const context = await newContext(wide);
  const page = await open(context, world);
  assert.equal(await panel(page).count(), 0);
  await openPanel(page);
  await page.reload();
  await ready(page);
  await panel(page).waitFor();
  const second = context.waitForEvent("page");
  await page.getByRole("link", { name: "Open a second tab" }).click();
  await ready(await second);
  assert.equal(await panel(await second).count(), 0, "closed in a second tab");
  await page.getByRole("button", { name: "Close the demo panel" }).click();
  await page.reload();
  await ready(page);
  assert.equal(await panel(page).count(), 0);
});

test("the latency slider delays each response, works by keyboard and says its value", async () => {
  const world = await World.make(fake.origin, { populate: { contacts: 25 } });
  const page = await open(await newContext(wide), world, {}, "contacts");
  await openPanel(page);
  await move(page, "Latency", "500 ms", "ArrowRight");
  await until(async () => (await options(world)).latency_ms === 500);
  await sync(page, "contacts");
  const times = (await world.log("contacts")).map(({ at }) => at);
  assert.equal(times.length, 3);
  for (const [n, at] of times.slice(1).entries())
    assert.ok(at - times[n] >= 500, `request ${n + 2} was sent after ${at - times[n]} ms`);
  await slider(page, "Latency").press("Home");
  await until(async () => (await options(world)).latency_ms === 0);
});

test("the bandwidth slider slows bodies down, and its last position has no limit", async () => {
  const world = await World.make(fake.origin, { populate: { contacts: 9 } });
  const page = await open(await newContext(wide), world, {}, "contacts");
  await openPanel(page);
  const control = slider(page, "Bandwidth");
  await control.waitFor();
  assert.equal(await control.getAttribute("aria-valuetext"), "unlimited");
  await move(page, "Bandwidth", "5 KB/s", "ArrowLeft");
  await until(async () => (await options(world)).bytes_per_second === 5000);
  await sync(page, "contacts");
  const [{ bytes, startedAt, endedAt }] = await rounds(page);
  assert.ok(bytes > 1000);
  // The first piece of a body arrives at once.
  assert.ok(endedAt - startedAt >= bytes / 5 / 2, `${bytes} bytes in ${endedAt - startedAt} ms`);
  await control.press("End");
  await until(async () => (await options(world)).bytes_per_second === null);
});

test("a fault that stays on fails each round until it is switched off, even after a reload", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await newContext(wide), world, {}, "contacts");
  await openPanel(page);
  await switchOf(page, "Forbid").check();
  await until(async () => (await rules(world)).length === 1);
  const fail = async (button) => {
    await world.clearLog();
    await press(page, button);
    await until(async () => (await world.log("contacts")).length === 1);
    await idle(page, "contacts");
    await problem(page).waitFor();
    assert.deepEqual(
      (await world.log("contacts")).map(({ status }) => status),
      [403],
    );
  };
  await fail("Sync");
  await fail("Try again");
  await page.reload();
  await ready(page);
  await panel(page).getByRole("switch", { name: "Forbid: stays on", checked: true }).waitFor();
  await fail("Sync");
  // The switch holds for all collections.
  await show(page, "recordings");
  await press(page, "Sync");
  await problem(page).waitFor();
  await switchOf(page, "Forbid").uncheck();
  await until(async () => (await rules(world)).length === 0);
  await sync(page, "contacts");
  assert.equal(await problem(page).count(), 0);
  assert.equal((await rounds(page))[0].outcome, "complete");
});

test("each switch adds one fault to the fake Graph, and removes only this one", async () => {
  const world = await World.make(fake.origin);
  await world.fault({ collection: "events" }, { name: "status", status: 403 }, null);
  const page = await open(await newContext(wide), world, {}, "contacts");
  await openPanel(page);
  const switches = panel(page).getByRole("switch");
  await switches.first().waitFor();
  const count = await switches.count();
  assert.ok(count >= 8);
  for (let n = 0; n < count; n += 1) await switches.nth(n).check();
  await until(async () => (await rules(world)).length === count + 1);
  assert.equal(new Set((await rules(world)).map(({ fault }) => fault.label)).size, count + 1);
  for (let n = 0; n < count; n += 1) {
    await switches.nth(n).uncheck();
    await until(async () => (await rules(world)).length === count - n);
  }
  assert.equal((await rules(world))[0].fault.status, 403, "the rule of the test is left");
});

test('while the fault "Expire the links" stays on, each round lists everything', async () => {
  const world = await World.make(fake.origin, { populate: { contacts: 12 } });
  const page = await open(await newContext(wide), world, {}, "contacts");
  await sync(page, "contacts");
  await openPanel(page);
  await switchOf(page, "Expire the links").check();
  await until(async () => (await rules(world)).length === 1);
  for (let n = 0; n < 2; n += 1) assert.match(await sync(page, "contacts"), /started over/);
  await switchOf(page, "Expire the links").uncheck();
  await until(async () => (await rules(world)).length === 0);
  assert.doesNotMatch(await sync(page, "contacts"), /Last round: [^\n]*started over/);
});
