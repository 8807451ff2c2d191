// The agenda: the days of the window as a list. Days before today are folded.
import type { Day } from "./calendar";
import { daysBetween, nowAt } from "./calendar";
import { EntryRow } from "./calendar-parts";
import { monthName, shortDay, timeOf, today, weekday } from "./dates";
import { plural } from "./text";
import { type Mark, useNow } from "./ui";

interface AgendaProps {
  days: Day[];
  marks: ReadonlyMap<string, Mark>;
  /** Whether days without events are listed too. */
  showsFree: boolean;
}

export function AgendaView({ days, marks, showsFree }: AgendaProps) {
  useNow(60_000);
  const now = today();
  const isCurrent = days.some(({ date }) => date === now);
  const past = isCurrent ? days.filter(({ date }) => date < now) : [];
  const ids = new Set(past.flatMap(({ entries }) => entries.map(({ id }) => id)));
  const marked = [...ids].filter((id) => marks.has(id)).length;
  return (
    <>
      {past.length > 0 && (
        <details className="earlier">
          <summary>
            Earlier: the {plural(past.length, "day")} before today, {plural(ids.size, "event")}
            {marked > 0 && <span className="chip changed">{marked} new or changed</span>}
          </summary>
          <Days days={past} now={now} marks={marks} showsFree={showsFree} />
        </details>
      )}
      <div className="agenda">
        <Days days={days.slice(past.length)} now={now} marks={marks} showsFree={showsFree} />
      </div>
    </>
  );
}

function Days({ days, now, marks, showsFree }: AgendaProps & { now: string }) {
  const rows = [];
  let month = "";
  for (let index = 0; index < days.length; index += 1) {
    const day = days[index] as Day;
    const name = day.date.slice(0, 7);
    const isFree = day.entries.length === 0 && day.date !== now;
    if (isFree && !showsFree) continue;
    if (name !== month) {
      month = name;
      rows.push(
        <p key={name} className="month-name">
          {monthName(day.date)}
        </p>,
      );
    }
    if (!isFree) {
      rows.push(<AgendaDay key={day.date} day={day} now={now} marks={marks} />);
      continue;
    }
    // Consecutive empty days take one line.
    const isSameGap = ({ date, entries }: Day) =>
      entries.length === 0 && date !== now && date.slice(0, 7) === name;
    let last = index;
    for (let next = days[last + 1]; next && isSameGap(next); next = days[last + 1]) last += 1;
    const end = days[last]?.date ?? day.date;
    rows.push(
      <p key={`free ${day.date}`} className="free">
        {day.date === end ? shortDay(day.date) : `${shortDay(day.date)} to ${shortDay(end)}`}: nothing
      </p>,
    );
    index = last;
  }
  return rows;
}

function AgendaDay({ day, now, marks }: { day: Day; now: string; marks: ReadonlyMap<string, Mark> }) {
  const { date, entries } = day;
  const distance = daysBetween(now, date);
  const relative =
    distance === 0 ? "Today, " : distance === 1 ? "Tomorrow, " : distance === -1 ? "Yesterday, " : "";
  const rows = entries.map((entry) => <EntryRow key={entry.key} entry={entry} mark={marks.get(entry.id)} />);
  if (distance === 0)
    rows.splice(
      nowAt(entries, Date.now()),
      0,
      <li key="now" className="now">
        <span>Now, {timeOf(Date.now())}</span>
      </li>,
    );
  return (
    <section
      className={`day${distance === 0 ? " today" : distance < 0 ? " past" : ""}`}
      data-date={date}
      aria-labelledby={`day-${date}`}
    >
      <div className="day-head">
        <span className="day-number" aria-hidden="true">
          {Number(date.slice(8))}
        </span>
        <h2 id={`day-${date}`} tabIndex={-1}>
          <span className="weekday">{weekday(date)}</span>{" "}
          <span className="day-date">
            {relative}
            {shortDay(date)}
          </span>
        </h2>
      </div>
      <ul className="entries">
        {rows}
        {distance === 0 && entries.length === 0 && <li className="free-today">Nothing today</li>}
      </ul>
    </section>
  );
}
