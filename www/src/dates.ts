// Dates in the language and the time zone of the user.
import { dayOf } from "deltalink/calendar";
import { NAMELESS_SERIES, titleOf, type Entry } from "./calendar";
import { locale } from "./text";
import type { Event } from "deltalink";

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
export const zoneName = zone.replaceAll("_", " ");

// Dates are formatted in UTC, in which they were made, so that the zone of the user cannot move
// them.
const inUtc = (options: Intl.DateTimeFormatOptions): ((date: string) => string) => {
  const format = new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" });
  return (date) => format.format(new Date(`${date}T00:00:00Z`));
};
export const weekday = inUtc({ weekday: "long" });
export const shortWeekday = inUtc({ weekday: "short" });
export const monthName = inUtc({ month: "long", year: "numeric" });
export const shortDay = inUtc({ day: "numeric", month: "short" });
export const longDay = inUtc({ day: "numeric", month: "short", year: "numeric" });
export const fullDay = inUtc({ weekday: "long", day: "numeric", month: "long" });

const timeFormat = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
export const timeOf = (instant: number): string => timeFormat.format(instant);
export const today = (): string => dayOf(Date.now(), zone);

interface WeekInfo {
  getWeekInfo?(): { firstDay: number };
  weekInfo?: { firstDay: number };
}

/** The first day of the week where the user is: 1 is Monday, 7 is Sunday. */
export const firstDay: number = (() => {
  const info = new Intl.Locale(locale) as WeekInfo;
  return (info.getWeekInfo?.() ?? info.weekInfo)?.firstDay ?? 1;
})();

/** When an entry takes place on its day, in one or two parts. */
export function timesOf(entry: Entry): string[] {
  const part = entry.days > 1 ? [`day ${entry.day} of ${entry.days}`] : [];
  if (entry.isAllDay) return ["All day", ...part];
  const [start, end] = [timeOf(entry.start ?? 0), timeOf(entry.end ?? 0)];
  if (entry.days === 1) return entry.start === entry.end ? [start] : [start, end];
  if (entry.day === 1) return [start, ...part];
  if (entry.day === entry.days) return [`until ${end}`, ...part];
  return ["All day", ...part];
}

/** The title of an event with its date, as a list of changes shows it. */
export function datedTitle(event: Event): string {
  const title = titleOf(event, undefined);
  const day = event.start?.dateTime?.slice(0, 10);
  if (event.type === "seriesMaster") return `${title} (series)`;
  return day && title !== NAMELESS_SERIES ? `${title}, ${shortDay(day)}` : title;
}
