// Makes an agenda of Graph events. Pure: uses no DOM, no clock, and only the given time zone.
//
// A timed event is an instant and belongs to the days of the viewer's zone. An all-day event is a
// date: it is compared as a string and never becomes an instant, so that no zone can move it.
import type { Event } from "deltalink";

/** The first and last day, as `YYYY-MM-DD`. */
export interface DayWindow {
  from: string;
  to: string;
}

export interface Entry {
  /** Unique within the agenda: an event has one entry for each of its days. */
  key: string;
  id: string;
  event: Event;
  /** The series master, for an occurrence whose master is in the mirror. */
  master?: Event;
  title: string;
  location: string;
  allDay: boolean;
  /** The number of this day within the event, from 1. `days` is the number of its days. */
  day: number;
  days: number;
  /** In milliseconds since 1970. Only for timed events. */
  start?: number;
  end?: number;
  cancelled: boolean;
  recurring: boolean;
}

export interface Day {
  date: string;
  entries: Entry[];
}

export const NAMELESS_SERIES = "(recurring event)";
export const NAMELESS = "(no title)";

/** Moves a date by whole days. Calculates in UTC, where every day has 24 hours. */
export function addDays(date: string, days: number): string {
  return new Date(
    Date.UTC(Number(date.slice(0, 4)), Number(date.slice(5, 7)) - 1, Number(date.slice(8, 10)) + days),
  )
    .toISOString()
    .slice(0, 10);
}

/** The number of days from `from` to `to`. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / 86_400_000);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function wallClock(instant: number, zone: string): Record<string, string> {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formats.set(zone, format);
  }
  return Object.fromEntries(format.formatToParts(instant).map((part) => [part.type, part.value]));
}

/** The date of an instant in a zone. */
export function dayOf(instant: number, zone: string): string {
  const { year = "", month = "", day = "" } = wallClock(instant, zone);
  return `${year.padStart(4, "0")}-${month}-${day}`;
}

/**
 * The instant of a Graph `dateTimeTimeZone`; undefined if it is invalid. In UTC unless it names a
 * zone that the browser knows.
 */
export function instantOf(
  value: { dateTime?: string | null; timeZone?: string | null } | null | undefined,
): number | undefined {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(\.\d+)?(Z|[+-]\d\d:\d\d)?$/.exec(
    value?.dateTime ?? "",
  );
  if (!parts?.[1]) return undefined;
  const utc = Date.parse(`${parts[1]}${parts[3] ?? "Z"}`);
  if (Number.isNaN(utc)) return undefined;
  const zone = value?.timeZone ?? "UTC";
  if (parts[3] || zone === "UTC") return utc;
  try {
    // Two passes, because the first estimate may have the offset of the other side of a clock
    // change.
    let instant = utc;
    for (let pass = 0; pass < 2; pass += 1) {
      const { year, month, day, hour, minute, second } = wallClock(instant, zone);
      instant += utc - Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
    }
    return instant;
  } catch {
    return utc;
  }
}

/**
 * Whether an event takes whole days. Graph sends occurrences without `isAllDay`, so their master
 * decides; without a master, whether they last from midnight to midnight.
 */
function isAllDay(event: Event, master: Event | undefined): boolean {
  const explicit = event.isAllDay ?? master?.isAllDay;
  if (explicit !== undefined && explicit !== null) return explicit;
  const midnight = /T00:00(:00(\.0+)?)?$/;
  const [start, end] = [event.start?.dateTime ?? "", event.end?.dateTime ?? ""];
  return (
    event.type === "occurrence" &&
    midnight.test(start) &&
    midnight.test(end) &&
    start.slice(0, 10) < end.slice(0, 10)
  );
}

/** The title of an event. An occurrence has the title of its master. */
export function titleOf(event: Event, master: Event | undefined): string {
  return (
    (event.subject ?? master?.subject)?.trim() ||
    (event.seriesMasterId && !master ? NAMELESS_SERIES : NAMELESS)
  );
}

/** Assigns the events to the days of a window. Returns every day, also empty ones. */
export function agenda(events: Iterable<Event>, window: DayWindow, zone: string): Day[] {
  const days: Day[] = [];
  const byDate = new Map<string, Day>();
  for (let date = window.from; date <= window.to && days.length < 2000; date = addDays(date, 1)) {
    const day = { date, entries: [] };
    days.push(day);
    byDate.set(date, day);
  }
  const all = [...events];
  const masters = new Map(
    all.filter((event) => event.type === "seriesMaster").map((event) => [event.id, event]),
  );
  for (const event of all) {
    // A master is not an event itself; its occurrences are.
    if (event.type === "seriesMaster" || !event.id) continue;
    const master = event.seriesMasterId ? masters.get(event.seriesMasterId) : undefined;
    const allDay = isAllDay(event, master);
    let first: string;
    let last: string;
    let times: { start?: number; end?: number } = {};
    if (allDay) {
      first = (event.start?.dateTime ?? "").slice(0, 10);
      // The end is the midnight after the last day.
      last = event.end?.dateTime ? addDays(event.end.dateTime.slice(0, 10), -1) : first;
    } else {
      const start = instantOf(event.start);
      if (start === undefined) continue;
      const end = Math.max(instantOf(event.end) ?? start, start);
      first = dayOf(start, zone);
      // An event that ends at midnight is not on the next day.
      last = dayOf(Math.max(start, end - 1), zone);
      times = { start, end };
    }
    if (!/^\d{4}-\d\d-\d\d$/.test(first)) continue;
    if (last < first) last = first;
    const count = daysBetween(first, last) + 1;
    const from = first > window.from ? first : window.from;
    for (let date = from; date <= last && date <= window.to; date = addDays(date, 1)) {
      byDate.get(date)?.entries.push({
        key: `${event.id} ${date}`,
        id: event.id,
        event,
        ...(master && { master }),
        title: titleOf(event, master),
        location: (event.location?.displayName || master?.location?.displayName) ?? "",
        allDay,
        day: daysBetween(first, date) + 1,
        days: count,
        ...times,
        cancelled: (event.isCancelled ?? master?.isCancelled) === true,
        recurring: Boolean(event.seriesMasterId),
      });
    }
  }
  for (const day of days) day.entries.sort(inOrder);
  return days;
}

/** Sorts all-day events first, the longest on top, then timed events by time. */
function inOrder(a: Entry, b: Entry): number {
  if (a.allDay !== b.allDay) return a.allDay ? -1 : 1;
  const time = a.allDay
    ? b.days - a.days || a.day - b.day
    : (a.start ?? 0) - (b.start ?? 0) || (a.end ?? 0) - (b.end ?? 0);
  return time || (a.title < b.title ? -1 : a.title > b.title ? 1 : 0) || (a.key < b.key ? -1 : 1);
}

/** The index of the "now" line among the entries of today: before the first that has not begun. */
export function nowAt(entries: Entry[], now: number): number {
  const index = entries.findIndex((entry) => !entry.allDay && entry.day === 1 && (entry.start ?? 0) > now);
  return index < 0 ? entries.length : index;
}

/** The window from a week before a day to five weeks after it. */
export function windowAround(today: string): DayWindow {
  return { from: addDays(today, -7), to: addDays(today, 35) };
}

/**
 * The instants to request from Graph for these days in any zone: one day more at either end, in
 * UTC. They do not depend on the zone, so the stored link stays valid when the user travels.
 */
export function instantsOf(window: DayWindow): { start: string; end: string } {
  return { start: `${addDays(window.from, -1)}T00:00:00Z`, end: `${addDays(window.to, 2)}T00:00:00Z` };
}
