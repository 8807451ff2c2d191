// The options of the benchmarks, from arguments or from the environment of `make bench`.
import { parseArgs } from "node:util";

/**
 * `--quick`: fewer rows and runs. `--only=a,b`: rows whose id or title contains one of the words.
 * `--package=` and `--base=`: packed packages. `--check`: exit 1 if the package is slower than the
 * base. `--write`: write docs/performance.md, with the sentence of `--note=`. `--runs=n`: the
 * number of runs of each row. `--results=file`: add the runs to those of earlier times in this
 * file, and write the tables of all of them. `--profile`: print in whose code the time of
 * deltalink's sync() goes, instead of measuring it.
 */
export function readOptions(argv, env) {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: "boolean", default: Boolean(env.QUICK) },
      only: { type: "string", default: env.ONLY ?? "" },
      package: { type: "string", default: env.PACKAGE || "dist/deltalink.tgz" },
      base: { type: "string", default: env.BASE ?? "" },
      check: { type: "boolean", default: Boolean(env.CHECK) },
      write: { type: "boolean", default: Boolean(env.WRITE) },
      note: { type: "string", default: env.NOTE ?? "" },
      results: { type: "string", default: env.RESULTS ?? "" },
      profile: { type: "boolean", default: Boolean(env.PROFILE) },
      runs: { type: "string", default: env.RUNS ?? "" },
    },
  });
  const only = values.only.split(",").map((word) => word.trim().toLowerCase());
  const runs = values.runs === "" ? undefined : Number(values.runs);
  if (runs !== undefined && !(Number.isInteger(runs) && runs > 0))
    throw new Error("bench: --runs must be a whole number of at least 1");
  if (values.check && !values.base)
    throw new Error("bench: --check needs a package to compare with, such as --base=path/to/deltalink.tgz");
  return { ...values, runs, only: only.filter((word) => word !== "") };
}
