// The tarball of `npm pack`, installed in another folder. tests/hosts has the other hosts.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { access, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { build } from "esbuild";
import { startFake } from "../fake.mjs";

const run = promisify(execFile);
const tarball = new URL("../../dist/deltalink.tgz", import.meta.url).pathname;
let fake;
let folder;

before(async () => {
  fake = await startFake();
  folder = await mkdtemp(join(tmpdir(), "deltalink-"));
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ name: "elsewhere", private: true, type: "module" }),
  );
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error", tarball], {
    cwd: folder,
  });
});
after(async () => {
  await fake.stop();
  await rm(folder, { recursive: true });
});

test("the tarball contains the wasm, that of the fake Graph, and the files of package.json", async () => {
  const files = (await readdir(join(folder, "node_modules/deltalink"), { recursive: true })).sort();
  assert.deepEqual(
    files.filter((file) => file.endsWith(".wasm")),
    ["deltalink.wasm", "fake-graph.wasm"],
  );
  for (const file of [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "CHANGELOG.md",
    "index.d.ts",
    "msal.d.ts",
  ])
    assert.ok(files.includes(file), file);
  const { exports } = JSON.parse(await readFile(join(folder, "node_modules/deltalink/package.json"), "utf8"));
  const named = Object.values(exports).flatMap((entry) =>
    typeof entry === "string" ? [entry] : Object.values(entry),
  );
  for (const path of named) assert.ok(files.includes(path.slice(2)), path);
});

test("every link of the packed README leads to a file of the repository, by its full address", async () => {
  const absolutePath = (name) => join(folder, "node_modules/deltalink", name);
  const { repository, homepage, bugs } = JSON.parse(await readFile(absolutePath("package.json"), "utf8"));
  const address = repository.url.replace(/^git\+|\.git$/g, "");
  assert.deepEqual([homepage, bugs], [`${address}#readme`, `${address}/issues`]);
  const links = [...(await readFile(absolutePath("README.md"), "utf8")).matchAll(/\]\(([^)]+)\)/g)].map(
    ([, to]) => to,
  );
  assert.ok(links.length > 15, `${links.length} links`);
  for (const link of links) {
    // The link of a picture leads to the file itself, not to the web page about it.
    const way = link.endsWith(".png") ? "raw" : "blob";
    assert.ok(link.startsWith(`${address}/${way}/main/`), link);
    const path = link.slice(`${address}/${way}/main/`.length).split("#")[0];
    await access(new URL(`../../${path}`, import.meta.url));
  }
});

test("no wasm contains paths of the build machine, and that of deltalink nothing of the fake Graph", async () => {
  for (const file of ["deltalink.wasm", "fake-graph.wasm"]) {
    const bytes = await readFile(join(folder, "node_modules/deltalink", file), "latin1");
    const here = new URL("../..", import.meta.url).pathname;
    const found = [here, "/.cargo/", "/.rustup/"]
      .filter((path) => bytes.includes(path))
      .concat(bytes.match(/index\.[a-z.]+-[0-9a-f]{16}/) ?? []);
    assert.deepEqual(found, [], file);
    assert.equal(bytes.includes("robin.ekholm"), file === "fake-graph.wasm");
  }
});

test("the contract of stores does not load the wasm of the fake Graph", async () => {
  const { outputFiles } = await build({
    stdin: { contents: 'export { storeContract } from "deltalink/testing";', resolveDir: folder },
    bundle: true,
    write: false,
    splitting: true,
    format: "esm",
    outdir: folder,
  });
  const { text } = outputFiles.find(({ path }) => path.endsWith("stdin.js"));
  assert.ok(text.length < 30_000 && !text.includes("import") && !text.includes("fake"));
});

test("the installed package runs a round in Node", async () => {
  const world = await fake.world({ populate: { contacts: 25 } });
  await writeFile(
    join(folder, "round.mjs"),
    `import { openDelta } from "deltalink";
     const client = await openDelta({ endpoint: process.argv[2], token: () => process.argv[3], store: "memory" });
     const contacts = client.orgContacts();
     const { pages, added } = await contacts.sync();
     console.log(JSON.stringify({ pages, added, count: await contacts.count() }));`,
  );
  const { stdout } = await run(process.execPath, ["round.mjs", world.root, world.tokens.delegated], {
    cwd: folder,
  });
  assert.deepEqual(JSON.parse(stdout), { pages: 3, added: 25, count: 25 });
});
