// Tests which entry of the package a host loads: under the export conditions of other hosts, and by
// the subpaths that name an entry. The error of a wrong entry says so, and init(wasm) helps.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { workerd } from "./hosts.mjs";
import { Project, resultOf, stage } from "./kit.mjs";

let shared;
before(async () => {
  shared = await stage();
});
after(() => shared.end());

const PARTS = [
  ["entries", "."],
  ["vite/index.html", "index.html"],
  ["esbuild/www", "www"],
  ["worker/src", "src"],
  ["round.js", "src/round.js"],
  ["page.js", "src/main.js"],
  ["runtime.mjs", "src/main.mjs"],
];

/** Runs `run` in a project whose code imports `deltalink`, or a subpath of it. */
async function inProject(entry, run) {
  const project = await Project.make(shared, PARTS, false);
  try {
    if (entry) await project.run(`sed -i 's#"deltalink"#"deltalink/${entry}"#' src/round.js src/given.js`);
    return await run(project);
  } finally {
    await project.end();
  }
}

const esbuild = (project, main, flags) =>
  project.run(`esbuild ${main} --bundle --format=esm --outdir=out --loader:.wasm=copy ${flags}`);

/** A round in a web page whose code esbuild has bundled. */
const inPage = (entry, flags) =>
  inProject(entry, async (project) => {
    await project.run(`esbuild src/main.js --bundle --format=esm --outfile=www/main.js ${flags}`);
    return project.openInBrowser(await project.serve("www"));
  });

/** A round in a web page that Vite has built. */
const byVite = (entry, flags = "") =>
  inProject(entry, async (project) => {
    await project.run(`vite build --logLevel=error ${flags}`);
    return project.openInBrowser(await project.serve("dist"));
  });

/** A round in a Worker. */
const inWorkerd = (entry, flags) =>
  inProject(entry, async (project) => {
    await esbuild(project, "src/index.js", flags);
    return workerd(project, "out", "index.js");
  });

/** A round in Node. */
const inNode = (entry, flags = "") =>
  inProject(entry, (project) => project.json(`${process.execPath} ${flags} src/main.mjs`));

/** init() without and then with the wasm, in a Worker. */
const givenInWorkerd = (entry, flags) =>
  inProject(entry, async (project) => {
    await esbuild(project, "src/given-worker.js", flags);
    return workerd(project, "out", "given-worker.js");
  });

const WORKER = "--conditions=worker,browser";
const WORKERD = "--conditions=workerd,worker,browser";
/** OpenNext bundles the server for Node, and replaces what workerd lacks. */
const UNENV =
  "--conditions=node --alias:node:fs/promises=./src/no-files.js --define:import.meta.url='\"file:///worker.js\"'";
const VITE = "--config workerd.vite.config.js";

/** Hosts, each with the origin from which its entry loads the wasm. */
const ROUNDS = {
  "deltalink/browser in a web page that is built under the condition workerd": [
    "url",
    () => byVite("browser", VITE),
  ],
  "deltalink/browser in a web page": ["url", () => byVite("browser")],
  "deltalink/browser in a web page of one file, under the condition node": [
    "inline",
    () => inPage("browser", "--conditions=node"),
  ],
  "deltalink/browser in Node": ["inline", () => inNode("browser")],
  "deltalink/workerd in a Worker": ["module", () => inWorkerd("workerd", WORKERD)],
  "deltalink/workerd in a Worker that is bundled under worker and browser": [
    "module",
    () => inWorkerd("workerd", WORKER),
  ],
  "deltalink in a web page under the condition edge-light, whose bundler imports wasm as bytes": [
    "module",
    () => inPage(undefined, "--conditions=edge-light,worker --loader:.wasm=binary"),
  ],
  "deltalink/workerd in a web page whose bundler imports wasm as bytes": [
    "module",
    () => inPage("workerd", "--loader:.wasm=binary"),
  ],
  "deltalink/node in Node": ["file", () => inNode("node")],
  "deltalink/node in Node under the conditions workerd and worker": [
    "file",
    () => inNode("node", "--conditions=workerd --conditions=worker"),
  ],
  "deltalink/inline in Node": ["inline", () => inNode("inline")],
  "deltalink/inline in Node under the condition workerd": [
    "inline",
    () => inNode("inline", "--conditions=workerd"),
  ],
  "deltalink/inline in a web page that is built under the condition workerd": [
    "inline",
    () => byVite("inline", VITE),
  ],
  "deltalink in a web page of one file that is bundled under worker and browser": [
    "inline",
    () => inPage(undefined, WORKER),
  ],
  "deltalink in Node under the condition worker": ["file", () => inNode(undefined, "--conditions=worker")],
};

for (const [host, [origin, run]] of Object.entries(ROUNDS))
  test(`${host}: a round completes with the wasm from ${origin}`, async () =>
    assert.deepEqual(await run(), resultOf(origin)));

/** Hosts in which init() needs the wasm, with the entry that they load. */
const FAILURES = {
  "deltalink in a Worker that is bundled under worker and browser": [
    "worker",
    () => givenInWorkerd(undefined, WORKER),
  ],
  "deltalink in a Worker that is bundled for browsers": [
    "browser",
    () => givenInWorkerd(undefined, "--conditions=browser"),
  ],
  "deltalink/browser in a Worker": ["browser", () => givenInWorkerd("browser", WORKERD)],
  "deltalink/inline in a Worker": ["inline", () => givenInWorkerd("inline", WORKERD)],
  "a server that is bundled under the condition node and runs in workerd": [
    "node",
    () => givenInWorkerd(undefined, UNENV),
    /\[unenv\] fs\.readFile is not implemented yet!; .*disallowed by embedder/,
  ],
  "Node where files cannot be read and code must not be compiled": [
    "node",
    () =>
      inProject(undefined, (project) =>
        project.json(`${process.execPath} --import ./src/like-workerd.js src/given-node.js`),
      ),
    /\[unenv\] fs\.readFile is not implemented yet!; .*disallowed by embedder/,
  ],
};

for (const [host, [entry, run, reasons = /disallowed by embedder/]] of Object.entries(FAILURES)) {
  test(`${host}: the error names the entry and what to do, and init(wasm) works after it`, async () => {
    const { failure, origin, result } = await run();
    const { message, ...rest } = failure;
    assert.deepEqual(rest, { name: "DeltaError", code: "wasm", retryable: true });
    assert.ok(message.includes(`the entry "${entry}" was loaded: `), message);
    assert.match(message, /import wasm from "deltalink\/deltalink\.wasm"; await init\(wasm\)/);
    assert.match(message, reasons);
    assert.equal(origin, "given");
    assert.deepEqual(result, resultOf("given"));
  });
}

test("the error of the entry workerd says what to do if the bundler did not import a module", async () => {
  const { error } = await inPage("workerd", "--loader:.wasm=text");
  assert.match(error, /^wasm .*the entry "workerd" was loaded: .*import from "deltalink\/browser"/);
});

test("the wasm of another build is refused in a Worker, as elsewhere", async () => {
  const { error } = await inProject("workerd", async (project) => {
    await writeFile(join(project.folder, "src/other.wasm"), Buffer.from([0, 97, 115, 109, 1, 0, 0, 0]));
    await esbuild(project, "src/other-worker.js", WORKERD);
    return workerd(project, "out", "other-worker.js");
  });
  assert.match(error, /^wasm .*the entry "workerd" was loaded: this is not the wasm of this build/);
});

test("deltalink/testing in a Worker names the condition that it needs", async () => {
  const run = (flags) =>
    inProject(undefined, async (project) => {
      await esbuild(project, "src/testing-worker.js", flags);
      return (await workerd(project, "out", "testing-worker.js")).result;
    });
  assert.match(await run(WORKER), /disallowed by embedder\); .* the export condition "workerd"/);
  assert.equal(await run(WORKERD), "made");
});
