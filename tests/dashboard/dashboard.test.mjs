// The built dashboard in Chromium, on the fake Graph. Compares the shown items with the tables of
// the fake Graph, and the requests with its log.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  count,
  counts,
  lastChanges,
  idle,
  open,
  pathOf,
  press,
  problem,
  ready,
  show,
  SCREENSHOTS,
  shownIds,
  sync,
  syncAll,
  untilCount,
  VIEWS,
  detailsOf,
  World,
} from "./harness.mjs";
import { fake, newContext, sortedIds, windowOf } from "./setup.mjs";

test("the dashboard shows the items that the server lists, for all three collections", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await newContext(), world);
  for (const view of VIEWS) assert.equal(await count(page, view), 0);
  await syncAll(page);
  assert.deepEqual(await shownIds(page, "contacts"), sortedIds(await world.table("contacts")));
  assert.deepEqual(await shownIds(page, "recordings"), sortedIds(await world.table("recordings")));
  const { query } = await windowOf(page);
  // The agenda shows the days from a week ago to four weeks from now.
  const [from, to] = [-7, 27].map((days) =>
    new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10),
  );
  const events = await world.table("events", query);
  const within = events.filter(
    ({ type, start }) =>
      type !== "seriesMaster" && start.dateTime.slice(0, 10) >= from && start.dateTime.slice(0, 10) < to,
  );
  const painted = new Set(await shownIds(page, "calendar"));
  assert.ok(within.length > 5);
  for (const { id, subject } of within) assert.ok(painted.has(id), `${subject ?? id} is not in the agenda`);
  const master = events.find(({ type }) => type === "seriesMaster");
  if (master) assert.ok(!painted.has(master.id), "a series master has no row");
  const occurrence = events.find(
    ({ type, seriesMasterId, start }) =>
      type === "occurrence" &&
      seriesMasterId === master?.id &&
      start.dateTime.slice(0, 10) > from &&
      start.dateTime.slice(0, 10) < to,
  );
  if (occurrence)
    assert.equal(
      await page.locator(`.entry[data-id="${occurrence.id}"] .title`).first().textContent(),
      master.subject,
    );
  for (const view of VIEWS)
    assert.match(
      await detailsOf(page, view),
      /added \d+, changed 0, removed 0 · \d+ pages? · \d+ requests? · /,
    );
});

test("a second round brings exactly the change that was made on the server", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await newContext(), world);
  await syncAll(page);
  await world.clearLog();

  const [contact] = await world.table("contacts");
  await world.edit({
    collection: "contacts",
    op: "edit",
    id: contact.id,
    patch: { jobTitle: "Lighthouse Keeper" },
  });
  assert.match(await sync(page, "contacts"), /added 0, changed 1, removed 0 · 1 page · 1 request · /);
  assert.deepEqual(await lastChanges(page, "contacts"), [["changed", contact.displayName]]);
  assert.equal(
    await page.locator(`tr[data-id="${contact.id}"] [data-label=Title]`).innerText(),
    "Lighthouse Keeper",
  );
  assert.equal(await page.locator("#contacts tr[data-mark]").count(), 1);

  const [added] = await world.edit({ collection: "recordings", op: "add" });
  assert.match(await sync(page, "recordings"), /added 1, changed 0, removed 0 · 1 page · 1 request · /);
  assert.equal(await page.locator(`.recording[data-id="${added}"] .chip`).innerText(), "New");

  const { query } = await windowOf(page);
  const gone = (await world.table("events", query)).find(({ type }) => type === "singleInstance");
  await world.edit({ collection: "events", op: "remove", id: gone.id });
  assert.match(await sync(page, "calendar"), /added 0, changed 0, removed 1 · 1 page · 1 request · /);
  const [[verb, title], ...rest] = await lastChanges(page, "calendar");
  assert.deepEqual([verb, rest], ["removed", []]);
  assert.ok(title.startsWith(gone.subject), title);
  assert.equal(await page.locator(`.entry[data-id="${gone.id}"]`).count(), 0);
  assert.equal((await world.log()).length, 3, "one request for each of the three rounds");
});

test("after an offline reload the dashboard shows all three collections and sends no request", async () => {
  const world = await World.make(fake.origin);
  const context = await newContext();
  const page = await open(context, world);
  await syncAll(page);
  const before = await counts(page);
  await page.waitForSelector('body[data-shell="kept"]');
  await world.clearLog();
  await context.setOffline(true);
  await page.reload();
  await ready(page);
  assert.deepEqual(await counts(page), before);
  for (const view of VIEWS) assert.ok((await shownIds(page, view)).length > 0, view);
  assert.equal(await page.locator(".connection").innerText(), "Offline");
  assert.match(await detailsOf(page, "calendar"), /Last round: added/);
  await show(page, "contacts");
  await press(page, "Sync");
  await page.waitForSelector('#contacts[data-phase="waiting"], #contacts[data-phase="failed"]');
  assert.match(await detailsOf(page, "contacts"), /offline|network/);
  assert.match(await page.innerText("#contacts .state"), /^Offline\. Showing the copy of \d\d:\d\d\.$/);
  assert.equal(await count(page, "contacts"), before[1], "the stored rows stay readable");
  await page.screenshot({ path: `${SCREENSHOTS}/offline-wide-light.png` });
  assert.deepEqual(await world.log(), []);
});

test("after a reload the next request is the stored deltaLink", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await newContext(), world);
  const links = new Map();
  page.on("response", async (response) => {
    if (!response.url().startsWith(world.root) || response.request().method() !== "GET") return;
    const body = await response.json().catch(() => ({}));
    if (body["@odata.deltaLink"])
      links.set(new URL(response.url()).pathname.split("/")[4], body["@odata.deltaLink"]);
  });
  await syncAll(page);
  // One more round trip to the browser, which ends after the bodies of all responses were read.
  await page.waitForFunction(() => true);
  const stored = [...links.values()].map(pathOf).sort();
  assert.equal(stored.length, 3);
  await page.reload();
  await ready(page);
  await world.clearLog();
  await syncAll(page);
  const log = await world.log();
  assert.deepEqual(log.map(({ url }) => url).sort(), stored);
  assert.deepEqual(new Set(log.map(({ kind }) => kind)), new Set(["delta"]));
});

test("the requested window stays the same on the next day, so that the stored link stays valid", async () => {
  const world = await World.make(fake.origin);
  const context = await newContext();
  const page = await open(context, world);
  const { from, to } = await windowOf(page);
  const day = (date, days) =>
    new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
  // The window that the dashboard would have chosen yesterday.
  await page.evaluate((window) => localStorage.setItem("deltalink.window", JSON.stringify(window)), {
    from: day(from, -1),
    to: day(to, -1),
  });
  await page.reload();
  await ready(page);
  await sync(page, "calendar");
  const [{ url }] = await world.log("events");
  assert.ok(decodeURIComponent(url).includes(`=${day(from, -2)}T00:00:00`), url);
  for (let step = 0; step < 2; step += 1)
    await page.getByRole("button", { name: "Four weeks later" }).click();
  await page.waitForFunction(
    (before) => JSON.parse(localStorage.getItem("deltalink.window")).from !== before,
    day(from, -1),
  );
  await idle(page, "calendar");
  await page.getByRole("button", { name: "Today" }).click();
  await page.waitForFunction(
    (expected) => JSON.parse(localStorage.getItem("deltalink.window")).from === expected,
    from,
  );
});

test("after a crash during a round the reopened dashboard requests no acknowledged page again", async () => {
  const world = await World.make(fake.origin, { options: { latency_ms: 250 }, populate: { contacts: 120 } });
  const context = await newContext();
  const page = await open(context, world, {}, "contacts");
  await press(page, "Sync");
  await untilCount(page, "contacts", 40);
  const painted = await count(page, "contacts");
  await Promise.all([page.waitForEvent("crash"), page.goto("chrome://crash").catch(() => undefined)]);
  const first = await world.log("contacts");
  const again = await open(context, world, {}, "contacts");
  assert.ok((await count(again, "contacts")) >= painted, "everything on the screen was stored");
  await world.clearLog();
  assert.match(await sync(again, "contacts"), /resumed/);
  const second = await world.log("contacts");
  const acknowledged = new Set(first.slice(0, Math.floor(painted / 10)).map(({ url }) => url));
  assert.ok(acknowledged.size >= 4);
  for (const { url } of second) assert.ok(!acknowledged.has(url), `requested again: ${url}`);
  assert.ok(
    second.every(({ kind }) => kind === "next"),
    "no round began again",
  );
  assert.ok(
    first.length + second.length <= 14,
    `${first.length} and ${second.length} requests for 12 pages and one in flight`,
  );
  assert.deepEqual(await shownIds(again, "contacts"), sortedIds(await world.table("contacts")));
});

test("without parameters the dashboard opens the demo, and a reload keeps its world", async () => {
  const demo = new World(fake.origin, "demo");
  const page = await (await newContext()).newPage();
  await page.goto(`${fake.origin}/`);
  await ready(page);
  assert.ok(await page.getByRole("heading", { name: "Overview", level: 1 }).isVisible());
  for (const view of VIEWS) {
    await untilCount(page, view);
    await idle(page, view);
  }
  await demo.clearLog();
  await page.reload();
  await ready(page);
  // The mirror was synced a moment ago: the next round is not due yet.
  for (const view of VIEWS) assert.match(await detailsOf(page, view), /next round about/);
  assert.deepEqual(await demo.log(), []);
  await show(page, "calendar");
  const [before] = (await detailsOf(page, "calendar")).match(/Last round: .*/);
  await press(page, "Sync");
  await page.waitForFunction(
    (before) => !document.getElementById("calendar").innerText.includes(before),
    before,
  );
  await idle(page, "calendar");
  assert.match(await detailsOf(page, "calendar"), /1 request/);
  assert.ok((await demo.log()).every(({ kind }) => kind === "delta"));
});

test("the recordings view says that the token of a signed-in user cannot read them", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await newContext(), world, {}, "recordings");
  await page.getByLabel("the signed-in user’s").check();
  await problem(page).waitFor();
  assert.equal(await problem(page).getAttribute("data-code"), "forbidden");
  const card = await problem(page).innerText();
  assert.match(card, /403/);
  assert.match(card, /app-only/);
  await page.screenshot({ path: `${SCREENSHOTS}/recordings-forbidden-wide-light.png` });
  await press(page, "Read with an app-only token");
  await untilCount(page, "recordings");
  assert.equal(await problem(page).count(), 0);
});

test("an error shows its message, codes and request id, and the next round completes", async () => {
  const world = await World.make(fake.origin);
  const context = await newContext({ permissions: ["clipboard-read", "clipboard-write"] });
  const page = await open(context, world);
  await syncAll(page);
  const before = await count(page, "calendar");
  await world.fault(
    { collection: "events" },
    { name: "status", status: 403, code: "ErrorAccessDenied", message: "Access is denied." },
  );
  await press(page, "Sync");
  await problem(page).waitFor();
  const card = await problem(page).innerText();
  for (const expected of ["forbidden", "403", "ErrorAccessDenied", "Request id"])
    assert.ok(card.includes(expected), `${expected} in ${card}`);
  assert.equal(await count(page, "calendar"), before, "the mirror stays");
  await page.screenshot({ path: `${SCREENSHOTS}/error-card-wide-light.png` });
  await press(page, "Copy report");
  await page.waitForSelector("text=Copied");
  const report = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  assert.equal(report.error.code, "forbidden");
  assert.ok(!JSON.stringify(report).includes("fake.delegated"), "no token in a report");
  await press(page, "Try again");
  await idle(page, "calendar");
  assert.equal(await problem(page).count(), 0);
  assert.match(await detailsOf(page, "calendar"), /added 0, changed 0, removed 0/);
});

test("during a throttle the dashboard shows why it waits, and until when", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await newContext(), world, {}, "contacts");
  await world.fault(
    { collection: "contacts" },
    { name: "status", status: 429, code: "TooManyRequests", headers: { "Retry-After": "2" } },
  );
  await press(page, "Sync");
  await page.waitForSelector('#contacts[data-phase="waiting"]');
  assert.match(await detailsOf(page, "contacts"), /waiting · waits because of: throttled · until \d/);
  assert.match(
    await page.innerText("#contacts .state"),
    /^Waiting, because the server limits requests\. Continues in /,
  );
  await idle(page, "contacts");
  assert.match(await detailsOf(page, "contacts"), /1 retry/);
});

test("expired links lead to a full round that keeps the mirror readable and removes ghosts", async () => {
  const world = await World.make(fake.origin, { options: { latency_ms: 60 } });
  const page = await open(await newContext(), world, {}, "contacts");
  await sync(page, "contacts");
  const before = await count(page, "contacts");
  const [gone] = await world.table("contacts");
  await world.edit({ collection: "contacts", op: "remove", id: gone.id });
  await world.request("POST", "/expire", { collection: "contacts" });
  await press(page, "Sync");
  // Reads the count together with the phase, because the round may end right after.
  const during = await page.waitForFunction(() => {
    const { phase, count } = document.getElementById("contacts").dataset;
    return phase === "resyncing" && Number(count);
  });
  assert.equal(await during.jsonValue(), before);
  await idle(page, "contacts");
  assert.match(await detailsOf(page, "contacts"), /removed 1 .*started over/);
  assert.deepEqual(await lastChanges(page, "contacts"), [["removed", gone.displayName]]);
  assert.deepEqual(await shownIds(page, "contacts"), sortedIds(await world.table("contacts")));
});

test("the buttons of the demo change the server and show the result of the round", async () => {
  const world = await World.make(fake.origin);
  const page = await open(
    await newContext({ viewport: { width: 1440, height: 900 } }),
    world,
    {},
    "contacts",
  );
  await sync(page, "contacts");
  assert.equal(await page.locator("#demo-panel").count(), 0, "the panel of the demo is closed at first");
  await page.getByRole("button", { name: "Demo", exact: true }).click();
  const outcome = () => page.locator(".demo-log li").first().locator('[data-outcome="complete"]').innerText();
  const act = async (name) => {
    const rows = await page.locator(".demo-log [data-outcome]").count();
    await page.locator("#demo-panel").getByRole("button", { name }).click();
    await page.waitForFunction((n) => document.querySelectorAll(".demo-log [data-outcome]").length > n, rows);
    return outcome();
  };
  assert.match(await act("Add"), /added 1, changed 0, removed 0/);
  assert.match(await act("Edit"), /added 0, changed 1, removed 0/);
  assert.match(await act("Delete"), /added 0, changed 0, removed 1/);
  await act("Ten changes at once");
  assert.match(await act(/Refuse the token/), /added 0, changed 0, removed 0/);
  assert.match(await act(/Expire the links/), /started over/);
  assert.match(await act(/Cut the connection/), /retr/);
  assert.deepEqual(await shownIds(page, "contacts"), sortedIds(await world.table("contacts")));
  await page.screenshot({ path: `${SCREENSHOTS}/demo-panel-wide-light.png` });
});
