// The search over all three collections, and the sheet of shortcuts.
import { useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { titleOf } from "./calendar";
import { useCollections } from "./collections";
import { lineOf } from "./contacts-view";
import { datedTitle } from "./dates";
import { meetingFinder } from "./meetings";
import { startedAt } from "./recordings-view";
import { fold, matches, plural } from "./text";
import { Dialog, useAnnounce } from "./ui";

interface SearchProps {
  onClose: () => void;
  onEvent: (id: string) => void;
  onContact: (name: string) => void;
  onRecordings: () => void;
}

/** The number of results of each collection. */
const SHOWN = 6;

interface Result {
  id: string;
  text: string;
  note: string;
  open: () => void;
}

export function SearchDialog({ onClose, onEvent, onContact, onRecordings }: SearchProps) {
  const { calendar, contacts, recordings } = useCollections();
  const announce = useAnnounce();
  const [text, setText] = useState("");
  const wanted = useDeferredValue(text.trim());
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);

  const groups = useMemo((): [string, Result[]][] => {
    if (!wanted) return [];
    const meetingOf = meetingFinder(calendar.items);
    const find = <T,>(items: readonly T[], textOf: (item: T) => string, toResult: (item: T) => Result) =>
      items.filter((item) => matches(textOf(item), wanted)).map(toResult);
    return [
      [
        "Events",
        find(
          calendar.items,
          ({ subject, location, organizer, bodyPreview }) =>
            fold(`${subject} ${location?.displayName} ${organizer?.emailAddress?.name} ${bodyPreview}`),
          (event) => ({
            id: event.id,
            text: titleOf(event, undefined),
            note: datedTitle(event).split(", ").at(-1) ?? "",
            open: () => onEvent(event.id),
          }),
        ),
      ],
      [
        "Contacts",
        find(
          contacts.items,
          (contact) => lineOf(contact).haystack,
          (contact) => {
            const { id, name, company } = lineOf(contact);
            return { id, text: name, note: company, open: () => onContact(name) };
          },
        ),
      ],
      [
        "Recordings",
        find(
          recordings.items,
          (recording) => fold(`${meetingOf(recording)?.subject ?? "Meeting"} ${startedAt(recording)}`),
          (recording) => ({
            id: recording.id,
            text: meetingOf(recording)?.subject ?? "Meeting",
            note: startedAt(recording),
            open: onRecordings,
          }),
        ),
      ],
    ];
  }, [wanted, calendar.items, contacts.items, recordings.items]);
  const count = groups.reduce((sum, [, results]) => sum + results.length, 0);
  useEffect(() => {
    if (wanted) announce(count === 0 ? "Nothing found" : `${plural(count, "result")} found`);
  }, [wanted, count]);

  return (
    <Dialog title="Search" onClose={onClose} className="search-dialog">
      <label className="search">
        <span className="sr-only">Search events, contacts and recordings</span>
        <input
          ref={input}
          type="search"
          placeholder="Events, contacts, recordings"
          autoComplete="off"
          spellCheck={false}
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
      </label>
      {wanted && count === 0 && <p className="no-match">Nothing matches “{wanted}”.</p>}
      {groups
        .filter(([, results]) => results.length > 0)
        .map(([name, results]) => (
          <section key={name} aria-labelledby={`found-${name}`}>
            <h3 id={`found-${name}`}>
              {name} ({results.length})
            </h3>
            <ul className="results">
              {results.slice(0, SHOWN).map(({ id, text, note, open }) => (
                <li key={id}>
                  <button type="button" onClick={() => (onClose(), open())}>
                    <span>{text}</span> <span className="hint">{note}</span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        ))}
    </Dialog>
  );
}

const SHORTCUTS: [string, string][] = [
  ["/", "Search"],
  ["1 to 4", "Overview, calendar, contacts, recordings"],
  ["s", "Sync everything"],
  ["t", "Today, in the calendar"],
  ["Arrows", "Move in a week or a month"],
  ["Page Up, Page Down", "Previous or next week or month"],
  ["Enter", "Open an event or a day"],
  ["Esc", "Close a dialog"],
  ["?", "This list"],
];

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl className="shortcuts">
        {SHORTCUTS.map(([keys, effect]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{effect}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

/** Calls the function of a key, unless the user types into a field or a dialog is open. */
export function useShortcuts(actions: Record<string, () => void>): void {
  const latest = useRef(actions);
  useEffect(() => {
    latest.current = actions;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const { target, key } = event;
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (target instanceof Element && target.closest("input, textarea, select, dialog")) return;
      const action = latest.current[key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}
