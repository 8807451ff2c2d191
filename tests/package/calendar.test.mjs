// deltalink/calendar: the instants and dates of events, as tables. The tests also run with another
// zone of the machine, which must not matter.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { dayOf, days, endOf, isAllDay, startOf } from "deltalink/calendar";

const at = (dateTime, timeZone = "UTC") => ({ dateTime, timeZone });
const timed = (start, end, timeZone) => ({ start: at(start, timeZone), end: at(end, timeZone) });
const allDay = (from, to, timeZone) => ({
  isAllDay: true,
  ...timed(`${from}T00:00:00.0000000`, `${to}T00:00:00.0000000`, timeZone),
});
const iso = (date) => date.toISOString().replace(".000Z", "Z");

/** Runs a test with each of these zones as the zone of the machine. */
function everywhere(name, run) {
  for (const zone of ["UTC", "Pacific/Auckland", "America/Los_Angeles"]) {
    test(`${name} (on a machine in ${zone})`, () => {
      const before = process.env.TZ;
      process.env.TZ = zone;
      try {
        run();
      } finally {
        if (before === undefined) delete process.env.TZ;
        else process.env.TZ = before;
      }
    });
  }
}

everywhere("a local time is converted from its zone", () => {
  const table = [
    // The zone of Graph's default, with and without its name.
    ["2026-11-21T10:00:00.0000000", "UTC", "2026-11-21T10:00:00Z"],
    ["2026-11-21T10:00:00.0000000", null, "2026-11-21T10:00:00Z"],
    ["2026-11-21T10:00:00.1239999", "UTC", "2026-11-21T10:00:00.123Z"],
    ["2026-11-21T10:00", "UTC", "2026-11-21T10:00:00Z"],
    // A string with an offset needs no zone.
    ["2026-11-21T10:00:00Z", "Europe/Berlin", "2026-11-21T10:00:00Z"],
    ["2026-11-21T10:00:00+02:00", "UTC", "2026-11-21T08:00:00Z"],
    // West and east of UTC.
    ["2026-11-21T10:00:00", "America/Los_Angeles", "2026-11-21T18:00:00Z"],
    ["2026-11-21T10:00:00", "Pacific/Kiritimati", "2026-11-20T20:00:00Z"],
    ["2026-11-21T10:00:00", "Pacific/Pago_Pago", "2026-11-21T21:00:00Z"],
    // Offsets of half and quarter hours.
    ["2026-11-21T10:00:00", "Asia/Kolkata", "2026-11-21T04:30:00Z"],
    ["2026-11-21T10:00:00", "Asia/Kathmandu", "2026-11-21T04:15:00Z"],
    ["2026-11-21T10:00:00", "America/St_Johns", "2026-11-21T13:30:00Z"],
    // Before 1900 offsets have seconds.
    ["1800-01-01T00:00:00", "America/New_York", "1800-01-01T04:56:02Z"],
    // The names of Windows.
    ["2026-11-21T10:00:00", "W. Europe Standard Time", "2026-11-21T09:00:00Z"],
    ["2026-07-21T10:00:00", "W. Europe Standard Time", "2026-07-21T08:00:00Z"],
    ["2026-11-21T10:00:00", "India Standard Time", "2026-11-21T04:30:00Z"],
    ["2026-11-21T10:00:00", "Pacific Standard Time (Mexico)", "2026-11-21T18:00:00Z"],
    ["2026-11-21T10:00:00", "pacific standard time", "2026-11-21T18:00:00Z"],
    ["2026-11-21T10:00:00", "Russian Standard Time", "2026-11-21T07:00:00Z"],
    ["2026-11-21T10:00:00", "Russia Time Zone 3", "2026-11-21T06:00:00Z"],
    ["2026-11-21T10:00:00", "Central Asia Standard Time", "2026-11-21T04:00:00Z"],
    ["2026-11-21T10:00:00", "UTC-11", "2026-11-21T21:00:00Z"],
    ["2026-11-21T10:00:00", "UTC+13", "2026-11-20T21:00:00Z"],
    ["2026-11-21T10:00:00", "Dateline Standard Time", "2026-11-21T22:00:00Z"],
    ["2026-11-21T10:00:00", "tzone://Microsoft/Utc", "2026-11-21T10:00:00Z"],
  ];
  for (const [dateTime, timeZone, instant] of table)
    assert.equal(iso(startOf({ start: at(dateTime, timeZone) })), instant, `${dateTime} ${timeZone}`);
});

everywhere("a time that the clocks show twice is the first instant, and a skipped time is later", () => {
  const table = [
    // Berlin skips 02:00 to 03:00 on March 29.
    ["2026-03-29T01:59:00", "Europe/Berlin", "2026-03-29T00:59:00Z"],
    ["2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:30:00Z"],
    ["2026-03-29T03:00:00", "Europe/Berlin", "2026-03-29T01:00:00Z"],
    // Berlin has 02:00 to 03:00 twice on October 25.
    ["2026-10-25T01:59:00", "Europe/Berlin", "2026-10-24T23:59:00Z"],
    ["2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00Z"],
    ["2026-10-25T03:00:00", "Europe/Berlin", "2026-10-25T02:00:00Z"],
    // The same west of UTC.
    ["2026-03-08T02:30:00", "America/New_York", "2026-03-08T07:30:00Z"],
    ["2026-11-01T01:30:00", "America/New_York", "2026-11-01T05:30:00Z"],
    ["2026-11-01T02:00:00", "America/New_York", "2026-11-01T07:00:00Z"],
    // Lord Howe changes its clocks by half an hour.
    ["2026-10-04T02:15:00", "Australia/Lord_Howe", "2026-10-03T15:45:00Z"],
    ["2026-04-05T01:45:00", "Lord Howe Standard Time", "2026-04-04T14:45:00Z"],
    ["2026-04-05T02:00:00", "Lord Howe Standard Time", "2026-04-04T15:30:00Z"],
    // Apia skipped December 30, 2011.
    ["2011-12-29T23:00:00", "Pacific/Apia", "2011-12-30T09:00:00Z"],
    ["2011-12-30T12:00:00", "Pacific/Apia", "2011-12-30T22:00:00Z"],
    ["2011-12-31T00:00:00", "Samoa Standard Time", "2011-12-30T10:00:00Z"],
  ];
  for (const [dateTime, timeZone, instant] of table)
    assert.equal(iso(startOf({ start: at(dateTime, timeZone) })), instant, `${dateTime} ${timeZone}`);
});

everywhere("a timed event is on the dates that it touches in the zone", () => {
  const table = [
    [timed("2026-11-21T10:00:00", "2026-11-21T11:00:00"), "UTC", ["2026-11-21"]],
    // It begins on another date west and east of UTC.
    [timed("2026-11-21T03:00:00", "2026-11-21T04:00:00"), "America/Los_Angeles", ["2026-11-20"]],
    [timed("2026-11-21T20:00:00", "2026-11-21T21:00:00"), "Asia/Kolkata", ["2026-11-22"]],
    [
      timed("2026-11-21T18:00:00", "2026-11-21T19:00:00"),
      "India Standard Time",
      ["2026-11-21", "2026-11-22"],
    ],
    // It ends at midnight: in UTC, in the zone, and in the zone of the event.
    [timed("2026-11-21T22:00:00", "2026-11-22T00:00:00"), "UTC", ["2026-11-21"]],
    [timed("2026-11-21T17:30:00", "2026-11-21T18:30:00"), "Asia/Kolkata", ["2026-11-21"]],
    [timed("2026-11-21T22:00:00", "2026-11-22T00:00:00", "Europe/Berlin"), "Europe/Berlin", ["2026-11-21"]],
    [timed("2026-11-21T22:00:00", "2026-11-22T00:00:00.0010000"), "UTC", ["2026-11-21", "2026-11-22"]],
    // Several days, over the end of a year and over changes of the clocks.
    [
      timed("2026-12-30T12:00:00", "2027-01-02T12:00:00"),
      "UTC",
      ["2026-12-30", "2026-12-31", "2027-01-01", "2027-01-02"],
    ],
    [
      timed("2026-10-24T12:00:00", "2026-10-26T00:00:00", "Europe/Berlin"),
      "W. Europe Standard Time",
      ["2026-10-24", "2026-10-25"],
    ],
    [
      timed("2026-03-28T23:30:00", "2026-03-29T23:30:00", "Europe/Berlin"),
      "Europe/Berlin",
      ["2026-03-28", "2026-03-29"],
    ],
    // Beirut skips midnight: this day has no 00:00.
    [timed("2026-03-28T23:00:00", "2026-03-29T01:00:00", "Asia/Beirut"), "Asia/Beirut", ["2026-03-28"]],
    // No duration, no end, and an end before the start.
    [timed("2026-11-22T00:00:00", "2026-11-22T00:00:00"), "UTC", ["2026-11-22"]],
    [{ start: at("2026-11-21T10:00:00") }, "UTC", ["2026-11-21"]],
    [{ start: at("2026-11-21T10:00:00"), end: null }, "UTC", ["2026-11-21"]],
    [timed("2026-11-21T10:00:00", "2026-11-20T10:00:00"), "UTC", ["2026-11-21"]],
  ];
  for (const [event, zone, dates] of table)
    assert.deepEqual(days(event, zone), dates, `${JSON.stringify(event)} in ${zone}`);
});

everywhere("an all-day event has the same dates in every zone", () => {
  const table = [
    [allDay("2026-11-21", "2026-11-22"), ["2026-11-21"]],
    [allDay("2026-11-21", "2026-11-22", "Tokyo Standard Time"), ["2026-11-21"]],
    [allDay("2026-10-24", "2026-10-27"), ["2026-10-24", "2026-10-25", "2026-10-26"]],
    [allDay("2026-03-28", "2026-03-31", "Europe/Berlin"), ["2026-03-28", "2026-03-29", "2026-03-30"]],
    [{ isAllDay: true, start: at("2026-11-21T00:00:00") }, ["2026-11-21"]],
    [{ isAllDay: true, start: at("2026-11-21") }, ["2026-11-21"]],
    [allDay("2026-11-21", "2026-11-21"), ["2026-11-21"]],
  ];
  const zones = [
    "UTC",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Europe/Berlin",
    "Lord Howe Standard Time",
  ];
  for (const [event, dates] of table) {
    for (const zone of zones)
      assert.deepEqual(days(event, zone), dates, `${JSON.stringify(event)} in ${zone}`);
  }
});

everywhere("the instants of an all-day event are those of its dates in the given zone, else in UTC", () => {
  const event = allDay("2026-10-24", "2026-10-26", "Tokyo Standard Time");
  const table = [
    [undefined, "2026-10-24T00:00:00Z", "2026-10-26T00:00:00Z"],
    ["Europe/Berlin", "2026-10-23T22:00:00Z", "2026-10-25T23:00:00Z"],
    ["Pacific Standard Time", "2026-10-24T07:00:00Z", "2026-10-26T07:00:00Z"],
  ];
  for (const [zone, start, end] of table)
    assert.deepEqual([startOf(event, zone), endOf(event, zone)].map(iso), [start, end], zone);
  // Beirut's clocks skip the midnight that begins March 29.
  assert.equal(iso(startOf(allDay("2026-03-29", "2026-03-30"), "Asia/Beirut")), "2026-03-28T22:00:00Z");
  assert.equal(iso(endOf({ isAllDay: true, start: at("2026-11-21T00:00:00") })), "2026-11-22T00:00:00Z");
});

everywhere("the end of a timed event is not before its start, and its start if it has no end", () => {
  const start = at("2026-11-21T10:00:00", "Europe/Berlin");
  for (const end of [undefined, null, {}, at("2026-11-20T10:00:00")])
    assert.equal(iso(endOf({ start, end })), "2026-11-21T09:00:00Z");
  assert.equal(iso(endOf({ start, end: at("2026-11-21T10:00:00") })), "2026-11-21T10:00:00Z");
});

test("an event without isAllDay is all-day if it lasts from midnight to midnight", () => {
  const table = [
    [{ isAllDay: true }, true],
    [{ isAllDay: false, ...timed("2026-11-21T00:00:00", "2026-11-22T00:00:00") }, false],
    [timed("2026-11-21T00:00:00.0000000", "2026-11-22T00:00:00.0000000"), true],
    [{ isAllDay: null, ...timed("2026-11-21T00:00", "2026-11-24T00:00:00") }, true],
    [timed("2026-11-21T00:00:00", "2026-11-21T00:00:00.0000000"), false],
    [timed("2026-11-21T00:00:00", "2026-11-22T00:00:01"), false],
    [{ start: at("2026-11-21T00:00:00") }, false],
    [{}, false],
  ];
  for (const [event, expected] of table) assert.equal(isAllDay(event), expected, JSON.stringify(event));
});

test("an unknown zone is an error that names it, never replaced by another zone", () => {
  const start = at("2026-11-21T10:00:00", "Mars Standard Time");
  const refuses = (call, name) =>
    assert.throws(call, (error) => error instanceof RangeError && error.message.endsWith(`got ${name}`));
  refuses(() => startOf({ start }), '"Mars Standard Time"');
  refuses(() => days({ start }, "UTC"), '"Mars Standard Time"');
  refuses(() => days({ isAllDay: true, start }, "Pacific"), '"Pacific"');
  refuses(() => days({ start: at("2026-11-21T10:00:00") }, undefined), "undefined");
  refuses(() => days({ start: at("2026-11-21T10:00:00") }, ""), '""');
  for (const instant of ["2026-11-21", new Date("x"), undefined])
    assert.throws(() => dayOf(instant, "UTC"), {
      name: "RangeError",
      message: /^the instant of dayOf\(\) must be a valid Date or milliseconds since 1970, got /,
    });
  refuses(() => dayOf(0, "tzone://Microsoft/Custom"), '"tzone://Microsoft/Custom"');
  refuses(() => dayOf(0, "Mid-Atlantic Standard Time"), '"Mid-Atlantic Standard Time"');
  refuses(() => dayOf(0, "x".repeat(1000)), JSON.stringify("x".repeat(60)));
});

test("an event whose start or end cannot be read is refused, with the property and its value", () => {
  assert.throws(
    () => startOf({}),
    /^RangeError: event\.start\.dateTime must be a time such as .*, got undefined$/,
  );
  assert.throws(() => days({ start: at("soon") }, "UTC"), /event\.start\.dateTime .*, got "soon"$/);
  assert.throws(() => days({ isAllDay: true, start: at("2026-13-01") }, "UTC"), /event\.start\.dateTime/);
  assert.throws(() => endOf(timed("2026-11-21T10:00:00", "later")), /event\.end\.dateTime .*, got "later"$/);
});

test("this host knows the zone of every Windows name", async () => {
  const source = await readFile(new URL("../../pkg-template/windows-zones.js", import.meta.url), "utf8");
  const entries = /`([^`]+)`/
    .exec(source.slice(source.indexOf("const ZONES")))[1]
    .trim()
    .split(/\n(?! )/);
  const zones = entries.flatMap((entry) => {
    const [continent, cities] = entry.split(": ");
    return cities.split(/,\s+/).map((city) => `${continent}/${city.split("=")[0]}`);
  });
  assert.equal(new Set(zones).size, 139);
  for (const zone of zones) assert.equal(dayOf(0, zone).length, 10, zone);
});

test("a Windows name has the offset of its zone", () => {
  // In minutes, on January 15, 2026.
  const offsets = {
    "UTC-11": -660,
    "Hawaiian Standard Time": -600,
    "Alaskan Standard Time": -540,
    "Pacific Standard Time": -480,
    "US Mountain Standard Time": -420,
    "Mountain Standard Time": -420,
    "Mountain Standard Time (Mexico)": -420,
    "Central Standard Time (Mexico)": -360,
    "Canada Central Standard Time": -360,
    "SA Pacific Standard Time": -300,
    "Eastern Standard Time": -300,
    "US Eastern Standard Time": -300,
    "Atlantic Standard Time": -240,
    "Newfoundland Standard Time": -210,
    "E. South America Standard Time": -180,
    "Greenwich Standard Time": 0,
    "GMT Standard Time": 0,
    "Romance Standard Time": 60,
    "Central Europe Standard Time": 60,
    "Central European Standard Time": 60,
    "FLE Standard Time": 120,
    "GTB Standard Time": 120,
    "South Africa Standard Time": 120,
    "Arab Standard Time": 180,
    "Iran Standard Time": 210,
    "Arabian Standard Time": 240,
    "Afghanistan Standard Time": 270,
    "West Asia Standard Time": 300,
    "Nepal Standard Time": 345,
    "Myanmar Standard Time": 390,
    "SE Asia Standard Time": 420,
    "China Standard Time": 480,
    "Aus Central W. Standard Time": 525,
    "Tokyo Standard Time": 540,
    "Cen. Australia Standard Time": 630,
    "AUS Eastern Standard Time": 660,
    "New Zealand Standard Time": 780,
    "Chatham Islands Standard Time": 825,
    "Line Islands Standard Time": 840,
  };
  for (const [zone, minutes] of Object.entries(offsets)) {
    const noon = Date.parse("2026-01-15T12:00:00Z");
    assert.equal((noon - startOf({ start: at("2026-01-15T12:00:00", zone) })) / 60_000, minutes, zone);
  }
});

test("the date of an instant is that of the zone", () => {
  const instant = Date.parse("2026-11-21T22:30:00Z");
  assert.equal(dayOf(instant, "Europe/Berlin"), "2026-11-21");
  assert.equal(dayOf(new Date(instant), "FLE Standard Time"), "2026-11-22");
  assert.equal(dayOf(instant, "Pacific/Pago_Pago"), "2026-11-21");
});
