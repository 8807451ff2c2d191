// `make scale`: prints the tables of docs/scale.md for 1,000 and 10,000 mailboxes. WRITE=1 writes
// them, also for 100,000. SIZES=1000,10000 simulates these numbers of mailboxes, and PAGES=20 first
// rounds of this number of pages.
import { readFile, writeFile } from "node:fs/promises";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { DEFAULTS, simulate } from "./simulate.mjs";

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const DOCUMENT = new URL("../../docs/scale.md", import.meta.url);
const firstPages = Number(process.env.PAGES || DEFAULTS.firstPages);
const { SIZES, WRITE } = process.env;
const sizes = (SIZES || (WRITE ? "1000,10000,100000" : "1000,10000")).split(",").map(Number);
const hourly = { cron: 60 * MINUTE, spread: 50 * MINUTE };
/** The number of permits for this number of mailboxes, at least 10. */
const permitsFor = (mailboxes, mailboxesPerPermit) => Math.max(10, Math.ceil(mailboxes / mailboxesPerPermit));
const TABLES = {
  "Notifications, and the settings of `wrangler.jsonc`": () => ({}),
  "Notifications, a cron trigger every hour, more permits": (size) => ({
    ...hourly,
    roundsAtOnce: permitsFor(size, 1500),
  }),
  "No notifications, more permits": (size) => ({ notifications: false, roundsAtOnce: permitsFor(size, 750) }),
  "All first rounds at once, and no other rounds, for an hour": (size) => ({
    roundsAtOnce: size,
    spread: 0,
    cron: DAY,
    changesPerDay: 0,
    duration: 60 * MINUTE,
  }),
};

const whole = (value) => Math.round(value).toLocaleString("en");
const span = (ms) =>
  ms === undefined
    ? "–"
    : ms < 100_000
      ? `${whole(ms / 1000)} s`
      : ms < 300 * MINUTE
        ? `${(ms / MINUTE).toFixed(1)} min`
        : `${(ms / MINUTE / 60).toFixed(1)} h`;
const ROWS = {
  "cron trigger": ({ settings }) =>
    settings.cron < settings.duration ? `every ${settings.cron / MINUTE} min` : "once",
  "permits (`ROUNDS_AT_ONCE`)": ({ settings }) => whole(settings.roundsAtOnce),
  "pages of a first round": ({ settings }) => whole(settings.firstPages),
  "**all first rounds** are complete after": ({ firstRounds, left }) =>
    left ? `**${whole(left)} are not**` : `**${span(firstRounds)}**`,
  rounds: ({ calls }) => whole(calls.rounds),
  "requests to Graph": ({ graph }) => whole(graph.requests),
  "of these, throttled (429)": ({ graph }) => whole(graph.throttled),
  "most in 10 s, of 130,000 for the app": ({ graph }) => whole(graph.mostOfApp),
  "most in 10 min, of 10,000 for a mailbox": ({ graph }) => whole(graph.mostOfMailbox),
  "permits in use, at most": ({ permits }) => whole(permits.most),
  "mailboxes that wait for a permit, at most": ({ permits }) => whole(permits.mostWaiting),
  "**staleness**, median": ({ staleness }) => `**${span(staleness.p50)}**`,
  "staleness, p99": ({ staleness }) => span(staleness.p99),
  "staleness, at most": ({ staleness }) => span(staleness.most),
  "requests a second to the budget, at most": ({ objects }) => whole(objects.mostOfBudget),
  "requests a second to a registry, at most": ({ objects }) => whole(objects.mostOfRegistry),
  "requests a second to a mailbox, at most": ({ objects }) => whole(objects.mostOfMailbox),
  "requests to objects, with alarms": ({ objects }) => whole(objects.requests),
  "of these, alarms of mailboxes": ({ calls }) => whole(calls.alarm),
  "requests to the Worker": ({ workerRequests }) => whole(workerRequests),
  "rows written": ({ rows }) => whole(Object.values(rows).reduce((sum, n) => sum + n, 0)),
  "duration of objects, in GB-s": ({ objects }) => whole(objects.duration),
  "operations of the queue": ({ queueOperations }) => whole(queueOperations),
};

if (!isMainThread) {
  parentPort.postMessage(simulate(workerData));
} else {
  const tasks = Object.values(TABLES).flatMap((options) =>
    sizes.map((mailboxes) => ({ mailboxes, firstPages, ...options(mailboxes) })),
  );
  const results = [];
  /** Two run at a time, the largest first. */
  const queue = [...tasks.entries()].sort(([, one], [, other]) => other.mailboxes - one.mailboxes);
  const run = async () => {
    for (let task; (task = queue.shift());) {
      const [index, options] = task;
      results[index] = await new Promise((resolve, reject) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: options });
        worker.once("message", resolve);
        worker.once("error", reject);
      });
      console.error(`scale: ${whole(options.mailboxes)} mailboxes done, ${queue.length} to go`);
    }
  };
  await Promise.all([run(), run()]);
  const tables = Object.keys(TABLES).map((title, index) => {
    const columns = results.slice(index * sizes.length, (index + 1) * sizes.length);
    const rows = Object.entries(ROWS).map(([name, read]) => `| ${name} | ${columns.map(read).join(" | ")} |`);
    const head = `| mailboxes | ${sizes.map(whole).join(" | ")} |\n|---|${sizes.map(() => "---:").join("|")}|`;
    return `### ${title}\n\n${head}\n${rows.join("\n")}`;
  });
  const text = tables.join("\n\n");
  console.log(text);
  if (WRITE) {
    const [start, end] = ["<!-- tables: make scale WRITE=1 -->", "<!-- end of tables -->"];
    const document = await readFile(DOCUMENT, "utf8");
    const before = document.slice(0, document.indexOf(start) + start.length);
    await writeFile(DOCUMENT, `${before}\n\n${text}\n\n${document.slice(document.indexOf(end))}`);
  }
}
