// The geometry of a week and of a month. Pure: uses no DOM, no clock, and only the given time zone.
import { addDays, type Day, type DayWindow, type Entry } from "./calendar";

/** The week of a date. `firstDay` is 1 for Monday and 7 for Sunday, as in `Intl.Locale`. */
export function weekOf(date: string, firstDay: number): DayWindow {
  const weekday = new Date(`${date}T00:00:00Z`).getUTCDay();
  const from = addDays(date, -((weekday - firstDay + 7) % 7));
  return { from, to: addDays(from, 6) };
}

/** The whole weeks that contain the month of a date. */
export function monthOf(date: string, firstDay: number): DayWindow {
  const first = `${date.slice(0, 7)}-01`;
  return { from: weekOf(first, firstDay).from, to: weekOf(addDays(nextMonth(first), -1), firstDay).to };
}

/** The first day of the next month; with `-1`, of the previous one. */
export function nextMonth(date: string, months = 1): string {
  const [year, month] = [Number(date.slice(0, 4)), Number(date.slice(5, 7))];
  return new Date(Date.UTC(year, month - 1 + months, 1)).toISOString().slice(0, 10);
}

/** An event over one or more days of a week. */
export interface Bar {
  entry: Entry;
  column: number;
  /** The number of days within this week. */
  span: number;
  lane: number;
  /** Whether the event begins before this week, or ends after it. */
  isContinued: boolean;
  continues: boolean;
}

const DAY = 86_400_000;

/** Whether an event is a bar above the hours: all-day, or as long as a day. */
export const isBar = ({ isAllDay, start = 0, end = 0 }: Entry): boolean => isAllDay || end - start >= DAY;

/** Places the bars of a week in as few lanes as possible, earlier and longer ones on top. */
export function barsOf(week: Day[], isIncluded: (entry: Entry) => boolean = isBar): Bar[] {
  const bars = new Map<string, Bar>();
  week.forEach((day, column) => {
    for (const entry of day.entries.filter(isIncluded)) {
      const bar = bars.get(entry.id);
      if (bar) [bar.span, bar.continues] = [column - bar.column + 1, entry.day < entry.days];
      else
        bars.set(entry.id, {
          ...{ entry, column, span: 1, lane: 0 },
          isContinued: entry.day > 1,
          continues: entry.day < entry.days,
        });
    }
  });
  const ends: number[] = [];
  const placed = [...bars.values()].sort((a, b) => a.column - b.column || b.span - a.span);
  for (const bar of placed) {
    const free = ends.findIndex((end) => end <= bar.column);
    bar.lane = free < 0 ? ends.length : free;
    ends[bar.lane] = bar.column + bar.span;
  }
  return placed;
}

/** An event within the hours of a day. */
export interface Block {
  entry: Entry;
  /** In minutes since midnight. */
  start: number;
  end: number;
  /** Its column among events at the same time, and the number of those columns. */
  column: number;
  columns: number;
}

/** The height of the shortest block, in minutes. */
const SHORTEST = 30;

/** Places the events of a day side by side where they overlap. */
export function blocksOf(day: Day, minutesOf: (instant: number) => number): Block[] {
  const blocks = day.entries
    .filter((entry) => !isBar(entry))
    .map((entry): Block => {
      const begins = entry.day === 1 ? minutesOf(entry.start ?? 0) : 0;
      const start = Math.min(begins, 1440 - SHORTEST);
      const last = minutesOf(entry.end ?? 0);
      // An event of one day ends at its second midnight, unless it takes no time.
      const endsAtMidnight = last === 0 && entry.days === 1 && entry.end !== entry.start;
      const end = entry.day < entry.days || endsAtMidnight ? 1440 : last;
      return { entry, start, end: Math.max(end, start + SHORTEST), column: 0, columns: 1 };
    })
    .sort((a, b) => a.start - b.start || b.end - a.end);
  let group: Block[] = [];
  let groupEnd = 0;
  const close = (): void => {
    const columns = Math.max(0, ...group.map(({ column }) => column + 1));
    for (const block of group) block.columns = columns;
    group = [];
  };
  for (const block of blocks) {
    if (block.start >= groupEnd) close();
    const taken = new Set(group.filter(({ end }) => end > block.start).map(({ column }) => column));
    while (taken.has(block.column)) block.column += 1;
    group.push(block);
    groupEnd = Math.max(group.length === 1 ? 0 : groupEnd, block.end);
  }
  close();
  return blocks;
}

/** Returns the function that gives the minutes since midnight of an instant in a zone. */
export function clockOf(zone: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat("en-GB", {
    ...{ timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  });
  return (instant) => {
    const [hours = 0, minutes = 0] = format.format(instant).split(":").map(Number);
    return hours * 60 + minutes;
  };
}
