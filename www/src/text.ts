// Words, numbers and times as the dashboard shows them.

/**
 * The locale of dates: English, like all texts, but with the conventions of the user's region.
 */
export const locale = navigator.language.toLowerCase().startsWith("en") ? navigator.language : "en-GB";
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const shortClock = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
const moment = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const isToday = (date: Date): boolean => date.toDateString() === new Date().toDateString();

/** The time as `14:03:22`, with the date unless it is today. */
export const timeOfDay = (date: Date): string => (isToday(date) ? clock : moment).format(date);
/** The time as `14:03`, with the date unless it is today. */
export const shortTime = (date: Date): string => (isToday(date) ? shortClock : moment).format(date);
export const dateAndTime = (date: Date): string => moment.format(date);
export const number = (value: number): string => value.toLocaleString(locale);

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** Joins parts as in a sentence: "a, b and c". */
export const enumerated = (parts: string[]): string =>
  new Intl.ListFormat("en", { type: "conjunction" }).format(parts);

/** A size in units that people read: "1.4 MB". */
export function bytes(size: number): string {
  if (size < 1000) return `${size} B`;
  const unit = size >= 1e6 ? "megabyte" : "kilobyte";
  const value = size / { megabyte: 1e6, kilobyte: 1000 }[unit];
  const digits = value < 10 ? 1 : 0;
  const options = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits } as const;
  return new Intl.NumberFormat(locale, options).format(value);
}

/** A duration in milliseconds: "340 ms" or "2.1 s". */
export const duration = (ms: number): string =>
  ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;

/** Removes case and accents, so that "Muller" finds "Müller". */
export const fold = (text: string): string =>
  text
    .normalize("NFD")
    .replace(/\p{Mn}/gu, "")
    .toLowerCase();

/** Whether a text that `fold()` returned contains all words of a search. */
export const matches = (haystack: string, search: string): boolean =>
  fold(search)
    .split(/\s+/)
    .every((word) => haystack.includes(word));

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Returns a link from Graph if it is an https URL, otherwise undefined. */
export function safeLink(value: string | null | undefined): string | undefined {
  return value && /^https:\/\//i.test(value) ? value : undefined;
}
