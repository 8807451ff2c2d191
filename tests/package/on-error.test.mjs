// The option onError: the caller's decision about an error that would end a round.
import assert from "node:assert/strict";
import test from "node:test";
import { clientOf, page } from "./responses.mjs";

const refusal = (status, code) =>
  Response.json({ error: { code, message: "no" } }, { status, headers: { "request-id": `id-${status}` } });

/** A client whose first `failures` requests are refused. */
function refusing(failures, options) {
  return clientOf(
    (url, count) => (count <= failures ? refusal(403, "Forbidden") : page([{ id: "a" }], { delta: "/d" })),
    options,
  );
}

test("a round repeats the failed request as long as onError returns retry", async () => {
  const failures = [];
  const client = await refusing(2, {
    onError: async (error) => {
      failures.push([error.code, error.report.outcome]);
      return "retry";
    },
  });
  const users = client.track("/users/delta");
  const report = await users.sync();
  assert.deepEqual(failures, [
    ["forbidden", "running"],
    ["forbidden", "running"],
  ]);
  assert.deepEqual([report.outcome, report.failedRequestIds], ["complete", ["id-403", "id-403"]]);
  assert.equal(await users.count(), 1);
  await client.close();
});

test("onError may wait, and the wait is in the report", async () => {
  const client = await refusing(1, { onError: () => ({ after: 5 }) });
  const { waits } = await client.track("/users/delta").sync();
  assert.deepEqual(waits, [{ reason: "caller", ms: 5 }]);
  await client.close();
});

test("a round ends with its error if onError returns stop or throws, and with bad-request if it returns something else", async () => {
  const thrown = new RangeError("of the caller");
  for (const [onError, expected] of [
    [() => "stop", { code: "forbidden" }],
    [() => Promise.reject(thrown), { code: "forbidden", cause: thrown }],
    [
      () => {
        throw thrown;
      },
      { code: "forbidden", cause: thrown },
    ],
    [
      () => undefined,
      {
        code: "bad-request",
        message: /^options\.onError must return "retry", "stop" or \{ after: milliseconds \}, got undefined/,
      },
    ],
    [() => ({ after: -1 }), { code: "bad-request" }],
    [() => ({ after: NaN }), { code: "bad-request" }],
    [() => "Retry", { code: "bad-request" }],
  ]) {
    const client = await refusing(9, { onError });
    const users = client.track("/users/delta");
    await assert.rejects(users.sync(), expected);
    assert.equal(users.status.get().phase, "failed");
    assert.equal(client.requests.length, 1);
    await client.close();
  }
});

test("onError cannot make a round endless, and is not called for an abort", async () => {
  let calls = 0;
  const client = await refusing(1000, {
    onError: () => ((calls += 1), "retry"),
    retry: { attempts: 3, base: 1 },
  });
  const users = client.track("/users/delta");
  await assert.rejects(users.sync(), { code: "forbidden" });
  assert.deepEqual([calls, client.requests.length], [3, 4]);
  const stop = new AbortController();
  const round = users.sync({ signal: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(round, /enough/);
  assert.equal(calls, 3);
  await client.close();
});

test("an abort ends a round while onError is pending", async () => {
  const stop = new AbortController();
  const client = await refusing(1, {
    onError: () => {
      queueMicrotask(() => stop.abort(new Error("enough")));
      return new Promise(() => {});
    },
  });
  await assert.rejects(client.track("/users/delta").sync({ signal: stop.signal }), /enough/);
  await client.close();
});

test("a token source that fails is called again if onError says retry", async () => {
  let calls = 0;
  const token = () => {
    calls += 1;
    if (calls === 1) throw Object.assign(new Error("signed out"), { name: "InteractionRequiredAuthError" });
    return "a-token";
  };
  const client = await clientOf(() => page([], { delta: "/d" }), {
    token,
    onError: ({ code }) => (code === "interaction" ? "retry" : "stop"),
  });
  assert.equal((await client.track("/users/delta").sync()).outcome, "complete");
  await client.close();
});

test("onError must be a function", async () => {
  for (const onError of ["retry", {}, 5, true])
    await assert.rejects(
      clientOf(() => page([]), { onError }),
      {
        code: "bad-request",
        message: /^options\.onError must be a function, got /,
      },
    );
});
