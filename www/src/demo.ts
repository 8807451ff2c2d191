// The demo: a session on the fake Graph of the origin of the page, and a panel that changes data on
// that server.
import { openDelta, type TokenFunction } from "deltalink";
import type { Collection, ViewId } from "./collection";
import { button, h, icon, messageOf, plural, settings, type IconName } from "./dom";
import type { Session } from "./session";

/** The names of the three collections in the fake Graph. */
const COLLECTIONS: Record<ViewId, string> = {
  calendar: "events",
  contacts: "contacts",
  recordings: "recordings",
};
const NOUNS: Record<ViewId, string> = { calendar: "event", contacts: "contact", recordings: "recording" };

type Kind = "delegated" | "app";

/** The control API of the fake Graph for one world. */
export class World {
  readonly id: string;
  readonly user: string | undefined;
  readonly #tokens = new Map<Kind, Promise<string>>();
  #ensured: Promise<void> | undefined;

  constructor(id: string, user: string | undefined) {
    this.id = id;
    this.user = user;
  }

  get root(): string {
    return `${location.origin}/w/${this.id}/v1.0`;
  }

  /** Whether this origin has a fake Graph. */
  static async isAvailable(): Promise<boolean> {
    try {
      const response = await fetch("/control/worlds");
      return response.ok && (response.headers.get("content-type") ?? "").includes("json");
    } catch {
      return false;
    }
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`/control/worlds${path}`, {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    });
    if (!response.ok)
      throw new Error(
        `The demo's server returned ${response.status} for ${method} ${path}: ${(await response.text()).slice(0, 200)}`,
      );
    return (response.headers.get("content-type") ?? "").includes("json")
      ? ((await response.json()) as T)
      : (undefined as T);
  }

  request<T>(method: string, path: string, body?: unknown): Promise<T> {
    return this.call(method, `/${this.id}${path}`, body);
  }

  /**
   * Creates the world if it does not exist. Keeps an existing one, so that stored links stay valid.
   */
  ensure(): Promise<void> {
    this.#ensured ??= this.#create().catch((error: unknown) => {
      this.#ensured = undefined;
      throw error;
    });
    return this.#ensured;
  }

  /** Makes `ensure()` check again whether the world exists: the server may have been restarted. */
  checkAgain(): void {
    this.#ensured = undefined;
  }

  async #create(): Promise<void> {
    const existing = await this.call<string[]>("GET", "");
    if (existing.includes(this.id)) return;
    this.#tokens.clear();
    sessionStorage.removeItem(this.#storageKey("delegated"));
    sessionStorage.removeItem(this.#storageKey("app"));
    await this.call("POST", "", {
      id: this.id,
      seed: 1,
      options: { latency_ms: 120 },
      populate: { events: 60, contacts: 140, recordings: 18 },
    });
  }

  /** Returns a token, which is stored for this tab, so that a reload needs no new one. */
  async token(kind: Kind, mustRenew: boolean): Promise<string> {
    let failure: unknown;
    await this.ensure().catch((error: unknown) => (failure = error));
    const stored = mustRenew ? null : sessionStorage.getItem(this.#storageKey(kind));
    if (stored !== null) return stored;
    if (failure !== undefined) throw failure;
    let pending = this.#tokens.get(kind);
    if (!pending) {
      pending = this.#requestToken(kind).finally(() => this.#tokens.delete(kind));
      this.#tokens.set(kind, pending);
    }
    return pending;
  }

  async #requestToken(kind: Kind): Promise<string> {
    const hasUser = this.user !== undefined;
    // The first delegated token creates the account, so it is requested before an app-only token.
    if (kind === "app" && hasUser) await this.token("delegated", false);
    const { token } = await this.request<{ token: string }>("POST", "/token", {
      kind,
      ...(hasUser && kind === "delegated" && { user: this.user }),
    });
    sessionStorage.setItem(this.#storageKey(kind), token);
    return token;
  }

  #storageKey(kind: Kind): string {
    return `deltalink.token ${this.id} ${this.user ?? ""} ${kind}`;
  }
}

export interface DemoSession extends Session {
  kind: "demo";
  world: World;
  /** The kind of token that reads the recordings. */
  reader: Kind;
  readWith(kind: Kind): void;
  /** Simulates an organization that requires a sign-in: the next refused token needs the user. */
  requireSignIn(): void;
}

/**
 * Opens the session of the demo. Sends a request only on a first visit: later the page shows the
 * mirror before any request.
 */
export async function openDemo(worldId: string, account: string | undefined): Promise<DemoSession> {
  const user =
    account === undefined ? undefined : account.includes("@") ? account : `${account}@contoso.example`;
  const world = new World(worldId, user);
  const me = user === undefined ? await defaultUser(world) : { id: user, address: user };
  let requiresSignIn = false;
  const source =
    (kind: Kind): TokenFunction =>
    ({ reason }) => {
      if (requiresSignIn && kind === "delegated" && (reason === "unauthorized" || reason === "claims"))
        throw new InteractionRequired();
      return world.token(kind, reason === "unauthorized" || reason === "claims");
    };
  const [client, app] = await Promise.all([
    openDelta({ token: source("delegated"), account: user ?? "me", endpoint: world.root }),
    openDelta({ token: source("app"), account: `app for ${user ?? "me"}`, endpoint: world.root }),
  ]);
  const readers = {
    app: app.callRecordings({ organizer: me.id }),
    delegated: client.callRecordings({ organizer: me.id }),
  };
  const session: DemoSession = {
    kind: "demo",
    name: me.address,
    client,
    world,
    reader: "app",
    recordings: readers.app,
    readWith(kind) {
      session.reader = kind;
      session.recordings = readers[kind];
    },
    requireSignIn() {
      requiresSignIn = true;
    },
    async signInAgain() {
      requiresSignIn = false;
      await world.token("delegated", true);
    },
    async close() {
      await Promise.all([client.close(), app.close()]);
    },
    async leave() {
      await Promise.all([client.forget(), app.forget()]);
      settings.set(`user.${world.id}`, undefined);
    },
  };
  return session;
}

/** Has the name of the error that MSAL throws if the user has to sign in. */
class InteractionRequired extends Error {
  override readonly name = "InteractionRequiredAuthError";
  readonly errorCode = "interaction_required";
}

interface User {
  id: string;
  address: string;
}

/** The user of the world. Requested once and stored, because a later visit may be offline. */
async function defaultUser(world: World): Promise<User> {
  try {
    const stored = JSON.parse(settings.get(`user.${world.id}`) ?? "null") as User | null;
    if (stored?.id && stored.address) return stored;
  } catch {
    // An unreadable setting is ignored.
  }
  await world.ensure();
  const { user } = await world.request<{ user: User }>("GET", "");
  settings.set(`user.${world.id}`, JSON.stringify(user));
  return user;
}

/** The control above the recordings that selects the token. */
export function readerSwitch(session: DemoSession, onChange: () => void): HTMLElement {
  const choice = (kind: Kind, label: string): HTMLElement => {
    const input = h("input", {
      type: "radio",
      name: "reader",
      value: kind,
      on: { change: () => pick(kind) },
    });
    input.checked = session.reader === kind;
    return h("label", {}, input, h("span", {}, label));
  };
  const pick = (kind: Kind): void => {
    session.readWith(kind);
    onChange();
  };
  return h(
    "fieldset",
    { class: "segmented" },
    h("legend", {}, "Read recordings with"),
    choice("app", "an app-only token"),
    choice("delegated", "the signed-in user's"),
  );
}

interface Fault {
  icon: IconName;
  label: string;
  hint: string;
  inject(session: DemoSession, collection: string): Promise<unknown>;
}

const rule =
  (fault: object) =>
  ({ world }: DemoSession, collection: string): Promise<unknown> =>
    world.request("POST", "/faults", [{ match: { collection, kind: "any" }, times: 1, fault }]);

const faults: Fault[] = [
  {
    icon: "clock",
    label: "Throttle",
    hint: "429, Retry-After 3 s",
    inject: rule({
      name: "status",
      status: 429,
      code: "TooManyRequests",
      message: "Too many requests.",
      headers: { "Retry-After": "3" },
    }),
  },
  {
    icon: "warning",
    label: "Server error",
    hint: "503, once",
    inject: rule({
      name: "status",
      status: 503,
      code: "ServiceUnavailable",
      message: "The service is down for a moment.",
    }),
  },
  {
    icon: "offline",
    label: "Cut the connection",
    hint: "Half a response, once",
    inject: rule({ name: "cut" }),
  },
  {
    icon: "stack",
    label: "Expire the links",
    hint: "A full round follows",
    inject: ({ world }, collection) => world.request("POST", "/expire", { collection }),
  },
  {
    icon: "lock",
    label: "Refuse the token",
    hint: "401; a new one is requested",
    inject: ({ world }) => world.request("POST", "/revoke"),
  },
  {
    icon: "person",
    label: "Ask for a sign-in",
    hint: "401 with a claims challenge",
    inject: (session, collection) => (session.requireSignIn(), rule({ name: "claims" })(session, collection)),
  },
  {
    icon: "close",
    label: "Forbid",
    hint: "403: a round that fails",
    inject: rule({
      name: "status",
      status: 403,
      code: "ErrorAccessDenied",
      message: "Access is denied. Check credentials and try again.",
    }),
  },
];

/** The demo panel. Its buttons change the collection of the current view on the server. */
export function demoPanel(
  session: DemoSession,
  current: () => { id: ViewId; collection: Collection<object> },
  close: () => void,
): { panel: HTMLElement; refresh(): void } {
  const { world } = session;
  const log = h("ol", { class: "demo-log", role: "log", "aria-label": "Actions of the demo" });
  const target = h("strong", {});
  const note = h("p", { class: "hint" });

  const act = async (
    title: string,
    change: (id: ViewId, collection: Collection<object>) => Promise<string | undefined>,
  ): Promise<void> => {
    const { id, collection } = current();
    const round = h("span", { class: "outcome" }, "…");
    const text = h("span", {}, title);
    log.prepend(h("li", {}, text, round));
    while (log.children.length > 12) log.lastElementChild?.remove();
    try {
      await world.ensure();
      // Waits for a running round, which could see only a part of the changes.
      if (collection.isRunning) await collection.sync();
      text.textContent = (await change(id, collection)) ?? title;
      round.textContent = "round running…";
      const result = await collection.sync();
      round.textContent = result?.text ?? "no round";
      round.dataset.outcome = result?.error ? "failed" : "complete";
    } catch (error) {
      round.textContent = messageOf(error);
      round.dataset.outcome = "failed";
    }
  };

  const edit = (edits: object[]): Promise<{ ids: string[] }> => world.request("POST", "/edits", edits);
  const owner = world.user === undefined ? {} : { user: world.user };
  const pickItem = (id: ViewId, collection: Collection<object>): { id: string; title: string } => {
    const candidates = [...collection.items].filter(
      ([, item]) => !("type" in item) || item.type === "singleInstance",
    );
    const [key, item] = candidates[Math.floor(Math.random() * candidates.length)] ?? [];
    if (key === undefined || item === undefined)
      throw new Error(`There is no ${NOUNS[id]} here yet. Press Sync first.`);
    const { subject, displayName } = item as { subject?: string; displayName?: string };
    return { id: key, title: subject ?? displayName ?? "" };
  };

  const add = button(
    "Add",
    () =>
      void act("Add on the server", async (id) => {
        await edit([{ collection: COLLECTIONS[id], op: "add", ...owner }]);
        return `Added a ${NOUNS[id]} on the server`.replace("a event", "an event");
      }),
    { icon: "plus" },
  );
  const change = button(
    "Edit",
    () =>
      void act("Edit on the server", async (id, collection) => {
        const picked = pickItem(id, collection);
        const stamp = new Date().toLocaleTimeString("en-GB");
        const base = picked.title.replace(/ \(edited .*\)$/, "");
        const patch =
          id === "calendar" ? { subject: `${base} (edited ${stamp})` } : { jobTitle: `Promoted at ${stamp}` };
        await edit([{ collection: COLLECTIONS[id], op: "edit", id: picked.id, patch, ...owner }]);
        return `Edited “${base}” on the server`;
      }),
    { icon: "pencil" },
  );
  const remove = button(
    "Delete",
    () =>
      void act("Delete on the server", async (id, collection) => {
        const picked = pickItem(id, collection);
        await edit([{ collection: COLLECTIONS[id], op: "remove", id: picked.id, ...owner }]);
        return `Deleted “${picked.title}” on the server`;
      }),
    { icon: "trash" },
  );
  const ten = button(
    "Ten changes at once",
    () =>
      void act("Ten changes on the server", async (id) => {
        const { ids } = await edit([{ collection: COLLECTIONS[id], op: "random", count: 10, ...owner }]);
        return `Made ten changes on the server (${plural(new Set(ids).size, NOUNS[id])})`;
      }),
    { icon: "stack" },
  );

  const panel = h(
    "aside",
    { class: "demo", id: "demo-panel", "aria-labelledby": "demo-heading" },
    h(
      "div",
      { class: "demo-head" },
      h("h2", { id: "demo-heading" }, "Demo server"),
      button("", close, {
        icon: "close",
        class: "button icon-only quiet",
        "aria-label": "Close the demo panel",
      }),
    ),
    h(
      "p",
      { class: "demo-lead" },
      "A local fake of Microsoft Graph. Change its data, then see how one round brings the change here. Collection: ",
      target,
    ),
    h("h3", {}, "Change something"),
    h("div", { class: "demo-buttons" }, add, change, remove, ten),
    note,
    h("h3", {}, "Break something"),
    h(
      "div",
      { class: "demo-faults" },
      ...faults.map((fault) =>
        h(
          "button",
          {
            type: "button",
            class: "fault",
            on: {
              click: () =>
                void act(
                  `${fault.label} (${fault.hint})`,
                  async (id) => void (await fault.inject(session, COLLECTIONS[id])),
                ),
            },
          },
          icon(fault.icon),
          h(
            "span",
            {},
            h("span", { class: "fault-label" }, fault.label),
            h("span", { class: "fault-hint" }, fault.hint),
          ),
        ),
      ),
    ),
    h("h3", {}, "What happened"),
    log,
  );

  const refresh = (): void => {
    const { id } = current();
    target.textContent = id === "calendar" ? "events" : id;
    const additionsOnly = id === "recordings";
    change.disabled = additionsOnly;
    remove.disabled = additionsOnly;
    note.textContent = additionsOnly ? "Graph reports recordings as they are added, and nothing else." : "";
  };
  refresh();
  return { panel, refresh };
}
