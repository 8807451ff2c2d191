// The contacts of the organization: a sortable table with a search, or cards on a narrow page.
import type { OrgContact } from "deltalink";
import { Collection, emptyState, type Mark } from "./collection";
import { h, icon, locale, plural, settings } from "./dom";

const columns = [
  ["displayName", "Name"],
  ["companyName", "Company"],
  ["jobTitle", "Title"],
  ["mail", "Mail"],
  ["phone", "Phone"],
] as const;
type Column = (typeof columns)[number][0];

/** The properties that this view selects. */
export const CONTACT_PROPERTIES = [
  "displayName",
  "givenName",
  "surname",
  "companyName",
  "department",
  "jobTitle",
  "mail",
  "phones",
];

/** The number of rows to render at once. The others follow while the browser is idle. */
const CHUNK = 120;

interface Line {
  contact: OrgContact;
  text: Record<Column, string>;
  haystack: string;
  mark: Mark | undefined;
  row?: HTMLElement;
}

export function contactsView(): Collection<OrgContact> {
  const collator = new Intl.Collator(locale, { sensitivity: "base", numeric: true });
  let lines = new Map<string, Line>();
  let sort: { column: Column; down: boolean } = { column: "displayName", down: false };
  let rendering = 0;

  const search = h("input", {
    type: "search",
    id: "contact-search",
    placeholder: "Search contacts",
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "contact-count",
  });
  const count = h("p", { id: "contact-count", class: "match-count", role: "status" });
  const body = h("tbody", { role: "rowgroup" });
  const emptySlot = h("div", {});
  const headings = new Map<Column, HTMLElement>();
  const heads = columns.map(([column, label]) => {
    const press = h(
      "button",
      { type: "button", class: "sort", on: { click: () => sortBy(column) } },
      label,
      h("span", { class: "arrow", "aria-hidden": "true" }),
    );
    const head = h("th", { role: "columnheader", scope: "col", "aria-sort": "none" }, press);
    headings.set(column, head);
    return head;
  });
  const table = h(
    "table",
    { role: "table", class: "contacts-table", "aria-label": "Contacts" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...heads)),
    body,
  );
  const stored = settings.get("contacts.sort")?.split(" ");
  const known = columns.find(([column]) => column === stored?.[0]);
  if (known) sort = { column: known[0], down: stored?.[1] === "down" };
  search.addEventListener("input", () => show());

  function sortBy(column: Column): void {
    sort = { column, down: sort.column === column && !sort.down };
    settings.set("contacts.sort", `${column} ${sort.down ? "down" : "up"}`);
    show();
  }

  function show(): void {
    for (const [column, head] of headings)
      head.setAttribute(
        "aria-sort",
        column !== sort.column ? "none" : sort.down ? "descending" : "ascending",
      );
    const words = fold(search.value).split(/\s+/).filter(Boolean);
    const found = [...lines.values()].filter(({ haystack }) =>
      words.every((word) => haystack.includes(word)),
    );
    const direction = sort.down ? -1 : 1;
    found.sort((a, b) => {
      const [left, right] = [a.text[sort.column], b.text[sort.column]];
      // Missing values are last in both directions.
      if (left === "" || right === "") return left === right ? 0 : left === "" ? 1 : -1;
      return (
        direction * collator.compare(left, right) || collator.compare(a.text.displayName, b.text.displayName)
      );
    });
    count.textContent =
      lines.size === 0
        ? ""
        : words.length > 0
          ? `${plural(found.length, "contact")} of ${lines.size.toLocaleString(locale)} found`
          : "";
    table.hidden = found.length === 0;
    emptySlot.replaceChildren(
      ...(found.length > 0
        ? []
        : [
            lines.size === 0
              ? emptyState(
                  "contacts",
                  "No contacts here yet",
                  "Press Sync: the first round brings the organization's contacts, the later ones only changes.",
                )
              : emptyState(
                  "search",
                  "No contact matches",
                  `Nothing among ${plural(lines.size, "contact")} matches “${search.value.trim()}”. Try fewer letters.`,
                ),
          ]),
    );
    table.setAttribute("aria-rowcount", String(found.length + 1));
    const current = (rendering += 1);
    const rows = (from: number): HTMLElement[] =>
      found.slice(from, from + CHUNK).map((line) => (line.row ??= rowOf(line)));
    body.replaceChildren(...rows(0));
    const appendRest = (from: number): void => {
      if (current !== rendering || from >= found.length) return;
      body.append(...rows(from));
      later(() => appendRest(from + CHUNK));
    };
    later(() => appendRest(CHUNK));
  }

  return new Collection<OrgContact>({
    id: "contacts",
    heading: "Contacts",
    icon: "contacts",
    noun: "contact",
    titleOf: (contact) => contact.displayName ?? contact.mail ?? "(no name)",
    paint(items, marks) {
      const next = new Map<string, Line>();
      for (const [id, contact] of items) {
        const old = lines.get(id);
        const mark = marks.get(id);
        next.set(
          id,
          old &&
            old.mark === mark &&
            (old.contact === contact || JSON.stringify(old.contact) === JSON.stringify(contact))
            ? old
            : lineOf(contact, mark),
        );
      }
      lines = next;
      show();
    },
    tools: [
      h(
        "label",
        { class: "search" },
        icon("search"),
        h("span", { class: "sr-only" }, "Search contacts"),
        search,
      ),
    ],
    body: h("div", {}, count, emptySlot, table),
  });
}

const later = (run: () => void): void =>
  void ("requestIdleCallback" in window ? requestIdleCallback(run, { timeout: 200 }) : setTimeout(run, 16));

/** Removes case and accents, so that "Muller" finds "Müller". */
const fold = (text: string): string =>
  text
    .normalize("NFD")
    .replace(/\p{Mn}/gu, "")
    .toLowerCase();

function lineOf(contact: OrgContact, mark: Mark | undefined): Line {
  const phone =
    contact.phones?.find(({ type, number }) => type === "business" && number) ??
    contact.phones?.find(({ number }) => number);
  const text = {
    displayName: contact.displayName ?? [contact.givenName, contact.surname].filter(Boolean).join(" "),
    companyName: contact.companyName ?? "",
    jobTitle: contact.jobTitle ?? "",
    mail: contact.mail ?? "",
    phone: phone?.number ?? "",
  };
  return {
    contact,
    text,
    mark,
    haystack: fold(`${Object.values(text).join(" ")} ${contact.department ?? ""}`),
  };
}

function rowOf({ contact, text, mark }: Line): HTMLElement {
  const cell = (label: string, value: string, ...content: (Node | string)[]): HTMLElement =>
    h(
      "td",
      {
        role: "cell",
        "data-label": label,
        title: label === "Mail" && value !== "" ? value : undefined,
        class: value === "" ? "missing" : undefined,
      },
      ...(value === "" ? [h("span", { class: "sr-only" }, "none")] : content),
    );
  const name = text.displayName || "(no name)";
  return h(
    "tr",
    { role: "row", "data-id": contact.id, "data-mark": mark },
    h(
      "th",
      { role: "rowheader", scope: "row" },
      h("span", { class: `avatar tint-${tint(name)}`, "aria-hidden": "true" }, initials(name)),
      h("span", { class: "name" }, name),
      mark && h("span", { class: `chip mark ${mark}` }, mark === "new" ? "New" : "Changed"),
    ),
    cell("Company", text.companyName, text.companyName),
    cell("Title", text.jobTitle, text.jobTitle),
    cell(
      "Mail",
      text.mail,
      /^[^\s@]+@[^\s@]+$/.test(text.mail)
        ? h("a", { href: `mailto:${encodeURIComponent(text.mail)}` }, text.mail)
        : text.mail,
    ),
    cell(
      "Phone",
      text.phone,
      /^[+\d][\d\s().-]*$/.test(text.phone)
        ? h("a", { href: `tel:${text.phone.replace(/[^+\d]/g, "")}` }, text.phone)
        : text.phone,
    ),
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
