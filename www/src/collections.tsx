// The three collections of a session. Each is a live query with the changes of its rounds, and with
// marks on the items that the rounds have added or changed.
import type { CallRecording, Change, DeltaError, DeltaQuery, Event, OccurrenceOptions } from "deltalink";
import type { OrgContact, QueryStatus } from "deltalink";
import { describe } from "deltalink/describe";
import { useDelta } from "deltalink/react";
import { createContext, useContext, useEffect, useMemo, useRef, useState } from "react";
import { changesInWords, type History, type ViewId } from "./rounds";
import { type Mark, useAnnounce } from "./ui";

export interface Difference {
  verb: "Added" | "Changed" | "Removed";
  title: string;
  note: string;
}

/** The changes of a round. */
export interface Changes {
  at: number;
  differences: Difference[];
}

/** The part of a query that views use. */
interface StoredQuery {
  readonly key: string;
  count(options?: OccurrenceOptions): Promise<number>;
}

/** The properties of contacts that the dashboard selects. */
export const CONTACT_PROPERTIES = [
  "displayName",
  "givenName",
  "surname",
  "companyName",
  "department",
  "jobTitle",
  "mail",
  "phones",
] as const;
export type Contact = Pick<OrgContact, (typeof CONTACT_PROPERTIES)[number] | "id">;

export interface Collection<T> {
  id: ViewId;
  label: string;
  /** The singular noun for an item: "event". */
  noun: string;
  query: StoredQuery | undefined;
  items: readonly T[];
  byId: ReadonlyMap<string, T>;
  /** Whether the mirror has been read. True without a query. */
  ready: boolean;
  status: QueryStatus;
  error: DeltaError | undefined;
  /** Whether a round runs, in this tab or in the one that leads. */
  isBusy: boolean;
  /**
   * Whether the first round runs. No rows are shown meanwhile, because they would move while others
   * arrive.
   */
  isFilling: boolean;
  marks: ReadonlyMap<string, Mark>;
  /** The changes of the running round, or else of the last one. */
  last: Changes | undefined;
  /** The changes of the last round that had any. */
  lastWithChanges: Changes | undefined;
  /** Runs a round. It never rejects: `error` shows why a round failed. */
  sync(): Promise<void>;
  /** Whether `stop()` ends the running round, because it began with `sync()` in this tab. */
  canStop: boolean;
  stop(): void;
  /** Removes the mark of an item, or all marks. */
  markSeen(id?: string): void;
}

export interface Collections {
  calendar: Collection<Event>;
  contacts: Collection<Contact>;
  recordings: Collection<CallRecording>;
}

export const VIEW_IDS = ["calendar", "contacts", "recordings"] as const;
export const LABELS: Record<ViewId, string> = {
  calendar: "Calendar",
  contacts: "Contacts",
  recordings: "Recordings",
};
const NOUNS: Record<ViewId, string> = { calendar: "event", contacts: "contact", recordings: "recording" };

const Context = createContext<Collections | undefined>(undefined);
export const CollectionsProvider = Context;

export function useCollections(): Collections {
  const collections = useContext(Context);
  if (!collections) throw new Error("useCollections() is called outside of a session");
  return collections;
}

export const all = (collections: Collections): Collection<{ id: string }>[] =>
  VIEW_IDS.map((id) => collections[id]);

/** The options of the live queries. `every` is in milliseconds. */
const LIVE = { every: 30_000, hidden: "pause" } as const;
const STOPPED = new DOMException("Stopped by the user", "AbortError");
const NO_MARKS: ReadonlyMap<string, Mark> = new Map();
const NOTES: Record<string, string> = {
  changed: "can be restored on the server",
  ghost: "no longer listed by a full round",
  "left-window": "no longer in the window",
};

interface Options<T> {
  id: ViewId;
  query: DeltaQuery<T> | undefined;
  history: History;
  isLive: boolean;
  titleOf(item: T): string;
}

/** The state of a collection that belongs to one query. */
interface CollectionState {
  marks: ReadonlyMap<string, Mark>;
  last?: Changes;
  lastWithChanges?: Changes;
}

export function useCollection<T extends { id: string }>(options: Options<T>): Collection<T> {
  const { id, query, history, isLive, titleOf } = options;
  const announce = useAnnounce();
  if (query) history.register(id, query.keyHash);
  const { items, ready, synced, status, error } = useDelta(query, { live: isLive && LIVE });
  const byId = useMemo(() => new Map(items.map((item) => [item.id, item])), [items]);
  const latestById = useRef(byId);
  useEffect(() => {
    latestById.current = byId;
  }, [byId]);

  const key = query?.key;
  const [state, setState] = useState<{ key?: string | undefined; value: CollectionState }>();
  const collectionState = state && state.key === key ? state.value : { marks: NO_MARKS };
  const updateState = (change: (value: CollectionState) => CollectionState): void =>
    setState((before) => ({
      key,
      value: change(before && before.key === key ? before.value : { marks: NO_MARKS }),
    }));

  // The running round. The changes of all its commits are one list.
  const round = useRef<{ at: number; isFirst: boolean } | undefined>(undefined);
  const begin = (): void => {
    round.current ??= { at: Date.now(), isFirst: !status.lastSyncedAt };
  };
  const addChanges = (changes: Change<T>[]): void => {
    begin();
    const { at, isFirst } = round.current ?? { at: 0, isFirst: false };
    const found = changes.flatMap((change) => differenceOf(change, latestById.current, titleOf) ?? []);
    updateState((before) => {
      const marks = new Map(before.marks);
      for (const { id, mark } of found) {
        if (mark && !isFirst) marks.set(id, mark);
        else marks.delete(id);
      }
      const earlier = before.last?.at === at ? before.last.differences : [];
      const last = { at, differences: [...earlier, ...found.map(({ difference }) => difference)] };
      return { marks, last, ...(last.differences.length > 0 && { lastWithChanges: last }) };
    });
  };
  const listener = useRef(addChanges);
  useEffect(() => {
    listener.current = addChanges;
  });
  useEffect(() => query?.on("change", (changes) => listener.current(changes)), [key]);

  // A round that a button starts counts as running before the status shows it, and until the list
  // shows its changes.
  const [pressed, setPressed] = useState(0);
  const [isSettling, setSettling] = useState(false);
  const abort = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => abort.current?.abort(STOPPED), [key]);
  useEffect(() => {
    if (!isSettling || !query) return undefined;
    let isCurrent = true;
    const settle = (count?: number) => {
      if (isCurrent && (count === undefined || count === items.length)) setSettling(false);
    };
    query.count().then(settle, () => settle());
    return () => {
      isCurrent = false;
    };
  }, [isSettling, items, key]);

  const isRunning = pressed > 0 || isSettling || Boolean(status.progress);
  // After the first round the phase is `syncing`, until the list has all rows.
  const isFirst = ready && !synced && (isRunning || status.phase === "syncing");
  // Without network, a first round that has not begun must not show a skeleton for ever.
  const isFilling = isFirst && (Boolean(status.progress) || status.waitReason !== "offline");
  const isBusy = Boolean(query) && (isRunning || isFilling);
  const wasBusy = useRef(false);
  useEffect(() => {
    if (isBusy) {
      begin();
      wasBusy.current = true;
    } else if (wasBusy.current) {
      const { at, isFirst } = round.current ?? { at: 0, isFirst: true };
      round.current = undefined;
      wasBusy.current = false;
      const changes = collectionState.last?.at === at ? collectionState.last.differences : [];
      if (changes.length === 0) updateState((before) => ({ ...before, last: { at, differences: [] } }));
      if (status.phase === "failed" || status.phase === "needs-auth")
        announce(`${LABELS[id]}: ${describe(status)}`);
      else if (isFirst && items.length > 0) announce(`${LABELS[id]}: loaded.`);
      else if (changes.length > 0) announce(`${LABELS[id]}: ${changesInWords(totalsOf(changes))}.`);
    }
  }, [isBusy]);

  return {
    ...{ id, label: LABELS[id], noun: NOUNS[id], query, items, byId, status, isFilling },
    isBusy,
    ready: ready || !query,
    error: isBusy ? undefined : error,
    marks: collectionState.marks,
    last: collectionState.last,
    lastWithChanges: collectionState.lastWithChanges,
    async sync() {
      if (!query) return;
      abort.current ??= new AbortController();
      const own = abort.current;
      setPressed((count) => count + 1);
      try {
        await query.sync({ signal: own.signal });
        setSettling(true);
      } catch {
        // The status shows the error.
      } finally {
        if (abort.current === own) abort.current = undefined;
        setPressed((count) => count - 1);
      }
    },
    canStop: pressed > 0,
    stop: () => abort.current?.abort(STOPPED),
    markSeen(id) {
      updateState((before) => {
        const marks = new Map(id === undefined ? [] : before.marks);
        if (id !== undefined) marks.delete(id);
        return { ...before, marks };
      });
    },
  };
}

/** A change as the dashboard shows it. Undefined if it shows no difference. */
function differenceOf<T>(
  change: Change<T>,
  items: ReadonlyMap<string, T>,
  titleOf: (item: T) => string,
): { id: string; mark?: Mark; difference: Difference } | undefined {
  const { id } = change;
  if (change.type === "remove") {
    const gone = change.old ?? items.get(id);
    const note = NOTES[change.reason] ?? "";
    return gone && { id, difference: { verb: "Removed", title: titleOf(gone), note } };
  }
  if (change.partial) return undefined;
  const { item, old = items.get(id), isNew = !items.has(id) } = change;
  if (old && JSON.stringify(old) === JSON.stringify(item)) return undefined;
  const difference: Difference = { verb: isNew ? "Added" : "Changed", title: titleOf(item), note: "" };
  return { id, mark: isNew ? "new" : "changed", difference };
}

const totalsOf = (differences: Difference[]) => ({
  added: differences.filter(({ verb }) => verb === "Added").length,
  changed: differences.filter(({ verb }) => verb === "Changed").length,
  removed: differences.filter(({ verb }) => verb === "Removed").length,
});
