// The React example in www/examples/react: its types, its size, and the built app in Chromium on a
// fake Graph in the web page. tests/adapters/example/auth.js replaces its sign-in.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "vite";
import { startChromium } from "../dashboard/harness.mjs";
import { serve } from "../hosts/kit.mjs";

const LIMIT = 100;
const absolutePath = (path) => fileURLToPath(new URL(path, import.meta.url));
const example = absolutePath("../../www/examples/react");

/** Builds the app into a new folder, which is removed after the test. */
async function buildExample(context, alias) {
  const folder = await mkdtemp(join(tmpdir(), "deltalink-example-"));
  context.after(() => rm(folder, { recursive: true }));
  await build({
    root: example,
    configFile: false,
    logLevel: "error",
    resolve: { alias },
    build: { outDir: folder, emptyOutDir: true, target: "es2022" },
  });
  return folder;
}

test(`the example has at most ${LIMIT} lines in all`, async (context) => {
  const entries = await readdir(example, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !/node_modules|dist/.test(entry.parentPath));
  const texts = await Promise.all(
    files.map(({ parentPath, name }) => readFile(join(parentPath, name), "utf8")),
  );
  const lines = texts.reduce((sum, text) => sum + text.trimEnd().split("\n").length, 0);
  context.diagnostic(`lines: www/examples/react ${lines}`);
  assert.ok(files.length >= 4 && lines <= LIMIT, `${lines} lines in ${files.length} files`);
});

test("the example has no type errors, and builds with the real sign-in", async (context) => {
  const tsc = absolutePath("../../node_modules/.bin/tsc");
  await promisify(execFile)(tsc, ["-p", absolutePath("example")]).catch(({ stdout }) => assert.fail(stdout));
  assert.ok((await readdir(await buildExample(context))).includes("index.html"));
});

test("the example signs in, follows the calendar, signs in again and signs out", async (context) => {
  const folder = await buildExample(context, { "./auth": absolutePath("example/auth.js") });
  const site = await serve((path) => join(folder, path));
  context.after(() => site.end());
  const chromium = await startChromium();
  context.after(() => chromium.close());
  const page = await chromium.newPage();
  page.setDefaultTimeout(10_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(site.origin);
  const shows = (rows) =>
    page.waitForFunction(
      (rows) => [...document.querySelectorAll("li")].map(({ textContent }) => textContent).join() === rows,
      rows.join(),
    );

  await page.getByText("Sign in", { exact: true }).waitFor();
  const day = await page.evaluate(() => {
    const { graph } = window.example;
    for (const displayName of ["Kim", "Ada"]) graph.add("contacts", { displayName });
    const day = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    window.add = (subject, hour) => {
      const time = (minute) => ({ dateTime: `${day}T${hour}:${minute}:00.0000000`, timeZone: "UTC" });
      graph.add("events", { subject, start: time("00"), end: time("30") });
    };
    window.add("Review", "10");
    return day;
  });
  /** The row of a meeting: its time in the language and zone of the user, and its subject. */
  const row = (hour, subject) =>
    page.evaluate(
      ([at, text]) => `${new Date(at).toLocaleString()} ${text}`,
      [`${day}T${hour}:00:00Z`, subject],
    );
  await page.getByText("Sign in", { exact: true }).click();
  await shows([await row("10", "Review"), "Ada", "Kim"]);

  await page.evaluate(async () => {
    window.calendar = window.example.client.events({ window: { daysAhead: 14 } });
    window.add("Stand-up", "09");
    await window.calendar.sync();
  });
  const rows = [await row("09", "Stand-up"), await row("10", "Review"), "Ada", "Kim"];
  await shows(rows);

  await page.evaluate(async () => {
    window.example.isSignedIn = false;
    window.example.graph.revokeTokens();
    await window.calendar.sync().catch(() => {});
  });
  await page.getByText("Sign in again").click();
  await page.getByText("Calendar: Updated now.").waitFor();
  await shows(rows);
  assert.equal(await page.evaluate(() => window.example.signIns.length), 2);

  await page.getByText("Sign out").click();
  await page.getByText("Sign in", { exact: true }).waitFor();
  await shows([]);
  await page.waitForFunction(() => !window.example.isSignedIn);
  assert.deepEqual(complaints, []);
});
