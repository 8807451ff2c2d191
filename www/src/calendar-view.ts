// Shows the agenda.
import type { Event } from "deltalink";
import { dayOf } from "deltalink/calendar";
import {
  addDays,
  agenda,
  daysBetween,
  NAMELESS,
  nowAt,
  titleOf,
  windowAround,
  type Day,
  type DayWindow,
  type Entry,
} from "./calendar";
import { Collection, emptyState, type Mark } from "./collection";
import { button, h, icon, locale, paintRows, plural, settings, type Row } from "./dom";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
// Dates are formatted in UTC, in which they were made, so that the zone of the user cannot move
// them.
const inUtc = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" });
const weekday = inUtc({ weekday: "long" });
const monthName = inUtc({ month: "long", year: "numeric" });
const shortDay = inUtc({ day: "numeric", month: "short" });
const longDay = inUtc({ day: "numeric", month: "short", year: "numeric" });
const hour = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
const at = (date: string): Date => new Date(`${date}T00:00:00Z`);
export const today = (): string => dayOf(Date.now(), zone);

export interface CalendarView {
  collection: Collection<Event>;
  /**
   * The days shown. They stay the same after a reload, because a deltaLink belongs to one window.
   */
  window(): DayWindow;
}

/** Makes the view. Calls `onWindow` when the user selects other days, which need another query. */
export function calendarView(onWindow: () => void): CalendarView {
  let days = storedWindow();
  let items: ReadonlyMap<string, Event> = new Map();
  let marks: ReadonlyMap<string, Mark> = new Map();

  // Past days are collapsed, so that the page begins with today.
  const past = h("div", {});
  const pastSummary = h("summary", {});
  const earlier = h("details", { class: "earlier" }, pastSummary, past);
  const list = h("div", { class: "agenda" });
  const emptySlot = h("div", {});
  const range = h("p", { class: "range" });
  const move = (to: DayWindow): void => {
    days = to;
    settings.set("window", JSON.stringify(days));
    onWindow();
  };
  const byWeeks = (weeks: number): void =>
    move({ from: addDays(days.from, weeks * 7), to: addDays(days.to, weeks * 7) });
  const tools = [
    h(
      "div",
      { class: "group", role: "group", "aria-label": "Days shown" },
      button("", () => byWeeks(-4), {
        icon: "left",
        class: "button icon-only",
        "aria-label": "Four weeks earlier",
      }),
      button("Today", () => goToToday(), {}),
      button("", () => byWeeks(4), {
        icon: "right",
        class: "button icon-only",
        "aria-label": "Four weeks later",
      }),
    ),
  ];
  const goToToday = (): void => {
    if (!covers(days)) move(windowAround(today()));
    const heading = list.querySelector<HTMLElement>(".day.today h2");
    heading?.closest(".day")?.scrollIntoView({ block: "center" });
    heading?.focus({ preventScroll: true });
  };

  const collection = new Collection<Event>({
    id: "calendar",
    heading: "Calendar",
    icon: "calendar",
    noun: "event",
    titleOf: (event, all) => {
      const title = titleOf(event, event.seriesMasterId ? all.get(event.seriesMasterId) : undefined);
      const day = event.start?.dateTime?.slice(0, 10);
      return event.type === "seriesMaster"
        ? `${title} (series)`
        : day
          ? `${title}, ${shortDay.format(at(day))}`
          : title;
    },
    paint(all, changed) {
      items = all;
      marks = changed;
      paint();
    },
    tools,
    body: h("div", { class: "calendar-body" }, range, emptySlot, earlier, list),
  });

  function paint(): void {
    const now = today();
    range.textContent = `${shortDay.format(at(days.from))} to ${longDay.format(at(days.to))}, times in ${zone.replaceAll("_", " ")}`;
    const listed = items.size > 0 ? agenda(items.values(), days, zone) : [];
    const hasEntries = listed.some((day) => day.entries.length > 0);
    list.hidden = !hasEntries;
    emptySlot.replaceChildren(
      ...(hasEntries
        ? []
        : [
            emptyState(
              "calendar",
              items.size > 0 ? "No events on these days" : "No events here yet",
              items.size > 0
                ? "Go to other days, or back to today."
                : "Press Sync: the first round brings every event of these days, the later ones only changes.",
            ),
          ]),
    );
    const pastDays = covers(days) ? listed.filter((day) => day.date < now) : [];
    paintDays(past, hasEntries ? pastDays : [], now);
    paintDays(list, hasEntries ? listed.slice(pastDays.length) : [], now);
    earlier.hidden = !hasEntries || pastDays.length === 0;
    const events = new Set(pastDays.flatMap((day) => day.entries.map((entry) => entry.id)));
    const marked = [...events].filter((id) => marks.has(id)).length;
    pastSummary.replaceChildren(
      `Earlier: the ${plural(pastDays.length, "day")} before today, ${plural(events.size, "event")}`,
      ...(marked > 0 ? [h("span", { class: "chip changed" }, `${marked} new or changed`)] : []),
    );
  }

  /** Keeps or makes the elements of days, then those of the entries in them. */
  function paintDays(holder: HTMLElement, listed: Day[], now: string): void {
    paintRows(holder, dayRows(listed, now));
    for (const day of listed) {
      const entries = holder.querySelector(`[data-date="${day.date}"] .entries`);
      if (entries) paintRows(entries, entryRows(day, now));
    }
  }

  function dayRows(listed: Day[], now: string): Row[] {
    const rows: Row[] = [];
    let month = "";
    for (let index = 0; index < listed.length; index += 1) {
      const day = listed[index];
      if (!day) break;
      const name = day.date.slice(0, 7);
      if (name !== month) {
        month = name;
        rows.push({
          key: `month ${name}`,
          signature: name,
          make: () => h("p", { class: "month" }, monthName.format(at(day.date))),
        });
      }
      if (day.entries.length === 0 && day.date !== now) {
        // Consecutive empty days take one line.
        let last = index;
        for (
          let next = listed[last + 1];
          next && next.entries.length === 0 && next.date !== now && next.date.slice(0, 7) === name;
          next = listed[last + 1]
        )
          last += 1;
        const to = listed[last]?.date ?? day.date;
        const span =
          day.date === to
            ? shortDay.format(at(day.date))
            : `${shortDay.format(at(day.date))} to ${shortDay.format(at(to))}`;
        rows.push({
          key: `free ${day.date}`,
          signature: span,
          make: () => h("p", { class: "free" }, `${span}: nothing`),
        });
        index = last;
        continue;
      }
      const element = dayElement(day.date, now);
      rows.push({
        key: `day ${day.date}`,
        signature: `${day.date} ${daysBetween(now, day.date)}`,
        make: () => element(),
      });
    }
    return rows;
  }

  const dayElement = (date: string, now: string) => (): HTMLElement => {
    const distance = daysBetween(now, date);
    const relative =
      distance === 0 ? "Today" : distance === 1 ? "Tomorrow" : distance === -1 ? "Yesterday" : "";
    return h(
      "section",
      {
        class: `day${distance === 0 ? " today" : distance < 0 ? " past" : ""}`,
        "data-date": date,
        "aria-labelledby": `day-${date}`,
      },
      h(
        "div",
        { class: "day-head" },
        h("span", { class: "day-number", "aria-hidden": "true" }, String(Number(date.slice(8)))),
        h(
          "h2",
          { id: `day-${date}`, tabindex: "-1" },
          h("span", { class: "weekday" }, weekday.format(at(date))),
          h(
            "span",
            { class: "day-date" },
            relative ? `${relative}, ${shortDay.format(at(date))}` : shortDay.format(at(date)),
          ),
        ),
      ),
      h("ul", { class: "entries", role: "list" }),
    );
  };

  function entryRows(day: Day, now: string): Row[] {
    const rows: Row[] = day.entries.map((entry) => {
      const mark = marks.get(entry.id);
      // Each read of the mirror makes new objects. The signature contains the text of the event, so
      // that an unchanged event keeps its element.
      return {
        key: entry.key,
        signature: `${mark} ${entry.title} ${entry.location} ${entry.days} ${JSON.stringify(entry.event)}`,
        make: () => entryElement(entry, mark),
      };
    });
    if (day.date === now) {
      const time = hour.format(Date.now());
      rows.splice(nowAt(day.entries, Date.now()), 0, {
        key: "now",
        signature: time,
        make: () => h("li", { class: "now" }, h("span", {}, `Now, ${time}`)),
      });
    }
    return rows;
  }

  setInterval(() => {
    if (!collection.section.hidden && items.size > 0) paint();
  }, 60_000);

  return { collection, window: () => days };
}

function timesOf(entry: Entry): string[] {
  const part = entry.days > 1 ? [`day ${entry.day} of ${entry.days}`] : [];
  if (entry.isAllDay) return ["All day", ...part];
  const [start, end] = [hour.format(entry.start), hour.format(entry.end)];
  if (entry.days === 1) return entry.start === entry.end ? [start] : [start, end];
  if (entry.day === 1) return [start, ...part];
  if (entry.day === entry.days) return [`until ${end}`, ...part];
  return ["All day", ...part];
}

function entryElement(entry: Entry, mark: Mark | undefined): HTMLElement {
  const { event, master } = entry;
  const [time, second] = timesOf(entry);
  const online = link(
    event.onlineMeeting?.joinUrl ??
      event.onlineMeetingUrl ??
      master?.onlineMeeting?.joinUrl ??
      master?.onlineMeetingUrl,
  );
  const organizer = (event.organizer ?? master?.organizer)?.emailAddress;
  const attendees = (event.attendees ?? master?.attendees ?? [])
    .map((person) => person.emailAddress?.name ?? person.emailAddress?.address ?? "")
    .filter(Boolean);
  const preview = event.bodyPreview ?? master?.bodyPreview ?? "";
  const shows = event.showAs ?? master?.showAs ?? "busy";
  const outlook = link(event.webLink ?? master?.webLink);
  const facts: [string, string][] = [
    ["Organizer", organizer?.name ?? organizer?.address ?? ""],
    ["Attendees", attendees.join(", ")],
    ["Notes", preview],
  ];
  const known = facts.filter(([, value]) => value !== "");
  return h(
    "li",
    {
      class: `entry shows-${/^[a-zA-Z]+$/.test(shows) ? shows : "busy"}${entry.isAllDay ? " all-day" : ""}${entry.isCancelled ? " cancelled" : ""}`,
      "data-id": entry.id,
      "data-mark": mark,
    },
    h(
      "details",
      {},
      h(
        "summary",
        {},
        h(
          "span",
          { class: "times" },
          h("span", {}, time ?? ""),
          second !== undefined && h("span", { class: "second" }, second),
        ),
        h(
          "span",
          { class: "main" },
          h(
            "span",
            { class: "title-line" },
            entry.isCancelled
              ? h("s", { class: "title" }, entry.title || NAMELESS)
              : h("span", { class: "title" }, entry.title),
            entry.isRecurring &&
              h(
                "span",
                {
                  class: "repeats",
                  title:
                    event.type === "exception" ? "Recurring; only this occurrence was changed" : "Recurring",
                },
                icon("repeat"),
                h("span", { class: "sr-only" }, "recurring"),
              ),
            entry.isCancelled && h("span", { class: "chip quiet" }, "Cancelled"),
            mark && h("span", { class: `chip mark ${mark}` }, mark === "new" ? "New" : "Changed"),
          ),
          (entry.location !== "" || online) &&
            h(
              "span",
              { class: "where" },
              entry.location !== "" && h("span", {}, icon("place"), entry.location),
              online !== undefined && h("span", {}, icon("video"), "Online"),
            ),
        ),
      ),
      h(
        "div",
        { class: "more" },
        known.length > 0
          ? h("dl", {}, ...known.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))))
          : h("p", {}, "Graph sent no further details."),
        h(
          "p",
          { class: "links" },
          online !== undefined &&
            h("a", { href: online, target: "_blank", rel: "noopener noreferrer" }, "Join online"),
          outlook !== undefined &&
            h("a", { href: outlook, target: "_blank", rel: "noopener noreferrer" }, "Open in Outlook"),
        ),
      ),
    ),
  );
}

/** Returns a link from Graph if it is an https URL, otherwise undefined. */
function link(value: string | null | undefined): string | undefined {
  return value && /^https:\/\//i.test(value) ? value : undefined;
}

const covers = (window: DayWindow): boolean => window.from <= today() && today() <= window.to;

/** The days of the last visit, if at least a week of them is still ahead. */
function storedWindow(): DayWindow {
  try {
    const { from, to } = JSON.parse(settings.get("window") ?? "{}") as Partial<DayWindow>;
    const date = /^\d{4}-\d\d-\d\d$/;
    if (
      from &&
      to &&
      date.test(from) &&
      date.test(to) &&
      from <= to &&
      daysBetween(from, to) < 400 &&
      covers({ from, to }) &&
      daysBetween(today(), to) >= 7
    )
      return { from, to };
  } catch {
    // An unreadable setting is ignored.
  }
  const initial = windowAround(today());
  settings.set("window", JSON.stringify(initial));
  return initial;
}
