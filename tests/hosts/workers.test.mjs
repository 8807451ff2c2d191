// Tests workers of browsers as hosts, and IndexedDB in each host that has it, with each entry.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Project, serve, stage } from "./kit.mjs";

const FOLDER = new URL("workers/", import.meta.url).pathname;
const PACKAGE = new URL("../node_modules/deltalink/", import.meta.url).pathname;
let shared;
before(async () => {
  shared = await stage();
});
after(() => shared.end());

const WEB_PAGE = { status: 200, type: "text/html", body: "<!doctype html><title>A web page</title>" };
const MISSING = { status: 404, type: "text/plain", body: "not found" };
const wasmIsMissing = (path) => (path.endsWith(".wasm") ? MISSING : undefined);
/** The expected result of run() in task.js. */
const resultOf = (wasmOrigin) => ({ wasmOrigin, pages: 3, added: 25, count: 25, databases: 1 });
let accounts = 0;

/** Runs a round in a worker of a web page. `entry` is the file that it imports as deltalink. */
async function inWorker(
  kind,
  entry,
  respond = () => undefined,
  { url = `/workers/${kind}.js`, type = "module" } = {},
) {
  const respondAll = async (path) => {
    if (path === "/index.html") return WEB_PAGE;
    if (!path.startsWith("/workers/")) return respond(path);
    // Workers have no import map.
    const source = await readFile(join(FOLDER, path.slice("/workers/".length)), "utf8");
    return { status: 200, type: "text/javascript", body: source.replace('"deltalink"', `"/${entry}"`) };
  };
  const server = await serve((path) => join(PACKAGE, path), respondAll, { "service-worker-allowed": "/" });
  const { root, tokens } = await shared.fake.world({ populate: { contacts: 25 } });
  const context = await shared.browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(server.origin);
    const task = { endpoint: root, token: tokens.delegated, account: `alex ${(accounts += 1)}` };
    const result = await page.evaluate(
      async ([kind, url, type, task]) => (await import("/workers/page.js")).sendTask[kind](url, type, task),
      [kind, url, type, task],
    );
    return { result, requestedPaths: server.requestedPaths };
  } finally {
    await context.close();
    await server.end();
  }
}

for (const kind of ["dedicated", "shared", "service"]) {
  describe(`a ${kind} worker`, () => {
    for (const entry of ["browser.js", "worker.js"]) {
      test(`completes a round on IndexedDB with ${entry} and the fetched file`, async () => {
        const { result, requestedPaths } = await inWorker(kind, entry);
        assert.deepEqual(result, resultOf("url"));
        assert.ok(!requestedPaths.includes("/inline.js"));
      });
    }

    test("completes a round on IndexedDB with deltalink/inline and no file", async () => {
      const { result, requestedPaths } = await inWorker(kind, "inline-entry.js", wasmIsMissing);
      assert.deepEqual(result, resultOf("inline"));
      assert.ok(!requestedPaths.includes("/deltalink.wasm"));
    });
  });
}

for (const kind of ["dedicated", "shared"]) {
  test(`a ${kind} worker loads the copy in JavaScript if the file is missing`, async () => {
    for (const entry of ["browser.js", "worker.js"])
      assert.deepEqual((await inWorker(kind, entry, wasmIsMissing)).result, resultOf("inline"), entry);
  });
}

test("a service worker without the file gets an error that names deltalink/inline, and imports nothing", async () => {
  for (const entry of ["browser", "worker"]) {
    const { result, requestedPaths } = await inWorker("service", `${entry}.js`, wasmIsMissing);
    assert.match(result.error, /^wasm .*deltalink\.wasm has the status 404/);
    assert.ok(result.error.includes(`the entry "${entry}" was loaded: `), result.error);
    assert.match(result.error, /such as a service worker, import from "deltalink\/inline"/);
    assert.ok(!requestedPaths.includes("/inline.js"));
  }
});

test("a classic service worker of one file contains the copy in JavaScript", async () => {
  const project = await Project.make(shared, [["workers", "."]], false);
  try {
    await project.run("esbuild service.js --bundle --format=iife --outfile=bundled.js");
    const bundled = await readFile(join(project.folder, "bundled.js"));
    const { result } = await inWorker(
      "service",
      "",
      (path) => (path === "/bundled.js" ? { status: 200, type: "text/javascript", body: bundled } : MISSING),
      { url: "/bundled.js", type: "classic" },
    );
    assert.deepEqual(result, resultOf("inline"));
  } finally {
    await project.end();
  }
});

/** Hosts with an IndexedDB that load the entry for Node. In these tests it is fake-indexeddb. */
const PROCESSES = {
  "Electron, whose process has process.versions.electron": "electron.js",
  "a Node service with a polyfill": "polyfill.js",
};
for (const [host, file] of Object.entries(PROCESSES)) {
  for (const [entry, origin] of [
    ["node", "file"],
    ["browser", "inline"],
    ["inline", "inline"],
  ]) {
    test(`${host}: IndexedDB is used with deltalink/${entry}`, async () => {
      const project = await Project.make(shared, [["workers", "."]], false);
      try {
        const polyfill = new URL("../../node_modules/fake-indexeddb", import.meta.url).pathname;
        await project.run(`ln -s ${polyfill} node_modules/fake-indexeddb`);
        assert.deepEqual(
          await project.json(`${process.execPath} ${file} deltalink/${entry}`),
          resultOf(origin),
        );
      } finally {
        await project.end();
      }
    });
  }
}

test("a process without IndexedDB gets an error that says to name a store", async () => {
  const project = await Project.make(shared, [["workers", "."]], false);
  try {
    const { error } = await project.json(`${process.execPath} program.js deltalink/node`);
    assert.match(error, /^store .*this host has no IndexedDB.*options\.store: "memory"/);
  } finally {
    await project.end();
  }
});
