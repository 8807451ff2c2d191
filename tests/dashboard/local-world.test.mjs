// The world of the static build, without a browser: its copies, each as in another tab.
import assert from "node:assert/strict";
import { test } from "node:test";
import "fake-indexeddb/auto";
import { load } from "./compile.mjs";

// Without Web Locks, which some versions of Node have and others lack.
Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
const { LocalWorld } = await load("www/src/local-world.ts");

const request = async (world, url, signal) => {
  const authorization = `Bearer ${await world.token("delegated", false)}`;
  return world.fetch(url, { headers: { authorization }, signal });
};
const nextLink = async (response) => (await response.json())["@odata.nextLink"];

/** Each copy refuses a link of the other one if they have not handled the same requests. */
async function assertEqualCopies(id, world) {
  const other = new LocalWorld(id);
  const link = await nextLink(await request(world, `${world.root}/contacts/delta`));
  const otherLink = await nextLink(await request(other, `${world.root}/contacts/delta`));
  assert.equal((await request(other, link)).status, 200);
  assert.equal((await request(world, otherLink)).status, 200);
}

test("a request that is aborted while the journal stores its call reaches each copy of the world", async (context) => {
  const world = new LocalWorld("stored");
  const controller = new AbortController();
  await world.token("delegated", false);
  const { add } = IDBObjectStore.prototype;
  const mock = context.mock.method(IDBObjectStore.prototype, "add", function (call) {
    controller.abort();
    return add.call(this, call);
  });
  const aborted = request(world, `${world.root}/contacts/delta`, controller.signal);
  await assert.rejects(aborted, { name: "AbortError" });
  assert.equal(mock.mock.callCount(), 1, "the call is in the journal");
  mock.mock.restore();
  await assertEqualCopies("stored", world);
});

test("a request that is aborted before the journal stores its call reaches no copy", async (context) => {
  const world = new LocalWorld("waiting");
  const controller = new AbortController();
  const authorization = `Bearer ${await world.token("delegated", false)}`;
  const mock = context.mock.method(IDBObjectStore.prototype, "add");
  const init = { headers: { authorization }, signal: controller.signal };
  const aborted = world.fetch(`${world.root}/contacts/delta`, init);
  controller.abort();
  await assert.rejects(aborted, { name: "AbortError" });
  assert.equal(mock.mock.callCount(), 0);
  await assertEqualCopies("waiting", world);
});
