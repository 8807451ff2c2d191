// Name, bytes, gzipped bytes of everything that ships; fails over budget (design: 60 KB the engine, 8 KB the facade, 75 KB a Worker's upload).
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const KB = 1024;
const at = (path) => new URL(`../${path}`, import.meta.url).pathname;
const rows = [];
let over = 0;

function row(name, bytes, budget) {
  const gzip = gzipSync(bytes, { level: 9 }).length;
  const verdict = budget === undefined ? "" : gzip <= budget ? `of ${budget}` : `OVER ${budget}`;
  if (budget !== undefined && gzip > budget) over += 1;
  rows.push([name, bytes.length, gzip, verdict]);
  return gzip;
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

const browser = `export * from "${at("tests/node_modules/deltalink/browser.js")}";`;
const facade = `export * from "${at("tests/node_modules/deltalink/workerd.js")}";`;
const memory = `export * from "${at("tests/node_modules/deltalink/memory.js")}";`;
const indexed = `export * from "${at("tests/node_modules/deltalink/indexed-db.js")}";`;
const workerd = `import { openDelta } from "${at("tests/node_modules/deltalink/workerd.js")}"; export default { async fetch() { await openDelta({ token: () => "", store: "memory" }); return new Response(); } };`;

row("deltalink.wasm", await readFile(at("dist/package/deltalink.wasm")), 60 * KB);
// What every host loads. Each store is a module of its own, loaded where it is wanted.
row("facade", Buffer.from((await bundled(facade, { external: ["*.wasm", "./memory.js"] }))[0].contents), 8 * KB);
row("the store in memory", Buffer.from((await bundled(memory))[0].contents), KB);
row("IndexedDB", Buffer.from((await bundled(indexed, { external: ["./error.js"] }))[0].contents), 2.25 * KB);
row("facade, bundled for a browser", Buffer.from((await bundled(browser, { external: ["./inline.js"] }))[0].contents), 10.25 * KB);
row("deltalink/msal", Buffer.from((await bundled(`export * from "${at("tests/node_modules/deltalink/msal.js")}";`))[0].contents), KB);
row("deltalink/auth", Buffer.from((await bundled(`export * from "${at("tests/node_modules/deltalink/auth.js")}";`))[0].contents), 2 * KB);
for (const store of ["durable-object", "d1"]) {
  row(`deltalink/stores/${store}`, Buffer.from((await bundled(`export * from "${at(`tests/node_modules/deltalink/stores/${store}.js`)}";`))[0].contents), 1.5 * KB);
}
const upload = await bundled(workerd, { loader: { ".wasm": "copy" }, conditions: ["workerd", "worker", "browser"], assetNames: "[name]" });
row("a Worker's upload", Buffer.concat(upload.map(({ contents }) => Buffer.from(contents))), 75 * KB);
const tarball = await readFile(at("dist/deltalink.tgz"));
rows.push(["the tarball", "", tarball.length, ""]);

const width = Math.max(...rows.map(([name]) => name.length));
console.log(`${"".padEnd(width)}     bytes      gzip`);
for (const [name, bytes, gzip, verdict] of rows) console.log(`${name.padEnd(width)} ${String(bytes).padStart(9)} ${String(gzip).padStart(9)}  ${verdict}`);
if (over) {
  console.error(`size: ${over} over budget`);
  process.exit(1);
}
