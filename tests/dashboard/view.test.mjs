// Rendering: all-day events, hostile text, long lists, keyboard, screenshots.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  count,
  idsOf,
  open,
  press,
  problem,
  ready,
  show,
  SCREENSHOTS,
  sync,
  syncAll,
  World,
} from "./harness.mjs";
import { fake, newContext } from "./setup.mjs";

const ALL = ["overview", "calendar", "contacts", "recordings"];

test("all-day events are on their date in Auckland and in Los Angeles", async () => {
  const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  const world = await World.make(fake.origin, { populate: {} });
  const midnight = (date) => ({ dateTime: `${date}T00:00:00.0000000`, timeZone: "UTC" });
  await world.edit({
    collection: "events",
    op: "add",
    item: {
      subject: "Fair",
      type: "singleInstance",
      isAllDay: true,
      start: midnight(day(3)),
      end: midnight(day(6)),
    },
  });
  for (const timezoneId of ["Pacific/Auckland", "America/Los_Angeles"]) {
    const page = await open(await newContext({ timezoneId }), world);
    await sync(page, "calendar");
    const where = await page
      .locator("#calendar .entry")
      .evaluateAll((rows) =>
        rows.map((row) => [
          row.closest("[data-date]").dataset.date,
          row.querySelector(".times").innerText.replace(/\s+/g, " "),
        ]),
      );
    assert.deepEqual(
      where,
      [
        [day(3), "All day day 1 of 3"],
        [day(4), "All day day 2 of 3"],
        [day(5), "All day day 3 of 3"],
      ],
      timezoneId,
    );
  }
});

test("text from Graph is never rendered as HTML", async () => {
  const world = await World.make(fake.origin, { populate: {} });
  const evil =
    '<img src=x onerror="document.body.dataset.hit=1"><script>document.body.dataset.hit=1</script>';
  await world.edit({
    collection: "contacts",
    op: "add",
    item: {
      displayName: evil,
      companyName: evil,
      mail: 'a@b"><b>',
      phones: [{ type: "business", number: "javascript:1" }],
    },
  });
  const page = await open(await newContext(), world, {}, "contacts");
  await sync(page, "contacts");
  assert.equal(await page.locator("#contacts tbody .name").innerText(), evil);
  assert.equal(
    await page
      .locator(
        "#contacts tbody img, #contacts tbody b, #contacts tbody script, #contacts a[href^=javascript]",
      )
      .count(),
    0,
  );
  assert.equal(await page.getAttribute("body", "data-hit"), null);
});

test("a search among 5,000 contacts responds while the user types", async () => {
  const world = await World.make(fake.origin, { options: { page_size: 1000 }, populate: { contacts: 5000 } });
  const page = await open(await newContext(), world, {}, "contacts");
  await sync(page, "contacts");
  assert.equal(await count(page, "contacts"), 5000);
  const [contact] = await world.table("contacts");
  const input = page.getByRole("searchbox", { name: "Search contacts" });
  const took = await input.evaluate((input, name) => {
    const from = performance.now();
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(input), "value").set.call(input, name);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.getBoundingClientRect();
    return performance.now() - from;
  }, contact.displayName);
  await page.waitForFunction(() =>
    /of 5,000 found/.test(document.getElementById("contact-count").textContent),
  );
  assert.ok((await idsOf(page, "#contacts tbody tr")).includes(contact.id));
  assert.ok(took < 500, `a keystroke took ${Math.round(took)} ms`);
});

test("the dashboard works by keyboard, labels its controls and never scrolls horizontally", async () => {
  const world = await World.make(fake.origin);
  for (const width of [320, 390, 1280]) {
    const page = await open(await newContext({ viewport: { width, height: 800 } }), world);
    await syncAll(page);
    for (const view of ALL) {
      await show(page, view);
      const { over, nameless, headings } = await page.evaluate(() => ({
        over: document.documentElement.scrollWidth - window.innerWidth,
        nameless: [...document.querySelectorAll("button, a[href], input, select, summary")]
          .filter(
            (control) =>
              control.checkVisibility() &&
              !(control.getAttribute("aria-label") || control.textContent.trim() || control.labels?.length),
          )
          .map((control) => control.outerHTML.slice(0, 120)),
        headings: [...document.querySelectorAll("h1")].filter((heading) => heading.checkVisibility()).length,
      }));
      assert.ok(over <= 0, `${view} at ${width} is ${over} px too wide`);
      assert.deepEqual(nameless, []);
      assert.equal(headings, 1);
    }
    await page.goto(world.url());
    await ready(page);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    await page.focus('.rail a[href="#contacts"]');
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.id === "contacts-heading");
  }
});

test("screenshots show every view, wide and narrow, light and dark", async () => {
  const world = await World.make(fake.origin, { populate: { events: 60, contacts: 80, recordings: 14 } });
  for (const [size, viewport] of [
    ["wide", { width: 1440, height: 900 }],
    ["narrow", { width: 390, height: 844 }],
  ]) {
    for (const colorScheme of ["light", "dark"]) {
      const context = await newContext({ viewport, colorScheme, reducedMotion: "reduce" });
      const page = await open(context, world);
      await syncAll(page);
      for (const view of ALL) {
        await show(page, view);
        await page.screenshot({ path: `${SCREENSHOTS}/${view}-${size}-${colorScheme}.png` });
      }
      await world.fault(
        { collection: "contacts" },
        {
          name: "status",
          status: 403,
          code: "Authorization_RequestDenied",
          message: "Insufficient privileges to complete the operation.",
        },
      );
      await show(page, "contacts");
      await press(page, "Sync");
      await problem(page).waitFor();
      await page.screenshot({ path: `${SCREENSHOTS}/error-card-${size}-${colorScheme}.png` });
      await page.getByRole("button", { name: /account and settings/ }).click();
      await page.getByRole("button", { name: "Use Microsoft 365" }).click();
      await page.waitForSelector("form.signin");
      await page.screenshot({ path: `${SCREENSHOTS}/sign-in-${size}-${colorScheme}.png`, fullPage: true });
    }
  }
});
