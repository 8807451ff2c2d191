// A trap in the wasm: named, and the next call begins anew. What traps is the real wasm in a memory that can't grow.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { init, openDelta } from "deltalink";
import { startFake } from "../fake.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

/** The number at a place of a wasm, and the place behind it. */
function leb(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    value |= (bytes[at] & 127) << shift;
    if (bytes[at++] < 128) return [value, at];
  }
}

function encoded(value) {
  const bytes = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return [...bytes, value];
}

/** The wasm with as many pages of memory at most as it begins with, and `more`. */
function confined(wasm, more) {
  for (let at = 8; at < wasm.length; ) {
    const id = wasm[at];
    const [size, from] = leb(wasm, at + 1);
    if (id === 5) {
      const [pages] = leb(wasm, from + 2);
      const limits = [1, 1, ...encoded(pages), ...encoded(pages + more)];
      return Buffer.concat([wasm.subarray(0, at), Buffer.from([5, ...encoded(limits.length), ...limits]), wasm.subarray(from + size)]);
    }
    at = from + size;
  }
  throw new Error("no memory");
}

test("a trap is the error internal, ends what runs in that instance, and the next call gets a fresh one", async () => {
  const wasm = await readFile(new URL("../node_modules/deltalink/deltalink.wasm", import.meta.url));
  assert.equal(await init(confined(wasm, 64)), "given");
  const world = await fake.world({ populate: { contacts: 30 } });
  const client = await openDelta({ endpoint: world.root, token: () => world.tokens.delegated, store: "memory", retry: { base: 5, cap: 20 } });
  const contacts = client.orgContacts();
  const pages = contacts.round()[Symbol.asyncIterator]();
  await pages.next();
  const huge = "x".repeat(20_000_000);
  const trapped = { name: "DeltaError", code: "internal", retryable: true, message: "a defect of deltalink ended this call; what was committed is intact; call again" };
  assert.throws(() => client.orgContacts({ name: huge }), (error) => {
    assert.deepEqual({ name: error.name, code: error.code, retryable: error.retryable, message: error.message }, trapped);
    return error.cause instanceof WebAssembly.RuntimeError;
  });
  // The round that ran in it ends with the same, and lets go of its turn.
  await assert.rejects(pages.next(), { code: "internal" });
  assert.equal(contacts.status.get().phase, "failed");
  const report = await contacts.sync();
  assert.equal(report.outcome, "complete");
  assert.equal(await contacts.count(), 30);
  // In the middle of a round, too.
  const client2 = await openDelta({ endpoint: world.root, token: () => (tokens -= 1) < 0 ? huge : world.tokens.delegated, store: "memory" });
  let tokens = 1;
  const round = client2.orgContacts().round();
  await assert.rejects(async () => {
    for await (const page of round) void page;
  }, { code: "internal" });
  assert.ok(round.report.startedAt instanceof Date);
  tokens = 99;
  assert.equal((await client2.orgContacts().sync()).outcome, "complete");
  await Promise.all([client.close(), client2.close()]);
});
