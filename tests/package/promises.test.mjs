// The package where the global Promise is replaced, as by zone.js, bluebird and polyfills.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import Bluebird from "bluebird";
import { DeltaError } from "deltalink";
import { Sync } from "../node_modules/deltalink/sync.js";
import { clientOf, page } from "./responses.mjs";

const run = promisify(execFile);
const Native = Promise;

const threePages = (url, count) =>
  page(
    [{ id: `user ${count}` }],
    count < 3 ? { next: `/users/delta?$skiptoken=${count}` } : { delta: "/users/delta?$deltatoken=1" },
  );

/** A Promise like a polyfill of ES2015, without `finally` and `allSettled`. */
class Polyfill {
  #native;
  constructor(executor) {
    this.#native = new Native(executor);
  }
  static resolve(value) {
    return value instanceof Polyfill ? value : new Polyfill((resolve) => resolve(value));
  }
  static reject(reason) {
    return new Polyfill((_, reject) => reject(reason));
  }
  static all(values) {
    return new Polyfill((resolve, reject) => Native.all(values).then(resolve, reject));
  }
  static race(values) {
    return new Polyfill((resolve, reject) => Native.race(values).then(resolve, reject));
  }
  then(done, failed) {
    return new Polyfill((resolve, reject) => this.#native.then(done, failed).then(resolve, reject));
  }
  catch(failed) {
    return this.then(undefined, failed);
  }
}

const replacements = {
  bluebird: Bluebird,
  "a subclass": class extends Native {},
  "a polyfill of ES2015": Polyfill,
};

for (const [name, Replacement] of Object.entries(replacements)) {
  test(`sync() works if the global Promise is ${name}`, async (t) => {
    globalThis.Promise = Replacement;
    t.after(() => (globalThis.Promise = Native));
    const client = await clientOf(threePages);
    const users = client.track("/users/delta");
    const received = [];
    users.on("change", (changes) => void received.push(...changes));
    const report = await users.sync();
    assert.deepEqual([report.outcome, report.requests, report.added], ["complete", 3, 3]);
    assert.equal((await users.all()).length, 3);
    assert.equal(received.length, 3);
    const ids = [];
    for await (const { id } of users.items({ limit: 2 })) ids.push(id);
    assert.deepEqual(ids, ["user 1", "user 2"]);
    const failing = await clientOf(() => new Response("", { status: 403 }));
    await assert.rejects(failing.track("/users/delta").sync(), { code: "forbidden" });
    const stop = new AbortController();
    const hung = await clientOf(() => new Native(() => {}));
    const waiting = hung.track("/users/delta").sync({ signal: stop.signal });
    stop.abort("enough");
    await assert.rejects(waiting, (reason) => reason === "enough");
    await hung.close();
    await failing.close();
    await client.close();
  });

  test(`a token source and a store may return promises of ${name}`, async () => {
    const client = await clientOf(threePages, { token: () => Replacement.resolve("a-token") });
    assert.equal((await client.track("/users/delta").sync()).outcome, "complete");
    await client.close();
  });
}

test("sync() works with zone.js in Node", async () => {
  const script = new URL("zone.mjs", import.meta.url).pathname;
  const { stdout } = await run(process.execPath, [script]);
  assert.deepEqual(JSON.parse(stdout), { replaced: true, outcome: "complete", requests: 3, count: 3 });
});

test("sync() rejects with internal if its round ends early without a reason", async () => {
  const report = { outcome: "partial", requests: 0 };
  const handle = { next: async () => undefined, report: () => report, leave: async () => {} };
  const state = {
    ending: new AbortController().signal,
    locks: { acquire: async () => () => {} },
    status: { get: () => ({ phase: "idle" }), set() {} },
    changes: { onRoundBegin() {}, onRoundEnd() {} },
  };
  const instance = { run: (call) => call(), signal: state.ending };
  const query = {
    state,
    hasMirror: false,
    current: () => ({ instance, wasm: { round: () => handle } }),
  };
  const error = await new Sync(query).join().catch((error) => error);
  assert.ok(error instanceof DeltaError);
  // A defect of this test would be an internal error too.
  assert.match(error.message, /^the round ended early, although no signal fired/);
  assert.deepEqual([error.code, error.retryable, error.report], ["internal", true, report]);
});
