// Tests the stores of docs/security.md and docs/storage.md, with the code in these documents.
// contract.test.mjs runs the contract of the store in a file.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { openDelta } from "deltalink";
import { fakeGraph, storeContract } from "deltalink/testing";
import { codeOf, fileStore } from "./documented.mjs";
import { MemoryStore } from "./memory-store.mjs";

const { encrypted } = await codeOf("security.md", "function encrypted(");
const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);

const folder = mkdtempSync(join(tmpdir(), "deltalink-file-store-"));
after(() => rmSync(folder, { recursive: true }));

// The file is JSON, as the rows in SQL stores are.
let files = 0;
for (const { name, run } of storeContract(() =>
  encrypted(fileStore(join(folder, `${(files += 1)}.json`)), key),
))
  test(`encrypted, in a file: ${name}`, run);

test("a server that starts again continues with the file of the last time", async () => {
  const graph = await fakeGraph({ populate: { users: 5 } });
  const file = join(folder, "server.json");
  const start = async () => {
    const store = fileStore(file);
    const client = await openDelta({
      fetch: graph.fetch,
      token: graph.token,
      account: "contoso",
      store,
    });
    const { kind, added } = await client.track("/users/delta").sync();
    await client.close();
    return [kind, added];
  };
  assert.deepEqual(await start(), ["full", 5]);
  graph.add("users", { displayName: "Kim" });
  assert.deepEqual(await start(), ["incremental", 1]);
});

test("no property of an item and no link is stored in plain text", async () => {
  const graph = await fakeGraph({ populate: { users: 5 } });
  const store = new MemoryStore();
  const client = await openDelta({
    fetch: graph.fetch,
    token: graph.token,
    account: "ada@contoso.example",
    store: encrypted(store, key),
  });
  const users = client.track("/users/delta");
  await users.sync();
  assert.equal(await users.count(), 5);
  const [{ displayName, id }] = await users.all();
  const stored = [await store.load(users.key), await store.scan(users.key, { limit: 10 })];
  const text = JSON.stringify(stored);
  assert.ok(text.includes(id), "ids stay readable");
  for (const secret of [displayName, "deltatoken"]) assert.ok(!text.includes(secret), secret);
  await client.close();
});
