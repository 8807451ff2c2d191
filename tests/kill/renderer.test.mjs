// Crashes the renderer of a tab at each point of a round.
import { after, before, test } from "node:test";
import { Browser, startSite } from "./harness.mjs";
import { POINTS, series, DESCRIPTIONS } from "./series.mjs";

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
  test(`after a crash of the renderer ${DESCRIPTIONS[point]} nothing is lost and no committed page is delivered again`, (context) =>
    series(context, site, browser, "renderer", point));
}
