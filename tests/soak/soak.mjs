// Runs thirty queries in one tab of Chromium on a fake Graph with many faults: make soak
// MINUTES=10. At the end every mirror and every replayed feed must equal the server, memory must
// not have grown, and only one origin may have seen the token.
import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startChromium } from "../dashboard/harness.mjs";
import { startFake } from "../fake.mjs";
import { delayed } from "../wait.mjs";

const MINUTES = Number(process.env.MINUTES ?? 10);
const MB = 1024 ** 2;
const absolutePath = (path) => fileURLToPath(new URL(path, import.meta.url));

/** The requests to another origin, to which links and redirects of the fake Graph lead. */
const foreignRequests = [];
const foreignServer = createServer((request, response) => {
  foreignRequests.push({ url: request.url, authorization: request.headers.authorization });
  response
    .writeHead(200, { "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*" })
    .end("{}");
});
await new Promise((resolve) => foreignServer.listen(0, "127.0.0.1", resolve));
const foreignOrigin = `http://127.0.0.1:${foreignServer.address().port}`;

const folder = await mkdtemp(join(tmpdir(), "deltalink-soak-"));
await cp(absolutePath("site"), folder, { recursive: true });
await cp(absolutePath("../wait.mjs"), join(folder, "wait.mjs"));
await cp(absolutePath("../node_modules/deltalink"), join(folder, "deltalink"), { recursive: true });
const fake = await startFake("--static", folder);
const chromium = await startChromium();
let failed = 0;
try {
  await soak();
} catch (error) {
  console.error(error);
  failed = 1;
} finally {
  await chromium.close();
  await fake.stop();
  foreignServer.close();
  await rm(folder, { recursive: true });
}
process.exitCode = failed;

/**
 * Faults in a third of all responses, without those that lose data (items without an id, an emptied
 * page), because no client can recover it. Each rule takes its share of the responses that the
 * rules before it have left.
 */
function worstFaults() {
  const kinds = [
    ...[500, 502, 503, 504, 408].map((status) => ({ name: "status", status, code: "UnknownError" })),
    { name: "status", status: 429, code: "TooManyRequests", headers: { "Retry-After": "0.4" } },
    { name: "status", status: 429, code: "ApplicationThrottled" },
    { name: "status", status: 503, code: "serviceNotAvailable", headers: { "Retry-After": "1" } },
    ..."network hang html empty503 not_json no_value value_null neither_link error_in_200 unauthorized claims both_links".split(
      " ",
    ),
    { name: "cut", n: 200 },
    { name: "slow", bytes_per_second: 3000 },
    { name: "foreign_link", origin: foreignOrigin },
    { name: "redirect", location: `${foreignOrigin}/v1.0/users/delta` },
    "same_link",
    "relative_link",
  ];
  const resets = Array.from({ length: 15 }, (_, spelling) => ({ name: "reset", spelling: spelling + 1 }));
  return [
    // Each kind of fault hits one or two percent of the responses, which is a third in all.
    ...kinds.map((fault, index) => ({ match: { percent: index < 12 ? 2 : 1 }, times: null, fault })),
    { match: { percent: 1, kind: "delta" }, times: null, fault: resets[Math.floor(Math.random() * 15)] },
    { match: { percent: 1, kind: "next" }, times: null, fault: resets[Math.floor(Math.random() * 15)] },
  ];
}

async function soak() {
  const world = await fake.world({
    seed: 7,
    populate: {
      events: 80,
      contacts: 60,
      recordings: 40,
      users: 50,
      groups: 6,
      drive: 60,
      messages: 60,
      around: "2026-11-21T00:00:00Z",
    },
    options: {
      page_size: 9,
      duplicates: "both",
      empty_pages: 1,
      generations: 6,
      token_lifetime_ms: 20_000,
      keep_alive: true,
    },
  });
  const rules = worstFaults();
  await world.faults(...rules);
  const context = await chromium.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(`${fake.origin}/`);
  await page.waitForFunction(() => window.begin);
  const control = `${fake.origin}/control/worlds/${world.id}`;
  await page.evaluate((given) => window.begin(given), { root: world.root, control, user: world.user.id });

  const watch = await memory(page);
  const samples = [];
  const began = Date.now();
  let edits = 0;
  let logged = 0;
  for (let ticks = 1; Date.now() - began < MINUTES * 60_000; ticks++) {
    await delayed(1000);
    for (const collection of ["events", "contacts", "users", "groups", "drive", "messages", "recordings"]) {
      // Recordings can only be added.
      const edit = collection === "recordings" ? { op: "add" } : { op: "random", count: 1 };
      if (Math.random() < (collection === "recordings" ? 0.05 : 0.4))
        edits += (await world.edits({ collection, ...edit })).ids.length;
    }
    if (ticks % 45 === 0) await world.expire();
    if (ticks % 30 === 0) await world.revoke();
    // The log of the fake Graph would grow without limit.
    if (ticks % 5 === 0) {
      logged += (await world.log()).filter(({ kind }) => kind !== "preflight").length;
      await world.clearLog();
    }
    if (ticks % 5 === 0) samples.push(await watch());
    if (ticks % 60 === 0)
      console.log(
        `${ticks / 60} min: ${JSON.stringify((await page.evaluate(() => window.counts())).rounds)}, heap ${(samples.at(-1).heap / MB).toFixed(1)} MB`,
      );
  }
  await page.evaluate(() => window.end());
  logged += (await world.log()).filter(({ kind }) => kind !== "preflight").length;
  const { counts: faults } = await fetch(`${control}/faults`).then((response) => response.json());
  await fetch(`${control}/faults`, { method: "DELETE" });
  const counts = await page.evaluate(() => window.counts());

  const ends = await page.evaluate(() => window.settle());
  let compared = 0;
  for (const { key, kind, table, feed, items } of ends) {
    const expected = await world.table(...split(table));
    compared += items.length;
    assert.deepEqual(
      byId(kind, items, feed),
      byId(kind, expected, feed),
      `${feed ? "the replayed feed" : "the mirror"} of ${key} equals the server`,
    );
  }
  const faulted = Object.values(faults).reduce((sum, count) => sum + count, 0);
  const peak = Math.max(...samples.map(({ resident }) => resident));
  const quarter = Math.max(1, Math.floor(samples.length / 4));
  const median = (list) =>
    list.map(({ heap }) => heap).sort((one, other) => one - other)[Math.floor(list.length / 2)];
  const [early, late] = [median(samples.slice(quarter, 2 * quarter + 1)), median(samples.slice(-quarter))];

  console.log(`rounds    ${JSON.stringify(counts.rounds)}`);
  console.log(
    `requests  ${counts.requests} calls of fetch, ${logged} entries in the log of the fake Graph; ${counts.tokens} tokens, ${edits} edits`,
  );
  console.log(
    `faults    ${faulted} (${((100 * faulted) / logged).toFixed(1)} % of the entries): ${JSON.stringify(faults)}`,
  );
  console.log(
    `memory    heap ${(early / MB).toFixed(1)} MB in the second quarter, ${(late / MB).toFixed(1)} MB in the last; peak of the tab's process ${(peak / MB).toFixed(0)} MB`,
  );
  console.log(
    `end       ${ends.length} queries (${ends.filter(({ feed }) => feed).length} of them feeds), ${compared} items, all equal to the server`,
  );
  console.log(
    `foreign   ${foreignRequests.length} requests to another origin, ${foreignRequests.filter(({ authorization }) => authorization).length} with a token`,
  );
  assert.deepEqual(complaints, [], "no rejection is unhandled");
  assert.deepEqual(foreignRequests, [], "no other origin got a request");
  assert.ok(counts.rounds.complete > 0 && faulted > 0);
  // A short run does not show whether memory grows.
  if (MINUTES >= 2) assert.ok(late < early * 1.2 + 2 * MB, "memory has not grown");
}

function split(table) {
  const [collection, query] = table.split("?");
  return [collection, query ? `?${query}` : ""];
}

/**
 * Items by id, without the annotations of a response, and with relationships in the form of tables.
 */
function byId(kind, items, feed) {
  const plain = (item) => {
    const kept = Object.entries(item).filter(
      ([name]) =>
        !name.startsWith("@odata.") && !name.endsWith("@delta") && name !== "eTag" && name !== "changeKey",
    );
    const { members, manager, ...rest } = Object.fromEntries(kept);
    // A feed delivers slices of relationships unchanged.
    const ids = (set) => (set ?? []).map((one) => one.id ?? one).sort();
    if (kind === "groups") return { ...rest, members: feed ? [] : ids(members) };
    if (kind === "users") {
      const { id, displayName, mail, jobTitle } = rest;
      return {
        id,
        displayName,
        mail,
        jobTitle,
        manager: feed ? null : ((Array.isArray(manager) ? manager[0]?.id : manager) ?? null),
      };
    }
    return rest;
  };
  // Graph withholds masters from incremental rounds (graph-facts 1.3), so a listed master may be
  // old.
  const reported = items.filter(({ type }) => kind !== "events" || type !== "seriesMaster");
  return new Map(
    reported.map((item) => [item.id, plain(item)]).sort(([one], [other]) => (one < other ? -1 : 1)),
  );
}

/** Returns the function that measures the heap of a tab after a collection, and its process. */
async function memory(page) {
  const session = await page.context().newCDPSession(page);
  const browser = await page.context().browser().newBrowserCDPSession();
  return async () => {
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize: heap } = await session.send("Runtime.getHeapUsage");
    const { processInfo } = await browser.send("SystemInfo.getProcessInfo");
    const renderers = processInfo.filter(({ type }) => type === "renderer");
    const residentPages = await Promise.all(
      renderers.map(async ({ id }) =>
        Number((await readFile(`/proc/${id}/statm`, "utf8").catch(() => "0 0")).split(" ")[1]),
      ),
    );
    return { heap, resident: Math.max(...residentPages) * 4096 };
  };
}
