// Layouts of the calendar, keyboard and focus, search and filters, the first paint, and shifts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { idsOf, open, press, ready, show, sync, syncAll, World } from "./harness.mjs";
import { fake, newContext } from "./setup.mjs";

const userContext = (options) => newContext({ details: "off", mode: null, ...options });
const layout = (page, name) =>
  page.getByRole("group", { name: "Layout" }).getByLabel(name).check({ force: true });
const focused = (page) =>
  page.evaluate(() => {
    const { activeElement: element } = document;
    return element.dataset.id ?? element.dataset.date ?? element.id;
  });
const inDays = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

/** An event of a world, from one date and time to another. */
const meeting = (subject, start, end, more = {}) => ({
  collection: "events",
  op: "add",
  item: {
    ...{ subject, type: "singleInstance", isAllDay: false },
    start: { dateTime: `${start}.0000000`, timeZone: "UTC" },
    end: { dateTime: `${end}.0000000`, timeZone: "UTC" },
    ...more,
  },
});

test("a wide window shows a week, a phone the agenda, and both a month", async () => {
  const world = await World.make(fake.origin);
  for (const [width, hasWeek] of [
    [1280, true],
    [1024, true],
    [768, false],
    [360, false],
  ]) {
    const page = await open(await userContext({ viewport: { width, height: 800 } }), world);
    await syncAll(page);
    assert.equal(await page.getByRole("grid", { name: "Week" }).count(), hasWeek ? 1 : 0, `${width}`);
    if (!hasWeek) assert.ok(await page.getByRole("heading", { level: 2, name: /Today/ }).isVisible());
    await layout(page, "Month");
    const days = page.getByRole("grid", { name: "Month" }).getByRole("gridcell");
    assert.equal((await days.count()) % 7, 0);
    assert.equal(await page.locator('.month-day[aria-current="date"]').count(), 1);
  }
});

test("a week has a row of all-day bars, overlapping events side by side, and the current time", async () => {
  const world = await World.make(fake.origin, { populate: {} });
  const monday = inDays(-((new Date().getUTCDay() + 6) % 7));
  const day = (days) => new Date(Date.parse(monday) + days * 86_400_000).toISOString().slice(0, 10);
  const midnight = (date) => ({ dateTime: `${date}T00:00:00.0000000`, timeZone: "UTC" });
  const fair = { isAllDay: true, start: midnight(day(1)), end: midnight(day(4)) };
  await world.edit(
    meeting("Fair", `${day(1)}T00:00:00`, `${day(4)}T00:00:00`, fair),
    meeting("One", `${day(2)}T09:00:00`, `${day(2)}T10:00:00`),
    meeting("Two", `${day(2)}T09:30:00`, `${day(2)}T10:30:00`),
  );
  const page = await open(await userContext({ timezoneId: "UTC" }), world);
  await syncAll(page);
  const boxOf = (name) => page.getByRole("button", { name: new RegExp(`^${name}`) }).boundingBox();
  const [bar, one, two] = [await boxOf("Fair"), await boxOf("One"), await boxOf("Two")];
  const column = await page.locator(`.hour-cell[data-date="${day(2)}"]`).boundingBox();
  assert.equal(Math.round((bar.width + 6) / column.width), 3, "the bar covers three days");
  assert.ok(one.x + one.width <= two.x + 1, "side by side");
  assert.equal(await page.locator(".now-line").count(), 1);
});

test("arrows move in a week and beyond it, Enter opens an event, and Escape returns the focus", async () => {
  const world = await World.make(fake.origin, { populate: {} });
  const monday = inDays(-((new Date().getUTCDay() + 6) % 7));
  const sunday = new Date(Date.parse(monday) + 6 * 86_400_000).toISOString().slice(0, 10);
  const [id] = await world.edit(meeting("Dive", `${monday}T09:00:00`, `${monday}T10:00:00`));
  const page = await open(await userContext({ timezoneId: "UTC" }), world);
  await syncAll(page);
  await page.getByRole("grid", { name: "Week" }).locator("[tabindex='0']").focus();
  await page.keyboard.press("Home");
  assert.equal(await focused(page), id);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Dive" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await focused(page), id, "the focus is back");
  await page.keyboard.press("End");
  await page.waitForFunction((date) => document.activeElement.dataset.date === date, sunday);
  await page.keyboard.press("ArrowRight");
  const next = new Date(Date.parse(monday) + 7 * 86_400_000).toISOString().slice(0, 10);
  await page.waitForFunction((date) => document.activeElement.dataset.date === date, next);
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction((date) => document.activeElement.dataset.date === date, sunday);
});

test("arrows move in a month, Enter opens a day", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await userContext({ timezoneId: "UTC" }), world);
  await syncAll(page);
  await layout(page, "Month");
  await page.locator('.month-day[tabindex="0"]').focus();
  assert.equal(await focused(page), inDays(0), "the first tab stop of a month is today");
  await page.keyboard.press("ArrowUp");
  const before = await focused(page);
  assert.ok(before === inDays(-7) || before === inDays(0));
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await focused(page), before);
});

test("the search finds a contact, and keys work without a mouse", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await userContext(), world, {}, "overview");
  await syncAll(page);
  const [contact] = await world.table("contacts");
  await page.keyboard.press("/");
  const input = page.getByRole("searchbox", { name: "Search events, contacts and recordings" });
  assert.ok(await input.evaluate((element) => element === document.activeElement));
  await input.fill(contact.displayName);
  await page.getByRole("heading", { name: /^Contacts \(/ }).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: contact.displayName }).first().click();
  await page.getByRole("heading", { name: "Contacts", level: 1 }).waitFor();
  assert.ok((await idsOf(page, "tbody tr")).includes(contact.id));
  await page.getByRole("searchbox", { name: "Search contacts" }).blur();
  await page.keyboard.press("2");
  await page.getByRole("heading", { name: "Calendar", level: 1 }).waitFor();
  assert.equal(await focused(page), "calendar-heading");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await focused(page), "calendar-heading");
});

test("filters show the events of an organizer, online meetings, and changes", async () => {
  const world = await World.make(fake.origin, { populate: {} });
  const by = (name) => ({ organizer: { emailAddress: { name, address: `${name}@contoso.example` } } });
  const at = (hour) => [`${inDays(1)}T${hour}:00:00`, `${inDays(1)}T${hour}:30:00`];
  const online = { isOnlineMeeting: true, onlineMeeting: { joinUrl: "https://teams.example/1" } };
  await world.edit(
    meeting("Alpha", ...at("09"), by("Anna")),
    meeting("Beta", ...at("10"), { ...by("Ben"), ...online }),
  );
  const page = await open(await newContext({ details: "off" }), world);
  await syncAll(page);
  const titles = () => page.locator(".entry .title").allInnerTexts();
  assert.deepEqual(await titles(), ["Alpha", "Beta"]);
  await page.getByLabel("Organizer").selectOption("Anna");
  assert.deepEqual(await titles(), ["Alpha"]);
  await page.getByLabel("Organizer").selectOption("");
  await page.getByLabel("Online only").check();
  assert.deepEqual(await titles(), ["Beta"]);
  await page.getByLabel("Online only").uncheck();
  await world.edit(meeting("Gamma", ...at("11")));
  await sync(page, "calendar");
  await press(page, "Show");
  assert.deepEqual(await titles(), ["Gamma"]);
});

test("the focus stays where it is when a round changes the list", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await newContext({ details: "off" }), world);
  await syncAll(page);
  const row = page.locator(".agenda .entry").first();
  const id = await row.getAttribute("data-id");
  await row.getByRole("button").focus();
  await world.edit({ collection: "events", op: "add" }, { collection: "contacts", op: "add" });
  await page.evaluate(() => document.getElementById("sync-all").click());
  await page.waitForSelector('#sync-all[data-busy="false"]');
  await page.getByRole("group", { name: "Changed items" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.closest("[data-id]")?.dataset.id), id);
});

for (const width of [1280, 360])
  test(`rows are shown before any response arrives, and the layout shifts by less than 0.1, ${width} px`, async (t) => {
    const world = await World.make(fake.origin);
    const context = await userContext({ viewport: { width, height: 800 } });
    await context.addInitScript(() => {
      window.shift = 0;
      new window.PerformanceObserver((list) => {
        for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) window.shift += value;
      }).observe({ type: "layout-shift", buffered: true });
    });
    const page = await context.newPage();
    for (const view of ["overview", "calendar", "contacts", "recordings"]) {
      // A first visit, with rounds that begin at once.
      await page.goto("about:blank");
      await page.goto(world.url({ auto: "on", account: `visitor-${view}` }, view));
      await ready(page);
      await page.waitForSelector('#sync-all[data-busy="false"]');
      const cold = await page.evaluate(() => window.shift);
      await page.goto("about:blank");
      await page.goto(world.url({}, view));
      await ready(page);
      await syncAll(page);
      // Later visits, while Graph does not respond.
      const held = [];
      await context.route(`${world.root}/**`, (route) => void held.push(route));
      await page.goto("about:blank");
      await page.goto(world.url({ auto: "on" }, view));
      const rows = {
        overview: ".query",
        calendar: width < 1024 ? ".agenda .entry" : ".box",
        contacts: "tbody tr",
        recordings: ".recording",
      };
      await page.waitForSelector(`#${view} ${rows[view]}`);
      const { warm, paint, rowsAt } = await page.evaluate(() => ({
        warm: window.shift,
        paint: Math.round(performance.getEntriesByName("first-contentful-paint")[0].startTime),
        rowsAt: Math.round(performance.now()),
      }));
      t.diagnostic(
        `paint: ${view}, ${width} px: CLS ${cold.toFixed(3)} first visit, ${warm.toFixed(3)} later; paint ${paint} ms, rows by ${rowsAt} ms`,
      );
      assert.ok(cold < 0.1, `${view}: first visit shifts by ${cold}`);
      assert.ok(warm < 0.1, `${view}: a later visit shifts by ${warm}`);
      await context.unroute(`${world.root}/**`);
      await Promise.all(held.map((route) => route.abort().catch(() => undefined)));
    }
  });

test("a week opens at its first event, however late it is", async () => {
  const world = await World.make(fake.origin, { populate: {} });
  const today = inDays(0);
  await world.edit(meeting("Breakfast", `${today}T06:00:00`, `${today}T06:30:00`));
  const context = await userContext({ timezoneId: "UTC" });
  const page = await context.newPage();
  await page.clock.setFixedTime(new Date(`${today}T23:00:00Z`));
  await page.goto(world.url({}, "calendar"));
  await ready(page);
  await syncAll(page);
  await page.reload();
  await ready(page);
  const event = page.locator(".block", { hasText: "Breakfast" });
  await event.waitFor();
  const [box, grid] = [await event.boundingBox(), await page.locator(".week").boundingBox()];
  assert.ok(box.y > grid.y && box.y + box.height < grid.y + grid.height, "the event is not scrolled away");
});

test("the dashboard respects forced colors and reduced motion", async () => {
  const world = await World.make(fake.origin, { options: { latency_ms: 300 } });
  const page = await open(await userContext({ forcedColors: "active", reducedMotion: "reduce" }), world);
  await page.getByRole("button", { name: "Sync all" }).click();
  const styles = await page.evaluate(() => ({
    current: window.getComputedStyle(document.querySelector(".rail a[aria-current]")).outlineStyle,
    moving: document
      .getAnimations()
      .filter((animation) => animation.effect.getComputedTiming().activeDuration > 0).length,
  }));
  assert.deepEqual(styles, { current: "solid", moving: 0 });
  await page.waitForSelector('#sync-all[data-busy="false"]');
  assert.notEqual(
    await page
      .locator(".box")
      .first()
      .evaluate((box) => window.getComputedStyle(box).borderStyle),
    "none",
  );
});

test("without network the dashboard says so and shows the stored copy", async () => {
  const world = await World.make(fake.origin);
  const context = await userContext();
  const page = await open(context, world, {}, "contacts");
  await sync(page, "contacts");
  await context.setOffline(true);
  await page.getByText(/^Offline\. Showing the copy of \d\d:\d\d\.$/).waitFor();
  await show(page, "overview");
  assert.ok((await page.getByText(/^Offline\. Showing the copy of/).count()) >= 1);
});
