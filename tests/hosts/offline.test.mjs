// The service worker of docs/hosts.md, from the text of the page, in a browser: an app without a
// network starts with its mirror, and no response of Graph is cached. The list of files is that of
// the page, or the one that its script writes after a build of Vite.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { build } from "esbuild";
import { build as buildByVite, createServer } from "vite";
import { startChromium } from "../dashboard/harness.mjs";
import { startFake } from "../fake.mjs";
import { serve } from "./kit.mjs";

const root = new URL("../..", import.meta.url).pathname;
const page = await readFile(`${root}docs/hosts.md`, "utf8");
const blockOf = (text) =>
  [...page.matchAll(/^```(?:js|ts)\n(.*?)^```$/gms)]
    .map(([, code]) => code)
    .find((code) => code.includes(text));

const APP = `
import { openDelta } from "deltalink";
const { endpoint, token, mode } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const client = await openDelta({ endpoint, token: () => token, account: "ann@contoso.example" });
const contacts = client.orgContacts();
if (mode !== "offline") {
  await contacts.sync();
  ${blockOf("serviceWorker.register(")}
  if (mode === "sync") await navigator.serviceWorker.ready;
}
window.result = { count: await contacts.count() };
`;

const folder = `${root}tests/node_modules/.docs-offline/`;
let browser;
before(async () => {
  browser = await startChromium();
});
after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Builds the app with the files that the service worker of docs/hosts.md lists. */
async function byEsbuild(replaced = {}) {
  const bundle = await build({
    stdin: {
      contents: `import { init } from "deltalink"; await init("/assets/deltalink.wasm");${APP}`,
      resolveDir: `${root}tests`,
    },
    bundle: true,
    format: "esm",
    write: false,
    conditions: ["browser"],
    logLevel: "error",
  });
  const files = {
    "/index.html": ["text/html", '<script type="module" src="/assets/app.js"></script>'],
    "/assets/app.js": ["text/javascript", bundle.outputFiles[0].text],
    "/assets/deltalink.wasm": ["application/wasm", await readFile(`${root}dist/package/deltalink.wasm`)],
    "/sw.js": ["text/javascript", blockOf("addEventListener(")],
    ...replaced,
  };
  const respond = (path) => files[path] && { status: 200, type: files[path][0], body: files[path][1] };
  return {
    site: await serve((path) => path, respond),
    names: [/^\/$/, /^\/assets\/app\.js$/, /^\/assets\/deltalink\.wasm$/],
  };
}

/** Writes the app for Vite, with the service worker where the script of docs/hosts.md reads it. */
async function writeApp() {
  const script = blockOf("readdirSync(");
  const [, worker] = /readFileSync\("([^"]+)"/.exec(script);
  await rm(folder, { recursive: true, force: true });
  await mkdir(dirname(folder + worker), { recursive: true });
  await writeFile(`${folder}index.html`, '<script type="module" src="/app.js"></script>');
  await writeFile(`${folder}app.js`, APP);
  await writeFile(folder + worker, blockOf("addEventListener("));
  await writeFile(`${folder}list.mjs`, script);
}

/** Builds the app by Vite, and runs the script of docs/hosts.md after it. */
async function byVite() {
  await writeApp();
  await buildByVite({ root: folder, configFile: false, logLevel: "error" });
  await promisify(execFile)(process.execPath, ["list.mjs"], { cwd: folder });
  const site = await serve((path) => `${folder}dist${path}`);
  return { site, names: [/^\/$/, /^\/assets\/deltalink-[\w-]+\.wasm$/, /^\/assets\/index-[\w-]+\.js$/] };
}

/** Opens a tab with the app of a site. Returns how to load the app, and what the tab contains. */
async function openTab(t, site, world) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const tab = await context.newPage();
  const open = async (mode) => {
    const values = { endpoint: world.root, token: world.tokens.delegated, mode };
    await tab.goto("about:blank");
    await tab.goto(`${site.origin}/#${new URLSearchParams(values)}`);
    const result = await tab.waitForFunction(() => window.result);
    return result.jsonValue();
  };
  return { tab, open };
}

for (const [builder, make] of Object.entries({ esbuild: byEsbuild, Vite: byVite }))
  test(`an app by ${builder} with the service worker of docs/hosts.md starts without a network, with its mirror`, async (t) => {
    const fake = await startFake();
    t.after(() => fake.stop());
    const { site, names } = await make();
    t.after(() => site.end());
    const { tab, open } = await openTab(t, site, await fake.world({ populate: { contacts: 25 } }));
    assert.deepEqual(await open("sync"), { count: 25 });
    // Now the service worker controls the web page, and a round sends its requests through it.
    assert.deepEqual(await open("sync"), { count: 25 });
    assert.ok(await tab.evaluate(() => navigator.serviceWorker.controller !== null));
    const cached = await tab.evaluate(async () => {
      const caches = await window.caches.keys();
      const requests = await Promise.all(caches.map(async (name) => (await window.caches.open(name)).keys()));
      return requests.flat().map(({ url }) => new URL(url).pathname);
    });
    assert.equal(cached.length, names.length);
    cached.sort().forEach((path, index) => assert.match(path, names[index]));

    await site.end();
    await fake.stop();
    assert.deepEqual(await open("offline"), { count: 25 });
  });

test("the development server of Vite has no script at /sw.js, which would keep old files", async (t) => {
  await writeApp();
  const server = await createServer({ root: folder, configFile: false, logLevel: "error" });
  t.after(() => server.close());
  await server.listen(0);
  const response = await fetch(new URL("/sw.js", server.resolvedUrls.local[0]));
  assert.match(response.headers.get("content-type"), /^text\/html/);
});

test("an app starts if there is no service worker at /sw.js, and reports it", async (t) => {
  const fake = await startFake();
  t.after(() => fake.stop());
  const { site } = await byEsbuild({ "/sw.js": undefined });
  t.after(() => site.end());
  const { tab, open } = await openTab(t, site, await fake.world({ populate: { contacts: 25 } }));
  const warned = tab.waitForEvent("console", (message) => message.text().startsWith("no start offline:"));
  assert.deepEqual(await open("start"), { count: 25 });
  await warned;
});
