// Fails where a file or a line is too long, or where modules import each other in a cycle.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cycles, imports, rustModules } from "./structure/cycles.mjs";
import { fileProblems, lineProblems } from "./structure/lines.mjs";

const root = new URL("..", import.meta.url);
const paths = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"],
  {
    cwd: root,
    encoding: "utf8",
  },
)
  .trim()
  .split("\n")
  .filter((path) => /\.(rs|js|mjs|tsx?)$/.test(path));
const sources = new Map(paths.flatMap((path) => read(path)));
const isRust = ([path]) => path.endsWith(".rs");
const graphs = [
  imports(new Map([...sources].filter((source) => !isRust(source)))),
  rustModules(new Map([...sources].filter((source) => isRust(source) && source[0].startsWith("src/")))),
];
const problems = [
  ...[...sources].flatMap(([path, text]) => fileProblems(path, text)),
  ...[...sources].flatMap(([path, text]) => lineProblems(path, text)),
  ...graphs.flatMap(cycles).map((modules) => `a cycle of modules: ${modules.join(" → ")}`),
];
for (const problem of problems) console.error(problem);
if (problems.length) process.exitCode = 1;

/** Reads a file as `[[path, text]]`; empty if git still lists it, but the working tree lacks it. */
function read(path) {
  try {
    return [[path, readFileSync(new URL(path, root), "utf8")]];
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
}
