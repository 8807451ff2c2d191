// Helpers for the DOM. They never accept HTML: every string becomes text.

export type Child = Node | string | null | undefined | false;
type Listener = (event: Event) => void;
interface Props {
  class?: string | undefined;
  on?: Record<string, Listener>;
  [attribute: string]: string | number | boolean | null | undefined | Record<string, Listener>;
}

/** Makes an element. `true` sets an empty attribute; `false`, null and undefined set none. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") {
      for (const [type, listener] of Object.entries(value as Record<string, Listener>))
        element.addEventListener(type, listener);
    } else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, String(value));
  }
  element.append(
    ...children.filter(
      (child): child is Node | string => child !== null && child !== undefined && child !== false,
    ),
  );
  return element;
}

const shapes = {
  calendar: "M4 6.5h16v13H4zM4 10.5h16M8.5 4v4M15.5 4v4",
  contacts:
    "M9.5 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM3.5 20c0-3.5 2.7-5.5 6-5.5s6 2 6 5.5M16 4.5a3.5 3.5 0 0 1 0 6.2M17.5 14.8c1.9.8 3 2.6 3 5.2",
  recordings: "M3.5 7.5h11v9h-11zM14.5 11l6-3v8l-6-3z",
  sync: "M20 11a8 8 0 0 0-14.3-4L4 9M4 4.5V9h4.5M4 13a8 8 0 0 0 14.3 4L20 15M20 19.5V15h-4.5",
  stop: "M7 7h10v10H7z",
  repeat: "M4 12V9.5A2.5 2.5 0 0 1 6.5 7H20M17 4l3 3-3 3M20 12v2.5a2.5 2.5 0 0 1-2.5 2.5H4M7 20l-3-3 3-3",
  place:
    "M12 21c4-4.6 6.5-7.8 6.5-11a6.5 6.5 0 1 0-13 0c0 3.2 2.5 6.4 6.5 11ZM12 12.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6Z",
  video: "M3.5 7.5h11v9h-11zM14.5 11l6-3v8l-6-3z",
  warning: "M12 4 2.8 20h18.4zM12 10v4.5M12 17.2v.1",
  check: "M5 12.5 10 17.5 19.5 7",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM15.5 15.5 20.5 20.5",
  person: "M12 11.5a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20.5c0-4 3.3-6 7.5-6s7.5 2 7.5 6",
  theme: "M12 4v16M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16Z",
  demo: "M9 3.5h6M10 3.5v6L4.5 19a1 1 0 0 0 .9 1.5h13.2a1 1 0 0 0 .9-1.5L14 9.5v-6M7.5 15h9",
  close: "M6 6l12 12M18 6 6 18",
  lock: "M6 10.5h12v9.5H6zM8.5 10.5V8a3.5 3.5 0 0 1 7 0v2.5",
  left: "M14.5 5.5 8 12l6.5 6.5",
  right: "M9.5 5.5 16 12l-6.5 6.5",
  copy: "M8.5 8.5h11v11h-11zM5.5 15.5h-1v-11h11v1",
  offline:
    "M3 3l18 18M8.5 16a5 5 0 0 1 7 0M5 12.5a10 10 0 0 1 4.5-2.5M14.5 10a10 10 0 0 1 4.5 2.5M12 19.5v.1",
  clock: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM12 7v5l3.5 2",
  plus: "M12 5v14M5 12h14",
  pencil: "M4.5 19.5l1-4L16 5l3 3L8.5 18.5zM13.5 7.5l3 3",
  trash: "M5 7h14M9.5 7V4.5h5V7M7 7l1 13h8l1-13",
  stack: "M12 4 3.5 8.5 12 13l8.5-4.5zM3.5 12.5 12 17l8.5-4.5M3.5 16.5 12 21l8.5-4.5",
  bolt: "M13 3 5 13.5h6L10.5 21 19 10.5h-6z",
} as const;
export type IconName = keyof typeof shapes;

/** A decorative icon, hidden from screen readers. */
export function icon(name: IconName): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", shapes[name]);
  svg.append(path);
  return svg;
}

export function button(
  label: Child,
  onClick: () => void,
  props: Props & { icon?: IconName } = {},
): HTMLButtonElement {
  const { icon: name, ...rest } = props;
  return h(
    "button",
    { type: "button", class: "button", ...rest, on: { click: onClick } },
    name && icon(name),
    label,
  );
}

/** A row of a list that is rendered again and again. */
export interface Row {
  key: string;
  /** The row gets a new element if this has changed. */
  signature: unknown;
  make(): HTMLElement;
}

const painted = new WeakMap<Element, Map<string, { signature: unknown; element: HTMLElement }>>();

/**
 * Renders rows by key. A row that has not changed keeps its element, with focus, open details and
 * scroll position.
 */
export function paintRows(parent: Element, rows: Row[]): void {
  const before = painted.get(parent) ?? new Map<string, { signature: unknown; element: HTMLElement }>();
  const after = new Map<string, { signature: unknown; element: HTMLElement }>();
  for (const { key, signature, make } of rows) {
    const old = before.get(key);
    after.set(key, old && old.signature === signature ? old : { signature, element: make() });
  }
  for (const [key, { element }] of before) if (after.get(key)?.element !== element) element.remove();
  let next = parent.firstChild;
  for (const { element } of after.values()) {
    if (element === next) next = next.nextSibling;
    else parent.insertBefore(element, next);
  }
  painted.set(parent, after);
}

/** Calls `run` at most once per frame, and at least `pause` milliseconds apart. */
export function oncePerFrame(run: () => void, pause: () => number): () => void {
  let isScheduled = false;
  return () => {
    if (isScheduled) return;
    isScheduled = true;
    const runNow = (): void => {
      isScheduled = false;
      run();
    };
    // A hidden page gets no frames, so renders without one.
    if (document.visibilityState === "visible" && pause() === 0) requestAnimationFrame(runNow);
    else setTimeout(runNow, pause());
  };
}

/**
 * The locale of dates: English, like the page, but with the conventions of the region of the user.
 */
export const locale = navigator.language.toLowerCase().startsWith("en") ? navigator.language : "en-GB";
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const moment = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

/** The time as `14:03:22`, with the date unless it is today. */
export function timeOfDay(date: Date): string {
  return date.toDateString() === new Date().toDateString() ? clock.format(date) : moment.format(date);
}
export const dateAndTime = (date: Date): string => moment.format(date);

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString(locale)} ${count === 1 ? one : many}`;
}

/** Settings in localStorage. Without storage they are lost at a reload. */
export const settings = {
  get(name: string): string | undefined {
    try {
      return localStorage.getItem(`deltalink.${name}`) ?? undefined;
    } catch {
      return undefined;
    }
  },
  set(name: string, value: string | undefined): void {
    try {
      if (value === undefined) localStorage.removeItem(`deltalink.${name}`);
      else localStorage.setItem(`deltalink.${name}`, value);
    } catch {
      // Storage is not available.
    }
  },
  /** Removes all settings whose names begin with `prefix`. */
  clear(prefix: string): void {
    try {
      for (const key of Object.keys(localStorage))
        if (key.startsWith(`deltalink.${prefix}`)) localStorage.removeItem(key);
    } catch {
      // Storage is not available.
    }
  },
};

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
