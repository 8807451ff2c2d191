// Tests the encrypting store of docs/security.md, with the code in that document.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { openDelta } from "deltalink";
import { fakeGraph, storeContract } from "deltalink/testing";
import { transformSync } from "esbuild";
import { MemoryStore } from "./memory-store.mjs";

const document = readFileSync(new URL("../../docs/security.md", import.meta.url), "utf8");
const code = document.match(/^```ts\n(import type[^]*?)^```$/m)[1];
const source = transformSync(code, { loader: "ts" }).code;
const { encrypted } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);

for (const { name, run } of storeContract(() => encrypted(new MemoryStore(), key))) test(name, run);

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
