// @ts-check
// The dates of events. Uses no clock, and never the time zone of the host.
/** @import { CalendarEvent } from "./calendar.js" */
import { ianaOf } from "./windows-zones.js";
import { offsetOf } from "./zone-offset.js";

const DAY = 86_400_000;
/** Graph's times have seven digits after the second; a Date has three. */
const TIME = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d)?(\.\d{1,3})?\d*)?(Z|[+-]\d\d:\d\d)?$/;

/** @type {typeof import("./calendar.js").isAllDay} */
export function isAllDay({ isAllDay, start, end }) {
  const [from, to] = [start, end].map((time) => /^(.{10})T00:00(:00(\.0+)?)?$/.exec(time?.dateTime)?.[1]);
  return isAllDay ?? from < to;
}

/** @type {typeof import("./calendar.js").startOf} */
export function startOf(event, zone = "UTC") {
  return new Date(isAllDay(event) ? instantOf(datesOf(event)[0], zone) : timesOf(event)[0]);
}

/** @type {typeof import("./calendar.js").endOf} */
export function endOf(event, zone = "UTC") {
  return new Date(isAllDay(event) ? instantOf(datesOf(event)[1] + DAY, zone) : timesOf(event)[1]);
}

/** @type {typeof import("./calendar.js").days} */
export function days(event, zone) {
  const offset = offsetIn(zone);
  let [first, last] = isAllDay(event) ? datesOf(event) : timesOf(event);
  if (!isAllDay(event)) {
    // An event that ends at midnight does not touch the day that begins then.
    last = Math.max(first, last - 1);
    first += offset(first);
    last += offset(last);
  }
  const dates = [];
  for (let day = Math.floor(first / DAY); day * DAY <= last; day += 1) dates.push(dateOf(day * DAY));
  return dates;
}

/** @type {typeof import("./calendar.js").dayOf} */
export function dayOf(instant, zone) {
  const ms = Number(instant);
  if (Number.isNaN(new Date(ms).getTime()))
    throw new RangeError(
      `the instant of dayOf() must be a valid Date or milliseconds since 1970, got ${quote(instant)}`,
    );
  return dateOf(ms + offsetIn(zone)(ms));
}

/**
 * Returns the first and the last date of an all-day event, each as midnight in UTC.
 *
 * @param {CalendarEvent} event
 */
function datesOf({ start, end }) {
  const first = parseTime(start, "start").date;
  // The `end` of an all-day event is the midnight after its last day.
  return [first, end?.dateTime ? Math.max(first, parseTime(end, "end").date - DAY) : first];
}

/**
 * Returns the start and the end of a timed event, in milliseconds since 1970.
 *
 * @param {CalendarEvent} event
 */
function timesOf({ start, end }) {
  const [from, to] = [start, end?.dateTime ? end : start].map((time, index) => {
    const { local, isInstant } = parseTime(time, index ? "end" : "start");
    return isInstant ? local : instantOf(local, time.timeZone ?? "UTC");
  });
  return [from, Math.max(from, to)];
}

/**
 * Parses a `dateTimeTimeZone`. `local` is its local time as if it were in UTC, or an instant if the
 * string has an offset. `date` is its date as midnight in UTC.
 */
function parseTime(time, name) {
  const text = time?.dateTime;
  const [, date, minutes = "00:00", seconds = ":00", fraction = "", offset] = TIME.exec(text) ?? [];
  const local = Date.parse(`${date}T${minutes}${seconds}${fraction}${offset ?? "Z"}`);
  if (Number.isNaN(local))
    throw new RangeError(
      `event.${name}.dateTime must be a time such as "2026-11-21T10:00:00", got ${quote(text)}`,
    );
  return { local, date: Date.parse(date), isInstant: offset !== undefined };
}

/**
 * Returns the instant of a local time in a zone. If the clocks show the time twice, it is the first
 * of the two instants. If the clocks skip the time, it is later by the skipped span.
 */
function instantOf(local, zone) {
  const offset = offsetIn(zone);
  // Offsets are at most 14 hours, so a change of the clocks at this time is between these two.
  const [before, after] = [offset(local - DAY), offset(local + DAY)];
  const isValid = (candidate) => offset(local - candidate) === candidate;
  return local - (isValid(before) || !isValid(after) ? before : after);
}

/** Returns the function that gives the offset of a zone at an instant, both in milliseconds. */
function offsetIn(zone) {
  if (zone === "UTC") return () => 0;
  if (typeof zone === "string" && zone) {
    try {
      return offsetOf(ianaOf(zone) ?? zone.replace(/^tzone:\/\/Microsoft\/Utc$/i, "UTC"));
    } catch {
      // The message below names the zone as the caller wrote it.
    }
  }
  throw new RangeError(
    `the time zone must be an IANA name that this host knows, such as "Europe/Berlin", or a Windows name, such as "W. Europe Standard Time", got ${quote(zone)}`,
  );
}

const dateOf = (ms) => new Date(ms).toISOString().slice(0, 10);

/** Formats a value for a message: a string quoted and shortened, any other value as its type. */
const quote = (value) => (typeof value === "string" ? JSON.stringify(value.slice(0, 60)) : typeof value);
