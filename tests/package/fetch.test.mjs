// A custom `fetch` with a defect, and one whose network fails.
/* global missingName */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { openDelta } from "deltalink";
import { clientOf, page } from "./answers.mjs";

const done = () => page([{ id: "user 1" }], { delta: "/users/delta?$deltatoken=1" });

/** What a sync with this `fetch` fails with, and how often it was called. */
async function failure(fetch) {
  let calls = 0;
  const counted = (...values) => ((calls += 1), fetch(...values));
  const client = await openDelta({
    token: () => "a-token",
    store: "memory",
    retry: { base: 1, cap: 2 },
    fetch: counted,
  });
  const error = await client
    .track("/users/delta")
    .sync()
    .catch((error) => error);
  await client.close();
  return { error, calls };
}

const defects = {
  "calls what is not a function": () => undefined.method(),
  "calls a missing method": (url, init) => init.headers.append2(),
  "reads a property of nothing": (url, init) => init.nothing.something,
  "uses a name that does not exist": () => missingName,
  "recurses for ever": function recurse() {
    return recurse();
  },
  "parses what is not JSON": () => JSON.parse("{"),
  "spreads what is not iterable": () => [...{}],
  "assigns to a constant": new Function("const constant = 1; constant = 2;"),
  "destructures nothing": () => {
    const { a } = undefined;
    return a;
  },
  "constructs what is no class": () => new (() => {})(),
  "makes a URL of nothing": () => new URL("no url"),
  "gives a Request a body": (url) => new Request(url, { method: "GET", body: "x" }),
  "fails in another realm": runInNewContext("() => undefined.method()"),
};

for (const [what, defect] of Object.entries(defects)) {
  test(`a fetch that ${what} is called once: bad-request, with the thrown error as its cause`, async () => {
    for (const fetch of [defect, async (...values) => defect(...values)]) {
      let thrown;
      const { error, calls } = await failure((...values) => {
        try {
          const result = fetch(...values);
          return typeof result?.catch === "function"
            ? result.catch((error) => Promise.reject((thrown = error)))
            : result;
        } catch (error) {
          throw (thrown = error);
        }
      });
      assert.ok(thrown);
      assert.deepEqual([error.code, error.retryable, calls], ["bad-request", false, 1]);
      assert.equal(error.cause, thrown);
      assert.ok(error.message.startsWith(`options.fetch failed with a ${thrown.name} (`), error.message);
      assert.ok(error.message.includes(thrown.message), "it names what was thrown");
      assert.match(error.message, /it is a defect of that function, see cause/);
    }
  });
}

test("a fetch whose network fails is called again, as engines and libraries word that", async () => {
  const realm = runInNewContext("(name, message) => Object.assign(new Error(message), { name })");
  for (const thrown of [
    new TypeError("Failed to fetch"),
    new TypeError("NetworkError when attempting to fetch resource."),
    new TypeError("Load failed"),
    new TypeError("fetch failed"),
    new TypeError("terminated"),
    realm("TypeError", "Failed to fetch"),
    new DOMException("The user aborted a request.", "AbortError"),
    new DOMException("A network error occurred.", "NetworkError"),
    Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }),
    new Error("network is down"),
    "a string",
    undefined,
    null,
  ]) {
    let calls = 0;
    const client = await clientOf(() => ((calls += 1) < 3 ? Promise.reject(thrown) : done()));
    const report = await client.track("/users/delta").sync();
    assert.deepEqual([report.outcome, report.requests], ["complete", 3], String(thrown));
    await client.close();
  }
});

test("a fetch whose network keeps failing ends the round, with the last error as its cause", async () => {
  const thrown = new TypeError("fetch failed", { cause: new Error("ECONNREFUSED") });
  const { error, calls } = await failure(() => Promise.reject(thrown));
  assert.deepEqual([error.code, error.retryable], ["network", true]);
  assert.equal(calls, 6);
  assert.equal(error.cause, thrown);
});
