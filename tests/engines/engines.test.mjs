// Runs the checks of checks.js with the packed package in tabs of the engine that the variable
// ENGINE names.
import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startFake } from "../fake.mjs";
import * as engines from "../webdriver.mjs";
import { checks, populate } from "./checks.js";

const absolutePath = (path) => fileURLToPath(new URL(path, import.meta.url));
const engine = Object.values(engines).find(({ name }) => name === (process.env.ENGINE ?? "Chromium"));

let folder;
let fake;
let session;
/** The first tab, and a second one if a check opens it. */
let tabs;
before(async () => {
  assert.ok(!engine.missing(), `${engine.name} is not installed`);
  folder = await mkdtemp(join(tmpdir(), "deltalink-engines-"));
  await cp(absolutePath("site"), folder, { recursive: true });
  await cp(absolutePath("checks.js"), join(folder, "checks.js"));
  await cp(absolutePath("../node_modules/deltalink"), join(folder, "deltalink"), { recursive: true });
  await cp(absolutePath("../../node_modules/zone.js/bundles/zone.umd.js"), join(folder, "zone.umd.js"));
  [fake, session] = await Promise.all([startFake("--static", folder), engine.start("page")]);
  tabs = [await session.tab()];
});
after(async () => {
  await session?.stop();
  await fake?.stop();
  if (folder) await rm(folder, { recursive: true });
});
afterEach(async () => {
  for (const tab of tabs.splice(1)) {
    await session.select(tab);
    await session.closeTab();
  }
  await session.select(tabs[0]);
  await session.renew(`${fake.origin}/`);
  await session.call("clean");
});

/** Selects the tab of a step, and opens or reloads the site in it. */
async function goTo({ where, query = "" }) {
  const url = `${fake.origin}/${query}`;
  if (where === "first tab") return session.select(tabs[0]);
  if (where === "reloaded") return session.renew(url);
  if (where !== "other tab") return session.goto(url);
  if (tabs[1]) return session.select(tabs[1]);
  tabs.push(await session.newTab());
  await session.select(tabs[1]);
  return session.goto(url);
}

for (const [name, steps] of Object.entries(checks)) {
  test(name, async () => {
    const { id, root, tokens } = await fake.world({ populate });
    for (const [number, step] of steps.entries()) {
      await goTo(step);
      await session.call("step", name, number, { id, root, tokens });
    }
  });
}
