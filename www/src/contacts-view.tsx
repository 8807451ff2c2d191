// The contacts of the organization: a sortable table with a search, or cards in a narrow window.
import {
  createColumnHelper,
  createPaginatedRowModel,
  createSortedRowModel,
  rowPaginationFeature,
  rowSortingFeature,
  type SortingState,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { Search, Users } from "lucide-react";
import { memo, useDeferredValue, useEffect, useMemo, useState } from "react";
import { type Contact, useCollections } from "./collections";
import type { History } from "./rounds";
import { settings } from "./settings";
import { fold, locale, matches, number, plural } from "./text";
import { Button, EmptyState, type Mark, MarkChip } from "./ui";
import { View } from "./view";

/** The number of contacts on a page of the table. */
const PAGE = 200;
const COLUMNS = [
  ["name", "Name"],
  ["company", "Company"],
  ["title", "Title"],
  ["mail", "Mail"],
  ["phone", "Phone"],
] as const;
type ColumnId = (typeof COLUMNS)[number][0];
type Line = Record<ColumnId | "id" | "haystack", string>;

export const nameOfContact = ({ displayName, givenName, surname, mail }: Contact): string =>
  (displayName ?? [givenName, surname].filter(Boolean).join(" ")) || mail || "(no name)";

const lines = new WeakMap<Contact, Line>();

/** The texts of a contact, made once for each object. An unchanged contact is the same object. */
export function lineOf(contact: Contact): Line {
  const known = lines.get(contact);
  if (known) return known;
  const phones = contact.phones ?? [];
  const phone =
    phones.find(({ type, number }) => type === "business" && number) ?? phones.find((one) => one.number);
  const texts = {
    name: nameOfContact(contact),
    company: contact.companyName ?? "",
    title: contact.jobTitle ?? "",
    mail: contact.mail ?? "",
    phone: phone?.number ?? "",
  };
  const haystack = fold(`${Object.values(texts).join(" ")} ${contact.department ?? ""}`);
  const line = { id: contact.id, ...texts, haystack };
  lines.set(contact, line);
  return line;
}

const collator = new Intl.Collator(locale, { sensitivity: "base", numeric: true });
const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  rowPaginationFeature,
  paginatedRowModel: createPaginatedRowModel(),
});
const helper = createColumnHelper<typeof features, Line>();
const columns = helper.columns(
  COLUMNS.map(([id, header]) =>
    // A missing value is undefined, so that it is last in both directions.
    helper.accessor((line) => line[id] || undefined, {
      id,
      header,
      sortUndefined: "last",
      sortFn: (a, b) => collator.compare(a.original[id], b.original[id]),
    }),
  ),
);

/** The stored order. */
function storedSorting(): SortingState {
  const [id, direction] = settings.get("contacts.sort")?.split(" ") ?? [];
  return [{ id: COLUMNS.find(([known]) => known === id)?.[0] ?? "name", desc: direction === "down" }];
}

interface ContactsProps {
  history: History;
  search: string;
  setSearch: (search: string) => void;
  onlyMarked: boolean;
  setOnlyMarked: (isOn: boolean) => void;
  action?: Parameters<typeof View>[0]["action"];
}

export function ContactsView({
  history,
  search,
  setSearch,
  onlyMarked,
  setOnlyMarked,
  action,
}: ContactsProps) {
  const { contacts } = useCollections();
  const { items, marks, status } = contacts;
  // Keeps typing responsive while a long list is rendered.
  const wanted = useDeferredValue(search.trim());
  const data = useMemo(
    () =>
      items
        .map(lineOf)
        .filter(({ id, haystack }) => matches(haystack, wanted) && (!onlyMarked || marks.has(id))),
    [items, wanted, onlyMarked, onlyMarked && marks],
  );
  const [sorting, setSorting] = useState(storedSorting);
  const [pagination, setPagination] = useState({ pageIndex: 0, pageSize: PAGE });
  useEffect(() => setPagination({ pageIndex: 0, pageSize: PAGE }), [wanted, onlyMarked]);
  const table = useTable({
    ...{ features, columns, data },
    getRowId: ({ id }) => id,
    state: { sorting, pagination },
    onSortingChange: (update) => {
      const [next] = typeof update === "function" ? update(sorting) : update;
      if (!next) return;
      settings.set("contacts.sort", `${next.id} ${next.desc ? "down" : "up"}`);
      setSorting([next]);
    },
    onPaginationChange: setPagination,
    enableSortingRemoval: false,
    sortDescFirst: false,
    autoResetPageIndex: false,
  });
  const rows = table.getRowModel().rows;
  const pages = table.getPageCount();
  const { pageIndex } = pagination;
  return (
    <View
      collection={contacts}
      history={history}
      action={action}
      onlyMarked={onlyMarked}
      setOnlyMarked={setOnlyMarked}
      tools={
        <label className="search">
          <Search className="icon" aria-hidden="true" />
          <span className="sr-only">Search contacts</span>
          <input
            type="search"
            placeholder="Search contacts"
            autoComplete="off"
            spellCheck={false}
            value={search}
            onChange={({ target }) => setSearch(target.value)}
            aria-describedby="contact-count"
          />
        </label>
      }
      empty={
        <EmptyState icon={Users} title="No contacts">
          <p>
            {status.lastSyncedAt ? "Your organization has no contacts." : "You have not loaded them yet."}
          </p>
        </EmptyState>
      }
    >
      <p id="contact-count" className="match-count">
        {wanted || onlyMarked ? `${plural(data.length, "contact")} of ${number(items.length)} found` : ""}
      </p>
      {data.length === 0 && items.length > 0 && (
        <EmptyState icon={Search} title="No contact matches">
          <p>
            {wanted
              ? `Nothing among ${plural(items.length, "contact")} matches “${wanted}”. Try fewer letters.`
              : "No contact is marked as new or changed."}
          </p>
        </EmptyState>
      )}
      {data.length > 0 && (
        // The roles keep it a table for screen readers, although the style sheet makes it a grid.
        <table role="table" className="contacts-table" aria-label="Contacts" aria-rowcount={data.length + 1}>
          <thead role="rowgroup">
            {table.getHeaderGroups().map((group) => (
              <tr role="row" key={group.id}>
                {group.headers.map(({ column, id }) => {
                  const sorted = column.getIsSorted();
                  return (
                    <th
                      key={id}
                      role="columnheader"
                      scope="col"
                      aria-sort={sorted === "desc" ? "descending" : sorted ? "ascending" : "none"}
                    >
                      <button type="button" className="sort" onClick={column.getToggleSortingHandler()}>
                        {COLUMNS.find(([one]) => one === id)?.[1]}
                        <span className="arrow" aria-hidden="true" />
                      </button>
                    </th>
                  );
                })}
              </tr>
            ))}
          </thead>
          <tbody role="rowgroup">
            {rows.map((row, index) => (
              <Row
                key={row.id}
                line={row.original}
                mark={marks.get(row.id)}
                index={pageIndex * PAGE + index + 2}
                onSeen={contacts.markSeen}
              />
            ))}
          </tbody>
        </table>
      )}
      {pages > 1 && (
        <nav className="pages" aria-label="Pages of contacts">
          <Button disabled={!table.getCanPreviousPage()} onClick={() => table.previousPage()}>
            Previous
          </Button>
          <span>
            Page {pageIndex + 1} of {pages}
          </span>
          <Button disabled={!table.getCanNextPage()} onClick={() => table.nextPage()}>
            Next
          </Button>
        </nav>
      )}
    </View>
  );
}

interface RowProps {
  line: Line;
  mark: Mark | undefined;
  index: number;
  onSeen: (id: string) => void;
}

const Row = memo(
  function Row({ line, mark, index, onSeen }: RowProps) {
    const { id, name, mail, phone } = line;
    return (
      <tr role="row" data-id={id} data-mark={mark} aria-rowindex={index} onClick={() => mark && onSeen(id)}>
        <th role="rowheader" scope="row">
          <span className={`avatar tint-${tint(name)}`} aria-hidden="true">
            {initials(name)}
          </span>
          <span className="name">{name}</span>
          <MarkChip mark={mark} />
        </th>
        <Cell label="Company" value={line.company} />
        <Cell label="Title" value={line.title} />
        <Cell
          label="Mail"
          value={mail}
          href={/^[^\s@]+@[^\s@]+$/.test(mail) && `mailto:${encodeURIComponent(mail)}`}
        />
        <Cell
          label="Phone"
          value={phone}
          href={/^[+\d][\d\s().-]*$/.test(phone) && `tel:${phone.replace(/[^+\d]/g, "")}`}
        />
      </tr>
    );
  },
  (a, b) => a.line === b.line && a.mark === b.mark && a.index === b.index,
);

function Cell({ label, value, href }: { label: string; value: string; href?: string | false }) {
  // In a narrow window, an address breaks before its domain.
  const [user, domain] = value.split(/(?<=^[^@]+)(?=@[^@]+$)/);
  const text = domain === undefined ? value : [user, <wbr key="wbr" />, domain];
  return (
    <td role="cell" data-label={label} className={value === "" ? "missing" : undefined}>
      {value === "" ? <span className="sr-only">none</span> : href ? <a href={href}>{text}</a> : text}
    </td>
  );
}

const initials = (name: string): string =>
  name
    .split(/\s+/)
    .map((word) => [...word][0] ?? "")
    .filter((letter) => /\p{L}/u.test(letter))
    .filter((_, index, all) => index === 0 || index === all.length - 1)
    .join("")
    .toUpperCase();

const tint = (name: string): number =>
  [...name].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 997, 7) % 6;
