// deltalink/describe: the status in words for users.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { DeltaError, openDelta } from "deltalink";
import { describe, description, english } from "deltalink/describe";
import { fakeGraph } from "deltalink/testing";
import { fakeTimers } from "../wait.mjs";

const NOW = Date.parse("2026-11-21T10:00:00Z");
const at = (seconds) => new Date(NOW + seconds * 1000);
const say = (status, options) => describe(status, { now: NOW, ...options });
const failed = (code, fields) => ({ phase: "failed", error: new DeltaError("secret", { code, ...fields }) });

/** The members of a union of strings in a declaration file of the package. */
async function union(file, before) {
  const text = await readFile(new URL(`../node_modules/deltalink/${file}`, import.meta.url), "utf8");
  const [, members] = new RegExp(`${before}([^;]+);`).exec(text);
  return [...members.matchAll(/"([^"]+)"/g)].map(([, member]) => member);
}

test("every phase, every reason of a wait and every error code has a sentence", async () => {
  const phases = await union("query-status.d.ts", "phase:");
  const reasons = await union("rounds.d.ts", "export type WaitReason =");
  const codes = await union("errors.d.ts", "export type DeltaErrorCode =");
  assert.ok(phases.length >= 8 && reasons.length >= 8 && codes.length >= 22);
  const names = [
    ...phases,
    ...reasons.map((reason) => `waiting-${reason}`),
    ...codes.map((code) => `failed-${code}`),
    "new",
    "last",
    "next",
  ];
  assert.deepEqual(Object.keys(english).sort(), [...new Set(names)].sort());
  const statuses = [
    ...phases.map((phase) => ({ phase })),
    ...reasons.map((waitReason) => ({ phase: "waiting", waitReason, waitUntil: at(30) })),
    ...codes.map((code) => failed(code)),
  ];
  for (const status of statuses)
    assert.match(
      say(status),
      /^[A-Z][^{}[\]]+\.$/,
      `${status.phase} ${status.waitReason} ${status.error?.code}`,
    );
});

test("a status is described with its times and counts", () => {
  const progress = { pages: 3, items: 1200, requests: 4, bytes: 0 };
  const lastSyncedAt = at(-300);
  const table = [
    [{ phase: "idle" }, "Not loaded yet."],
    [{ phase: "idle", lastSyncedAt }, "Updated 5 minutes ago."],
    [{ phase: "idle", lastSyncedAt: at(-59) }, "Updated now."],
    [{ phase: "idle", lastSyncedAt: at(-3 * 3600) }, "Updated 3 hours ago."],
    [{ phase: "idle", lastSyncedAt: at(-86_400) }, "Updated yesterday."],
    // A clock that was set back.
    [{ phase: "idle", lastSyncedAt: at(100) }, "Updated now."],
    [{ phase: "syncing" }, "Updating."],
    [{ phase: "syncing", progress: { ...progress, items: 0 } }, "Updating."],
    [{ phase: "syncing", progress }, "Updating. Items received: 1,200."],
    [
      { phase: "waiting", waitReason: "throttled", waitUntil: at(29.5) },
      "Waiting, because the server limits requests. Continues in 30 seconds.",
    ],
    [
      { phase: "waiting", waitReason: "server", waitUntil: at(-1) },
      "The server has a problem. Trying again now.",
    ],
    [{ phase: "waiting", waitReason: "network" }, "The server cannot be reached."],
    [
      { phase: "waiting", waitReason: "offline", lastSyncedAt },
      "This device is offline. The update continues when it is online again. Last successful update: 5 minutes ago.",
    ],
    [
      failed("throttled", { retryAt: at(600) }),
      "The server is busy and asked for a pause. Try again in 10 minutes.",
    ],
    [
      { ...failed("throttled", { retryAt: at(600) }), nextRoundAt: at(600) },
      "The server is busy and asked for a pause. Next attempt in 10 minutes.",
    ],
    [
      { ...failed("offline"), lastSyncedAt, nextRoundAt: at(120) },
      "This device is offline. Last successful update: 5 minutes ago. Next attempt in 2 minutes.",
    ],
    [{ phase: "following", lastSyncedAt }, "Another tab is updating this list."],
    [
      { phase: "following", waitReason: "throttled", waitUntil: at(20), lastSyncedAt },
      "Waiting, because the server limits requests. Continues in 20 seconds.",
    ],
    [{ ...failed("network"), lastSyncedAt: at(-9.9) }, "The server cannot be reached. Check the connection."],
    [
      { ...failed("network"), lastSyncedAt: at(-45) },
      "The server cannot be reached. Check the connection. Last successful update: 40 seconds ago.",
    ],
    [{ phase: "idle", lastSyncedAt: at(-110) }, "Updated 1 minute ago."],
    [
      { ...failed("forbidden"), lastSyncedAt: at(-110) },
      "This account has no permission to read this list. Last successful update: 1 minute ago.",
    ],
    [
      { ...failed("internal"), lastSyncedAt: at(-3599) },
      "Something unexpected went wrong. Try again. Last successful update: 59 minutes ago.",
    ],
    [{ phase: "needs-auth", lastSyncedAt }, "Please sign in. Last successful update: 5 minutes ago."],
    [
      { phase: "needs-auth", error: failed("claims").error },
      "Please sign in: the server asks for another check.",
    ],
  ];
  for (const [status, words] of table) assert.equal(say(status), words);
});

test("a phase, a reason or a code of a later version has a sentence too", () => {
  assert.equal(say({ phase: "waiting", waitReason: "moon" }), "Waiting.");
  assert.equal(say(failed("moon")), "The update failed.");
  assert.equal(say({ phase: "moon" }), "Not loaded yet.");
  assert.equal(say({ phase: "failed" }), "The update failed.");
});

test("describe() of a query or of a readable status is refused with the way out", async () => {
  const graph = await fakeGraph({ populate: { users: 1 } });
  const client = await openDelta({ fetch: graph.fetch, token: graph.token, store: "memory" });
  const users = client.track("/users/delta");
  const message =
    /^describe\(\) needs the value of a status, such as query\.status\.get\(\), got (an object|undefined)$/;
  for (const value of [users, users.status, undefined])
    assert.throws(() => describe(/** @type {any} */ (value)), { code: "bad-request", message });
  for (const [value, type] of [
    [users.status.get(), "an object"],
    [users.status.get, "a function"],
  ])
    assert.throws(() => description(/** @type {any} */ (value)), {
      code: "bad-request",
      message: `description() needs query.status, got ${type}`,
    });
  await client.close();
});

test("an empty sentence says nothing, and is replaced by no other one", () => {
  const sentences = { idle: "", closed: "", "needs-auth": "", "failed-claims": "" };
  const lastSyncedAt = at(-300);
  assert.equal(say({ phase: "idle", lastSyncedAt }, { sentences }), "");
  assert.equal(say({ phase: "closed", lastSyncedAt }, { sentences }), "");
  assert.equal(say({ phase: "needs-auth", error: failed("claims").error }, { sentences }), "");
});

test("every sentence can be replaced, by a text or a function, in another language", () => {
  const options = {
    locale: "de",
    sentences: {
      idle: "Stand: {since}.",
      syncing: ({ items }) => `Lädt, bisher ${items}.`,
      "failed-offline": "Offline.",
      last: "",
      next: undefined,
    },
  };
  const lastSyncedAt = at(-300);
  assert.equal(say({ phase: "idle", lastSyncedAt }, options), "Stand: vor 5 Minuten.");
  assert.equal(say({ phase: "syncing", progress: { items: 1200 } }, options), "Lädt, bisher 1.200.");
  assert.equal(say({ ...failed("offline"), lastSyncedAt }, options), "Offline.");
  assert.equal(
    say({ ...failed("offline"), nextRoundAt: at(60) }, options),
    "Offline. Next attempt in 1 Minute.",
  );
  const own = { sentences: { "failed-network": "Not reached. The list is as of {since}." } };
  assert.equal(
    say({ ...failed("network"), lastSyncedAt: at(-5) }, own),
    "Not reached. The list is as of now.",
  );
  const replaced = Object.fromEntries(Object.keys(english).map((name) => [name, `<${name}>`]));
  const everywhere = { ...failed("quota"), lastSyncedAt, nextRoundAt: at(60) };
  assert.equal(say(everywhere, { sentences: replaced }), "<failed-quota> <last> <next>");
});

test("a subscribed description changes with the status and as time passes, until it is stopped", (context) => {
  const timers = fakeTimers(context, NOW);
  let status = { phase: "idle", lastSyncedAt: at(0) };
  const runs = new Set();
  const readable = {
    get: () => status,
    subscribe: (run) => (run(status), runs.add(run), () => runs.delete(run)),
  };
  const words = description(readable, { sentences: { idle: "As of {since}." } });
  assert.equal(words.get(), "As of now.");
  const texts = [];
  const stop = words.subscribe((text) => texts.push(text));
  timers.tick(59_000);
  assert.deepEqual(texts, ["As of now."]);
  timers.tick(1000);
  timers.tick(60_000);
  assert.deepEqual(texts, ["As of now.", "As of 1 minute ago.", "As of 2 minutes ago."]);
  assert.equal(words.get(), "As of 2 minutes ago.");
  status = { phase: "syncing" };
  for (const run of runs) run(status);
  assert.deepEqual(texts.slice(3), ["Updating."]);
  stop();
  assert.equal(runs.size, 0);
  status = { phase: "idle", lastSyncedAt: at(0) };
  timers.tick(3_600_000);
  assert.equal(texts.length, 4);
});

test("a sentence that throws is reported, and does not end the description", async (context) => {
  const timers = fakeTimers(context, NOW);
  const reported = context.mock.method(console, "error", () => {});
  const status = {
    get: () => ({ phase: "idle", lastSyncedAt: at(0) }),
    subscribe: (run) => (run(), () => {}),
  };
  let isBroken = true;
  const idle = ({ since }) => {
    if (isBroken) throw new Error("no such word");
    return `As of ${since}.`;
  };
  const texts = [];
  const stop = description(status, { sentences: { idle } }).subscribe((text) => texts.push(text));
  assert.equal(reported.mock.calls[0].arguments[0].message, "no such word");
  isBroken = false;
  timers.tick(1000);
  assert.deepEqual(texts, ["As of now."]);
  stop();
});

test("a description of a failed round has no message, id, link or token", async () => {
  const graph = await fakeGraph({ populate: { users: 3 } });
  const client = await openDelta({ fetch: graph.fetch, token: graph.token, store: "memory" });
  const users = client.track("/users/delta");
  graph.fault({ name: "status", status: 403, code: "Authorization_RequestDenied", message: "user 4711" });
  const error = await users.sync().catch((error) => error);
  assert.match(error.message, /4711/);
  assert.equal(describe(users.status.get()), "This account has no permission to read this list.");
  await client.close();
});
