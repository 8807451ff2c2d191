// Charts of rounds: stacked bars as SVG, colored by the style sheet. Each chart has a table
// with the same numbers.
import { scaleBand, scaleLinear } from "d3-scale";
import { stack } from "d3-shape";
import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { addDays } from "./calendar";
import { LABELS } from "./collections";
import { shortDay, today } from "./dates";
import type { Day, RoundEntry } from "./rounds";
import { duration, timeOfDay } from "./text";
import { roundInWords } from "./view";

const KINDS = ["added", "changed", "removed"] as const;
const WORDS = { added: "New", changed: "Changed", removed: "Removed" };
const HEIGHT = 160;
const TOP = 16;
const BASE = 128;
const LEFT = 28;

/** Font sizes of the number above a bar, in pixels. One that does not fit is in the table only. */
const [MIN_FONT_SIZE, MAX_FONT_SIZE] = [8, 12];
/** The font size at which a number is as wide as a bar and its gap. A digit is 0.6 em wide. */
const fontSizeOf = (value: number, width: number): number =>
  Math.min(MAX_FONT_SIZE, width / (0.6 * (String(value).length + 0.5)));

interface Bar extends Day {
  key: string;
  /** The text below the bar, if any. */
  label?: string;
  title: string;
  hasFailed?: boolean;
  /** The time of all waits, in milliseconds. */
  waited?: number;
}

interface ChartProps {
  title: string;
  bars: Bar[];
  /** A bar with a larger sum is cut off and crossed by a gap, and the sum is written above it. */
  max: number;
  withRounds?: boolean;
  head: string[];
  rows: { key: string; cells: string[] }[];
}

function Chart({ title, bars, max, withRounds, head, rows }: ChartProps) {
  const id = useId();
  const [element, width] = useWidth();
  const x = scaleBand<string>()
    .domain(bars.map(({ key }) => key))
    .range([LEFT, width])
    .padding(0.25)
    // Keeps the bars narrow when there are only a few.
    .paddingOuter(bars.length < 8 ? (8 - bars.length) / 2 : 0.2);
  const y = scaleLinear([0, max], [BASE, TOP]);
  const wait = scaleLinear([0, Math.max(1000, ...bars.map(({ waited = 0 }) => waited))], [0, 12]);
  const layers = stack<Bar>().keys(KINDS)(bars);
  const ticks = y.ticks(3).filter(Number.isInteger);
  const every = Math.ceil((bars.length * 44) / Math.max(1, width));
  return (
    <figure className="chart" aria-labelledby={`${id}-title`}>
      <figcaption>
        <h2 id={`${id}-title`}>{title}</h2>
        <ul className="legend" aria-label="Legend">
          {KINDS.map((kind) => (
            <li key={kind} className={kind}>
              {WORDS[kind]}
            </li>
          ))}
          {withRounds && <li className="failed">Failed</li>}
          {withRounds && <li className="waited">Waited</li>}
        </ul>
      </figcaption>
      <div ref={element} className="chart-area">
        <svg
          width={width}
          height={HEIGHT}
          role="img"
          aria-label={`${title}. The table below has the numbers.`}
        >
          <defs>
            <pattern id={`${id}-changed`} width="6" height="6" patternUnits="userSpaceOnUse">
              <path className="fill-changed" d="M0 0h6v6H0z" />
              <path className="hatch" d="M-1 7 7 -1" />
            </pattern>
            <pattern id={`${id}-removed`} width="6" height="6" patternUnits="userSpaceOnUse">
              <path className="fill-removed" d="M0 0h6v6H0z" />
              <path className="hatch" d="M0 3h6" />
            </pattern>
          </defs>
          {ticks.map((tick) => (
            <g key={tick}>
              <line className="tick" x1={LEFT} x2={width} y1={y(tick)} y2={y(tick)} />
              <text className="tick-text" x={LEFT - 6} y={y(tick) + 4} textAnchor="end">
                {tick}
              </text>
            </g>
          ))}
          {layers.map((layer) =>
            layer.map(([from, to], index) => {
              const bar = bars[index];
              const top = y(Math.min(to, max));
              const height = y(Math.min(from, max)) - top;
              if (!bar || height <= 0) return undefined;
              return (
                <rect
                  key={`${layer.key} ${bar.key}`}
                  className={`bar-${layer.key}`}
                  fill={layer.key === "added" ? undefined : `url(#${id}-${layer.key})`}
                  {...{ x: x(bar.key), y: top, width: x.bandwidth(), height, rx: 1 }}
                />
              );
            }),
          )}
          {bars.map((bar, index) => {
            const middle = (x(bar.key) ?? 0) + x.bandwidth() / 2;
            const sum = bar.added + bar.changed + bar.removed;
            const { waited = 0 } = bar;
            return (
              <g key={bar.key}>
                <title>{bar.title}</title>
                <rect className="hit" x={x(bar.key)} y={TOP} width={x.bandwidth()} height={HEIGHT - TOP} />
                {sum > max && <path className="gap" d={`M${x(bar.key)} ${TOP + 18}l${x.bandwidth()} -8`} />}
                {sum > max && fontSizeOf(sum, x.step()) >= MIN_FONT_SIZE && (
                  <text
                    className="over"
                    style={{ fontSize: fontSizeOf(sum, x.step()) }}
                    {...{ x: middle, y: TOP - 4, textAnchor: "middle" }}
                  >
                    {sum}
                  </text>
                )}
                {waited > 0 && (
                  <rect
                    className="fill-waited"
                    {...{
                      x: x(bar.key),
                      y: BASE + 3,
                      width: x.bandwidth(),
                      height: Math.max(2, wait(waited)),
                    }}
                  />
                )}
                {bar.hasFailed ? (
                  <path className="fail" d={`M${middle - 4} ${BASE - 10}l8 8m0 -8l-8 8`} />
                ) : (
                  sum === 0 && <circle className="nothing" cx={middle} cy={BASE - 3} r="1.5" />
                )}
                {bar.label && index % every === 0 && (
                  <text className="tick-text" x={middle} y={HEIGHT - 4} textAnchor="middle">
                    {bar.label}
                  </text>
                )}
              </g>
            );
          })}
          <line className="base" x1={LEFT} x2={width} y1={BASE} y2={BASE} />
        </svg>
      </div>
      <details className="chart-table">
        <summary>Show as a table</summary>
        <div className="scroll" tabIndex={0} role="group" aria-label={`Table of: ${title}`}>
          <Table head={head} rows={rows} />
        </div>
      </details>
    </figure>
  );
}

/** Follows the width of an element. Returns its ref, and the width: 320 before it is measured. */
function useWidth() {
  const element = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(320);
  useEffect(() => {
    const target = element.current;
    if (!target) return undefined;
    const observer = new ResizeObserver(() => setWidth(Math.max(200, target.clientWidth)));
    observer.observe(target);
    return () => observer.disconnect();
  }, []);
  return [element, width] as const;
}

interface TableProps {
  head: ReactNode[];
  rows: { key: string; cells: ReactNode[] }[];
  label?: string;
}

export function Table({ head, rows, label }: TableProps) {
  return (
    <table className="plain-table" aria-label={label}>
      <thead>
        <tr>
          {head.map((text, index) => (
            <th key={index} scope="col">
              {text}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ key, cells: [first, ...cells] }) => (
          <tr key={key}>
            <th scope="row">{first}</th>
            {cells.map((cell, index) => (
              <td key={index}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const sumOf = ({ added, changed, removed }: Day): number => added + changed + removed;
const waitedIn = ({ waits }: RoundEntry): number => waits.reduce((sum, { ms }) => sum + ms, 0);

/** The last rounds, the newest on the right. */
export function RoundsChart({ rounds }: { rounds: RoundEntry[] }) {
  const shown = rounds.slice(0, 40).reverse();
  // The first rounds list everything, and would dwarf all later ones.
  const later = shown.filter((round) => round.kind === "incremental" && sumOf(round) > 0);
  const max = Math.max(4, ...(later.length ? later : shown).map(sumOf));
  const keyOf = ({ view, endedAt }: RoundEntry) => `${view} ${endedAt}`;
  const bars = shown.map((round): Bar => {
    const { added, changed, removed, view, endedAt, outcome } = round;
    const title = `${LABELS[view]}, ${timeOfDay(new Date(endedAt))}: ${roundInWords(round)}`;
    const hasFailed = outcome === "failed";
    return { key: keyOf(round), added, changed, removed, title, hasFailed, waited: waitedIn(round) };
  });
  return (
    <Chart
      title="Rounds over time"
      bars={bars}
      max={max}
      withRounds
      head={["Time", "Collection", "New", "Changed", "Removed", "Result", "Waited"]}
      rows={[...shown].reverse().map((round) => ({
        key: keyOf(round),
        cells: [
          timeOfDay(new Date(round.endedAt)),
          LABELS[round.view],
          ...[round.added, round.changed, round.removed].map(String),
          round.outcome,
          waitedIn(round) > 0 ? duration(waitedIn(round)) : "",
        ],
      }))}
    />
  );
}

export function DaysChart({ days }: { days: Record<string, Day> }) {
  const nothing = { added: 0, changed: 0, removed: 0 };
  const entries = Array.from({ length: 14 }, (_, index) => addDays(today(), index - 13)).map(
    (date) => [date, days[date] ?? nothing] as const,
  );
  return (
    <Chart
      title="Changes per day"
      bars={entries.map(([date, { added, changed, removed }]) => {
        const title = `${shortDay(date)}: ${added} new, ${changed} changed, ${removed} removed`;
        return { key: date, label: shortDay(date), title, added, changed, removed };
      })}
      max={Math.max(4, ...entries.map(([, day]) => sumOf(day)))}
      head={["Day", "New", "Changed", "Removed"]}
      rows={entries.map(([date, { added, changed, removed }]) => ({
        key: date,
        cells: [shortDay(date), ...[added, changed, removed].map(String)],
      }))}
    />
  );
}
