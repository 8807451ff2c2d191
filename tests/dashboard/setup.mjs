// Starts the fake Graph and Chromium once for each test file. After each test, closes the contexts
// that it opened, and fails if the dashboard violated its Content Security Policy or threw.
import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { startChromium, startFake } from "./harness.mjs";

export let fake;
let browser;
const contexts = [];
const complaints = [];

before(async () => {
  [fake, browser] = await Promise.all([startFake(), startChromium()]);
});
after(async () => {
  await browser?.close();
  await fake?.stop();
});
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  assert.deepEqual(complaints.splice(0), [], "the dashboard violated its Content Security Policy, or threw");
});

/**
 * Opens a context of the browser. With `details` (the default) the dashboard shows technical
 * details; `mode` is the layout of the calendar.
 */
export async function newContext({ details = "on", mode = "agenda", ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    ...options,
  });
  context.setDefaultTimeout(20_000);
  context.on("weberror", (error) => complaints.push(String(error.error())));
  context.on("console", (message) => {
    if (/Content Security Policy|TrustedHTML|TrustedScript/.test(message.text()))
      complaints.push(message.text());
  });
  contexts.push(context);
  await context.addInitScript(
    ([details, mode]) => {
      if (location.protocol !== "http:") return;
      localStorage["deltalink.details"] ??= details;
      if (mode) localStorage["deltalink.calendar.mode"] ??= mode;
    },
    [details, mode],
  );
  return context;
}

/** The window that the dashboard requests, and the `query` for the same events in the tables. */
export async function windowOf(page) {
  const { from, to } = JSON.parse(await page.evaluate(() => localStorage.getItem("deltalink.window")));
  const day = (date, days) =>
    new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
  return { from, to, query: `?start=${day(from, -1)}T00:00:00Z&end=${day(to, 2)}T00:00:00Z` };
}

export const sortedIds = (items) => items.map(({ id }) => id).sort();
