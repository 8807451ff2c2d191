// A week as a grid: all-day events as bars, the others by their hours.
import { memo, useContext, useLayoutEffect, useRef } from "react";
import type { Day, Entry } from "./calendar";
import { classesOf, notesOf, OpenEvent } from "./calendar-parts";
import { fullDay, shortWeekday, timeOf, timesOf, today, zone } from "./dates";
import { barsOf, blocksOf, clockOf, isBar } from "./grid";
import { type Mark, MarkChip, useNow } from "./ui";
import { type StopProps, useGrid } from "./use-grid";

const minutesOf = clockOf(zone);
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
/** The height of an hour and of a lane of bars, in pixels, as in the style sheet. */
const HOUR = 48;
const LANE = 28;

interface WeekProps {
  days: Day[];
  marks: ReadonlyMap<string, Mark>;
  onMove: (direction: -1 | 1) => void;
}

export function WeekView({ days, marks, onMove }: WeekProps) {
  const bars = barsOf(days);
  const lanes = Math.max(1, ...bars.map(({ lane }) => lane + 1));
  const now = today();
  const columns = days.map((day, column) => {
    const own = bars.filter((bar) => bar.column === column).sort((a, b) => a.lane - b.lane);
    const keys = [
      ...own.map(({ entry }) => `bar ${entry.id}`),
      ...blocksOf(day, minutesOf).map(({ entry }) => entry.key),
    ];
    return keys.length > 0 ? keys : [day.date];
  });
  const initial = {
    column: Math.max(
      0,
      days.findIndex(({ date }) => date === now),
    ),
    row: 0,
  };
  const { onKeyDown, stop } = useGrid({ columns, initial, onLeave: onMove, onPage: onMove });
  const hours = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    // Scrolls to 8:00, or to the first event of the week or the current time if that is earlier.
    const begun = days.flatMap((day) => blocksOf(day, minutesOf)).filter(({ entry }) => entry.day === 1);
    const starts = begun.map(({ start }) => start);
    const isCurrent = days.some(({ date }) => date === now);
    const first = Math.min(8 * 60, ...starts, isCurrent ? minutesOf(Date.now()) : Infinity);
    if (hours.current) hours.current.scrollTop = (first / 60 - 0.5) * HOUR;
  }, []);
  const stopOf = (column: number, key: string) =>
    stop(key, { column, row: columns[column]?.indexOf(key) ?? 0 });

  return (
    <div className="week" role="grid" aria-label="Week" onKeyDown={onKeyDown} ref={hours}>
      <div className="week-top" role="rowgroup">
        <div className="week-head" role="row">
          <span className="week-corner" role="presentation" />
          {days.map(({ date }) => (
            <div
              key={date}
              role="columnheader"
              className="week-day"
              data-today={date === now}
              aria-current={date === now ? "date" : undefined}
            >
              <span aria-hidden="true">{shortWeekday(date)}</span>
              <span className="day-number" aria-hidden="true">
                {Number(date.slice(8))}
              </span>
              <span className="sr-only">{fullDay(date)}</span>
            </div>
          ))}
        </div>
        <div className="week-bars" role="row" style={{ minHeight: lanes * LANE + 8 }}>
          <div className="week-corner" role="rowheader">
            All day
          </div>
          {days.map(({ date }, column) => (
            <div key={date} role="gridcell" className="bar-cell">
              {bars
                .filter((bar) => bar.column === column)
                .map(({ entry, lane, span, isContinued, continues }) => (
                  <Box
                    key={entry.id}
                    entry={entry}
                    mark={marks.get(entry.id)}
                    className={`bar${isContinued ? " continued" : ""}${continues ? " continues" : ""}`}
                    style={{ top: lane * LANE + 4, width: `calc(${span * 100}% + ${span - 1}px - 6px)` }}
                    stop={stopOf(column, `bar ${entry.id}`)}
                  />
                ))}
            </div>
          ))}
        </div>
      </div>
      <div className="week-hours" role="row">
        <div className="hour-names" role="rowheader" aria-label="Hours">
          {HOURS.map((hour) => (
            <span key={hour} style={{ top: hour * HOUR }}>
              {hour === 0 ? "" : `${String(hour).padStart(2, "0")}:00`}
            </span>
          ))}
        </div>
        {days.map((day, column) => {
          const isEmpty = columns[column]?.[0] === day.date;
          const { tabIndex, ref, onFocus } = stopOf(column, day.date);
          return (
            <div
              key={day.date}
              role="gridcell"
              className="hour-cell"
              data-date={day.date}
              data-today={day.date === now}
              aria-label={isEmpty ? `${fullDay(day.date)}, no events` : undefined}
              {...(isEmpty && { tabIndex, ref, onFocus })}
            >
              {blocksOf(day, minutesOf).map(({ entry, start, end, column: part, columns: parts }) => (
                <Box
                  key={entry.key}
                  entry={entry}
                  mark={marks.get(entry.id)}
                  className={end - start < 50 ? "block short" : "block"}
                  style={{
                    top: (start / 60) * HOUR + 1,
                    height: ((end - start) / 60) * HOUR - 2,
                    left: `${(part / parts) * 100}%`,
                    width: `calc(${100 / parts}% - 4px)`,
                  }}
                  stop={stopOf(column, entry.key)}
                />
              ))}
              {day.date === now && <NowLine />}
            </div>
          );
        })}
      </div>
    </div>
  );
}

interface BoxProps {
  entry: Entry;
  mark: Mark | undefined;
  className: string;
  style: Record<string, string | number>;
  stop: StopProps;
}

const Box = memo(
  function Box({ entry, mark, className, style, stop }: BoxProps) {
    const open = useContext(OpenEvent);
    return (
      <button
        type="button"
        className={`box ${className} ${classesOf(entry)}`}
        data-id={entry.id}
        data-mark={mark}
        style={style}
        onClick={() => open(entry.id)}
        {...stop}
      >
        <span className="box-title">{entry.isCancelled ? <s>{entry.title}</s> : entry.title}</span>
        {!isBar(entry) && (
          <span className="box-time">
            {timesOf(entry).join(" – ")}
            {entry.location && `, ${entry.location}`}
          </span>
        )}
        <MarkChip mark={mark} />
        <span className="sr-only">{notesOf(entry)}</span>
      </button>
    );
  },
  (a, b) =>
    a.entry === b.entry &&
    a.mark === b.mark &&
    a.className === b.className &&
    a.stop.tabIndex === b.stop.tabIndex &&
    JSON.stringify(a.style) === JSON.stringify(b.style),
);

function NowLine() {
  const now = useNow(30_000);
  return (
    <div className="now-line" style={{ top: (minutesOf(now) / 60) * HOUR }}>
      <span className="sr-only">Now, {timeOf(now)}</span>
    </div>
  );
}
