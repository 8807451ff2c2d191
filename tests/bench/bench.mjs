// Runs all benchmarks, interleaved: `make bench`. options.mjs lists the options.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { browserBenchmarks } from "./browser-rows.mjs";
import { browserContestants } from "./contestants.mjs";
import { documentOf } from "./document.mjs";
import { startGraph } from "./graph.mjs";
import { nodeBenchmarks } from "./node-rows.mjs";
import { readOptions } from "./options.mjs";
import { bundleContestant, makeFolder, unpack } from "./packages.mjs";
import { Profiles } from "./profiles.mjs";
import { compare, formatComparison, printRow } from "./report.mjs";
import { shuffled } from "./order.mjs";
import { isWanted, ROWS } from "./rows.mjs";
import { startSite } from "./site.mjs";
import { describeMachine, packageVersions } from "./versions.mjs";

const DOCUMENT = fileURLToPath(new URL("../../docs/performance.md", import.meta.url));
/**
 * The minimum number of runs in the second measurement of a row that looked slower in the first.
 */
const RUNS_TO_CONFIRM = 9;

const startedAt = performance.now();
const options = readOptions(process.argv.slice(2), process.env);
const folder = makeFolder();
process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
const packages = [{ role: "new", ...unpack(resolve(options.package), join(folder, "package")) }];
if (options.base) packages.push({ role: "base", ...unpack(resolve(options.base), join(folder, "base")) });

/**
 * The content of the results file: the values by row and contestant, the minutes that they took,
 * and the shares of the profile by row.
 */
const earlier = {
  ...{ minutes: 0, rows: {}, profiles: {}, packages: undefined },
  ...(existsSync(options.results) && JSON.parse(readFileSync(options.results, "utf8"))),
};
const bytesOf = ({ package: archive, base }) =>
  [archive, ...(base ? [base] : [])].map((file) => readFileSync(file));
const packageHash = createHash("sha256")
  .update(Buffer.concat(bytesOf(options)))
  .digest("hex");
if (earlier.packages && earlier.packages !== packageHash)
  throw new Error(`bench: ${options.results} has values of another package; remove it, or name another file`);
const measured = [];
const graph = await startGraph();
const site = await startSite(folder);
const profiles = options.profile ? new Profiles(folder) : undefined;
const stage = { folder, graph, site, versions: {}, profiles };
let slower = [];
try {
  const contestants = browserContestants(packages, options.check).filter(
    ({ key }) => !options.profile || key === "sync",
  );
  for (const { key, source, deltalink } of contestants)
    await bundleContestant(source, join(folder, key), deltalink);
  console.log(`deltalink ${packages.map(({ version }) => version).join(" against ")}; ${describeMachine()}`);
  for (const benchmark of [...browserBenchmarks, ...(options.profile ? [] : nodeBenchmarks)]) {
    if (options.profile && !benchmark.isProfiled) continue;
    const rows = benchmark.rows.filter((id) => isWanted(id, options.only));
    const runs = options.runs ?? benchmark.runs[options.quick ? "quick" : "full"];
    // A row that the user named is measured even if the quick table omits it.
    const count = runs || (options.only.length ? 1 : 0);
    const missing = benchmark.engine.missing?.();
    if (rows.length && missing)
      console.log(`\nskipped: ${rows.join(", ")}; ${benchmark.engine.name}: ${missing}`);
    if (rows.length && count && !missing)
      await measure(benchmark, rows, count, benchmark.contestants?.(packages) ?? contestants);
  }
} finally {
  graph.stop();
  site.stop();
}
conclude();

/** Measures a benchmark, twice if the package looks slower, and prints its rows. */
async function measure(benchmark, rows, runs, contestants) {
  let results = await interleave(benchmark, contestants, runs);
  const comparisons = () => rows.flatMap((id) => compare(id, results[id]));
  const suspects = comparisons().filter(({ looksSlower }) => looksSlower);
  if (options.check && suspects.length) {
    const names = suspects.map(({ id, way }) => `${id} ${way}()`).join(", ");
    console.log(`\nlooks slower, measured again: ${names}`);
    results = await interleave(benchmark, contestants, Math.max(2 * runs, RUNS_TO_CONFIRM));
    slower = slower.concat(comparisons().filter(({ isSlower }) => isSlower));
  }
  for (const id of rows) {
    measured.push({ id, contestants, results: results[id] });
    if (profiles) profiles.print(id);
    else printRow(id, benchmark.engine.name, contestants, results[id]);
  }
}

/**
 * Measures each contestant once per run, in a new order for each run. Returns values by row and
 * contestant.
 */
async function interleave(benchmark, contestants, runs) {
  const results = Object.fromEntries(
    benchmark.rows.map((id) => [id, new Map(contestants.map(({ key }) => [key, []]))]),
  );
  const prepared = new Map();
  try {
    for (const contestant of contestants)
      prepared.set(contestant, await benchmark.prepare?.(contestant, stage));
    // The orders continue those of the runs in the results file.
    const [earlierValues = []] = Object.values(earlier.rows[benchmark.rows[0]] ?? {});
    for (let run = 0; run < runs; run++) {
      for (const contestant of shuffled(contestants, earlierValues.length + run)) {
        const values = await benchmark.run(contestant, stage, prepared.get(contestant));
        for (const id of benchmark.rows) results[id].get(contestant.key).push(values[id]);
      }
    }
  } finally {
    for (const session of prepared.values()) await session?.stop();
  }
  return results;
}

function conclude() {
  const minutes = (performance.now() - startedAt) / 60_000;
  const comparisons = measured.flatMap(({ id, results }) => compare(id, results));
  if (comparisons.length) console.log("\nNew over base, medians of paired runs:");
  for (const comparison of comparisons)
    console.log(`  ${comparison.id.padEnd(20)} ${formatComparison(comparison)}`);
  if (options.check) {
    console.log(
      slower.length ? `\n${slower.length} slower than the base` : "\nno row is slower than the base",
    );
    process.exitCode = slower.length ? 1 : 0;
  }
  if (measured.length === 0) {
    console.log(`no row matches; the rows are ${Object.keys(ROWS).join(", ")}`);
    process.exitCode = 1;
  }
  const { note } = options;
  const all = { measured, minutes, profiles: { ...earlier.profiles, ...profiles?.shares } };
  if (options.results) Object.assign(all, withEarlier(minutes, all.profiles));
  const details = {
    ...all,
    packages,
    note,
    versions: { ...stage.versions, ...packageVersions() },
  };
  console.log(
    `\n${Object.entries(details.versions)
      .map((pair) => pair.join(" "))
      .join(", ")}`,
  );
  console.log(`measured in ${minutes.toFixed(1)} minutes`);
  if (options.write && measured.length && !profiles) return writeFile(DOCUMENT, documentOf(details));
}

/** Adds the new values to the results file. Returns all values of the measured rows. */
function withEarlier(minutesNow, allProfiles) {
  const minutes = earlier.minutes + minutesNow;
  const merged = measured.map((row) => {
    const before = earlier.rows[row.id] ?? {};
    const entries = [...row.results].map(([key, values]) => [key, [...(before[key] ?? []), ...values]]);
    return { ...row, results: new Map(entries) };
  });
  const rows = { ...earlier.rows };
  if (!profiles) for (const { id, results } of merged) rows[id] = Object.fromEntries(results);
  const content = { minutes, rows, profiles: allProfiles, packages: packageHash };
  writeFileSync(options.results, JSON.stringify(content));
  return { measured: merged, minutes };
}
