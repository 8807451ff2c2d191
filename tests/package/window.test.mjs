import assert from "node:assert/strict";
import test from "node:test";
import { windowAt } from "../../pkg-template/window.js";

const windowOn = (options, now) => windowAt(options, Date.parse(now)).split("/");

test("a window goes from the first midnight to that after the last day", () => {
  assert.deepEqual(windowOn({ daysBack: 7, daysAhead: 30, timeZone: "UTC" }, "2026-11-21T15:00:00Z"), [
    "2026-11-14T00:00:00.000Z",
    "2026-12-22T00:00:00.000Z",
  ]);
  assert.deepEqual(windowOn({ daysBack: 0, daysAhead: 0, timeZone: "UTC" }, "2026-11-21T00:00:00Z"), [
    "2026-11-21T00:00:00.000Z",
    "2026-11-22T00:00:00.000Z",
  ]);
});

test("a window has the days of its time zone", () => {
  assert.deepEqual(
    windowOn({ daysBack: 0, daysAhead: 0, timeZone: "Europe/Berlin" }, "2026-11-21T23:30:00Z"),
    ["2026-11-21T23:00:00.000Z", "2026-11-22T23:00:00.000Z"],
  );
  assert.deepEqual(
    windowOn({ daysBack: 0, daysAhead: 0, timeZone: "America/Los_Angeles" }, "2026-11-21T05:00:00Z"),
    ["2026-11-20T08:00:00.000Z", "2026-11-21T08:00:00.000Z"],
  );
  assert.deepEqual(
    windowOn({ daysBack: 0, daysAhead: 0, timeZone: "Asia/Kolkata" }, "2026-11-21T18:29:59Z"),
    ["2026-11-20T18:30:00.000Z", "2026-11-21T18:30:00.000Z"],
  );
});

test("a window is constant during a day and moves at midnight, even on a clock change", () => {
  for (const [from, to, start, end] of [
    ["2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z"],
    ["2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"],
  ]) {
    for (let now = Date.parse(from); now <= Date.parse(to); now += 601_000) {
      assert.equal(
        windowAt({ daysBack: 0, daysAhead: 0, timeZone: "Europe/Berlin" }, now),
        `${start}/${end}`,
        new Date(now).toISOString(),
      );
    }
    assert.notEqual(
      windowAt({ daysBack: 0, daysAhead: 0, timeZone: "Europe/Berlin" }, Date.parse(from) - 1),
      `${start}/${end}`,
    );
    assert.notEqual(
      windowAt({ daysBack: 0, daysAhead: 0, timeZone: "Europe/Berlin" }, Date.parse(to) + 1000),
      `${start}/${end}`,
    );
  }
});

test("if a clock change skips midnight, the day begins after it", () => {
  // Chile, 2026-09-06: after 23:59:59 comes 01:00.
  const zone = "America/Santiago";
  assert.deepEqual(windowOn({ daysBack: 0, daysAhead: 0, timeZone: zone }, "2026-09-06T12:00:00Z"), [
    "2026-09-06T04:00:00.000Z",
    "2026-09-07T03:00:00.000Z",
  ]);
  assert.deepEqual(windowOn({ daysBack: 0, daysAhead: 0, timeZone: zone }, "2026-09-05T12:00:00Z"), [
    "2026-09-05T04:00:00.000Z",
    "2026-09-06T04:00:00.000Z",
  ]);
});

test("a zone that the host does not know is a RangeError", () => {
  assert.throws(() => windowAt({ daysBack: 1, daysAhead: 1, timeZone: "Mars/Olympus" }), RangeError);
});
