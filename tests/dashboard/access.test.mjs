// Accessibility: axe-core over every view and state, at three widths and in both themes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { open, press, problem, show, syncAll, World } from "./harness.mjs";
import { fake, newContext } from "./setup.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const WIDTHS = [360, 768, 1280];

/** The violations that axe-core finds in a web page, one line each. */
async function findings(page, where) {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async (values) => {
    // The contrast of colors is wrong in the middle of a transition.
    await Promise.all(
      document.getAnimations().map((animation) => animation.playState === "running" && animation.finished),
    );
    const { violations } = await window.axe.run(document, { runOnly: { type: "tag", values } });
    return violations.map(({ id, impact, nodes }) => [
      id,
      impact,
      nodes.map(({ html, failureSummary }) => [html, failureSummary]),
    ]);
  }, TAGS);
  return violations.map(
    ([id, impact, [[html, summary], ...others]]) =>
      `${where}: ${id} (${impact}) ×${others.length + 1}: ${html.slice(0, 160)} ${summary.replace(/\s+/g, " ").slice(0, 240)}`,
  );
}

const closeDialog = (page) => page.getByRole("dialog").getByRole("button", { name: "Close" }).first().click();

/** Every view and state as a name and the steps to it, when all collections are loaded. */
const PLACES = [
  ["overview", (page) => show(page, "overview")],
  ["agenda", (page) => show(page, "calendar")],
  ["month", (page) => layout(page, "Month")],
  ["week", async (page) => (page.viewportSize().width >= 1024 ? layout(page, "Week") : undefined)],
  [
    "an event",
    async (page) => {
      await layout(page, "Agenda");
      await page.locator(".agenda .entry-button").first().click();
      await page.getByRole("dialog").waitFor();
    },
  ],
  ["contacts", async (page) => (await closeDialog(page), show(page, "contacts"))],
  ["recordings", (page) => show(page, "recordings")],
  ["the menu", (page) => page.getByRole("button", { name: /account and settings/ }).click()],
  ["the forget dialog", (page) => page.getByRole("button", { name: "Forget the stored data" }).click()],
  [
    "search",
    async (page) => {
      await closeDialog(page);
      await page.getByRole("button", { name: "Search", exact: true }).click();
      await page.getByRole("searchbox", { name: /Search events/ }).fill("a");
      await page.getByRole("heading", { name: /^Contacts \(/ }).waitFor();
    },
  ],
  [
    "shortcuts",
    async (page) => {
      await closeDialog(page);
      await page.keyboard.press("?");
      await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    },
  ],
  [
    "the demo panel",
    async (page) => {
      await closeDialog(page);
      await page.getByRole("button", { name: "Demo", exact: true }).click();
      await page.locator("#demo-panel").waitFor();
    },
  ],
];

const layout = (page, name) =>
  page.getByRole("group", { name: "Layout" }).getByLabel(name).check({ force: true });

for (const width of WIDTHS) {
  for (const colorScheme of ["light", "dark"]) {
    test(`axe-core finds nothing at ${width} px in the ${colorScheme} theme`, async () => {
      const world = await World.make(fake.origin);
      const viewport = { width, height: 800 };
      const context = await newContext({ viewport, colorScheme, reducedMotion: "reduce", mode: null });
      const page = await open(context, world, {}, "overview");
      const found = [];
      for (const view of ["overview", "calendar", "contacts", "recordings"]) {
        await show(page, view);
        found.push(...(await findings(page, `${view}, before the first round`)));
      }
      await syncAll(page);
      await world.edit(
        { collection: "contacts", op: "random", count: 5 },
        { collection: "events", op: "random", count: 5 },
      );
      await syncAll(page);
      for (const [name, go] of PLACES) {
        await go(page);
        found.push(...(await findings(page, name)));
      }
      await page.getByRole("button", { name: "Close the demo panel" }).click();
      await world.fault(
        { collection: "contacts" },
        { name: "status", status: 403, code: "Authorization_RequestDenied", message: "No." },
      );
      await show(page, "contacts");
      await press(page, "Sync");
      await problem(page).waitFor();
      found.push(...(await findings(page, "a failed round")));
      await page.getByRole("button", { name: /account and settings/ }).click();
      await page.getByRole("button", { name: "Use Microsoft 365" }).click();
      await page.getByRole("heading", { name: "Sign in" }).waitFor();
      found.push(...(await findings(page, "sign-in")));
      assert.deepEqual(found, [], found.join("\n"));
    });
  }
}
