// The status that the adapters show beside a list.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeltaError } from "deltalink";

const { listStatus } = await import(
  new URL("../node_modules/deltalink/list-status.js", import.meta.url).href
);
const lastSyncedAt = new Date("2026-11-28T10:00:00Z");
const error = new DeltaError("options.where has thrown: see cause", { code: "bad-request" });

test("an error of the list is shown, without the plan and the wait of the query", () => {
  for (const status of [
    { phase: "idle", lastSyncedAt, nextRoundAt: new Date() },
    { phase: "waiting", lastSyncedAt, waitReason: "throttled", waitUntil: new Date() },
    { phase: "syncing", lastSyncedAt, progress: { pages: 1, items: 1, requests: 1, bytes: 1 } },
  ])
    assert.deepEqual(listStatus(status, { error, synced: true }), { phase: "failed", lastSyncedAt, error });
});

test("a sign-in that the user has to do, and the end of the client, are shown before an error of the list", () => {
  for (const phase of ["needs-auth", "closed"]) {
    const status = { phase, lastSyncedAt };
    assert.equal(listStatus(status, { error, synced: true }), status);
  }
});

test("a list is not idle before it has been read, and has the items of the first round", () => {
  const status = { phase: "idle", lastSyncedAt };
  assert.deepEqual(listStatus(status, { ready: false, synced: false }), { phase: "new" });
  assert.deepEqual(listStatus(status, { ready: true, synced: false }), { phase: "syncing", lastSyncedAt });
  assert.equal(listStatus(status, { ready: true, synced: true }), status);
  const unsynced = { phase: "new" };
  assert.equal(listStatus(unsynced, { ready: true, synced: false }), unsynced);
});
