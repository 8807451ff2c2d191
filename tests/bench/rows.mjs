// The rows of the tables that the benchmarks print.

/** The title and the unit of each row by its id, in the order of the tables. */
export const ROWS = {
  "first-0ms": { title: "First round, 20 × 200 events of 2.7 KB, no latency", unit: "ms" },
  "first-50ms": { title: "First round, 20 × 200 events, 50 ms latency, 5 MB/s", unit: "ms" },
  "first-150ms": { title: "First round, 20 × 200 events, 150 ms latency, 5 MB/s", unit: "ms" },
  users: { title: "First round, 40 × 100 users of 0.5 KB, no latency", unit: "ms" },
  "incremental-4k-0": { title: "Incremental round, no change, 4,000 rows", unit: "ms" },
  "incremental-4k-5": { title: "Incremental round, 5 changes, 4,000 rows", unit: "ms" },
  "incremental-100k-0": { title: "Incremental round, no change, 100,000 rows", unit: "ms" },
  "incremental-100k-5": { title: "Incremental round, 5 changes, 100,000 rows", unit: "ms" },
  "all-4k": { title: "All 4,000 rows: all(), toArray() or getAll()", unit: "ms" },
  "all-100k": { title: "All 100,000 rows: all(), toArray() or getAll()", unit: "ms" },
  "full-again": { title: "Full round over a full mirror, 20 rows gone", unit: "ms" },
  "import-cold": { title: "From import() to the first request, first visit", unit: "ms" },
  "import-warm": { title: "From import() to the first request, fourth visit", unit: "ms" },
  "heap-20": { title: "Peak of live memory, 20 pages", unit: "MB" },
  "heap-200": { title: "Peak of live memory, 200 pages", unit: "MB" },
  "firefox-first": { title: "Firefox: first round, 20 × 200 events", unit: "ms" },
  "firefox-all": { title: "Firefox: all 4,000 rows", unit: "ms" },
  "firefox-all-100k": { title: "Firefox: all 100,000 rows", unit: "ms" },
  "webkit-first": { title: "WebKitGTK: first round, 20 × 200 events", unit: "ms" },
  "webkit-all": { title: "WebKitGTK: all 4,000 rows", unit: "ms" },
  "webkit-all-100k": { title: "WebKitGTK: all 100,000 rows", unit: "ms" },
  "cpu-events": { title: "Node: CPU time of a first round, 20 × 200 events", unit: "ms" },
  "cpu-users": { title: "Node: CPU time of a first round, 40 × 100 users", unit: "ms" },
  "workerd-cold": { title: "workerd: from its start to the first response", unit: "ms" },
};

/** Whether the words select a row. An empty list selects all rows. */
export function isWanted(id, words) {
  const text = `${id} ${ROWS[id].title}`.toLowerCase();
  return words.length === 0 || words.some((word) => text.includes(word));
}
