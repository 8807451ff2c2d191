// The rules of the agenda in time zones that are easy to get wrong. The tests set TZ, the zone of
// the machine, to the zone of the viewer or to another one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dayOf } from "deltalink/calendar";
import { load } from "./compile.mjs";

const { addDays, agenda, daysBetween, instantsOf, nowAt, titleOf, windowAround } =
  await load("www/src/calendar.ts");
const { blocksOf, clockOf } = await load("www/src/grid.ts");

const ZONES = [
  "UTC",
  "Pacific/Auckland",
  "America/Los_Angeles",
  "Pacific/Kiritimati",
  "Pacific/Pago_Pago",
  "Asia/Kathmandu",
  "Europe/Berlin",
];

function inZone(zone, run) {
  const before = process.env.TZ;
  process.env.TZ = zone;
  try {
    return run(zone);
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
}

const utc = (dateTime) => ({ dateTime: `${dateTime}.0000000`, timeZone: "UTC" });
const timed = (id, start, end, more = {}) => ({
  id,
  type: "singleInstance",
  subject: id,
  isAllDay: false,
  start: utc(start),
  end: utc(end),
  ...more,
});
const allDay = (id, from, to, more = {}) =>
  timed(id, `${from}T00:00:00`, `${to}T00:00:00`, { isAllDay: true, ...more });
/** The days with events, as `{ date: ["title day/days", …] }`. */
const shown = (days) =>
  Object.fromEntries(
    days
      .filter(({ entries }) => entries.length > 0)
      .map(({ date, entries }) => [date, entries.map(({ title, day, days }) => `${title} ${day}/${days}`)]),
  );

test("setting TZ changes the zone of the machine, which the other tests rely on", () => {
  assert.notEqual(
    inZone("Pacific/Auckland", () => new Date(0).getHours()),
    inZone("America/Los_Angeles", () => new Date(0).getHours()),
  );
});

test("an all-day event is on its date in every zone", () => {
  for (const zone of ZONES) {
    const days = inZone(zone, () =>
      agenda([allDay("Holiday", "2026-11-26", "2026-11-27")], { from: "2026-11-20", to: "2026-11-30" }, zone),
    );
    assert.deepEqual(shown(days), { "2026-11-26": ["Holiday 1/1"] }, zone);
  }
});

test("an all-day event of three days is on each of them, in every zone and over a clock change", () => {
  for (const zone of ZONES) {
    const days = inZone(zone, () =>
      agenda([allDay("Fair", "2026-10-31", "2026-11-03")], { from: "2026-10-28", to: "2026-11-05" }, zone),
    );
    assert.deepEqual(
      shown(days),
      { "2026-10-31": ["Fair 1/3"], "2026-11-01": ["Fair 2/3"], "2026-11-02": ["Fair 3/3"] },
      zone,
    );
  }
});

test("an event that begins before the window is shown on the days inside, with its true count", () => {
  const days = agenda(
    [allDay("Leave", "2026-11-10", "2026-11-24")],
    { from: "2026-11-22", to: "2026-11-25" },
    "UTC",
  );
  assert.deepEqual(shown(days), { "2026-11-22": ["Leave 13/14"], "2026-11-23": ["Leave 14/14"] });
});

test("a timed event is on the day in the zone of the viewer", () => {
  const event = timed("Call", "2026-11-21T08:30:00", "2026-11-21T09:00:00");
  const window = { from: "2026-11-19", to: "2026-11-23" };
  assert.deepEqual(shown(inZone("Pacific/Auckland", (zone) => agenda([event], window, zone))), {
    "2026-11-21": ["Call 1/1"],
  });
  assert.deepEqual(shown(inZone("America/Los_Angeles", (zone) => agenda([event], window, zone))), {
    "2026-11-21": ["Call 1/1"],
  });
  const late = timed("Late", "2026-11-21T23:30:00", "2026-11-22T00:15:00");
  assert.deepEqual(shown(agenda([late], window, "UTC")), {
    "2026-11-21": ["Late 1/2"],
    "2026-11-22": ["Late 2/2"],
  });
  assert.deepEqual(shown(agenda([late], window, "Pacific/Auckland")), { "2026-11-22": ["Late 1/1"] });
  assert.deepEqual(shown(agenda([late], window, "America/Los_Angeles")), { "2026-11-21": ["Late 1/1"] });
});

test("an event that ends at midnight does not reach into the next day", () => {
  const days = agenda(
    [timed("Evening", "2026-11-21T20:00:00", "2026-11-22T00:00:00")],
    { from: "2026-11-21", to: "2026-11-23" },
    "UTC",
  );
  assert.deepEqual(shown(days), { "2026-11-21": ["Evening 1/1"] });
});

test("an event without a duration is shown", () => {
  const days = agenda(
    [timed("Reminder", "2026-11-21T00:00:00", "2026-11-21T00:00:00")],
    { from: "2026-11-21", to: "2026-11-21" },
    "UTC",
  );
  assert.deepEqual(shown(days), { "2026-11-21": ["Reminder 1/1"] });
});

test("a day with a clock change is listed once", () => {
  for (const [zone, from] of [
    ["America/Los_Angeles", "2026-10-31"],
    ["America/Los_Angeles", "2026-03-07"],
    ["Europe/Berlin", "2026-10-24"],
    ["Pacific/Auckland", "2026-09-26"],
  ]) {
    const days = inZone(zone, () => agenda([], { from, to: addDays(from, 2) }, zone));
    assert.deepEqual(
      days.map(({ date }) => date),
      [from, addDays(from, 1), addDays(from, 2)],
      zone,
    );
  }
});

test("events in the repeated hour of a clock change are in the order of their instants", () => {
  // 1 November 2026 in Los Angeles: 01:30 comes at 08:30 and again at 09:30 UTC.
  const days = agenda(
    [
      timed("second", "2026-11-01T09:30:00", "2026-11-01T09:45:00"),
      timed("first", "2026-11-01T08:30:00", "2026-11-01T08:45:00"),
    ],
    { from: "2026-11-01", to: "2026-11-01" },
    "America/Los_Angeles",
  );
  assert.deepEqual(
    days[0].entries.map(({ title }) => title),
    ["first", "second"],
  );
});

test("an event through the night of a clock change has two days, not three", () => {
  const days = agenda(
    [timed("Migration", "2026-11-01T05:00:00", "2026-11-01T14:00:00")],
    { from: "2026-10-30", to: "2026-11-03" },
    "America/Los_Angeles",
  );
  assert.deepEqual(shown(days), { "2026-10-31": ["Migration 1/2"], "2026-11-01": ["Migration 2/2"] });
});

test("occurrences take title, place and all-day from their master, which has no row", () => {
  const master = timed("master", "2026-11-02T09:00:00", "2026-11-02T09:15:00", {
    type: "seriesMaster",
    subject: "Stand-up",
    location: { displayName: "Aurora" },
  });
  const holidays = allDay("off", "2026-11-01", "2026-11-02", { type: "seriesMaster", subject: "Rest day" });
  const bare = (id, seriesMasterId, start, end) => ({
    id,
    type: "occurrence",
    seriesMasterId,
    start: utc(start),
    end: utc(end),
  });
  for (const zone of ZONES) {
    const days = inZone(zone, () =>
      agenda(
        [
          bare("o1", "master", "2026-11-20T12:00:00", "2026-11-20T12:15:00"),
          bare("o2", "off", "2026-11-22T00:00:00", "2026-11-23T00:00:00"),
          master,
          holidays,
        ],
        { from: "2026-11-01", to: "2026-11-30" },
        zone,
      ),
    );
    const entries = days.flatMap(({ date, entries }) => entries.map((entry) => ({ date, ...entry })));
    assert.deepEqual(
      entries.map(({ title }) => title),
      ["Stand-up", "Rest day"],
      zone,
    );
    assert.equal(entries[0].location, "Aurora");
    assert.equal(entries[0].isRecurring, true);
    assert.deepEqual([entries[1].isAllDay, entries[1].date], [true, "2026-11-22"], zone);
  }
});

test("an occurrence whose master is missing says that it recurs", () => {
  const orphan = {
    id: "o",
    type: "occurrence",
    seriesMasterId: "gone",
    start: utc("2026-11-21T09:00:00"),
    end: utc("2026-11-21T10:00:00"),
  };
  const [day] = agenda([orphan], { from: "2026-11-21", to: "2026-11-21" }, "UTC");
  assert.equal(day.entries[0].title, "(recurring event)");
  assert.equal(titleOf({ id: "x", subject: " " }, undefined), "(no title)");
});

test("an exception of a series keeps its own title and time", () => {
  const master = timed("m", "2026-11-02T09:00:00", "2026-11-02T09:15:00", {
    type: "seriesMaster",
    subject: "Stand-up",
    location: { displayName: "Aurora" },
  });
  const exception = timed("e", "2026-11-21T11:00:00", "2026-11-21T11:15:00", {
    type: "exception",
    seriesMasterId: "m",
    subject: "Stand-up, late",
    isCancelled: true,
  });
  const [day] = agenda([master, exception], { from: "2026-11-21", to: "2026-11-21" }, "UTC");
  assert.deepEqual(
    [day.entries[0].title, day.entries[0].isCancelled, day.entries[0].isRecurring],
    ["Stand-up, late", true, true],
  );
});

test("within a day all-day events come first, then time decides", () => {
  const days = agenda(
    [
      timed("ten", "2026-11-21T10:00:00", "2026-11-21T11:00:00"),
      allDay("short", "2026-11-21", "2026-11-22"),
      timed("nine", "2026-11-21T09:00:00", "2026-11-21T12:00:00"),
      allDay("long", "2026-11-20", "2026-11-24"),
    ],
    { from: "2026-11-21", to: "2026-11-21" },
    "UTC",
  );
  assert.deepEqual(
    days[0].entries.map(({ title }) => title),
    ["long", "short", "nine", "ten"],
  );
});

test("the now line is before the first event that has not begun", () => {
  const [day] = agenda(
    [
      allDay("all", "2026-11-21", "2026-11-22"),
      timed("a", "2026-11-21T09:00:00", "2026-11-21T10:00:00"),
      timed("b", "2026-11-21T11:00:00", "2026-11-21T12:00:00"),
    ],
    { from: "2026-11-21", to: "2026-11-21" },
    "UTC",
  );
  const lineAt = (time) => nowAt(day.entries, Date.parse(`2026-11-21T${time}:00Z`));
  assert.deepEqual([lineAt("08:00"), lineAt("09:30"), lineAt("10:30"), lineAt("13:00")], [1, 2, 2, 3]);
});

test("events with unreadable times are left out", () => {
  const days = agenda(
    [
      { id: "x" },
      { id: "y", start: { dateTime: "soon" } },
      { start: utc("2026-11-21T09:00:00") },
      { id: "z", isAllDay: true, start: utc("2026-11-21T00:00:00") },
      timed("back", "2026-11-21T10:00:00", "2026-11-21T09:00:00"),
    ],
    { from: "2026-11-21", to: "2026-11-21" },
    "UTC",
  );
  assert.deepEqual(
    days[0].entries.map(({ id }) => id),
    ["z", "back"],
  );
});

test("the requested window contains every shown day, in every zone", () => {
  const window = windowAround("2026-11-21");
  assert.deepEqual(window, { from: "2026-10-10", to: "2027-01-16" });
  const { start, end } = instantsOf(window);
  for (const zone of ZONES) {
    assert.ok(dayOf(Date.parse(start), zone) < window.from, zone);
    assert.ok(dayOf(Date.parse(end) - 1, zone) > window.to || zone === "Pacific/Pago_Pago", zone);
    assert.ok(dayOf(Date.parse(end), zone) > window.to, zone);
  }
});

test("date arithmetic works over months, years and leap days", () => {
  assert.equal(addDays("2026-12-31", 1), "2027-01-01");
  assert.equal(addDays("2028-02-28", 1), "2028-02-29");
  assert.equal(addDays("2026-03-01", -1), "2026-02-28");
  assert.equal(daysBetween("2026-03-28", "2026-03-30"), 2);
});

test("a block of the week ends at midnight only if its event does, and one without a duration is short", () => {
  const events = [
    timed("early", "2026-11-24T00:00:00", "2026-11-24T00:00:00"),
    timed("late", "2026-11-24T22:00:00", "2026-11-25T00:00:00"),
    timed("night", "2026-11-24T23:00:00", "2026-11-25T01:00:00"),
  ];
  const days = agenda(events, { from: "2026-11-24", to: "2026-11-25" }, "UTC");
  const blocks = days.map((day) =>
    Object.fromEntries(
      blocksOf(day, clockOf("UTC")).map(({ entry, start, end }) => [entry.title, [start, end]]),
    ),
  );
  assert.deepEqual(blocks, [{ early: [0, 30], late: [1320, 1440], night: [1380, 1440] }, { night: [0, 60] }]);
});
