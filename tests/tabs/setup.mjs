// Starts the site and Chromium once for each test file. Each test has a new context, and fails if a
// tab of it threw.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach } from "node:test";
import { startChromium } from "../dashboard/harness.mjs";
import { startSite } from "../kill/harness.mjs";
import { openTab, startHideable } from "./kit.mjs";

export let site;
export let context;
let chromium;
const complaints = [];

before(async () => {
  [site, chromium] = await Promise.all([startSite(), startChromium()]);
});
after(async () => {
  await chromium?.close();
  await site?.stop();
});
beforeEach(async () => {
  context = await chromium.newContext();
  context.setDefaultTimeout(15_000);
  context.on("weberror", (error) => complaints.push(String(error.error())));
});
afterEach(async () => {
  await context.close();
  // Unhandled rejections are complaints too.
  assert.deepEqual(complaints.splice(0), []);
});

/** Opens a tab with a client of a world, in the context of the test or in another one. */
export const tab = (world, { within = context, ...more } = {}) => openTab(site, within, world, more);

/** Starts a browser whose tabs can be hidden and frozen. */
export const hideable = (test) => startHideable(test, complaints);
