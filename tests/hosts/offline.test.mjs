// The service worker of docs/hosts.md, from the text of the page, in a browser: an app without a
// network starts with its mirror, and no response of Graph is cached.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { build } from "esbuild";
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
import { init, openDelta } from "deltalink";
await init("/assets/deltalink.wasm");
const { endpoint, token, mode } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const client = await openDelta({ endpoint, token: () => token, account: "ann@contoso.example" });
const contacts = client.orgContacts();
if (mode === "sync") {
  await contacts.sync();
  ${blockOf("serviceWorker.register(")}
  await navigator.serviceWorker.ready;
}
window.result = { count: await contacts.count() };
`;

let browser;
let fake;
before(async () => {
  fake = await startFake();
  browser = await startChromium();
});
after(async () => {
  await browser?.close();
  await fake?.stop();
});

test("with the service worker of docs/hosts.md an app starts without a network, with its mirror", async () => {
  const world = await fake.world({ populate: { contacts: 25 } });
  const bundle = await build({
    stdin: { contents: APP, resolveDir: `${root}tests` },
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
  };
  const site = await serve(
    (path) => path,
    (path) => files[path] && { status: 200, type: files[path][0], body: files[path][1] },
  );
  const context = await browser.newContext();
  const tab = await context.newPage();
  const open = async (mode) => {
    const values = { endpoint: world.root, token: world.tokens.delegated, mode };
    await tab.goto("about:blank");
    await tab.goto(`${site.origin}/#${new URLSearchParams(values)}`);
    const result = await tab.waitForFunction(() => window.result);
    return result.jsonValue();
  };
  assert.deepEqual(await open("sync"), { count: 25 });
  // Now the service worker controls the web page, and a round sends its requests through it.
  assert.deepEqual(await open("sync"), { count: 25 });
  assert.ok(await tab.evaluate(() => navigator.serviceWorker.controller !== null));
  const cached = await tab.evaluate(async () => {
    const names = await caches.keys();
    const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
    return requests.flat().map(({ url }) => new URL(url).pathname);
  });
  assert.deepEqual(cached.sort(), ["/", "/assets/app.js", "/assets/deltalink.wasm"]);

  await site.end();
  await fake.stop();
  assert.deepEqual(await open("offline"), { count: 25 });
  await context.close();
});
