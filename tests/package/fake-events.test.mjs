// The times of events that tests add to deltalink/testing or edit there: each is stored as an
// instant, and comes back in UTC, as Graph sends it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openDelta } from "deltalink";
import { startOf } from "deltalink/calendar";
import { fakeGraph } from "deltalink/testing";

const at = (dateTime, timeZone) => ({ dateTime, timeZone });
const utc = (minute) => at(`${minute}:00.0000000`, "UTC");
const idsOf = (items) => items.map(({ id }) => id).sort();

test("an event in a time zone is stored as its instant, is in the window of that, and comes back in UTC", async () => {
  const graph = await fakeGraph();
  const start = at("2026-11-21T20:00:00", "Pacific Standard Time");
  const id = graph.add("events", { start, end: at("2026-11-22T01:00:00", "America/New_York") });
  const [{ start: first, end: last }] = graph.items("events");
  assert.deepEqual([first, last], [utc("2026-11-22T04:00"), utc("2026-11-22T06:00")]);

  const client = await openDelta({ fetch: graph.fetch, token: graph.token, store: "memory" });
  const before = client.events({ start: "2026-11-21", end: "2026-11-22" });
  const after = client.events({ start: "2026-11-22", end: "2026-11-23" });
  await before.sync();
  await after.sync();
  assert.deepEqual([idsOf(await before.all()), idsOf(await after.all())], [[], [id]]);
  assert.deepEqual((await after.get(id)).start, utc("2026-11-22T04:00"));
  assert.equal((await after.get(id)).originalStartTimeZone, "Pacific Standard Time");
  assert.equal((await after.get(id)).originalEndTimeZone, "America/New_York");

  graph.edit("events", id, {
    start: at("2026-11-22T02:00:00.0000000", "Tokyo Standard Time"),
    end: at("2026-11-22T03:00:00+09:00", null),
  });
  await before.sync();
  await after.sync();
  assert.deepEqual([idsOf(await before.all()), idsOf(await after.all())], [[id], []]);
  assert.deepEqual((await before.get(id)).start, utc("2026-11-21T17:00"));
  assert.deepEqual((await before.get(id)).end, utc("2026-11-21T18:00"));
  await client.close();
});

test("a time that the clocks show twice or skip is the instant that deltalink/calendar returns", async () => {
  const graph = await fakeGraph();
  const end = "2030-01-01T00:00:00Z";
  for (const [dateTime, timeZone] of [
    ["2026-03-29T01:59:00", "Europe/Berlin"],
    ["2026-03-29T02:30:00", "Europe/Berlin"],
    ["2026-03-29T03:00:00", "W. Europe Standard Time"],
    ["2026-10-25T02:30:00", "Europe/Berlin"],
    ["2026-10-25T03:00:00", "Europe/Berlin"],
    ["2026-03-08T02:30:00", "America/New_York"],
    ["2026-11-01T01:30:00", "Eastern Standard Time"],
    ["2026-10-04T02:15:00", "Australia/Lord_Howe"],
    ["2026-04-05T01:45:00", "Lord Howe Standard Time"],
    ["2011-12-30T12:00:00", "Pacific/Apia"],
    ["2026-11-21T10:00", "Asia/Kathmandu"],
    ["2026-11-21", "UTC"],
  ]) {
    const start = at(dateTime, timeZone);
    const id = graph.add("events", { start, end });
    const stored = graph.items("events").find((event) => event.id === id);
    assert.equal(stored.start.timeZone, "UTC");
    assert.deepEqual(startOf(stored), startOf({ start }), `${dateTime} ${timeZone}`);
  }
});

test("an all-day event has the same dates in each time zone", async () => {
  const graph = await fakeGraph();
  const midnight = (date) => at(`${date}T00:00:00`, "Pacific Standard Time");
  const id = graph.add("events", {
    isAllDay: true,
    start: midnight("2026-11-21"),
    end: midnight("2026-11-22"),
  });
  const times = () => graph.items("events").flatMap(({ start, end }) => [start, end]);
  assert.deepEqual(times(), [utc("2026-11-21T00:00"), utc("2026-11-22T00:00")]);
  graph.edit("events", id, { start: midnight("2026-11-20") });
  assert.deepEqual(times(), [utc("2026-11-20T00:00"), utc("2026-11-22T00:00")]);
});

test("the occurrences of a series begin at the same time of day in its zone", async () => {
  const graph = await fakeGraph();
  // In Los Angeles daylight saving time ends on November 1, 2026.
  const [start, end] = ["09:00", "10:00"].map((time) => at(`2026-10-30T${time}:00`, "America/Los_Angeles"));
  graph.add("events", { type: "seriesMaster", start, end }, { count: 3, everyDays: 2 });
  const occurrences = graph.items("events").filter(({ type }) => type === "occurrence");
  assert.deepEqual(occurrences.map((event) => event.start.dateTime.slice(0, 16)).sort(), [
    "2026-10-30T16:00",
    "2026-11-01T17:00",
    "2026-11-03T17:00",
  ]);
  const { range } = graph.items("events").find(({ type }) => type === "seriesMaster").recurrence;
  assert.equal(range.recurrenceTimeZone, "America/Los_Angeles");
});

test("an unknown time zone and a time that is none are refused at the call, and nothing changes", async () => {
  const graph = await fakeGraph();
  const [start, end] = ["2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z"];
  const id = graph.add("events", { start, end });
  const before = JSON.stringify(graph.items("events"));
  for (const [time, message] of [
    [
      at("2026-11-21T10:00:00", "Middle Earth"),
      /start\.timeZone must be a time zone that the fake Graph knows, .*, got "Middle Earth"/,
    ],
    [at("2026-11-21T10:00:00Z", "Middle Earth"), /"Middle Earth"/],
    [at("2026-11-21T10:00:00", ""), /start\.timeZone must be a time zone .*, got ""/],
    [at("2026-11-21T10:00:00", 3), /start\.timeZone must be a string, got a number/],
    [at("soon", "UTC"), /start\.dateTime must be a time such as .*, got "soon"/],
    [at(3, "UTC"), /start\.dateTime must be a time such as .*, got a number/],
    [{}, /start\.dateTime must be a time such as .*, got nothing/],
    ["soon", /start must be a time such as .*, got "soon"/],
    [3, /start must be a time such as .*, got a number/],
    [null, /start must be a time such as .*, got null/],
  ]) {
    assert.throws(() => graph.add("events", { start: time, end }), message);
    assert.throws(() => graph.edit("events", id, { start: time }), message);
  }
  assert.equal(JSON.stringify(graph.items("events")), before);
});
