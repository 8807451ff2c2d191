// The overview, the marks on changed items, and two tabs.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  count,
  counts,
  idle,
  open,
  press,
  ready,
  show,
  sync,
  syncAll,
  untilCount,
  World,
} from "./harness.mjs";
import { fake, newContext } from "./setup.mjs";

const userContext = (options) => newContext({ details: "off", ...options });
const tile = (page, name) =>
  page.getByRole("listitem").filter({ has: page.getByRole("heading", { name, exact: true }) });
const round = (page, name) => page.getByRole("group", { name, exact: true });
const live = (page) => page.getByRole("status");

test("the overview keeps the last round with changes beside later rounds without any", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await userContext(), world, {}, "overview");
  await syncAll(page);
  const [contact] = await world.table("contacts");
  await world.edit({ collection: "contacts", op: "edit", id: contact.id, patch: { jobTitle: "Diver" } });
  await sync(page, "contacts");
  await sync(page, "contacts");
  await show(page, "overview");
  assert.match(await round(page, "Last round").innerText(), /Contacts: no changes/);
  const withChanges = round(page, "Last round with changes");
  assert.match(await withChanges.innerText(), /Contacts: 1 changed/);
  await withChanges.getByText(/What changed/).click();
  assert.match(await withChanges.innerText(), new RegExp(`Changed\\s+${contact.displayName}`));
  const rows = page.getByRole("table", { name: "History of rounds" }).getByRole("row");
  assert.equal(await rows.count(), 1 + 5, "a head and five rounds");
  assert.match(await rows.nth(1).innerText(), /Contacts\s+no changes/);
  await page.reload();
  await ready(page);
  assert.match(await round(page, "Last round with changes").innerText(), /Contacts: 1 changed/);
  assert.equal(await rows.count(), 1 + 5, "a reload keeps the history");
});

test("the overview counts the stored items, and compares the cost with listing everything each time", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await userContext(), world, {}, "overview");
  await syncAll(page);
  const listed = (await world.log()).length;
  await syncAll(page);
  const spent = (await world.log()).length;
  const held = await counts(page);
  await show(page, "overview");
  const sum = held.reduce((total, count) => total + count, 0);
  assert.match(await tile(page, "Items held").innerText(), new RegExp(`\\b${sum}\\b[^]*${held[0]} events`));
  assert.match(await tile(page, "Last sync").innerText(), /\d\d:\d\d[^]*Updated now\./);
  const requests = await tile(page, "Requests").innerText();
  assert.match(requests, new RegExp(`\\b${spent}\\b[^]*Instead of ${2 * listed} `), requests);
  // The overview explains that rounds count series, whose events the calendar shows.
  const stored = (await world.table("events")).length;
  assert.ok(stored >= held[0]);
  if (stored > held[0])
    assert.ok(await page.getByText(/^Rounds count \d+ items of the calendar/).isVisible());
  const charts = ["Rounds over time", "Changes per day"];
  for (const name of charts) {
    const chart = page.getByRole("figure", { name });
    await chart.getByText("Show as a table").click();
    assert.ok((await chart.getByRole("row").count()) > 1, `${name} has a table`);
  }
});

test("changed items are marked until the user has looked at them", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await userContext(), world, {}, "contacts");
  await syncAll(page);
  assert.equal(await page.locator("[data-mark]").count(), 0, "a first round marks nothing");
  const [contact] = await world.table("contacts");
  await world.edit({ collection: "contacts", op: "edit", id: contact.id, patch: { jobTitle: "Diver" } });
  const [added] = await world.edit({ collection: "contacts", op: "add" });
  await sync(page, "contacts");
  await sync(page, "contacts");
  assert.equal(await page.locator("tr[data-mark]").count(), 2, "the next round keeps the marks");
  await show(page, "overview");
  await page.getByRole("button", { name: "1 new, 1 changed, show in Contacts" }).click();
  await page.getByRole("heading", { name: "Contacts", level: 1 }).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 2, "only the marked contacts");
  await page.locator(`tr[data-id="${added}"]`).click();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  await press(page, "Mark as seen");
  await page.waitForFunction(() => document.querySelectorAll("[data-mark]").length === 0);
  assert.ok((await page.locator("tbody tr").count()) > 30, "all contacts again");
});

test("one polite live region announces the results of rounds", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await userContext(), world, {}, "contacts");
  await sync(page, "contacts");
  await live(page).filter({ hasText: "Contacts: loaded." }).waitFor({ state: "attached" });
  await world.edit({ collection: "contacts", op: "add" }, { collection: "contacts", op: "add" });
  await sync(page, "contacts");
  await live(page).filter({ hasText: "Contacts: 2 new." }).waitFor({ state: "attached" });
  await world.fault({ collection: "contacts" }, { name: "status", status: 403, code: "ErrorAccessDenied" });
  await sync(page, "contacts");
  await live(page)
    .filter({ hasText: "This account has no permission to read this list." })
    .waitFor({ state: "attached" });
  const regions = page.locator("[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log]");
  assert.equal(await regions.count(), 1);
});

test("two tabs share the rounds, and forgetting in one closes the other", async () => {
  const world = await World.make(fake.origin);
  const context = await userContext();
  const first = await open(context, world, { auto: "on" }, "contacts");
  await untilCount(first, "contacts", 35);
  const second = await open(context, world, { auto: "on" }, "contacts");
  assert.equal(await count(second, "contacts"), 35);
  await world.clearLog();
  await world.edit({ collection: "contacts", op: "add" });
  await press(first, "Sync");
  await untilCount(first, "contacts", 36);
  await untilCount(second, "contacts", 36);
  assert.equal(await second.locator("tr[data-mark=new]").count(), 1, "the other tab marks it too");
  assert.equal((await world.log("contacts")).length, 1, "one request for both tabs");
  await first.getByRole("button", { name: /account and settings/ }).click();
  await first.getByRole("button", { name: "Forget the stored data" }).click();
  await first.getByRole("dialog").getByRole("button", { name: "Forget", exact: true }).click();
  await second.getByRole("heading", { name: "This account was closed" }).waitFor();
  await second.getByRole("button", { name: "Open this app again" }).click();
  await ready(second);
  await show(second, "contacts");
  await idle(second, "contacts");
});

test("a recording has the subject of the meeting at its time, and the name of the organizer", async () => {
  const world = await World.make(fake.origin, { populate: {} });
  const { user } = await world.request("GET", "");
  const at = new Date(Date.now() - 86_400_000).toISOString().slice(0, 11);
  const time = (clock) => ({ dateTime: `${at}${clock}.0000000`, timeZone: "UTC" });
  const organizer = { emailAddress: { name: "Robin Ekholm", address: user.address } };
  await world.edit(
    {
      collection: "events",
      op: "add",
      item: {
        ...{
          subject: "Budget review",
          type: "singleInstance",
          isAllDay: false,
          isOnlineMeeting: true,
          organizer,
        },
        ...{ start: time("10:00:00"), end: time("11:00:00") },
      },
    },
    ...["10:05:00", "15:00:00"].map((clock) => ({
      collection: "recordings",
      op: "add",
      item: { createdDateTime: `${at}${clock}Z`, endDateTime: `${at}${clock.replace(":0", ":3")}Z` },
    })),
  );
  const page = await open(await userContext(), world, {}, "recordings");
  await syncAll(page);
  assert.ok(await page.getByRole("heading", { name: "Budget review" }).isVisible());
  assert.ok(await page.getByRole("heading", { name: /^Meeting of / }).isVisible());
  assert.equal(await page.getByText("Robin Ekholm").count(), 2);
  assert.equal(await page.getByText("Recording id").count(), 0, "ids are details");
});
