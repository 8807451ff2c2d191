// Parts of the calendar: an event in a list or a grid, and the dialogs of an event and of a day.
import type { Event } from "deltalink";
import { MapPin, Repeat, Video } from "lucide-react";
import { createContext, memo, useContext, useEffect } from "react";
import { addDays, agenda, type Day, type Entry, NAMELESS } from "./calendar";
import { useCollections } from "./collections";
import { fullDay, timesOf, today, zone, zoneName } from "./dates";
import { plural, safeLink } from "./text";
import { Button, Dialog, Facts, type Mark, MarkChip, useDetails } from "./ui";

/** Opens the dialog of an event. */
export const OpenEvent = createContext<(id: string) => void>(() => undefined);

export const onlineLinkOf = (event: Event): string | undefined =>
  safeLink(event.onlineMeeting?.joinUrl ?? event.onlineMeetingUrl);

/** The classes by which an entry shows its availability. */
export function classesOf({ event, isAllDay, isCancelled }: Entry): string {
  const shows = event.showAs ?? "busy";
  const known = /^[a-zA-Z]+$/.test(shows) ? shows : "busy";
  return `shows-${known}${isAllDay ? " all-day" : ""}${isCancelled ? " cancelled" : ""}`;
}

/** What a box in a grid shows by its position and style, as text for screen readers. */
export const notesOf = (entry: Entry): string =>
  [
    ...(entry.isAllDay || entry.days > 1 ? timesOf(entry) : []),
    ...(entry.isCancelled ? ["cancelled"] : []),
    ...(entry.isRecurring ? ["recurring"] : []),
  ].join(", ");

interface EntryProps {
  entry: Entry;
  mark: Mark | undefined;
}

/** An event in a list. */
export const EntryRow = memo(function EntryRow({ entry, mark }: EntryProps) {
  const open = useContext(OpenEvent);
  const [time, second] = timesOf(entry);
  const title = entry.title || NAMELESS;
  const hasOnline = onlineLinkOf(entry.event) !== undefined;
  return (
    <li className={`entry ${classesOf(entry)}`} data-id={entry.id} data-mark={mark}>
      <button type="button" className="entry-button" onClick={() => open(entry.id)}>
        <span className="times">
          <span>{time}</span> {second && <span className="second">{second}</span>}
        </span>
        <span className="main">
          <span className="title-line">
            {entry.isCancelled ? <s className="title">{title}</s> : <span className="title">{title}</span>}
            {entry.isRecurring && (
              <span className="repeats">
                <Repeat className="icon" aria-hidden="true" />
                <span className="sr-only">recurring</span>
              </span>
            )}
            {entry.isCancelled && <span className="chip quiet">Cancelled</span>}
            <MarkChip mark={mark} />
          </span>
          {(entry.location || hasOnline) && (
            <span className="where">
              {entry.location && (
                <span>
                  <MapPin className="icon" aria-hidden="true" />
                  {entry.location}
                </span>
              )}
              {hasOnline && (
                <span>
                  <Video className="icon" aria-hidden="true" />
                  Online
                </span>
              )}
            </span>
          )}
        </span>
      </button>
    </li>
  );
});

/** The dialog of an event. Opening it removes the event's mark. */
export function EventDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const { calendar } = useCollections();
  const [isDetailed] = useDetails();
  const event = calendar.byId.get(id);
  useEffect(() => calendar.markSeen(id), [id]);
  if (!event)
    return (
      <Dialog title="This event is gone" onClose={onClose}>
        <p>It was deleted, or is no longer in the days that this app keeps.</p>
      </Dialog>
    );
  // In the zone of the user, the event may begin a day earlier or later than in its own zone.
  const date = event.start?.dateTime?.slice(0, 10) ?? today();
  const around = { from: addDays(date, -1), to: addDays(date, 1) };
  const day = agenda([event], around, zone).find(({ entries }) => entries.length > 0);
  const entry = day?.entries[0];
  const people = (event.attendees ?? [])
    .map(({ emailAddress }) => emailAddress?.name ?? emailAddress?.address ?? "")
    .filter(Boolean);
  const organizer = event.organizer?.emailAddress;
  const online = onlineLinkOf(event);
  const outlook = safeLink(event.webLink);
  return (
    <Dialog title={entry?.title || NAMELESS} onClose={onClose} className="event-dialog">
      <p className="lead">
        {day && entry && `${fullDay(day.date)}, ${timesOf(entry).join(entry.days > 1 ? ", " : " – ")}`}
        {entry && !entry.isAllDay && <span className="hint"> ({zoneName})</span>}
      </p>
      <Facts
        facts={[
          ["Place", entry?.location],
          ["Organizer", organizer?.name ?? organizer?.address],
          ["Attendees", people.join(", ")],
          ["State", event.isCancelled ? "Cancelled" : ""],
          [
            "Repeats",
            entry?.isRecurring && (event.type === "exception" ? "Yes; this one was changed" : "Yes"),
          ],
          ["Notes", event.bodyPreview],
          ["Event id", isDetailed && event.id],
          ["Series id", isDetailed && event.seriesMasterId],
        ]}
      />
      <p className="links">
        {online && (
          <a className="button primary" href={online} target="_blank" rel="noopener noreferrer">
            Join online
          </a>
        )}
        {outlook && (
          <a className="button" href={outlook} target="_blank" rel="noopener noreferrer">
            Open in Outlook
          </a>
        )}
        <Button onClick={onClose}>Close</Button>
      </p>
    </Dialog>
  );
}

/** The dialog with all events of a day. */
export function DayDialog(props: { day: Day; marks: ReadonlyMap<string, Mark>; onClose: () => void }) {
  const { day, marks, onClose } = props;
  return (
    <Dialog title={fullDay(day.date)} onClose={onClose} className="day-dialog">
      {day.entries.length === 0 ? (
        <p>No events on this day.</p>
      ) : (
        <>
          <p className="hint">{plural(day.entries.length, "event")}</p>
          <ul className="entries">
            {day.entries.map((entry) => (
              <EntryRow key={entry.key} entry={entry} mark={marks.get(entry.id)} />
            ))}
          </ul>
        </>
      )}
    </Dialog>
  );
}
