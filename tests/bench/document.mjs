// Writes docs/performance.md: the tables of a run, and how to read and reproduce them.
import { format, range } from "./report.mjs";
import { ROWS } from "./rows.mjs";
import { median, ratios, summary } from "./stats.mjs";
import { describeMachine } from "./versions.mjs";

const BEFORE = `# Performance

\`make bench\` runs deltalink and four hand-written alternatives in the same pages, against the same
server, one after the other, run by run. This page is written by \`make bench WRITE=1\`.

## Ratios

A cell is the median of the paired ratios of contestant to reference, with their minimum and
maximum. Below 1 is faster, or smaller, than the reference.
`;

const MEDIANS = `## Medians

The median of the runs, with their minimum and maximum.
`;

const AFTER = `## The contestants

All contestants fetch the same pages, store each page and its link in one IndexedDB transaction with
relaxed durability, apply removals, and delete what a full round no longer lists. At the end of each
run the bench compares the number of stored rows and a checksum of their ids and versions with the
server, and the number of requests with the number of pages. A wrong result fails the bench.

- **fetch + dexie bulkPut** is the reference: \`fetch\`, \`response.json()\`, and dexie's \`bulkPut\`.
- **microsoft-graph-client + idb**: Microsoft's client with its chain of handlers, and idb's \`put\`.
- **@pnp/graph + dexie**: PnP's client with its behaviors for browsers, and dexie's \`bulkPut\`.
- **by hand**: the next request starts as soon as the nextLink has arrived, which stands before the
  items; the page is stored through IndexedDB without a library.
- **deltalink sync()** and **deltalink round()**: the packed package, with its defaults.
- In Node the reference is \`await response.json()\` and \`Map.set\`; deltalink uses its memory
  store. In workerd the reference is a Worker with the same loop.

The first four contestants do less than deltalink: they keep out no other tab, compare no stored
state before they write, store no throttle, and forget at a reload what an interrupted full round
has listed. The loops with \`fetch\` do not retry either.

## How it is measured

- The page and the server have different origins on loopback, so that each page costs a preflight.
  Pages are serialized ahead. Latency delays each answer, preflights included; the bandwidth is
  shared by all answers under way.
- A run is a fresh browser profile, in Chromium on disk. The mirror of 100,000 users is made
  once for each contestant, and each run is a new page on it. The order changes from run to run.
- Opening the database and loading the code lie outside of the measured time, except in the rows
  from \`import()\` to the first request. The browser keeps compiled code only after some visits, so
  those rows show the first and the fourth visit.
- Incremental rounds and reads of all rows are repeated within a run, whose value is the median.
- Live memory is the JavaScript heap, its buffers and the wasm's memory right after a garbage
  collection. Collections follow one another during the whole round. The row is the largest value
  minus the one before the round.
- CPU time is user and system time of a Node process that reads bodies from memory, the mean of five
  rounds into empty mirrors.

## What is judged

Absolute times depend on the machine and on what else it does. Other work may run on it during a
measurement, so only medians of interleaved runs and the ratios within one table count.

\`make bench-check BASE=path/to/other.tgz\` measures a second deltalink package in the same
interleaved run, beside the reference alone. It exits with 1 if a row of the new package is slower:
the median of the paired ratios new to base is above 1.05, and the sign test puts the true median
above 1 with 95 % confidence, which takes at least five runs. A row that looks slower, or has too
few runs to tell, is measured again with at least nine runs. Only that second measurement is judged.

## How to reproduce

\`\`\`
make bench                                   # everything
make bench QUICK=1                           # fewer rows and runs: three minutes on two idle cores
make bench ONLY=first,heap                   # rows whose name or title contains one of the words
make bench BASE=path/to/other.tgz            # another deltalink package beside this one
make bench-check BASE=path/to/other.tgz      # the same; exits with 1 if this one is slower
make bench WRITE=1                           # writes this page
\`\`\`
`;

/** A row of a Markdown table. */
const line = (cells) => `| ${cells.join(" | ")} |`;

/** Groups rows with the same contestants into one table. */
function grouped(measured) {
  const groups = new Map();
  for (const row of measured) {
    const name = row.contestants.map(({ label }) => label).join("|");
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return [...groups.values()];
}

function table(rows, cell) {
  const [{ contestants }] = rows;
  const head = line(["", "runs", ...contestants.map(({ label }) => label)]);
  const rule = line(["---", "---:", ...contestants.map(() => "---:")]);
  const body = rows.map(({ id, results }) => {
    const reference = results.get(contestants[0].key);
    return line([
      ROWS[id].title,
      reference.length,
      ...contestants.map(({ key }) => cell(id, results.get(key), reference)),
    ]);
  });
  return [head, rule, ...body].join("\n");
}

function ratioOf(_id, values, reference) {
  if (values === reference) return "1";
  const paired = ratios(values, reference);
  return `**${median(paired).toFixed(2)}** (${range(summary(paired))})`;
}

function medianOf(id, values) {
  const { median: middle, ...ends } = summary(values);
  return `${format(middle)} ${ROWS[id].unit} (${range(ends)})`;
}

/** The text of docs/performance.md. */
export function documentOf({ measured, packages, minutes, note, versions }) {
  const names = packages.map(
    ({ version, role }) => `deltalink ${version}${role === "base" ? " (the base)" : ""}`,
  );
  const groups = grouped(measured);
  const listed = [...names, ...Object.entries(versions).map(([name, version]) => `${name} ${version}`)];
  return [
    BEFORE,
    ...groups.map((rows) => `${table(rows, ratioOf)}\n`),
    MEDIANS,
    ...groups.map((rows) => `${table(rows, medianOf)}\n`),
    "## Machine and versions\n",
    `${describeMachine()}. Measured in ${minutes.toFixed(0)} minutes. ${note}`.trim(),
    "",
    `${listed.map((entry) => `- ${entry}`).join("\n")}\n`,
    AFTER,
  ].join("\n");
}
