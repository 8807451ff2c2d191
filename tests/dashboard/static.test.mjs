// The static build of the demo (`make demo-static`), from a server that has only its files.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { count, idle, press, problem, ready, show, sync, untilCount, detailsOf } from "./harness.mjs";
import { newContext } from "./setup.mjs";

const absolutePath = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const FOLDER = absolutePath("dist/demo-static");
/** The folder is not at the root of its server. */
const PREFIX = "/some/path/";
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};
/** A text that only the code of the fake Graph contains. */
const FAKE = "the fake Graph broke the connection";

let server;
let root;
/** The requested paths that do not exist. */
const missing = [];

before(async () => {
  await promisify(execFile)(process.execPath, [absolutePath("scripts/demo-static.mjs")]);
  server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const path = pathname.slice(PREFIX.length) || "index.html";
    try {
      if (!pathname.startsWith(PREFIX) || path.includes("..")) throw new Error("outside of the folder");
      const body = await readFile(`${FOLDER}/${path}`);
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
      response.end(body);
    } catch {
      missing.push(pathname);
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  root = `http://127.0.0.1:${server.address().port}${PREFIX}`;
});
after(() => {
  server?.closeAllConnections();
  server?.close();
});

async function openStatic(context, parameters = "?auto=off", view = "contacts") {
  const page = await context.newPage();
  await page.goto(`${root}${parameters}#${view}`);
  await ready(page);
  return page;
}

const openPanel = (page) => page.getByRole("button", { name: "Demo", exact: true }).click();

/** Presses a button of the panel, and resolves to the result that the panel shows. */
async function act(page, name) {
  const results = page.locator(".demo-log [data-outcome]");
  const before = await results.count();
  await page.locator("#demo-panel").getByRole("button", { name, exact: true }).click();
  await results.nth(before).waitFor();
  return results.first().innerText();
}

/** Waits until the fake Graph has the state that the panel shows. */
const settled = (page) => page.locator('#demo-panel[aria-busy="false"]').waitFor();

const wide = { viewport: { width: 1440, height: 900 } };

test("the static demo shows rows under any path, without a server", async () => {
  const context = await newContext(wide);
  const others = [];
  context.on("request", (request) => {
    if (!request.url().startsWith(root)) others.push(request.url());
  });
  const page = await openStatic(context, "", "overview");
  for (const view of ["calendar", "contacts", "recordings"]) {
    await untilCount(page, view, 18);
    await idle(page, view);
  }
  assert.equal(await count(page, "contacts"), 140);
  assert.equal(await page.locator(".account-name").innerText(), "robin.ekholm@contoso.example");
  assert.deepEqual([others, missing], [[], []], "the dashboard requests only its own files");
});

test("a change in the panel of the static demo appears, and a reload keeps the world", async () => {
  const page = await openStatic(await newContext(wide));
  await sync(page, "contacts");
  const before = await count(page, "contacts");
  await openPanel(page);
  assert.match(await act(page, "Add"), /added 1, changed 0, removed 0 · 1 page · 1 request/);
  assert.match(await act(page, "Delete"), /added 0, changed 0, removed 1/);
  assert.match(await act(page, "Add"), /added 1, changed 0, removed 0/);
  assert.equal(await count(page, "contacts"), before + 1);
  await page.reload();
  await ready(page);
  assert.equal(await count(page, "contacts"), before + 1);
  // The fake knows the stored link and the changes before the reload.
  assert.match(
    await sync(page, "contacts"),
    /Last round: added 0, changed 0, removed 0 · 1 page · 1 request · \d/,
  );
});

test("a fault stays on in the static demo after a reload, and its end lets the next round succeed", async () => {
  const page = await openStatic(await newContext(wide));
  await openPanel(page);
  const forbid = page.getByRole("switch", { name: "Forbid: stays on" });
  await forbid.check();
  await settled(page);
  await press(page, "Sync");
  await problem(page).waitFor();
  await page.reload();
  await ready(page);
  await page.getByRole("switch", { name: "Forbid: stays on", checked: true }).waitFor();
  await press(page, "Sync");
  await problem(page).waitFor();
  const latency = page.getByRole("slider", { name: "Latency" });
  await latency.press("Home");
  await forbid.uncheck();
  await settled(page);
  await press(page, "Try again");
  await untilCount(page, "contacts", 140);
  await page.reload();
  await ready(page);
  await page.locator('[aria-valuetext="0 ms"]:enabled').waitFor();
  assert.equal(await forbid.isChecked(), false);
});

test("two tabs of the static demo show one world", async () => {
  const context = await newContext(wide);
  const page = await openStatic(context);
  await sync(page, "contacts");
  const before = await count(page, "contacts");
  await openPanel(page);
  const opening = context.waitForEvent("page");
  await page.getByRole("link", { name: "Open a second tab" }).click();
  const second = await opening;
  await ready(second);
  assert.equal(await count(second, "contacts"), before);
  await openPanel(second);
  assert.match(await act(second, "Add"), /added 1, changed 0, removed 0/);
  await untilCount(page, "contacts", before + 1);
  assert.match(await act(page, "Add"), /added 1, changed 0, removed 0/);
  await untilCount(second, "contacts", before + 2);
  await page.close();
  await show(second, "recordings");
  assert.match(await act(second, "Add"), /added/);
  assert.doesNotMatch(await detailsOf(second, "contacts"), /failed/);
});

test("the static demo opens offline", async () => {
  const context = await newContext(wide);
  const page = await openStatic(context);
  await sync(page, "contacts");
  await page.waitForSelector('body[data-shell="kept"]');
  await context.setOffline(true);
  await page.reload();
  await ready(page);
  assert.equal(await count(page, "contacts"), 140);
});

test("only the static build contains the fake Graph", () => {
  const has = (folder) =>
    readdirSync(folder, { recursive: true }).some(
      (name) => name.endsWith(".js") && readFileSync(`${folder}/${name}`, "utf8").includes(FAKE),
    );
  assert.equal(has(absolutePath("www/dist")), false);
  assert.equal(has(FOLDER), true);
});
