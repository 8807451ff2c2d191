// Runs the demo in Chromium: a first, an incremental and a resumed round of each collection.
// Compares what the dashboard shows with IndexedDB and with the log of the fake Graph.
import assert from "node:assert/strict";
import {
  idle,
  open,
  press,
  ready,
  show,
  startChromium,
  startFake,
  sync,
  VIEWS,
  detailsOf,
  World,
} from "./dashboard/harness.mjs";
import { until } from "./wait.mjs";

const NAMES = {
  calendar: ["event", "events"],
  contacts: ["orgContact", "contacts"],
  recordings: ["callRecording", "recordings"],
};

const fake = await startFake();
const browser = await startChromium();
try {
  const world = await World.make(fake.origin, { populate: { events: 60, contacts: 80, recordings: 30 } });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB" });
  await context.addInitScript(() => {
    localStorage["deltalink.details"] = "on";
  });
  let page = await open(context, world);
  for (const view of VIEWS) {
    const [name, collection] = NAMES[view];
    console.log(`\n${name}`);
    await world.clearLog();
    await report("first", view, collection, await sync(page, view), ["initial", "next"]);

    await world.clearLog();
    await world.edit({ collection, op: "add" });
    await report("incremental", view, collection, await sync(page, view), ["delta"]);

    // Expired links make the next round a full one. Closing the tab interrupts it.
    await world.request("POST", "/expire", {});
    await world.request("PATCH", "/options", { latency_ms: 200 });
    await show(page, view);
    await press(page, "Sync");
    await until(async () => (await state(page, view)).phase === "paging");
    await page.close();
    await world.request("PATCH", "/options", { latency_ms: 0 });
    await world.clearLog();
    page = await open(context, world);
    await ready(page);
    const status = await sync(page, view);
    assert.match(status, /resumed/);
    await report("resumed", view, collection, status, ["next"]);
  }
  console.log("\ncheck-demo: three collections, nine rounds, all complete");

  async function report(round, view, collection, status, kinds) {
    await idle(page, view);
    const log = await world.log(collection);
    const stored = await state(page, view);
    const items = log.reduce((sum, entry) => sum + (entry.items ?? 0), 0);
    const pages = Number(/(\d+) pages?/.exec(status)?.[1]);
    console.log(
      `  ${round.padEnd(11)} ${String(pages).padStart(3)} pages  ${String(items).padStart(4)} items  ${String(log.length).padStart(3)} requests  stored: ${stored.phase}, generation ${stored.generation}, ${stored.rows} rows, link ${stored.link.split("?")[0].split("/v1.0")[1]}?…`,
    );
    assert.equal(stored.phase, "idle", status);
    assert.deepEqual([...new Set(log.map(({ kind }) => kind))].sort(), [...kinds].sort(), status);
    assert.ok(pages > 0 && log.length > 0, await detailsOf(page, view));
  }
} finally {
  await browser.close();
  await fake.stop();
}

/** The stored record of the query of a view, and its number of rows. */
async function state(page, view) {
  const path = {
    calendar: "/calendarView/delta",
    contacts: "/contacts/delta",
    recordings: "/getAllRecordings",
  }[view];
  const found = await page.evaluate(async (path) => {
    const done = (request) =>
      new Promise(
        (resolve, reject) => (
          (request.onsuccess = () => resolve(request.result)),
          (request.onerror = () => reject(request.error))
        ),
      );
    for (const { name } of await indexedDB.databases()) {
      if (!name.startsWith("deltalink | ")) continue;
      const db = await done(indexedDB.open(name));
      const transaction = db.transaction(["state", "items"]);
      const keys = await done(transaction.objectStore("state").getAllKeys());
      const key = keys.find((key) => key.includes(path));
      const state = key && (await done(transaction.objectStore("state").get(key)));
      const rows =
        key && (await done(transaction.objectStore("items").count(IDBKeyRange.bound([key], [key, []]))));
      db.close();
      if (state) return { ...state, rows };
    }
  }, path);
  return found ?? {};
}
