// The common part of the three views of collections: heading, state, changes and error.
import { CheckCheck, CircleCheck, Clock, CloudOff, Copy, LockKeyhole, RefreshCw, Square } from "lucide-react";
import { TriangleAlert } from "lucide-react";
import type { DeltaError, QueryStatus } from "deltalink";
import { describe } from "deltalink/describe";
import { type ReactNode, useEffect, useState, useSyncExternalStore } from "react";
import type { Changes, Collection } from "./collections";
import { changesInWords, hasChanges, type History, type RoundEntry, summaryOf } from "./rounds";
import { dateAndTime, number, plural, shortTime, timeOfDay } from "./text";
import { Button, Facts, Skeleton, useDetails, useNow } from "./ui";

export function useOnline(): boolean {
  const subscribe = (run: () => void) => {
    window.addEventListener("online", run);
    window.addEventListener("offline", run);
    return () => {
      window.removeEventListener("online", run);
      window.removeEventListener("offline", run);
    };
  };
  return useSyncExternalStore(subscribe, () => navigator.onLine);
}

export function useHistory(history: History) {
  return useSyncExternalStore(history.subscribe, history.get);
}

/** The state of a collection in words for users. */
export function useWords({ status, query }: Collection<unknown>): string {
  const now = useNow();
  const isOnline = useOnline();
  const { lastSyncedAt, phase } = status;
  if (!query) return "";
  if (!isOnline || (phase === "waiting" && status.waitReason === "offline"))
    return `Offline. ${lastSyncedAt ? `Showing the copy of ${shortTime(lastSyncedAt)}.` : "Nothing is stored yet."}`;
  // `now` may be a few seconds old. A round that has ended since must not be "in the future".
  return describe(status, { now: Math.max(now, lastSyncedAt?.getTime() ?? 0) });
}

export function StateIcon({ collection }: { collection: Collection<unknown> }) {
  const isOnline = useOnline();
  const iconOf = ({ status, isBusy, error }: Collection<unknown>) => {
    if (!isOnline) return CloudOff;
    if (status.phase === "waiting") return Clock;
    if (status.phase === "needs-auth") return LockKeyhole;
    if (error) return TriangleAlert;
    if (isBusy) return RefreshCw;
    return status.lastSyncedAt ? CircleCheck : Clock;
  };
  const Icon = iconOf(collection);
  return <Icon className="icon state-icon" aria-hidden="true" />;
}

/** The phase of a collection for style sheets and tests. */
export function phaseOf({ status, isBusy, error }: Collection<unknown>): string {
  if (status.phase === "needs-auth") return "needs-auth";
  if (error && !isBusy) return "failed";
  if (isBusy && ["new", "idle", "failed"].includes(status.phase)) return "syncing";
  return status.phase === "new" ? "idle" : status.phase;
}

interface ViewProps<T> {
  collection: Collection<T>;
  history: History;
  tools?: ReactNode;
  /** A button for an error, in addition to "Try again". */
  action?: ((error: DeltaError) => ReactNode) | undefined;
  onlyMarked: boolean;
  setOnlyMarked: (isOn: boolean) => void;
  /** A control above the list, shown even if the list is empty. */
  above?: ReactNode;
  /** Shown instead of an empty list while no round runs. Without it the list is shown. */
  empty?: ReactNode;
  children: ReactNode;
}

export function View<T>(props: ViewProps<T>) {
  const { collection, history, tools, action, onlyMarked, setOnlyMarked, above, empty, children } = props;
  const { id, label, noun, items, query, isBusy, ready, error, marks, canStop, status, isFilling } =
    collection;
  const [isDetailed] = useDetails();
  const words = useWords(collection);
  const isEmpty = items.length === 0;
  const isLoading = !ready || (isEmpty && (isBusy || (!status.lastSyncedAt && status.phase === "new")));
  const bodyOf = (): ReactNode => {
    if (!empty) return children;
    if (isFilling || (isLoading && isEmpty && query && !error)) return <Skeleton />;
    return isEmpty && !error ? empty : children;
  };
  return (
    <section
      id={id}
      className="view"
      aria-labelledby={`${id}-heading`}
      data-phase={phaseOf(collection)}
      data-busy={isBusy}
      data-count={items.length}
    >
      <header className="view-head">
        <div className="view-title">
          <h1 id={`${id}-heading`} tabIndex={-1}>
            {label}
          </h1>
          {items.length > 0 && <span className="count">{plural(items.length, noun)}</span>}
        </div>
        <div className="tools">
          {tools}
          {query && (
            <Button
              className="primary sync"
              icon={canStop ? Square : RefreshCw}
              onClick={() => (canStop ? collection.stop() : void collection.sync())}
            >
              {canStop ? "Stop" : "Sync"}
            </Button>
          )}
        </div>
      </header>
      {query && (
        <p className="state">
          <StateIcon collection={collection} />
          <span>{words}</span>
        </p>
      )}
      <div className="progress" data-on={isBusy} aria-hidden="true" />
      {isDetailed && query && <TechnicalDetails collection={collection} history={history} />}
      {error && status.phase !== "needs-auth" && (
        <ErrorCard collection={collection} error={error} action={action?.(error)} />
      )}
      {marks.size > 0 && (
        <News collection={collection} onlyMarked={onlyMarked} setOnlyMarked={setOnlyMarked} />
      )}
      {above}
      {bodyOf()}
    </section>
  );
}

/** "5 new, 2 changed": the marked items, until the user has looked at them. */
function News({
  collection,
  onlyMarked,
  setOnlyMarked,
}: Pick<ViewProps<unknown>, "onlyMarked" | "setOnlyMarked"> & {
  collection: Collection<unknown>;
}) {
  return (
    <div className="news" role="group" aria-label="Changed items">
      <p>{markedInWords(collection)}</p>
      <Button aria-pressed={onlyMarked} onClick={() => setOnlyMarked(!onlyMarked)}>
        {onlyMarked ? "Show all" : "Show"}
      </Button>
      <Button
        className="quiet"
        icon={CheckCheck}
        onClick={() => (setOnlyMarked(false), collection.markSeen())}
      >
        Mark as seen
      </Button>
    </div>
  );
}

export function markedInWords({ marks }: Collection<unknown>): string {
  const all = [...marks.values()];
  const added = all.filter((mark) => mark === "new").length;
  return changesInWords({ added, changed: all.length - added, removed: 0 });
}

/** The state in technical terms. */
function TechnicalDetails<T>({ collection, history }: { collection: Collection<T>; history: History }) {
  const { status, id, noun, items, query, last, lastWithChanges } = collection;
  const { rounds } = useHistory(history);
  const own = rounds.filter(({ view }) => view === id);
  const stored = useStoredCount(collection);
  const withChanges = own.find(hasChanges);
  const more =
    stored === undefined || stored === items.length ? "" : `, ${number(stored)} with series masters`;
  return (
    <div className="technical" role="group" aria-label={`Details of ${collection.label}`}>
      <p>{progressOf(status)}</p>
      {own[0] && <p>Last round: {summaryOf(own[0], timeOfDay)}</p>}
      {withChanges && withChanges !== own[0] && (
        <p>Last round with changes: {summaryOf(withChanges, timeOfDay)}</p>
      )}
      <p>
        {plural(items.length, noun)} in the mirror{more} · key {query?.key.split(" ")[0]?.slice(0, 60)}
      </p>
      <Differences title="Changes of the last round" changes={last} />
      {lastWithChanges && lastWithChanges !== last && (
        <Differences title="Changes of the last round with changes" changes={lastWithChanges} />
      )}
    </div>
  );
}

/** The number of stored items with series masters, which the list of events leaves out. */
export function useStoredCount<T>({ query, items, id }: Collection<T>): number | undefined {
  const [count, setCount] = useState<number>();
  useEffect(() => {
    let isCurrent = true;
    if (id === "calendar")
      query?.count({ occurrences: "raw" }).then(
        (value) => isCurrent && setCount(value),
        () => undefined,
      );
    return () => {
      isCurrent = false;
    };
  }, [query?.key, items, id]);
  return count;
}

function progressOf({ phase, progress, waitUntil, waitReason, nextRoundAt }: QueryStatus): string {
  return [
    phase,
    ...(waitReason ? [`waits because of: ${waitReason}`] : []),
    ...(waitUntil ? [`until ${timeOfDay(waitUntil)}`] : []),
    ...(progress
      ? [plural(progress.pages, "page"), plural(progress.items, "item"), plural(progress.requests, "request")]
      : []),
    ...(nextRoundAt ? [`next round about ${timeOfDay(nextRoundAt)}`] : []),
  ].join(" · ");
}

const MAX_DIFFERENCES = 30;

export function Differences({ title, changes }: { title: string; changes: Changes | undefined }) {
  if (!changes) return undefined;
  const { differences } = changes;
  const shown = differences.slice(0, differences.length > MAX_DIFFERENCES ? 10 : MAX_DIFFERENCES);
  return (
    <details className="last-round">
      <summary>
        {title} ({differences.length})
      </summary>
      <ul className="differences" aria-label={title}>
        {shown.map(({ verb, title, note }, index) => (
          <li key={index} data-verb={verb.toLowerCase()}>
            <span className="verb">{verb}</span> <span className="what">{title}</span>
            {note && <span className="note">{note}</span>}
          </li>
        ))}
        {differences.length > shown.length && (
          <li className="more">and {number(differences.length - shown.length)} more</li>
        )}
        {differences.length === 0 && <li className="more">Nothing has changed.</li>}
      </ul>
    </details>
  );
}

function ErrorCard<T>(props: { collection: Collection<T>; error: DeltaError; action: ReactNode }) {
  const { collection, error, action } = props;
  const { items, status, query } = collection;
  const [isDetailed] = useDetails();
  const [copied, setCopied] = useState<string>();
  const report = () => reportOf(error, query?.key);
  const copy = () =>
    navigator.clipboard.writeText(report()).then(
      () => setCopied("Copied"),
      () => setCopied(report()),
    );
  const words = describe({ phase: "failed", error });
  return (
    <div className="error-card" role="group" aria-label="Problem" data-code={error.code}>
      <TriangleAlert className="icon" aria-hidden="true" />
      <div className="error-body">
        <h2>{words}</h2>
        <p>
          {items.length > 0
            ? `The list shows the copy of ${shortTime(status.lastSyncedAt ?? new Date())}.`
            : "There is no stored copy to show yet."}
        </p>
        {isDetailed && (
          <>
            <p>{error.message}</p>
            <Facts
              facts={[
                ["Code", error.code],
                ["Status", error.status?.toString()],
                ["Graph code", error.graphCode],
                ["Request id", error.requestId],
                ["Client request id", error.clientRequestId],
                ["Not before", error.retryAt && dateAndTime(error.retryAt)],
              ]}
            />
          </>
        )}
        <div className="actions">
          {action}
          <Button className={action ? "" : "primary"} icon={RefreshCw} onClick={() => void collection.sync()}>
            Try again
          </Button>
          <Button icon={Copy} onClick={() => void copy()}>
            Copy report
          </Button>
          {copied === "Copied" && <span className="copied">Copied</span>}
          {/* Without permission for the clipboard, the user can copy the text. */}
          {copied && copied !== "Copied" && (
            <textarea readOnly rows={8} aria-label="Report" value={copied} autoFocus />
          )}
        </div>
      </div>
    </div>
  );
}

/** A report for an issue. The package keeps tokens out of errors. */
function reportOf(error: DeltaError, key: string | undefined): string {
  const { name, message, code, status, graphCode, requestId, retryable, retryAt, report } = error;
  const fields = { name, message, code, status, graphCode, requestId, retryable, retryAt };
  return JSON.stringify({ error: fields, report, query: key, browser: navigator.userAgent }, null, 2);
}

/** The last round as a person reads it: "5 new, 1 removed", "no changes" or "failed". */
export const roundInWords = (round: RoundEntry): string =>
  round.outcome === "failed" ? "failed" : changesInWords(round) || "no changes";
