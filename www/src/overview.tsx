// The first view: the stored items, what the rounds have cost, and what the last ones have changed.
import { Activity, ArrowDownToLine, Database, History as HistoryIcon } from "lucide-react";
import type { LucideIcon } from "lucide-react";
import { describe } from "deltalink/describe";
import { type ReactNode, useState } from "react";
import { DaysChart, RoundsChart, Table } from "./charts";
import { all, type Collection, LABELS, useCollections } from "./collections";
import { type Cost, hasChanges, type History, type RoundEntry } from "./rounds";
import { bytes, duration, enumerated, number, plural, shortTime, timeOfDay } from "./text";
import { Button, useDetails, useNow } from "./ui";
import {
  Differences,
  markedInWords,
  phaseOf,
  roundInWords,
  StateIcon,
  useHistory,
  useStoredCount,
  useWords,
} from "./view";

interface OverviewProps {
  history: History;
  /** Goes to a collection, and shows only its marked items. */
  onShow: (collection: Collection<unknown>) => void;
}

export function Overview({ history, onShow }: OverviewProps) {
  const collections = all(useCollections());
  const { rounds, days, costs } = useHistory(history);
  const withChanges = rounds.find(hasChanges);
  return (
    <section id="overview" className="view wide" aria-labelledby="overview-heading">
      <header className="view-head">
        <div className="view-title">
          <h1 id="overview-heading" tabIndex={-1}>
            Overview
          </h1>
        </div>
      </header>
      <Tiles collections={collections} costs={Object.values(costs)} />
      <div className="panel">
        <h2>Collections</h2>
        <ul className="queries">
          {collections.map((collection) => (
            <QueryRow key={collection.id} collection={collection} onShow={onShow} />
          ))}
        </ul>
      </div>
      <div className="panels">
        <RoundPanel title="Last round" round={rounds[0]} collections={collections} kind="last" />
        <RoundPanel
          title="Last round with changes"
          round={withChanges}
          collections={collections}
          kind="lastWithChanges"
        />
      </div>
      <div className="panels">
        <div className="panel">
          <RoundsChart rounds={rounds} />
        </div>
        <div className="panel">
          <DaysChart days={days} />
        </div>
      </div>
      <RoundList rounds={rounds} events={collections[0]} />
    </section>
  );
}

function Tiles({ collections, costs }: { collections: Collection<unknown>[]; costs: Cost[] }) {
  const now = useNow();
  const held = collections.reduce((sum, { items }) => sum + items.length, 0);
  const counts = collections.map(({ items, noun }) => plural(items.length, noun));
  const synced = collections.flatMap(({ status }) => status.lastSyncedAt?.getTime() ?? []);
  const last = synced.length > 0 ? Math.max(...synced) : undefined;
  const sum = (of: (cost: Cost) => number) => costs.reduce((total, cost) => total + of(cost), 0);
  const requests = { spent: sum((cost) => cost.requests), listed: sum(({ listed }) => listed.requests) };
  const data = { spent: sum((cost) => cost.bytes), listed: sum(({ listed }) => listed.bytes) };
  return (
    <ul className="tiles">
      <Tile icon={Database} name="Items held" value={number(held)}>
        {enumerated(counts)}
      </Tile>
      <Tile icon={HistoryIcon} name="Last sync" value={last ? shortTime(new Date(last)) : "Never"}>
        {last
          ? describe({ phase: "idle", lastSyncedAt: new Date(last) }, { now: Math.max(now, last) })
          : "The first round lists everything once."}
      </Tile>
      <Tile icon={Activity} name="Requests" value={number(requests.spent)}>
        {savingOf(requests, number)}
      </Tile>
      <Tile icon={ArrowDownToLine} name="Data received" value={bytes(data.spent)}>
        {savingOf(data, bytes)}
      </Tile>
    </ul>
  );
}

function Tile(props: { icon: LucideIcon; name: string; value: string; children: ReactNode }) {
  const { icon: Icon, name, value, children } = props;
  return (
    <li className="tile">
      <h2>
        <Icon className="icon" aria-hidden="true" />
        {name}
      </h2>
      <p className="value">{value}</p>
      <p className="hint">{children}</p>
    </li>
  );
}

function savingOf(
  { spent, listed }: { spent: number; listed: number },
  format: (value: number) => string,
): string {
  if (listed <= spent) return "Later rounds ask only for changes.";
  const saved = Math.round((1 - spent / listed) * 100);
  return `Instead of ${format(listed)} for listing everything each time: ${saved}\u00a0% less.`;
}

function QueryRow({
  collection,
  onShow,
}: {
  collection: Collection<unknown>;
  onShow: OverviewProps["onShow"];
}) {
  const { id, label, items, noun, status, marks, query } = collection;
  const [isDetailed] = useDetails();
  const words = useWords(collection);
  const { nextRoundAt } = status;
  return (
    <li className="query" data-phase={phaseOf(collection)} data-busy={collection.isBusy}>
      <a href={`#${id}`}>{label}</a>
      <span className="query-count">{plural(items.length, noun)}</span>
      <span className="state">
        {query && <StateIcon collection={collection} />}
        {query ? words : "Not readable with this sign-in."}
      </span>
      <span className="query-next">
        {nextRoundAt ? `Next round about ${timeOfDay(nextRoundAt)}` : query ? "No round planned" : ""}
        {isDetailed && ` (${status.phase})`}
      </span>
      <span className="query-news">
        {marks.size > 0 && (
          <Button onClick={() => onShow(collection)}>
            {markedInWords(collection)}, show<span className="sr-only"> in {label}</span>
          </Button>
        )}
      </span>
    </li>
  );
}

interface RoundPanelProps {
  title: string;
  round: RoundEntry | undefined;
  collections: Collection<unknown>[];
  kind: "last" | "lastWithChanges";
}

function RoundPanel({ title, round, collections, kind }: RoundPanelProps) {
  const changes = round && collections.find(({ id }) => id === round.view)?.[kind];
  return (
    <div className="panel round-panel" role="group" aria-label={title}>
      <h2>{title}</h2>
      {round ? (
        <>
          <p className="round-words">
            {LABELS[round.view]}: {roundInWords(round)}
          </p>
          <p className="hint">{factsOf(round)}</p>
          {changes && changes.differences.length > 0 && (
            <Differences title="What changed" changes={changes} />
          )}
        </>
      ) : (
        <p className="hint">None yet.</p>
      )}
    </div>
  );
}

const factsOf = ({ startedAt, endedAt, requests, bytes: size }: RoundEntry): string => {
  const facts = [plural(requests, "request"), bytes(size), duration(endedAt - startedAt)];
  return [timeOfDay(new Date(endedAt)), ...facts].join(" · ");
};

/** The number of rounds that the list shows at first. */
const SHOWN = 8;

function RoundList({ rounds, events }: { rounds: RoundEntry[]; events: Collection<unknown> | undefined }) {
  const [isDetailed] = useDetails();
  const [isAll, setAll] = useState(false);
  const shown = isAll ? rounds : rounds.slice(0, SHOWN);
  return (
    <div className="panel">
      <h2>History of rounds</h2>
      {rounds.length === 0 && <p className="hint">The first round has not ended yet.</p>}
      {rounds.length > 0 && (
        <div className="scroll" tabIndex={0} role="group" aria-label="Table of rounds">
          <Table
            label="History of rounds"
            head={[
              ...["Time", "Collection", "Result", "Requests", "Data", "Took"],
              ...(isDetailed ? ["Kind", "Pages", "Retries", "Code"] : []),
            ]}
            rows={shown.map((round) => ({
              key: `${round.view} ${round.endedAt}`,
              cells: [
                timeOfDay(new Date(round.endedAt)),
                LABELS[round.view],
                roundInWords(round),
                number(round.requests),
                bytes(round.bytes),
                duration(round.endedAt - round.startedAt),
                ...(isDetailed
                  ? [round.kind, round.pages, round.retries, round.code ?? round.resync ?? ""]
                  : []),
              ],
            }))}
          />
        </div>
      )}
      {events && <SeriesNote events={events} />}
      {rounds.length > SHOWN && (
        <Button aria-expanded={isAll} onClick={() => setAll(!isAll)}>
          {isAll ? "Show fewer" : `Show all ${rounds.length}`}
        </Button>
      )}
    </div>
  );
}

/** Explains why the rounds of the calendar count more items than it has events. */
function SeriesNote({ events }: { events: Collection<unknown> }) {
  const stored = useStoredCount(events);
  const shown = events.items.length;
  if (stored === undefined || stored <= shown) return undefined;
  return (
    <p className="hint">
      {`Rounds count ${plural(stored, "item")} of the calendar: ${plural(shown, "event")}, and `}
      {`${plural(stored - shown, "series", "series")}, which the calendar shows as events.`}
    </p>
  );
}
