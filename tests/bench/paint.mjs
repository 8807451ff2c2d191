// Measures how soon the dashboard shows its mirrors at a later visit, while Graph does not respond.
// Prints a line for each view: the first paint, and the first frame with rows, as medians of ten
// visits.
import { World, ready, startChromium, startFake, syncAll } from "../dashboard/harness.mjs";
import { median } from "./stats.mjs";

const VISITS = 10;
/** The element of a view that shows a row. */
const ROWS = {
  overview: ".query",
  calendar: ".box",
  contacts: "tbody tr",
  recordings: ".recording",
};

const fake = await startFake();
const browser = await startChromium();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const world = await World.make(fake.origin);
  const page = await context.newPage();
  await page.goto(world.url());
  await ready(page);
  await syncAll(page);
  await context.route(`${world.root}/**`, () => new Promise(() => {}));
  await page.addInitScript(() => {
    // The rows are on the screen in the frame after the one in which they are in the document.
    const look = () => {
      const row = window.awaited && document.querySelector(window.awaited);
      if (!row) return window.requestAnimationFrame(look);
      window.requestAnimationFrame(() => (window.rowsAt = performance.now()));
    };
    window.awaited = new URLSearchParams(location.search).get("row");
    look();
  });
  for (const [view, row] of Object.entries(ROWS)) {
    const visits = [];
    for (let visit = 0; visit < VISITS; visit += 1) {
      await page.goto("about:blank");
      await page.goto(world.url({ auto: "on", row: `#${view} ${row}` }, view));
      await page.waitForFunction(() => window.rowsAt);
      visits.push(
        await page.evaluate(() => ({
          paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
          rows: window.rowsAt,
        })),
      );
    }
    const [paint, rows] = ["paint", "rows"].map((name) =>
      median(visits.map((visit) => visit[name])).toFixed(0),
    );
    console.log(
      `dashboard, ${view}, later visit without a response of Graph: first paint ${paint} ms, rows ${rows} ms`,
    );
  }
} finally {
  await browser.close();
  await fake.stop();
}
