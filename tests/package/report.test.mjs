// The numbers of a report.
import assert from "node:assert/strict";
import { test } from "node:test";
import { delayed } from "../wait.mjs";
import { clientOf, text } from "./responses.mjs";
import { MemoryStore } from "./memory-store.mjs";

const LINK = "https://graph.microsoft.com/v1.0/users/delta?$";

test("a report counts the bytes of every body, even of refusals, and so does the progress", async () => {
  const bodies = [
    `{"value":[{"id":"a","displayName":"Zoë"}],"@odata.nextLink":"${LINK}skiptoken=1"}`,
    '{"error":{"code":"serviceNotAvailable","message":"Später"}}',
    `{"value":[],"@odata.deltaLink":"${LINK}deltatoken=2"}`,
  ];
  const client = await clientOf((url, count) =>
    count === 2 ? new Response(bodies[1], { status: 503 }) : text(bodies[count - 1]),
  );
  const users = client.track("/users/delta");
  const seen = [];
  users.status.subscribe(({ progress }) => progress && seen.push(progress.bytes));
  const report = await users.sync();
  const [first, refusal, last] = bodies.map((body) => Buffer.byteLength(body));
  assert.deepEqual([report.bytes, report.retries], [first + refusal + last, 1]);
  // The last page ends the round, and a status without a round has no progress.
  assert.deepEqual([...new Set(seen)], [0, first, first + refusal]);
  await client.close();
});

test("a report has the time in the store separately from the total time", async () => {
  const store = new MemoryStore();
  const commit = store.commit.bind(store);
  store.commit = async (...args) => delayed(60, await commit(...args));
  const client = await clientOf(
    () => text(`{"value":[{"id":"a"}],"@odata.deltaLink":"${LINK}deltatoken=1"}`),
    {
      store,
      account: "alex",
    },
  );
  const start = performance.now();
  const report = await client.track("/users/delta").sync();
  const all = performance.now() - start;
  assert.ok(report.storeMs >= 59 && report.storeMs <= all + 1, `${report.storeMs} of ${all}`);
  assert.deepEqual(JSON.parse(JSON.stringify(report)).storeMs, report.storeMs, "a report can be serialized");
  await client.close();
});
