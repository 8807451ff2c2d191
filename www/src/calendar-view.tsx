// The calendar: a week, a month or an agenda, with filters.
import { CalendarDays, ChevronLeft, ChevronRight } from "lucide-react";
import type { Event } from "deltalink";
import { type ReactNode, useEffect, useMemo, useState } from "react";
import { AgendaView } from "./agenda-view";
import { addDays, agenda, contains, type Day, type DayWindow, windowAround } from "./calendar";
import { DayDialog, onlineLinkOf } from "./calendar-parts";
import { useCollections } from "./collections";
import { firstDay, longDay, monthName, shortDay, today, zone, zoneName } from "./dates";
import { monthOf, nextMonth, weekOf } from "./grid";
import { MonthView } from "./month-view";
import type { History } from "./rounds";
import { useSetting } from "./settings";
import { Button, Choices, EmptyState, useMedia } from "./ui";
import { View } from "./view";
import { WeekView } from "./week-view";

const MODES = ["week", "month", "agenda"] as const;
type Mode = (typeof MODES)[number];
const STEPS: Record<Mode, [string, string]> = {
  week: ["Previous week", "Next week"],
  month: ["Previous month", "Next month"],
  agenda: ["Four weeks earlier", "Four weeks later"],
};

interface CalendarProps {
  history: History;
  days: DayWindow;
  setDays: (days: DayWindow) => void;
  onlyMarked: boolean;
  setOnlyMarked: (isOn: boolean) => void;
  action?: Parameters<typeof View>[0]["action"];
}

export function CalendarView({ history, days, setDays, onlyMarked, setOnlyMarked, action }: CalendarProps) {
  const { calendar } = useCollections();
  const isWide = useMedia("(min-width: 1024px)");
  const [chosen, setMode] = useSetting("calendar.mode");
  const stored = MODES.find((mode) => mode === chosen) ?? (isWide ? "week" : "agenda");
  const mode: Mode = stored === "week" && !isWide ? "agenda" : stored;
  const [anchor, setAnchor] = useState(today);
  const [openDay, setOpenDay] = useState<string>();
  const [organizer, setOrganizer] = useState("");
  const [onlyOnline, setOnlyOnline] = useState(false);

  const range = rangeOf(mode, anchor);
  useEffect(() => {
    if (!contains(days, range)) setDays(windowAround(anchor));
  }, [range.from, range.to, days]);

  const { items, marks } = calendar;
  const isFiltered = organizer !== "" || onlyOnline || onlyMarked;
  const listed = useMemo(() => {
    const isShown = (event: Event) =>
      (organizer === "" || organizerOf(event) === organizer) &&
      (!onlyOnline || onlineLinkOf(event) !== undefined) &&
      (!onlyMarked || marks.has(event.id));
    return agenda(items.filter(isShown), range, zone);
  }, [items, range.from, range.to, organizer, onlyOnline, onlyMarked, onlyMarked && marks]);
  const organizers = useMemo(
    () => [...new Set(items.map(organizerOf))].filter(Boolean).sort((a, b) => a.localeCompare(b)),
    [items],
  );

  const move = (direction: -1 | 1): void => {
    if (mode === "agenda") setAnchor(addDays(anchor, direction * 28));
    else if (mode === "week") setAnchor(addDays(anchor, direction * 7));
    else setAnchor(nextMonth(anchor, direction));
  };
  const goToToday = (): void => {
    setAnchor(today());
    const heading = document.querySelector<HTMLElement>(".day.today h2");
    heading?.closest(".day")?.scrollIntoView({ block: "center" });
    heading?.focus({ preventScroll: true });
  };
  // The shortcut "t" dispatches this event.
  useEffect(() => {
    document.addEventListener("deltalink-today", goToToday);
    return () => document.removeEventListener("deltalink-today", goToToday);
  });

  const isEmptyGrid =
    mode !== "agenda" &&
    !isFiltered &&
    Boolean(calendar.status.lastSyncedAt) &&
    listed.every(({ entries }) => entries.length === 0);
  const day = openDay === undefined ? undefined : listed.find(({ date }) => date === openDay);
  const [previous, next] = STEPS[mode];
  return (
    <View
      collection={calendar}
      history={history}
      action={action}
      onlyMarked={onlyMarked}
      setOnlyMarked={setOnlyMarked}
      tools={
        <div className="group" role="group" aria-label="Days shown">
          <Button className="icon-only" icon={ChevronLeft} aria-label={previous} onClick={() => move(-1)} />
          <Button onClick={goToToday}>Today</Button>
          <Button className="icon-only" icon={ChevronRight} aria-label={next} onClick={() => move(1)} />
        </div>
      }
      // A week and a month without events are still a grid.
      empty={
        mode === "agenda" && (
          <EmptyState icon={CalendarDays} title="No events in these days">
            <p>Go to other days, or back to today. New events appear here automatically.</p>
          </EmptyState>
        )
      }
    >
      <div className="filters">
        <h2 className="range" aria-live="off">
          {titleOf(mode, anchor, range)}{" "}
          <span className="hint">{isEmptyGrid ? `${zoneName}, no events` : zoneName}</span>
        </h2>
        <label className="filter">
          <span className="sr-only">Organizer</span>
          <select value={organizer} onChange={({ target }) => setOrganizer(target.value)}>
            <option value="">All organizers</option>
            {organizers.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label className="check">
          <input
            type="checkbox"
            checked={onlyOnline}
            onChange={({ target }) => setOnlyOnline(target.checked)}
          />
          Online only
        </label>
        <Choices
          name="mode"
          legend="Layout"
          hideLegend
          value={mode}
          options={[
            ...(isWide ? ([["week", "Week"]] as const) : []),
            ["month", "Month"],
            ["agenda", "Agenda"],
          ]}
          onChange={setMode}
        />
      </div>
      <Body mode={mode} isFiltered={isFiltered} listed={listed}>
        {mode === "week" && <WeekView days={listed} marks={marks} onMove={move} />}
        {mode === "month" && (
          <MonthView
            days={listed}
            month={anchor.slice(0, 7)}
            marks={marks}
            onMove={move}
            onDay={({ date }) => setOpenDay(date)}
          />
        )}
        {mode === "agenda" && <AgendaView days={listed} marks={marks} showsFree={!isFiltered} />}
      </Body>
      {day && <DayDialog day={day} marks={marks} onClose={() => setOpenDay(undefined)} />}
    </View>
  );
}

function Body(props: { mode: Mode; isFiltered: boolean; listed: Day[]; children: ReactNode }) {
  const { mode, isFiltered, listed, children } = props;
  const isEmpty = listed.every(({ entries }) => entries.length === 0);
  return (
    <div className="calendar-body" data-mode={mode}>
      {isFiltered && isEmpty && <p className="no-match">No event of these days matches the filters.</p>}
      {children}
    </div>
  );
}

const organizerOf = ({ organizer }: Event): string =>
  organizer?.emailAddress?.name ?? organizer?.emailAddress?.address ?? "";

/** The days that a layout shows. The agenda: a week before `anchor`, and four weeks from it on. */
function rangeOf(mode: Mode, anchor: string): DayWindow {
  if (mode === "week") return weekOf(anchor, firstDay);
  if (mode === "month") return monthOf(anchor, firstDay);
  return { from: addDays(anchor, -7), to: addDays(anchor, 27) };
}

function titleOf(mode: Mode, anchor: string, { from, to }: DayWindow): string {
  return mode === "month" ? monthName(anchor) : `${shortDay(from)} to ${longDay(to)}`;
}
