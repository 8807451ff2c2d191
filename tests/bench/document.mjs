// Writes docs/performance.md: the tables of a run, and how to read and reproduce them.
import { format, range } from "./report.mjs";
import { ROWS } from "./rows.mjs";
import { median, ratios, summary } from "./stats.mjs";
import { describeMachine } from "./versions.mjs";

const INTRODUCTION = `# Performance

\`make bench\` compares deltalink with four hand-written alternatives against the same server. Each run
measures every contestant once, one after the other. \`make bench WRITE=1\` writes this document.

## Ratios

A cell has the median of the paired ratios of contestant to reference, with their minimum and
maximum. A ratio below 1 is faster, or smaller, than the reference.
`;

const MEDIANS = `## Medians

The median of the runs, with their minimum and maximum.
`;

const FINDINGS = `## Where it is slower than the reference, and why

With latency, a first round takes about half the time of the loop, because requests, transfer and
commits overlap. Without latency it takes about as long. Elsewhere one sees the work that the loop does
not do:

- **Node, events.** Of the CPU time of a round (V8's profiler, 40 rounds of 20 × 200 events), 25 % is
  \`JSON.parse\`, 15 % garbage collection, 13 % the decoding of the bodies, 4 % their creation by the
  bench: the host's part, which the reference has too. The rest is deltalink's: above all reading ids,
  markers and types of each item, about 10 %, comparing and applying 4 %, and the commit into the
  store in memory 4 %.
- **Node, users.** The items are five times smaller, so that the host's part is small (parsing 11 %,
  garbage collection 15 %) and the work for each item and for each of the 40 requests outweighs it:
  id, marker and row 35 %, request, timeout and abort signal 25 %.
`;

const REASONS = `- **Incremental rounds** wait longer than the loop: for a lock, for the record, and for its commit even
  if nothing has changed. With changes they read the stored rows, to tell what has changed.
- **A full round over a full mirror** reads each stored row to compare it. The loops overwrite it.
- **Users, and \`all()\`**: the database takes longer because the key of a row contains the key of the
  query ([decision 0005](decisions/0005-segment-layout.md)).
- **The first request after \`import()\`** waits until 580 KB of wasm are loaded and compiled; the loops
  have nothing to compile. \`init()\`, called early, takes this time off the first use
  ([hosts.md](hosts.md)).

## The dashboard

\`make bench\` opens the dashboard of the demo ten times with a filled mirror, while Graph does not
respond: the first paint takes 104 to 116 ms, and the rows of a view are on the screen after 277 to
331 ms (medians of each view).

## Compared with 0.1.0

Both packages in the same interleaved runs, five of them; Node's rows by CPU time. Ratio of 0.2.0 to
0.1.0, with minimum and maximum:

|  | \`sync()\` | \`round()\` |
| --- | ---: | ---: |
| First round, 20 × 200 events, no latency | 0.79 (0.77–0.89) | 0.65 (0.62–0.86) |
| First round, 20 × 200 events, 50 ms latency, 5 MB/s | 0.54 (0.53–0.55) | 0.53 (0.51–0.54) |
| Node: CPU time of a first round, 40 × 100 users | 0.67 (0.62–0.71) | |
`;

const EXPLANATIONS = `## The contestants

All contestants fetch the same pages, store each page and its link in one IndexedDB transaction with
relaxed durability, apply removals, and delete rows that a full round no longer lists. At the end of
each run the bench compares the number of stored rows and a checksum of their ids and versions with
the server, and the number of requests with the number of pages. A wrong result fails the bench.

- **fetch + dexie bulkPut** is the reference: \`fetch\`, \`response.json()\`, and dexie's \`bulkPut\`.
- **microsoft-graph-client + idb**: Microsoft's client with its chain of handlers, and idb's \`put\`.
- **@pnp/graph + dexie**: PnP's client with its behaviors for browsers, and dexie's \`bulkPut\`.
- **by hand** requests the next page as soon as the nextLink has arrived, which precedes the items, and
  stores pages in IndexedDB without a library.
- **deltalink sync()** and **deltalink round()**: the packed package, with its defaults.
- In Node the reference is \`await response.json()\` and \`Map.set\`; deltalink uses its memory
  store. In workerd the reference is a Worker with the same loop.

The first four contestants do less than deltalink. They do not lock out other tabs, do not compare the
stored state before they write, do not store throttles, and do not store which rows an interrupted
full round has listed. The loops with \`fetch\` do not retry either.

## How it is measured

- The web page and the server have different origins on loopback, so each request for a page of the
  query costs a preflight. The server serializes these pages in advance. Latency delays each response,
  to preflights too; all responses in progress share the bandwidth.
- Each run starts a browser with a new profile, which Chromium keeps on disk. Only the mirror of
  100,000 users is filled once for each contestant, and each run opens it in a new web page. The order
  of the contestants changes from run to run.
- The measured time does not include opening the database and loading the code, except in the rows
  from \`import()\` to the first request. Browsers cache compiled code only after some visits, so these
  rows show the first and the fourth visit.
- A run repeats incremental rounds and reads of all rows. Its value is their median.
- Live memory is the JavaScript heap, its buffers and the memory of the wasm after a garbage
  collection. The bench collects garbage again and again during the round. The table shows the largest
  value minus the value before the round.
- CPU time is the user and system time of a Node process that reads bodies from memory. The value is
  the mean of five rounds into empty mirrors.

## How two packages are compared

Absolute times depend on the machine and its other load. Compare only medians of interleaved runs, and
ratios within one table.

\`make bench-check BASE=path/to/other.tgz\` measures a second deltalink package in the same
interleaved runs, with the reference as the only other contestant. It exits with 1 if a row of the new
package is slower: the median of the paired ratios of new to base is above 1.05, and by the sign test
the true median is above 1 with 95 % confidence, which takes at least five runs. If a row looks slower,
or its ratio is above 1.05 in too few runs, the bench measures it again with at least nine runs. Only
the second measurement decides.

## How to reproduce

\`\`\`
make bench                                   # everything
make bench QUICK=1                           # fewer rows and runs: three minutes on two idle cores
make bench ONLY=first,heap                   # rows whose name or title contains one of the words
make bench BASE=path/to/other.tgz            # another deltalink package beside this one
make bench-check BASE=path/to/other.tgz      # the same; exits with 1 if this one is slower
make bench PROFILE=1                         # in whose code the time of deltalink goes
make bench WRITE=1                           # writes this document
make bench RUNS=1 RESULTS=file.json          # adds a run of each row to those in the file
\`\`\`
`;

/** A row of a Markdown table. */
const tableRow = (cells) => `| ${cells.join(" | ")} |`;

/** Groups rows with the same contestants into one table. */
function groupByContestants(measured) {
  const groups = new Map();
  for (const row of measured) {
    const name = row.contestants.map(({ label }) => label).join("|");
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return [...groups.values()];
}

function table(rows, cell) {
  const [{ contestants }] = rows;
  const head = tableRow(["", "runs", ...contestants.map(({ label }) => label)]);
  const rule = tableRow(["---", "---:", ...contestants.map(() => "---:")]);
  const body = rows.map(({ id, results }) => {
    const reference = results.get(contestants[0].key);
    return tableRow([
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

/** An entry of a list: the shares that `make bench PROFILE=1` has measured. Empty without them. */
function profileEntry(profiles) {
  if (Object.keys(profiles).length === 0) return "";
  const parts = ["waiting", "browser", "wasm", "javascript"];
  const rows = Object.entries(profiles).map(([id, shares]) =>
    tableRow([ROWS[id].title, ...parts.map((part) => `${(100 * shares[part]).toFixed(0)} %`)]),
  );
  const head = tableRow(["", "waits", "browser", "deltalink's wasm", "deltalink's JavaScript"]);
  const table = [head, tableRow(["---", ...parts.map(() => "---:")]), ...rows];
  return `- **Chromium.** The profile (\`make bench PROFILE=1\`, V8's profiler, one run) of \`sync()\` and \`all()\`
  shows in whose code the time goes. *Waits* are for the network and the database, which are other
  processes; *browser* is the browser's own code in the process of the web page, such as parsing,
  copying and garbage collection.

${table.map((line) => `  ${line}\n`).join("")}
`;
}

/** The text of docs/performance.md. */
export function documentOf({ measured, profiles, packages, minutes, note, versions }) {
  const names = packages.map(
    ({ version, role }) => `deltalink ${version}${role === "base" ? " (the base)" : ""}`,
  );
  const groups = groupByContestants(measured);
  const entries = [...names, ...Object.entries(versions).map(([name, version]) => `${name} ${version}`)];
  return [
    INTRODUCTION,
    ...groups.map((rows) => `${table(rows, ratioOf)}\n`),
    MEDIANS,
    ...groups.map((rows) => `${table(rows, medianOf)}\n`),
    "## Machine and versions\n",
    `${describeMachine()}. Measured in ${minutes.toFixed(0)} minutes. ${note}`.trim(),
    "",
    `${entries.map((entry) => `- ${entry}`).join("\n")}\n`,
    FINDINGS + profileEntry(profiles) + REASONS,
    EXPLANATIONS,
  ].join("\n");
}
