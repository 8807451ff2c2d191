/** Graph's `dateTimeTimeZone`: a local time and its zone. */
export interface EventTime {
  /** For example `2026-11-21T10:00:00.0000000`. With an offset or `Z`, `timeZone` is ignored. */
  dateTime?: string | null;
  /** An IANA name, or a Windows name such as `W. Europe Standard Time`. Default UTC. */
  timeZone?: string | null;
}

/** The part of an event that the functions of this module read. Any `Event` of Graph has it. */
export interface CalendarEvent {
  start?: EventTime | null;
  /** Default: `start`; for an all-day event the end of its first day (RFC 5545, 3.6.1). */
  end?: EventTime | null;
  isAllDay?: boolean | null;
}

/**
 * Returns the instant at which an event starts.
 *
 * An all-day event has a date, and a date begins at a different instant in each zone: pass the zone
 * of the user. Without it, the result is midnight in UTC: the date, but not an instant to compare
 * with a clock.
 *
 * If the clocks of the zone show a time twice, the result is the first of the two instants. If they
 * skip the time, the result is later by the skipped span: 02:30 is 03:30.
 *
 * Throws a `RangeError` for a zone that is not known, and for an event without a readable start.
 */
export function startOf(event: CalendarEvent, zone?: string): Date;

/**
 * Returns the instant at which an event ends, which is never before its start. An all-day event
 * ends at the midnight after its last day. Zones and errors are as for {@link startOf}.
 */
export function endOf(event: CalendarEvent, zone?: string): Date;

/**
 * Whether an event is all-day. If the property `isAllDay` is missing, as in an occurrence without
 * its series master, the event is all-day if it lasts from midnight to midnight.
 */
export function isAllDay(event: CalendarEvent): boolean;

/**
 * Returns the dates that an event touches in a zone, as `YYYY-MM-DD`. An event that ends at
 * midnight does not touch the day that begins then. An all-day event has the same dates in every
 * zone.
 *
 * Throws as {@link startOf} does.
 *
 * @param zone An IANA name or a Windows name. The zone of the user is
 *   `Intl.DateTimeFormat().resolvedOptions().timeZone`.
 * @example
 *   const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
 *   for (const event of await week.all()) for (const date of days(event, zone)) add(date, event);
 */
export function days(event: CalendarEvent, zone: string): string[];

/** Returns the date of an instant in a zone, as `YYYY-MM-DD`, for example of `Date.now()`. */
export function dayOf(instant: Date | number, zone: string): string;
