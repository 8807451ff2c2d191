// A custom `fetch` with a defect, and one whose network fails.
/* global missingName */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { openDelta } from "deltalink";
import { clientOf, page } from "./responses.mjs";

const done = () => page([{ id: "user 1" }], { delta: "/users/delta?$deltatoken=1" });

/** Syncs with this `fetch`. Resolves to the error and the number of calls. */
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
  "calls a value that is not a function": () => undefined.method(),
  "calls a missing method": (url, init) => init.headers.append2(),
  "reads a property of undefined": (url, init) => init.nothing.something,
  "uses a name that does not exist": () => missingName,
  "recurses without end": function recurse() {
    return recurse();
  },
  "parses text that is not JSON": () => JSON.parse("{"),
  "spreads a value that is not iterable": () => [...{}],
  "assigns to a constant": new Function("const constant = 1; constant = 2;"),
  "destructures undefined": () => {
    const { a } = undefined;
    return a;
  },
  "constructs a value that is not a class": () => new (() => {})(),
  "makes a URL from an invalid string": () => new URL("no url"),
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
      assert.ok(error.message.includes(thrown.message), "it contains the thrown message");
      assert.match(error.message, /this is a defect of that function, see cause/);
    }
  });
}

/** An object with the shape of a Response and these properties. */
const responseOf = (properties) => ({
  status: 200,
  headers: new Headers(),
  text: async () => "{}",
  ...properties,
});
/** A response whose body is read by this function. */
const reading = (read) => responseOf({ body: { getReader: () => ({ read }) } });
const readOnce = (name, value) => {
  let reads = 0;
  return Object.defineProperty(responseOf({}), name, {
    get() {
      if (reads++) throw new Error("read twice");
      return value;
    },
  });
};
const throwing = () => {
  throw new Error("it throws");
};

// The round ends with "protocol", except for a body that hangs and for refusals.
const invalidResponses = {
  "has a body that cannot be read": [() => Object.defineProperty(responseOf({}), "body", { get: throwing })],
  "has a stream reader that hangs and cannot be cancelled": [
    () => reading(() => new Promise(() => {})),
    "network",
  ],
  "has a stream reader that returns strings": [() => reading(async () => ({ value: "{}", done: false }))],
  "has a stream reader that returns bytes that are not UTF-8": [
    () => reading(async () => ({ value: Uint8Array.of(255), done: false })),
  ],
  "has headers that can be read only once": [() => readOnce("headers", new Headers())],
  "has an error status that can be read only once": [() => readOnce("status", 403), "forbidden"],
};

for (const [what, [respond, code = "protocol"]] of Object.entries(invalidResponses)) {
  test(`a response that ${what} is not an internal error, and the mirrors of the client stay in memory`, async () => {
    let isInvalid = true;
    const retry = { base: 1, cap: 2, timeout: 20, attempts: 2 };
    const client = await clientOf(() => (isInvalid ? respond() : done()), { retry });
    const other = client.track("/groups/delta");
    isInvalid = false;
    await other.sync();
    isInvalid = true;
    const error = await client
      .track("/users/delta")
      .sync()
      .catch((error) => error);
    assert.equal(error.code, code, error.message);
    assert.equal(await other.count(), 1, "the mirror in memory is still there");
    await client.close();
  });
}

test("a response with an invalid status leads to bad-request", async () => {
  for (const status of [NaN, -1, 1e9, 200.5, 99]) {
    const { error, calls } = await failure(async () => responseOf({ status }));
    assert.deepEqual([error.code, calls], ["bad-request", 1], String(status));
    assert.match(error.message, /options\.fetch must resolve to a Response/);
  }
});

test("Response.error() from a fetch counts as a network error, an opaque response as a mistake", async () => {
  const network = await failure(async () => Response.error());
  assert.deepEqual([network.error.code, network.calls], ["network", 6]);
  const opaque = await failure(async () => responseOf({ status: 0, type: "opaque" }));
  assert.deepEqual([opaque.error.code, opaque.calls], ["bad-request", 1]);
  assert.match(opaque.error.message, /got an opaque one: its request had the mode no-cors$/);
  const redirect = await failure(async () => responseOf({ status: 0, type: "opaqueredirect" }));
  assert.equal(redirect.error.code, "foreign-link");
});

test("a fetch is called again after a network error of any engine or library", async () => {
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

test("a fetch that keeps failing with a network error ends the round, with the last error as its cause", async () => {
  const thrown = new TypeError("fetch failed", { cause: new Error("ECONNREFUSED") });
  const { error, calls } = await failure(() => Promise.reject(thrown));
  assert.deepEqual([error.code, error.retryable], ["network", true]);
  assert.equal(calls, 6);
  assert.equal(error.cause, thrown);
});
