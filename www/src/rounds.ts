// The history of rounds: what each one cost and changed. Kept in the browser, separately for each
// account. Contains counts, codes and times, but no items.
import type { LogEntry, RoundReport, WaitReason } from "deltalink";
import { settings } from "./settings";

export type ViewId = "calendar" | "contacts" | "recordings";

/** A round that has ended. Points in time are in milliseconds since 1970. */
export interface RoundEntry {
  view: ViewId;
  outcome: RoundReport["outcome"];
  kind: RoundReport["kind"];
  resumed: boolean;
  resync?: string;
  code?: string;
  startedAt: number;
  endedAt: number;
  pages: number;
  items: number;
  added: number;
  changed: number;
  removed: number;
  requests: number;
  retries: number;
  bytes: number;
  waits: { reason: WaitReason; ms: number }[];
}

/** The changes of one day. */
export interface Day {
  added: number;
  changed: number;
  removed: number;
}

/** The cost of all rounds of a query, and the cost of listing everything. */
export interface Cost {
  requests: number;
  bytes: number;
  /** The cost of the last complete full round. */
  full?: { requests: number; bytes: number };
  /** The cost if each complete round had listed everything. */
  listed: { requests: number; bytes: number };
}

export interface Rounds {
  /** The newest round is the first. */
  rounds: RoundEntry[];
  /** By date, as `YYYY-MM-DD`. */
  days: Record<string, Day>;
  costs: Partial<Record<ViewId, Cost>>;
}

const MAX_ROUNDS = 150;
const MAX_DAYS = 14;
const NOTHING: Rounds = { rounds: [], days: {}, costs: {} };

export const hasChanges = ({ added, changed, removed }: Day): boolean => added + changed + removed > 0;

/** The changes of a round, all removals as one number. */
const changesOf = ({ added, changed, removed, ghosts, leftWindow }: RoundReport): Day => ({
  added,
  changed,
  removed: removed + ghosts + leftWindow,
});

export class History {
  /** The name of the setting that has the history. */
  readonly name: string;
  readonly #views = new Map<string, ViewId>();
  #text: string | undefined;
  #value = NOTHING;

  constructor(account: string) {
    this.name = `rounds.${account}`;
  }

  /** Assigns the rounds of a query, which the hash of its key names, to a view. */
  register(view: ViewId, keyHash: string): void {
    this.#views.set(keyHash, view);
  }

  readonly get = (): Rounds => {
    const text = settings.get(this.name);
    if (text !== this.#text) {
      this.#text = text;
      this.#value = parse(text);
    }
    return this.#value;
  };

  readonly subscribe = settings.subscribe;

  /** The `log` of `openDelta()`. */
  readonly log = (entry: LogEntry): void => {
    const view = this.#views.get(entry.keyHash);
    if (entry.event !== "round" || !view) return;
    const { report, code, time } = entry;
    const { outcome, kind, resumed, resync, pages, items, requests, retries, bytes, waits } = report;
    const round: RoundEntry = {
      ...{ view, outcome, kind, resumed, pages, items, requests, retries, bytes, waits },
      ...changesOf(report),
      ...(resync && { resync }),
      ...(code && { code }),
      startedAt: report.startedAt.getTime(),
      endedAt: time.getTime(),
    };
    settings.set(this.name, JSON.stringify(roundsAfter(this.get(), round)));
  };

  clear(): void {
    settings.set(this.name, undefined);
  }
}

function parse(text: string | undefined): Rounds {
  try {
    const { rounds, days, costs } = JSON.parse(text ?? "{}") as Partial<Rounds>;
    if (Array.isArray(rounds) && days && costs) return { rounds, days, costs };
  } catch {
    // An unreadable history begins anew.
  }
  return NOTHING;
}

/** The history with one more round. */
export function roundsAfter({ rounds, days, costs }: Rounds, round: RoundEntry): Rounds {
  const date = new Date(round.endedAt).toLocaleDateString("sv");
  const day = days[date] ?? { added: 0, changed: 0, removed: 0 };
  // A first round adds everything, which is not a change of that day.
  const isFirst = round.kind === "full" && !round.resync && !rounds.some(({ view }) => view === round.view);
  const sum = isFirst
    ? day
    : {
        added: day.added + round.added,
        changed: day.changed + round.changed,
        removed: day.removed + round.removed,
      };
  const kept = Object.entries({ ...days, [date]: sum }).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    rounds: [round, ...rounds].slice(0, MAX_ROUNDS),
    days: Object.fromEntries(kept.slice(-MAX_DAYS)),
    costs: { ...costs, [round.view]: costAfter(costs[round.view], round) },
  };
}

function costAfter(cost: Cost | undefined, round: RoundEntry): Cost {
  const { requests, bytes } = round;
  const { listed = { requests: 0, bytes: 0 }, full, ...sum } = cost ?? { requests: 0, bytes: 0 };
  const isFull = round.outcome === "complete" && round.kind === "full";
  // A resumed round has listed only a part.
  const whole = isFull && (!full || !round.resumed) ? { requests, bytes } : full;
  const isCounted = round.outcome === "complete" && whole;
  return {
    requests: sum.requests + requests,
    bytes: sum.bytes + bytes,
    ...(whole && { full: whole }),
    listed: isCounted
      ? { requests: listed.requests + whole.requests, bytes: listed.bytes + whole.bytes }
      : listed,
  };
}

/** A round in technical terms. */
export function summaryOf(round: RoundEntry, timeOf: (date: Date) => string): string {
  const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;
  return [
    ...(round.outcome === "complete" ? [] : [`${round.outcome}${round.code ? ` (${round.code})` : ""}`]),
    `added ${round.added}, changed ${round.changed}, removed ${round.removed}`,
    count(round.pages, "page"),
    count(round.requests, "request"),
    ...(round.retries > 0 ? [count(round.retries, "retry", "retries")] : []),
    ...(round.resync ? ["started over with a full round"] : round.resumed ? ["resumed"] : []),
    timeOf(new Date(round.endedAt)),
  ].join(" · ");
}

/** The changes in words for users: "5 new, 1 removed", or an empty string. */
export const changesInWords = ({ added, changed, removed }: Day): string =>
  [added && `${added} new`, changed && `${changed} changed`, removed && `${removed} removed`]
    .filter(Boolean)
    .join(", ");
