// The dashboard: a frame with three views of one session.
import { calendarView } from "./calendar-view";
import { instantsOf } from "./calendar";
import { needsUser, type Collection, type ViewId } from "./collection";
import { CONTACT_PROPERTIES, contactsView } from "./contacts";
import { demoPanel, openDemo, readerSwitch, World, type DemoSession } from "./demo";
import { button, h, icon, messageOf, settings } from "./dom";
import { FORBIDDEN, recordingsView } from "./recordings";
import type { Session } from "./session";
import { signInForm, silentSession, storedConfig } from "./signin";
import { keepShell } from "./shell";

const parameters = new URLSearchParams(location.search);
let session: Session | undefined;

const calendar = calendarView(() => void openCalendar().then(() => calendar.collection.sync()));
const contacts = contactsView();
const recordings = recordingsView();
const views = {
  calendar: calendar.collection as unknown as Collection<object>,
  contacts: contacts as unknown as Collection<object>,
  recordings: recordings.collection as unknown as Collection<object>,
};
const labels: Record<ViewId, string> = {
  calendar: "Calendar",
  contacts: "Contacts",
  recordings: "Recordings",
};
const ids = Object.keys(labels) as ViewId[];

// ---- the frame ----

const connection = h("span", { class: "connection", role: "status" });
const account = h("span", { class: "account-name" });
const menuRows = h("div", { class: "menu-rows" });
const menu = h("div", { id: "menu", class: "menu", popover: "auto" }, menuRows);
const menuButton = h(
  "button",
  {
    type: "button",
    class: "button quiet account",
    popovertarget: "menu",
    "aria-label": "Account and settings",
  },
  icon("person"),
  account,
);
const syncAll = button("Sync all", () => void syncEveryView(), {
  icon: "sync",
  class: "button",
  id: "sync-all",
  "aria-label": "Sync all",
});
const auto = h("input", { type: "checkbox", role: "switch", id: "auto" });
const autoSwitch = h(
  "label",
  { class: "switch", title: "Syncs all three views every half minute, and when you return to this page" },
  auto,
  h("span", { class: "track", "aria-hidden": "true" }),
  h("span", { class: "switch-label" }, "Auto-sync"),
);
const demoButton = h(
  "button",
  {
    type: "button",
    class: "button quiet",
    "aria-expanded": "false",
    "aria-controls": "demo-panel",
    hidden: true,
    on: { click: () => showDemo(!isDemoShown) },
  },
  icon("demo"),
  h("span", { class: "demo-label" }, "Demo"),
);
const banner = h("div", { class: "banner-slot", role: "alert" });
const updateSlot = h("div", { class: "update-slot", role: "status" });
const aside = h("div", { class: "aside", hidden: true });
const badges = new Map<ViewId, HTMLElement>();
const links = new Map<ViewId, HTMLAnchorElement>();
const nav = h(
  "nav",
  { class: "rail", "aria-label": "Collections" },
  h(
    "ul",
    { role: "list" },
    ...ids.map((id) => {
      const badge = h("span", { class: "badge", "aria-hidden": "true" });
      const link = h(
        "a",
        { href: `#${id}` },
        icon(id),
        h("span", { class: "rail-label" }, labels[id]),
        badge,
      );
      badges.set(id, badge);
      links.set(id, link);
      return h("li", {}, link);
    }),
  ),
);
const main = h("main", { id: "main", tabindex: "-1" }, ...ids.map((id) => views[id].section));
const header = h(
  "header",
  { class: "top" },
  h(
    "a",
    { class: "wordmark", href: "#calendar", "aria-label": "deltalink, to the calendar" },
    mark(),
    h("span", {}, "delta", h("b", {}, "link")),
  ),
  connection,
  h("div", { class: "top-tools" }, autoSwitch, syncAll, demoButton, menuButton),
  menu,
);

function mark(): HTMLElement {
  return h("span", { class: "mark-sign", "aria-hidden": "true" });
}

const startScreen = h("main", { id: "main", class: "start", tabindex: "-1", hidden: true });
document.body.replaceChildren(
  h(
    "a",
    {
      class: "skip",
      href: "#main",
      on: { click: (event) => (event.preventDefault(), (session ? main : startScreen).focus()) },
    },
    "Skip to the content",
  ),
  header,
  updateSlot,
  banner,
  h("div", { class: "frame" }, nav, main, aside),
);

// ---- views ----

function viewId(): ViewId {
  const name = location.hash.slice(1);
  return ids.find((id) => id === name) ?? "calendar";
}

function showView(focus: boolean): void {
  const current = viewId();
  for (const id of ids) {
    views[id].section.hidden = id !== current;
    const link = links.get(id);
    if (id === current) link?.setAttribute("aria-current", "page");
    else link?.removeAttribute("aria-current");
  }
  document.title = `${labels[current]} · deltalink`;
  refreshDemo?.();
  if (focus) {
    window.scrollTo(0, 0);
    views[current].section.querySelector("h1")?.focus({ preventScroll: true });
  }
}
window.addEventListener("hashchange", () => showView(true));

for (const id of ids) {
  views[id].onStatus = () => {
    const { items, error, isRunning } = views[id];
    const badge = badges.get(id);
    if (badge) {
      badge.textContent = error ? "!" : items.size > 0 ? String(items.size) : "";
      badge.dataset.state = error ? "failed" : isRunning ? "busy" : "idle";
    }
    const isNeeded = ids.some((one) => needsSignIn(views[one]));
    if (isNeeded !== banner.childElementCount > 0) paintBanner(isNeeded);
    header.dataset.busy = String(ids.some((one) => views[one].isRunning));
    paintConnection();
  };
}

function paintBanner(isNeeded: boolean): void {
  if (!isNeeded) {
    banner.replaceChildren();
    return;
  }
  const errorText = h("span", { class: "banner-error" });
  banner.replaceChildren(
    h(
      "div",
      { class: "banner" },
      icon("lock"),
      h("p", {}, "Your organization asks you to sign in again. The lists stay readable."),
      errorText,
      button("Sign in again", () => void signInAgain(errorText), { class: "button primary" }),
    ),
  );
}

function needsSignIn({ status, error }: Collection<object>): boolean {
  return status.phase === "needs-auth" || (error !== undefined && needsUser(error));
}

async function signInAgain(errorText: HTMLElement): Promise<void> {
  if (!session) return;
  const waiting = ids.filter((id) => needsSignIn(views[id]));
  const claims = waiting
    .map((id) => views[id].status.error?.claims ?? views[id].error?.claims)
    .find((one) => one !== undefined);
  try {
    await session.signInAgain(claims);
  } catch (error) {
    errorText.textContent = messageOf(error);
    return;
  }
  session.client.resume();
  await Promise.all(waiting.map((id) => views[id].sync()));
}

function paintConnection(): void {
  const isOffline = !navigator.onLine || ids.some((id) => views[id].error?.code === "offline");
  const words = isOffline ? "Offline" : "Online";
  if (connection.dataset.state === words) return;
  connection.dataset.state = words;
  connection.replaceChildren(
    h("span", { class: "dot", "aria-hidden": "true" }),
    h("span", { class: "connection-text" }, words),
  );
}

// ---- rounds ----

async function syncEveryView(): Promise<void> {
  await Promise.all(ids.map((id) => views[id].sync()));
}

function isAutoSyncOn(): boolean {
  if (parameters.has("auto")) return parameters.get("auto") === "on";
  return settings.get("auto") !== "off";
}
auto.checked = isAutoSyncOn();
auto.addEventListener("change", () => {
  settings.set("auto", auto.checked ? "on" : "off");
  for (const id of ids) views[id].setLive(auto.checked);
});
for (const id of ids) views[id].setLive(auto.checked);
window.addEventListener("online", paintConnection);
window.addEventListener("offline", paintConnection);

// ---- sessions ----

async function openCalendar(): Promise<void> {
  await calendar.collection.open(session?.client.events(instantsOf(calendar.window())));
}

async function useSession(next: Session): Promise<void> {
  session = next;
  settings.set("source", next.kind);
  account.textContent = next.name;
  // The accessible label must contain the visible name.
  menuButton.setAttribute("aria-label", `${next.name}, account and settings`);
  startScreen.remove();
  document.querySelector(".frame")?.replaceChildren(nav, main, aside);
  document.body.dataset.session = next.kind;
  paintMenu();
  demoButton.hidden = next.kind !== "demo";
  recordings.slot.replaceChildren();
  if (next.kind === "demo") useDemo(next as DemoSession);
  else {
    aside.replaceChildren();
    aside.hidden = true;
    refreshDemo = undefined;
  }
  showView(false);
  await Promise.all([
    openCalendar(),
    contacts.open(next.client.orgContacts({ select: CONTACT_PROPERTIES })),
    next.recordings
      ? recordings.collection.open(next.recordings)
      : Promise.resolve(recordings.explain(FORBIDDEN.title, FORBIDDEN.text)),
  ]);
  document.body.dataset.ready = "true";
}

let isDemoShown = false;
let refreshDemo: (() => void) | undefined;

function showDemo(isShown: boolean): void {
  isDemoShown = isShown;
  aside.hidden = !isShown;
  document.body.dataset.demo = isShown ? "open" : "closed";
  demoButton.setAttribute("aria-expanded", String(isShown));
  settings.set("demo", isShown ? "open" : "closed");
}

function useDemo(demo: DemoSession): void {
  const { panel, refresh } = demoPanel(
    demo,
    () => ({ id: viewId(), collection: views[viewId()] }),
    () => (showDemo(false), demoButton.focus()),
  );
  refreshDemo = refresh;
  aside.replaceChildren(panel);
  const stored = settings.get("demo");
  showDemo(stored ? stored === "open" : window.matchMedia("(min-width: 1180px)").matches);
  const reopenRecordings = (): void =>
    void recordings.collection.open(demo.recordings).then(() => recordings.collection.sync());
  const paintSwitch = (): void => recordings.slot.replaceChildren(readerSwitch(demo, reopenRecordings));
  paintSwitch();
  for (const id of ids) {
    views[id].actionFor = ({ code }) => {
      if (session !== demo) return undefined;
      if (id === "recordings" && code === "forbidden" && demo.reader === "delegated")
        return {
          label: "Read with an app-only token",
          run: () => (demo.readWith("app"), paintSwitch(), reopenRecordings()),
        };
      if (code === "not-found")
        return {
          label: "Create the demo data again",
          run: () => (demo.world.checkAgain(), void views[id].sync()),
        };
      return undefined;
    };
  }
}

function paintMenu(): void {
  const theme = settings.get("theme") ?? "system";
  const choice = (value: string, label: string): HTMLElement => {
    const input = h("input", { type: "radio", name: "theme", value, on: { change: () => setTheme(value) } });
    input.checked = theme === value;
    return h("label", {}, input, h("span", {}, label));
  };
  const leave = async (): Promise<void> => {
    menu.hidePopover();
    const old = session;
    session = undefined;
    for (const id of ids) await views[id].open(undefined);
    settings.clear("last.");
    await old?.leave();
    if (old?.kind === "demo") await start("demo");
    else showStart();
  };
  menuRows.replaceChildren(
    ...(session
      ? [
          h("p", { class: "menu-name" }, session.name),
          h("p", { class: "hint" }, session.kind === "demo" ? "Demo on a fake Graph" : "Microsoft 365"),
        ]
      : []),
    h(
      "fieldset",
      { class: "segmented" },
      h("legend", {}, "Theme"),
      choice("system", "System"),
      choice("light", "Light"),
      choice("dark", "Dark"),
    ),
    h(
      "div",
      { class: "menu-actions" },
      ...(session?.kind === "demo"
        ? [
            button("Use Microsoft 365", () => (menu.hidePopover(), void switchTo("microsoft365")), {
              icon: "person",
            }),
            button("Forget the stored data", () => void leave(), { icon: "trash" }),
          ]
        : []),
      ...(session?.kind === "microsoft365"
        ? [button("Sign out", () => void leave(), { icon: "close" })]
        : []),
    ),
  );
}

function setTheme(theme: string): void {
  settings.set("theme", theme === "system" ? undefined : theme);
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

async function switchTo(kind: Session["kind"]): Promise<void> {
  const old = session;
  session = undefined;
  for (const id of ids) await views[id].open(undefined);
  await old?.close();
  await start(kind);
}

function showStart(problem?: string): void {
  session = undefined;
  delete document.body.dataset.session;
  document.title = "Sign in · deltalink";
  demoButton.hidden = true;
  account.textContent = "";
  menuButton.setAttribute("aria-label", "Account and settings");
  paintMenu();
  const form = signInForm(
    storedConfig(parameters),
    (next) => void useSession(next),
    () => void start("demo"),
  );
  startScreen.hidden = false;
  startScreen.replaceChildren(
    ...(problem ? [h("p", { class: "form-error", role: "alert" }, problem)] : []),
    form,
  );
  document.querySelector(".frame")?.replaceChildren(startScreen);
  document.body.dataset.ready = "true";
}

async function start(kind: Session["kind"] | undefined): Promise<void> {
  try {
    if (kind === "microsoft365") {
      const config = storedConfig(parameters);
      const silent = config && (await silentSession(config));
      if (silent) await useSession(silent);
      else showStart();
    } else if (kind === "demo" || (await World.isAvailable())) {
      await useSession(
        await openDemo(parameters.get("world") ?? "demo", parameters.get("account") ?? undefined),
      );
    } else showStart();
  } catch (error) {
    showStart(messageOf(error));
  }
}

paintConnection();
showView(false);
const remembered = settings.get("source");
void start(
  parameters.has("msal")
    ? "microsoft365"
    : parameters.has("world")
      ? "demo"
      : remembered === "demo" || remembered === "microsoft365"
        ? remembered
        : undefined,
);
void keepShell(updateSlot);
