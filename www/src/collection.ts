// The common part of the three views: shows the mirror at once, then a round with its progress, its
// changes and its error.
import { DeltaError } from "deltalink";
import type { Change, DeltaQuery, Live, QueryStatus, RoundReport, WaitReason } from "deltalink";
import {
  button,
  dateAndTime,
  h,
  icon,
  messageOf,
  oncePerFrame,
  plural,
  settings,
  timeOfDay,
  type IconName,
} from "./dom";

export type ViewId = "calendar" | "contacts" | "recordings";
export type Mark = "new" | "changed";

export interface ViewOptions<T> {
  id: ViewId;
  heading: string;
  icon: IconName;
  /** The singular noun for an item: "event". */
  noun: string;
  titleOf(item: T, items: ReadonlyMap<string, T>): string;
  /** Renders all items. Called after each commit, at most once a frame. */
  paint(items: ReadonlyMap<string, T>, marks: ReadonlyMap<string, Mark>): void;
  /** Elements next to the heading. */
  tools?: Node[];
  body: Node;
}

/** The result of a round. */
export interface RoundResult {
  report?: RoundReport;
  error?: DeltaError;
  text: string;
}

interface Difference {
  verb: "Added" | "Changed" | "Removed";
  title: string;
  note: string;
}

/** A button that the page shows for an error, in addition to "Try again". */
export interface ErrorAction {
  label: string;
  run(): void;
}

const WAITS: Record<WaitReason, string> = {
  throttled: "Graph asked for a pause (throttled)",
  server: "the server is in trouble",
  network: "the connection broke",
  timeout: "the response stopped arriving",
  offline: "this device is offline; the round continues when it is online",
  malformed: "the response could not be read",
  resync: "a full round is about to start",
  caller: "the next attempt is about to start",
};

/** Whether only a sign-in by the user resolves an error. */
export const needsUser = ({ code }: DeltaError): boolean => code === "interaction" || code === "claims";

const STOPPED = new DOMException("Stopped by the user", "AbortError");
const MAX_DIFFERENCES = 30;
/** The time between two rounds of a live collection, in milliseconds. */
const LIVE_INTERVAL = 30_000;

/** Whether a round runs, in this tab or in the one that leads. */
const isBusy = ({ phase, progress }: QueryStatus): boolean =>
  phase === "syncing" ||
  phase === "resyncing" ||
  phase === "waiting" ||
  (phase === "following" && Boolean(progress));

export function summaryOf(report: RoundReport): string {
  const parts = [
    `added ${report.added}, changed ${report.changed}, removed ${report.removed + report.ghosts + report.leftWindow}`,
    plural(report.pages, "page"),
    plural(report.requests, "request"),
  ];
  if (report.retries > 0) parts.push(plural(report.retries, "retry", "retries"));
  if (report.resync) parts.push("started over with a full round");
  else if (report.resumed) parts.push("resumed");
  parts.push(timeOfDay(report.endedAt ?? new Date()));
  return parts.join(" · ");
}

export class Collection<T extends object> {
  readonly section: HTMLElement;
  readonly items = new Map<string, T>();
  query: DeltaQuery<T> | undefined;
  /** Called when the status changes. */
  onStatus: (() => void) | undefined;
  /** Returns the button for an error, if there is one. */
  actionFor: ((error: DeltaError) => ErrorAction | undefined) | undefined;
  status: QueryStatus = { phase: "new" };
  error: DeltaError | undefined;

  readonly #options: ViewOptions<T>;
  readonly #statusText = h("span", { class: "status-text" });
  readonly #statusIcon = h("span", { class: "status-icon" });
  readonly #statusLine = h(
    "p",
    { class: "status", role: "status", "data-testid": "status" },
    this.#statusIcon,
    this.#statusText,
  );
  readonly #countdown = h("span", { class: "countdown", "aria-hidden": "true" });
  readonly #progress = h("div", { class: "progress", hidden: true });
  readonly #count = h("span", { class: "count" });
  readonly #syncButton: HTMLButtonElement;
  readonly #errorSlot = h("div", { class: "error-slot", role: "alert" });
  readonly #lastSummary = h("summary", {}, "Changes of the last round");
  readonly #lastList = h("ul", { class: "differences" });
  readonly #last = h("details", { class: "last-round", hidden: true }, this.#lastSummary, this.#lastList);
  readonly #marks = new Map<string, Mark>();
  #unsubscribe: (() => void) | undefined;
  #isLive = false;
  #live: Live | undefined;
  /** Called when the list has got new items. */
  #onUpdate: (() => void) | undefined;
  /** The changes since the last round began. */
  #differences: Difference[] = [];
  #running: Promise<RoundResult | undefined> | undefined;
  #abort: AbortController | undefined;
  #report: RoundReport | undefined;
  #stopNote = "";
  #ticker: ReturnType<typeof setInterval> | undefined;

  constructor(options: ViewOptions<T>) {
    this.#options = options;
    this.#syncButton = button("Sync", () => this.#onSyncPress(), {
      icon: "sync",
      class: "button primary sync",
    });
    const heading = h("h1", { id: `${options.id}-heading`, tabindex: "-1" }, options.heading);
    this.section = h(
      "section",
      { id: options.id, class: "view", "aria-labelledby": heading.id, "data-phase": "idle", hidden: true },
      h(
        "header",
        { class: "view-head" },
        h("div", { class: "view-title" }, heading, this.#count),
        h("div", { class: "tools" }, ...(options.tools ?? []), this.#syncButton),
      ),
      h("div", { class: "status-bar" }, this.#statusLine, this.#countdown),
      this.#progress,
      this.#errorSlot,
      this.#last,
      options.body,
    );
    this.#paintStatus();
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Shows the mirror of another query, before any request. Undefined shows nothing. */
  async open(query: DeltaQuery<T> | undefined): Promise<void> {
    this.#abort?.abort(STOPPED);
    // The running round belongs to the previous query.
    this.#running = undefined;
    this.#unsubscribe?.();
    this.query = query;
    this.items.clear();
    this.#marks.clear();
    this.error = undefined;
    this.#report = undefined;
    this.#stopNote = "";
    this.status = { phase: "new" };
    this.#differences = [];
    this.#last.hidden = true;
    this.section.removeAttribute("data-painted");
    this.#syncButton.hidden = query === undefined;
    this.#onUpdate?.();
    this.#live?.stop();
    this.#live = undefined;
    if (query) {
      await this.#follow(query);
      if (this.query !== query) return;
      this.section.dataset.painted = "mirror";
      this.setLive(this.#isLive);
    } else {
      this.#paint();
      this.#paintStatus();
    }
  }

  /** Starts or stops automatic rounds. */
  setLive(isLive: boolean): void {
    this.#isLive = isLive;
    if (!isLive) {
      this.#live?.stop();
      this.#live = undefined;
    } else if (this.query) this.#live ??= this.query.live({ every: LIVE_INTERVAL, hidden: "pause" });
  }

  /** Shows the items, the status and the changes of a query. Resolves when its mirror was read. */
  #follow(query: DeltaQuery<T>): Promise<void> {
    return new Promise((resolve) => {
      const stops = [
        query.view().subscribe(({ items, ready, error }) => {
          if (error) this.#fail(error);
          if (!ready && !error) return;
          this.items.clear();
          for (const item of items) this.items.set((item as { id: string }).id, item);
          if (this.section.dataset.painted) this.#paintSoon();
          else this.#paint();
          this.#onUpdate?.();
          resolve();
        }),
        query.on("change", (changes) => this.#recordChanges(changes)),
        query.status.subscribe((status) => this.#onStatusChange(status)),
      ];
      this.#unsubscribe = () => stops.forEach((stop) => stop());
    });
  }

  #onStatusChange(status: QueryStatus): void {
    const wasBusy = isBusy(this.status);
    this.status = status;
    if (!this.isRunning && isBusy(status) && !wasBusy) {
      // A round of `live()`, here or in another tab.
      this.#begin();
    }
    if (!this.isRunning && wasBusy && !isBusy(status)) {
      if (status.error && status.phase === "failed") this.#fail(status.error);
      this.#paintDifferences(false, status.error !== undefined);
    }
    this.#paintStatus();
  }

  /** Runs a round. A call during a round joins it. */
  sync(): Promise<RoundResult | undefined> {
    const query = this.query;
    if (!query) return Promise.resolve(undefined);
    if (this.#running) return this.#running;
    const round = this.#round(query).finally(() => {
      if (this.#running !== round) return;
      this.#running = undefined;
      this.#paintStatus();
    });
    this.#running = round;
    return round;
  }

  #onSyncPress(): void {
    if (this.isRunning) this.#abort?.abort(STOPPED);
    else void this.sync();
  }

  /** Forgets the results of the previous round. */
  #begin(): void {
    this.error = undefined;
    this.#stopNote = "";
    this.#report = undefined;
    this.#marks.clear();
    this.#differences = [];
    this.#paintError();
  }

  async #round(query: DeltaQuery<T>): Promise<RoundResult | undefined> {
    this.#abort = new AbortController();
    this.#begin();
    let failure: DeltaError | undefined;
    let report: RoundReport | undefined;
    this.#paintStatus(true);
    try {
      report = await query.sync({ signal: this.#abort.signal });
      await this.#show(query);
    } catch (error) {
      if (this.query !== query) return undefined;
      if (error === STOPPED) this.#stopNote = "Stopped. The next round continues where this one ended.";
      else failure = this.#fail(error);
      report = failure?.report;
    }
    if (this.query !== query) return undefined;
    this.#report = report;
    this.#paintDifferences(report?.kind === "full", failure !== undefined);
    const text = failure
      ? `failed: ${failure.message}`
      : this.#stopNote || (report ? summaryOf(report) : "Round ended");
    if (!failure && report?.outcome === "complete") settings.set(`last.${query.key}`, text);
    return { text, ...(report && { report }), ...(failure && { error: failure }) };
  }

  /** Waits until the list has all items that the round has stored, and paints it. */
  async #show(query: DeltaQuery<T>): Promise<void> {
    for (;;) {
      const count = await query.count();
      if (this.query !== query || this.error || this.items.size === count) break;
      await new Promise<void>((resolve) => (this.#onUpdate = resolve));
    }
    this.#paint();
  }

  #recordChanges(changes: Change<T>[]): void {
    for (const change of changes) this.#recordChange(change);
    this.#paintSoon();
  }

  #recordChange(change: Change<T>): void {
    const { id } = change;
    if (change.type === "remove") {
      const gone = change.old ?? this.items.get(id);
      this.#marks.delete(id);
      if (!gone) return;
      const notes = {
        deleted: "",
        changed: "can be restored on the server",
        ghost: "no longer listed by a full round",
        "left-window": "no longer in the window",
      };
      const title = this.#options.titleOf(gone, this.items);
      this.#differences.push({ verb: "Removed", title, note: notes[change.reason] });
      return;
    }
    if (change.partial) return;
    const { item, old, isNew = !this.items.has(id) } = change;
    if (old && JSON.stringify(old) === JSON.stringify(item)) return;
    this.#marks.set(id, isNew ? "new" : "changed");
    const title = this.#options.titleOf(item, this.items);
    this.#differences.push({ verb: isNew ? "Added" : "Changed", title, note: "" });
  }

  #fail(error: unknown): DeltaError {
    this.error =
      error instanceof DeltaError
        ? error
        : new DeltaError(messageOf(error), { code: "internal", cause: error });
    this.#paintError();
    return this.error;
  }

  /** Renders less often if there is more to render. */
  readonly #paintSoon = oncePerFrame(
    () => this.#paint(),
    () => (this.items.size > 500 ? 400 : 0),
  );

  #paint(): void {
    this.#count.textContent =
      this.query && this.items.size > 0 ? plural(this.items.size, this.#options.noun) : "";
    this.section.dataset.count = String(this.items.size);
    // Shows no marks after a first round, which would mark every row.
    this.#options.paint(this.items, this.#marks.size < this.items.size ? this.#marks : new Map());
    this.onStatus?.();
  }

  /** The status as text. */
  statusWords(): string {
    const { phase, progress, waitUntil, waitReason, lastSyncedAt } = this.status;
    const progressText = progress
      ? ` · ${plural(progress.pages, "page")} · ${plural(progress.items, "item")} · ${plural(progress.requests, "request")}`
      : "";
    if (!this.query) return "";
    switch (phase) {
      case "syncing":
        return `Round running${progressText}`;
      case "resyncing":
        return `Full round running; the list stays readable meanwhile${progressText}`;
      case "waiting":
        return `Waiting${waitUntil ? ` until ${timeOfDay(waitUntil)}` : ""}${waitReason ? `: ${WAITS[waitReason]}` : ""}${progressText}`;
      case "following":
        return "Another tab runs this round; its result will show here";
      case "needs-auth":
        return "Waiting for you to sign in again";
      case "closed":
        return "Closed";
      case "failed":
      case "new":
      case "idle":
    }
    if (this.isRunning) return "Round running";
    if (this.error)
      return `The last round failed (${this.error.code})${lastSyncedAt ? `; up to date as of ${timeOfDay(lastSyncedAt)}` : ""}`;
    if (this.#stopNote) return this.#stopNote;
    const { nextRoundAt } = this.status;
    const next = nextRoundAt ? ` · next round about ${timeOfDay(nextRoundAt)}` : "";
    if (this.#report) return `Last round: ${summaryOf(this.#report)}${next}`;
    const stored = settings.get(`last.${this.query.key}`);
    if (stored && lastSyncedAt && !this.#isLive) return `Last round: ${stored}`;
    if (lastSyncedAt) return `Last round: ${timeOfDay(lastSyncedAt)}${next}`;
    return this.items.size > 0
      ? "A round was interrupted; the next one continues it"
      : "Nothing fetched yet. Press Sync for the first round.";
  }

  #paintStatus(starting = false): void {
    const busy = starting || this.isRunning || isBusy(this.status);
    const { phase } = this.status;
    const isResting = phase === "new" || phase === "idle" || phase === "failed";
    const shown = busy && isResting ? "syncing" : phase === "new" ? "idle" : phase;
    const failed = this.error !== undefined && !busy && phase !== "needs-auth";
    this.section.dataset.phase = failed ? "failed" : shown;
    this.section.dataset.busy = String(busy);
    // A screen reader announces waits and the outcome, not every page.
    this.#statusLine.setAttribute(
      "aria-busy",
      String(busy && (shown === "syncing" || shown === "resyncing")),
    );
    const words = starting ? "Round running" : this.statusWords();
    if (this.#statusText.textContent !== words) this.#statusText.textContent = words;
    const name: IconName = failed
      ? "warning"
      : shown === "waiting"
        ? "clock"
        : shown === "needs-auth"
          ? "lock"
          : busy
            ? "sync"
            : "check";
    if (this.#statusIcon.dataset.name !== name) {
      this.#statusIcon.dataset.name = name;
      this.#statusIcon.replaceChildren(icon(name));
    }
    this.#statusIcon.hidden = !this.query || words.startsWith("Nothing");
    this.#progress.hidden = !busy;
    this.#syncButton.replaceChildren(icon(busy ? "stop" : "sync"), busy ? "Stop" : "Sync");
    this.#countdownTo(this.status.phase === "waiting" ? this.status.waitUntil : undefined);
    this.onStatus?.();
  }

  /** Shows a countdown. Hidden from screen readers, which announce the end of the wait once. */
  #countdownTo(until: Date | undefined): void {
    clearInterval(this.#ticker);
    const show = (): void => {
      const seconds = until ? Math.ceil((until.getTime() - Date.now()) / 1000) : 0;
      this.#countdown.textContent = seconds > 0 ? `${seconds} s` : "";
    };
    if (until) this.#ticker = setInterval(show, 1000);
    show();
  }

  #paintDifferences(isFull: boolean, failed: boolean): void {
    const differences = this.#differences;
    this.#last.hidden = failed && differences.length === 0;
    const full = isFull && differences.length > MAX_DIFFERENCES;
    this.#lastSummary.textContent = `Changes of the last round (${differences.length})`;
    const rows = differences
      .slice(0, full ? 10 : MAX_DIFFERENCES)
      .map(({ verb, title, note }) =>
        h(
          "li",
          { "data-verb": verb.toLowerCase() },
          h("span", { class: "verb" }, verb),
          h("span", { class: "what" }, title),
          note !== "" && h("span", { class: "note" }, note),
        ),
      );
    const more = differences.length - rows.length;
    if (more > 0) rows.push(h("li", { class: "more" }, `and ${more.toLocaleString()} more`));
    if (differences.length === 0) rows.push(h("li", { class: "more" }, "Nothing has changed."));
    this.#lastList.replaceChildren(...rows);
  }

  #paintError(): void {
    const error = this.error;
    // If the user has to sign in, the page shows a banner instead.
    if (!error || needsUser(error)) {
      this.#errorSlot.replaceChildren();
      return;
    }
    const facts: [string, string | undefined][] = [
      ["Code", error.code],
      ["Status", error.status?.toString()],
      ["Graph code", error.graphCode],
      ["Request id", error.requestId],
      ["Client request id", error.clientRequestId],
      ["Not before", error.retryAt && dateAndTime(error.retryAt)],
    ];
    const action = this.actionFor?.(error);
    const copied = h("span", { class: "copied", role: "status" });
    this.#errorSlot.replaceChildren(
      h(
        "div",
        { class: "error-card", "data-code": error.code },
        h("div", { class: "error-icon" }, icon("warning")),
        h(
          "div",
          { class: "error-body" },
          h(
            "h2",
            {},
            this.items.size > 0
              ? "This round failed. The list shows what earlier rounds have stored."
              : "This round failed.",
          ),
          h("p", {}, error.message),
          h(
            "dl",
            {},
            ...facts.flatMap(([name, value]) =>
              value === undefined ? [] : [h("div", {}, h("dt", {}, name), h("dd", {}, value))],
            ),
          ),
          h(
            "div",
            { class: "actions" },
            action && button(action.label, () => action.run(), { class: "button primary" }),
            button("Try again", () => void this.sync(), {
              icon: "sync",
              ...(action ? {} : { class: "button primary" }),
            }),
            button("Copy report", () => void copy(reportOf(error, this.query?.key), copied), {
              icon: "copy",
            }),
            copied,
          ),
        ),
      ),
    );
  }
}

/** A report for an issue. The package keeps tokens out of errors. */
function reportOf(error: DeltaError, key: string | undefined): string {
  const { name, message, code, status, graphCode, requestId, retryable, retryAt, report } = error;
  return JSON.stringify(
    {
      error: { name, message, code, status, graphCode, requestId, retryable, retryAt },
      report,
      query: key,
      page: navigator.userAgent,
    },
    null,
    2,
  );
}

async function copy(text: string, feedback: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    feedback.textContent = "Copied";
  } catch {
    // Without permission for the clipboard, shows and selects the text: the user can copy it.
    const area = h("textarea", { readonly: true, rows: "8", "aria-label": "Report" });
    area.value = text;
    feedback.replaceChildren(area);
    area.select();
  }
}

/** The content of a view without items. */
export function emptyState(name: IconName, title: string, text: string, ...actions: Node[]): HTMLElement {
  return h(
    "div",
    { class: "empty" },
    h("div", { class: "empty-icon" }, icon(name)),
    h("h2", {}, title),
    h("p", {}, text),
    ...actions,
  );
}
