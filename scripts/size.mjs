// Prints the bytes and gzipped bytes of everything that ships. Fails if a part is over its budget
// (docs/decisions/0001-size-budget.md) or more than 3 % larger than its figure in sizes.json.
// `make size ACCEPT=1` writes these figures.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const KB = 1024;
/** The budgets, in gzipped bytes. */
const [WASM, FACADE, WORKER] = [235 * KB, 21 * KB, 256 * KB];
const pathOf = (path) => new URL(`../${path}`, import.meta.url).pathname;
const FIGURES = pathOf("scripts/sizes.json");
const accepted = JSON.parse(await readFile(FIGURES, "utf8").catch(() => "{}"));
const rows = [];
const problems = [];

function addFile(name, bytes, budget) {
  addRow(name, bytes.length, gzipSync(bytes, { level: 9 }).length, budget);
}

function addRow(name, bytes, gzip, budget) {
  if (gzip > budget) problems.push(`${name} is over its budget: ${gzip} of ${budget} gzipped bytes`);
  const before = accepted[name];
  if (before === undefined)
    problems.push(`${name} has no figure in scripts/sizes.json; write it with make size ACCEPT=1`);
  else if (gzip > before * 1.03) {
    problems.push(
      `${name} has grown from ${before} to ${gzip} gzipped bytes, by ${(100 * (gzip / before - 1)).toFixed(1)} %. If the growth is justified, write the new figure with make size ACCEPT=1 and commit scripts/sizes.json with the reason`,
    );
  }
  rows.push([name, bytes, gzip, before === undefined ? "" : gzip - before, budget ? `of ${budget}` : ""]);
}

/** The files that esbuild writes for a source. */
async function bundle(source, options) {
  const folder = await mkdtemp(join(tmpdir(), "deltalink-size-"));
  await writeFile(join(folder, "entry.mjs"), source);
  const { outputFiles } = await build({
    entryPoints: [join(folder, "entry.mjs")],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    outdir: folder,
    alias: { deltalink: pathOf("tests/node_modules/deltalink") },
    logLevel: "error",
    ...options,
  });
  await rm(folder, { recursive: true });
  return outputFiles;
}

const exportAll = (file) => `export * from "${pathOf("tests/node_modules/deltalink")}/${file}";`;
/** One entry of the package, bundled and minified. */
const entry = async (file, external = []) =>
  Buffer.from((await bundle(exportAll(file), { external }))[0].contents);
const worker = `import { openDelta } from "${pathOf("tests/node_modules/deltalink/workerd.js")}"; export default { async fetch() { await openDelta({ token: () => "", store: "memory" }); return new Response(); } };`;

addFile("deltalink.wasm", await readFile(pathOf("dist/package/deltalink.wasm")), WASM);
// The JavaScript that every host loads next to the wasm.
addFile("facade", await entry("workerd.js", ["*.wasm"]), FACADE);
addFile("facade, bundled for a browser", await entry("browser.js", ["./inline.js"]), FACADE);
addFile("facade, bundled for Node", await entry("node.js", ["./inline.js", "node:*"]), FACADE);
// Replaces the wasm where a host cannot load the file, for example in a bundle of a single file.
addFile("the wasm as JavaScript", await readFile(pathOf("dist/package/inline.js")));
// Only tests load it.
addFile(
  "deltalink/testing, its wasm as JavaScript",
  await readFile(pathOf("dist/package/fake-graph-inline.js")),
);
addFile("deltalink/msal", await entry("msal.js"), KB);
addFile("deltalink/auth", await entry("auth.js"), 3 * KB);
addFile("deltalink/calendar", await entry("calendar.js"), 3 * KB);
addFile("deltalink/describe", await entry("describe.js"), 2.5 * KB);
addFile("deltalink/notifications", await entry("notifications.js"), 5.5 * KB);
addFile("deltalink/workers", await entry("workers.js"), 5.5 * KB);
// Without the client, which a Worker loads anyway.
addFile(
  "deltalink/durable-objects",
  await entry("durable-objects.js", ["cloudflare:workers", "./workerd.js"]),
  11 * KB,
);
for (const [name, framework, budget] of [
  ["react", "react", 3.5 * KB],
  ["vue", "vue", 3.5 * KB],
  ["tanstack-db", "@tanstack/db", 1.5 * KB],
])
  addFile(`deltalink/${name}`, await entry(`${name}.js`, [framework]), budget);
for (const store of ["durable-object", "d1"])
  addFile(`deltalink/stores/${store}`, await entry(`stores/${store}.js`), 2 * KB);
const upload = await bundle(worker, {
  loader: { ".wasm": "copy" },
  conditions: ["workerd", "worker", "browser"],
  assetNames: "[name]",
});
addFile("a Worker's upload", Buffer.concat(upload.map(({ contents }) => Buffer.from(contents))), WORKER);
const tarball = await readFile(pathOf("dist/deltalink.tgz"));
addRow("the tarball", "", tarball.length);

const width = Math.max(...rows.map(([name]) => name.length));
console.log(`${"".padEnd(width)}     bytes      gzip  +/-`);
for (const [name, bytes, gzip, growth, budget] of rows) {
  console.log(
    `${name.padEnd(width)} ${String(bytes).padStart(9)} ${String(gzip).padStart(9)} ${String(growth && `${growth > 0 ? "+" : ""}${growth}`).padStart(6)}  ${budget}`.trimEnd(),
  );
}
if (process.env.ACCEPT)
  await writeFile(
    FIGURES,
    `${JSON.stringify(Object.fromEntries(rows.map(([name, , gzip]) => [name, gzip])), null, 2)}\n`,
  );
// A budget applies even with ACCEPT=1.
const remaining = process.env.ACCEPT
  ? problems.filter((problem) => problem.includes("over its budget"))
  : problems;
for (const problem of remaining) console.error(`size: ${problem}`);
if (remaining.length) process.exit(1);
