// Prints a row as soon as it is measured, and at the end the comparison of two packages.
import { ROWS } from "./rows.mjs";
import { isSlower, looksSlower, lowerLimit, median, ratios, summary } from "./stats.mjs";

export const format = (value) =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
export const range = ({ min, max }) => `${format(min)}–${format(max)}`;

/** Prints the values of a row. `results` has the values by contestant, the reference first. */
export function printRow(id, engine, contestants, results) {
  const { title, unit } = ROWS[id];
  const reference = results.get(contestants[0].key);
  console.log(
    `\n${title}  [${id}; ${engine}, ${reference.length} ${reference.length === 1 ? "run" : "runs"}]`,
  );
  const width = Math.max(...contestants.map(({ label }) => label.length));
  for (const { key, label } of contestants) {
    const { median: middle, ...ends } = summary(results.get(key));
    const paired = ratios(results.get(key), reference);
    const columns = [label.padEnd(width), `${format(middle)} ${unit}`.padStart(10), range(ends).padStart(13)];
    console.log(
      `  ${columns.join("  ")}  ${median(paired).toFixed(2).padStart(6)}  (${range(summary(paired))})`,
    );
  }
  for (const comparison of compare(id, results)) console.log(`  ${formatComparison(comparison)}`);
}

/** The ratios of new to base, for each way to use the package. */
export function compare(id, results) {
  return [...results.keys()]
    .filter((key) => results.has(`${key}-base`))
    .map((way) => {
      const paired = ratios(results.get(way), results.get(`${way}-base`));
      const verdict = { isSlower: isSlower(paired), looksSlower: looksSlower(paired) };
      return { id, way, ...summary(paired), limit: lowerLimit(paired), ...verdict };
    });
}

export function formatComparison(comparison) {
  const { way, median: middle, limit } = comparison;
  const confidence =
    limit === -Infinity ? "too few runs to be sure" : `at least ${limit.toFixed(2)} with 95 % confidence`;
  const mark = comparison.isSlower ? "  SLOWER" : "";
  return `new/base ${way}: ${middle.toFixed(3)} (${range(comparison)}), ${confidence}${mark}`;
}
