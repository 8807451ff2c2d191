// Makes an agenda of Graph events. Pure: uses no DOM, no clock, and only the given time zone.
//
// Dates are strings and never become instants, so that no zone can move an all-day event.
import type { Event } from "deltalink";
import { days as daysOf, endOf, isAllDay, startOf, type CalendarEvent } from "deltalink/calendar";

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
  isAllDay: boolean;
  /** The number of this day within the event, from 1. `days` is the number of its days. */
  day: number;
  days: number;
  /** In milliseconds since 1970. Only for timed events. */
  start?: number;
  end?: number;
  isCancelled: boolean;
  isRecurring: boolean;
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

/** The title of an event. An occurrence has the title of its master. */
export function titleOf(event: Event, master: Event | undefined): string {
  return (
    (event.subject ?? master?.subject)?.trim() ||
    (event.seriesMasterId && !master ? NAMELESS_SERIES : NAMELESS)
  );
}

/** The dates of an event, or none if its times cannot be read. */
function datesOf(event: CalendarEvent, zone: string): string[] {
  try {
    return daysOf(event, zone);
  } catch {
    return [];
  }
}

/** Assigns the events to the days of a window. Returns every day, even an empty one. */
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
    // A master is not an appointment; its occurrences are.
    if (event.type === "seriesMaster" || !event.id) continue;
    const master = event.seriesMasterId ? masters.get(event.seriesMasterId) : undefined;
    // A master decides for its occurrences, which Graph sends without `isAllDay`.
    const dated = { ...event, isAllDay: event.isAllDay ?? master?.isAllDay ?? null };
    const lastsAllDay = isAllDay(dated);
    const dates = datesOf(dated, zone);
    const [first, last] = [dates[0], dates.at(-1)];
    if (!first || !last) continue;
    const times = lastsAllDay ? {} : { start: startOf(dated).getTime(), end: endOf(dated).getTime() };
    const from = first > window.from ? first : window.from;
    for (let date = from; date <= last && date <= window.to; date = addDays(date, 1)) {
      byDate.get(date)?.entries.push({
        key: `${event.id} ${date}`,
        id: event.id,
        event,
        ...(master && { master }),
        title: titleOf(event, master),
        location: (event.location?.displayName || master?.location?.displayName) ?? "",
        isAllDay: lastsAllDay,
        day: daysBetween(first, date) + 1,
        days: dates.length,
        ...times,
        isCancelled: (event.isCancelled ?? master?.isCancelled) === true,
        isRecurring: Boolean(event.seriesMasterId),
      });
    }
  }
  for (const day of days) day.entries.sort(inOrder);
  return days;
}

/** Sorts all-day events first, the longest on top, then timed events by time. */
function inOrder(a: Entry, b: Entry): number {
  if (a.isAllDay !== b.isAllDay) return a.isAllDay ? -1 : 1;
  const time = a.isAllDay
    ? b.days - a.days || a.day - b.day
    : (a.start ?? 0) - (b.start ?? 0) || (a.end ?? 0) - (b.end ?? 0);
  return time || (a.title < b.title ? -1 : a.title > b.title ? 1 : 0) || (a.key < b.key ? -1 : 1);
}

/** The index of the "now" line among the entries of today: before the first that has not begun. */
export function nowAt(entries: Entry[], now: number): number {
  const index = entries.findIndex((entry) => !entry.isAllDay && entry.day === 1 && (entry.start ?? 0) > now);
  return index < 0 ? entries.length : index;
}

/**
 * The window from six weeks before a day to eight weeks after it. It contains each week of the
 * month of that day.
 */
export function windowAround(day: string): DayWindow {
  return { from: addDays(day, -42), to: addDays(day, 56) };
}

/** Whether a window contains all days of another one. */
export const contains = (window: DayWindow, { from, to }: DayWindow): boolean =>
  window.from <= from && to <= window.to;

/**
 * The instants to request from Graph for these days in any zone: one day more at either end, in
 * UTC. They do not depend on the zone, so the stored link stays valid when the user travels.
 */
export function instantsOf(window: DayWindow): { start: string; end: string } {
  return { start: `${addDays(window.from, -1)}T00:00:00Z`, end: `${addDays(window.to, 2)}T00:00:00Z` };
}
