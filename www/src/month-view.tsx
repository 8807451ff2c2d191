// A month as a grid of days. Enter opens a day.
import { useContext } from "react";
import type { Day } from "./calendar";
import { classesOf, OpenEvent } from "./calendar-parts";
import { fullDay, shortWeekday, timeOf, today, weekday } from "./dates";
import { barsOf, isBar } from "./grid";
import { plural } from "./text";
import { type Mark, MarkChip } from "./ui";
import { useGrid } from "./use-grid";

/** The number of events that a day shows. */
const SHOWN = 3;
const LANE = 24;

interface MonthProps {
  days: Day[];
  /** The month, as `YYYY-MM`. */
  month: string;
  marks: ReadonlyMap<string, Mark>;
  onMove: (direction: -1 | 1) => void;
  onDay: (day: Day) => void;
}

export function MonthView({ days, month, marks, onMove, onDay }: MonthProps) {
  const now = today();
  const weeks = Array.from({ length: days.length / 7 }, (_, week) => days.slice(week * 7, week * 7 + 7));
  const columns = (weeks[0] ?? []).map((_, column) => weeks.map((week) => week[column]?.date ?? ""));
  const start = Math.max(
    0,
    days.findIndex(({ date }) => date === now),
  );
  const initial = { column: start % 7, row: Math.floor(start / 7) };
  const { onKeyDown, stop } = useGrid({ columns, initial, onPage: onMove });
  return (
    <div className="month-grid" role="grid" aria-label="Month" onKeyDown={onKeyDown}>
      <div className="month-head" role="row">
        {(weeks[0] ?? []).map(({ date }) => (
          <div key={date} role="columnheader">
            <span aria-hidden="true">{shortWeekday(date)}</span>
            <span className="sr-only">{weekday(date)}</span>
          </div>
        ))}
      </div>
      {weeks.map((week, row) => (
        <div key={week[0]?.date} className="month-week" role="row">
          {week.map((day, column) => (
            <MonthDay
              key={day.date}
              {...{ day, week, column, marks, onDay }}
              isOutside={day.date.slice(0, 7) !== month}
              isToday={day.date === now}
              stop={stop(day.date, { column, row })}
            />
          ))}
        </div>
      ))}
    </div>
  );
}

interface MonthDayProps {
  day: Day;
  week: Day[];
  column: number;
  marks: ReadonlyMap<string, Mark>;
  isOutside: boolean;
  isToday: boolean;
  onDay: (day: Day) => void;
  stop: ReturnType<ReturnType<typeof useGrid>["stop"]>;
}

function MonthDay({ day, week, column, marks, isOutside, isToday, onDay, stop }: MonthDayProps) {
  const open = useContext(OpenEvent);
  const { date, entries } = day;
  const bars = barsOf(week).filter((bar) => bar.column <= column && column < bar.column + bar.span);
  const shownBars = bars.filter(({ lane }) => lane < SHOWN);
  const lanes = Math.max(0, ...shownBars.map(({ lane }) => lane + 1));
  const timed = entries.filter((entry) => !isBar(entry)).slice(0, SHOWN - lanes);
  const hidden = entries.length - shownBars.length - timed.length;
  const marked = entries.some(({ id }) => marks.has(id));
  return (
    <div
      role="gridcell"
      className="month-day"
      data-date={date}
      data-outside={isOutside}
      data-today={isToday}
      aria-current={isToday ? "date" : undefined}
      onClick={() => onDay(day)}
      onKeyDown={(event) => {
        if (event.target !== event.currentTarget || (event.key !== "Enter" && event.key !== " ")) return;
        event.preventDefault();
        onDay(day);
      }}
      {...stop}
    >
      <span className="sr-only">
        {fullDay(date)}, {entries.length === 0 ? "no events" : plural(entries.length, "event")}.
      </span>
      <span className="day-number" aria-hidden="true">
        {Number(date.slice(8))}
      </span>
      {entries.length > 0 && (
        <span className="month-count" data-marked={marked} aria-hidden="true">
          {entries.length}
        </span>
      )}
      <div className="month-entries" style={{ paddingTop: lanes * LANE }}>
        {shownBars
          .filter((bar) => bar.column === column)
          .map(({ entry, lane, span, isContinued, continues }) => (
            <button
              key={entry.id}
              type="button"
              tabIndex={-1}
              className={`box bar ${classesOf(entry)}${isContinued ? " continued" : ""}${continues ? " continues" : ""}`}
              data-id={entry.id}
              style={{ top: lane * LANE, width: `calc(${span * 100}% + ${span - 1}px - 6px)` }}
              onClick={(event) => (event.stopPropagation(), open(entry.id))}
            >
              <span className="box-title">{entry.title}</span>
            </button>
          ))}
        {timed.map((entry) => (
          <button
            key={entry.key}
            type="button"
            tabIndex={-1}
            className={`month-entry ${classesOf(entry)}`}
            data-id={entry.id}
            onClick={(event) => (event.stopPropagation(), open(entry.id))}
          >
            <span className="box-time">{entry.day === 1 ? timeOf(entry.start ?? 0) : "…"}</span>
            <span className="box-title">{entry.isCancelled ? <s>{entry.title}</s> : entry.title}</span>
            <MarkChip mark={marks.get(entry.id)} />
          </button>
        ))}
        {hidden > 0 && <span className="more-entries">{hidden} more</span>}
      </div>
    </div>
  );
}
