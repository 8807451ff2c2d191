// Name, bytes, gzipped bytes of everything that ships. Fails over budget
// (docs/decisions/0001-size-budget.md), and where something has grown by more than 3 % over the
// figures in sizes.json. `make size ACCEPT=1` writes these.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const KB = 1024;
/** The budgets, in gzipped bytes. */
const [WASM, FACADE, WORKER] = [175 * KB, 13 * KB, 190 * KB];
const at = (path) => new URL(`../${path}`, import.meta.url).pathname;
const FIGURES = at("scripts/sizes.json");
const accepted = JSON.parse(await readFile(FIGURES, "utf8").catch(() => "{}"));
const rows = [];
const sizes = {};
const wrong = [];

function row(name, bytes, budget) {
  weigh(name, bytes.length, gzipSync(bytes, { level: 9 }).length, budget);
}

function weigh(name, bytes, gzip, budget) {
  if (gzip > budget) wrong.push(`${name} is over its budget: ${gzip} of ${budget} gzipped bytes`);
  const before = accepted[name];
  if (before === undefined)
    wrong.push(`${name} has no figure in scripts/sizes.json; make size ACCEPT=1 writes it`);
  else if (gzip > before * 1.03) {
    wrong.push(
      `${name} has grown from ${before} to ${gzip} gzipped bytes, by ${(100 * (gzip / before - 1)).toFixed(1)} %. If what it brings is worth that, make size ACCEPT=1 writes the new figure into scripts/sizes.json, to be committed with its reason`,
    );
  }
  sizes[name] = gzip;
  rows.push([name, bytes, gzip, before === undefined ? "" : gzip - before, budget ? `of ${budget}` : ""]);
}

/** What a bundler makes of an import. */
async function bundled(source, options) {
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
    alias: { deltalink: at("tests/node_modules/deltalink") },
    logLevel: "error",
    ...options,
  });
  await rm(folder, { recursive: true });
  return outputFiles;
}

const own = (file) => `export * from "${at("tests/node_modules/deltalink")}/${file}";`;
/** One module of a bundle, or all of it. */
const entry = async (file, external = []) =>
  Buffer.from((await bundled(own(file), { external }))[0].contents);
const worker = `import { openDelta } from "${at("tests/node_modules/deltalink/workerd.js")}"; export default { async fetch() { await openDelta({ token: () => "", store: "memory" }); return new Response(); } };`;

row("deltalink.wasm", await readFile(at("dist/package/deltalink.wasm")), WASM);
// What every host loads beside it: the facade and the way to the wasm.
row("facade", await entry("workerd.js", ["*.wasm"]), FACADE);
row("facade, bundled for a browser", await entry("browser.js", ["./inline.js"]), FACADE);
row("facade, bundled for Node", await entry("node.js", ["./inline.js", "node:*"]), FACADE);
// Loaded where the wasm's file can't be reached; part of a bundle that is one file.
row("the wasm as JavaScript", await readFile(at("dist/package/inline.js")));
// For tests alone.
row("deltalink/testing, its wasm as JavaScript", await readFile(at("dist/package/fake-graph-inline.js")));
row("deltalink/msal", await entry("msal.js"), KB);
row("deltalink/auth", await entry("auth.js"), 2 * KB);
for (const store of ["durable-object", "d1"])
  row(`deltalink/stores/${store}`, await entry(`stores/${store}.js`), 1.5 * KB);
const upload = await bundled(worker, {
  loader: { ".wasm": "copy" },
  conditions: ["workerd", "worker", "browser"],
  assetNames: "[name]",
});
row("a Worker's upload", Buffer.concat(upload.map(({ contents }) => Buffer.from(contents))), WORKER);
const tarball = await readFile(at("dist/deltalink.tgz"));
weigh("the tarball", "", tarball.length);

const width = Math.max(...rows.map(([name]) => name.length));
console.log(`${"".padEnd(width)}     bytes      gzip  +/-`);
for (const [name, bytes, gzip, more, budget] of rows) {
  console.log(
    `${name.padEnd(width)} ${String(bytes).padStart(9)} ${String(gzip).padStart(9)} ${String(more && `${more > 0 ? "+" : ""}${more}`).padStart(6)}  ${budget}`.trimEnd(),
  );
}
if (process.env.ACCEPT)
  await writeFile(
    FIGURES,
    `${JSON.stringify(Object.fromEntries(rows.map(([name, , gzip]) => [name, gzip])), null, 2)}\n`,
  );
// What is over its budget can't be accepted.
const left = process.env.ACCEPT ? wrong.filter((words) => words.includes("over its budget")) : wrong;
for (const words of left) console.error(`size: ${words}`);
if (left.length) process.exit(1);
