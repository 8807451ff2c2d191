// The entries of `options.log`, the waits after a throttle, and errors as JSON.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeltaError, openDelta } from "deltalink";
import { fakeGraph } from "deltalink/testing";
import { event } from "../wait.mjs";
import { quick, statusUntil } from "./kit.mjs";
import { clientOf, page } from "./responses.mjs";

/** Opens a client with a log, on a new fake Graph. */
async function openLogged(options) {
  const entries = [];
  const graph = await fakeGraph({ populate: { users: 7 }, settings: { pageSize: 3 } });
  const tokens = [];
  const token = Object.assign(
    (request) => {
      tokens.push(graph.token(request));
      return tokens.at(-1);
    },
    { account: graph.token.account },
  );
  const client = await openDelta({
    fetch: graph.fetch,
    token,
    store: "memory",
    retry: quick,
    log: (entry) => entries.push(entry),
    ...options,
  });
  return { graph, client, entries, tokens, users: client.track("/users/delta") };
}

/** The tokens of the links that were requested. Each token is a secret. */
const linkTokensOf = (graph) =>
  graph
    .requests()
    .flatMap(({ url }) => [...url.matchAll(/(?:skip|delta)token=([^&]+)/g)].map(([, token]) => token));

test("each round has one entry, with its report", async () => {
  const { client, entries, users } = await openLogged();
  const reports = [await users.sync(), await users.sync()];
  await client.orgContacts().sync();
  assert.deepEqual(
    entries.map(({ event, level, code }) => [event, level, code]),
    Array(3).fill(["round", "info", undefined]),
  );
  assert.deepEqual(
    entries.slice(0, 2).map(({ report }) => report),
    reports,
  );
  for (const { time, ms, report } of entries) {
    assert.equal(time.getTime(), report.endedAt.getTime());
    assert.equal(ms, report.endedAt - report.startedAt);
  }
  assert.match(entries[0].keyHash, /^[0-9a-f]{8}$/);
  assert.equal(entries[0].keyHash, entries[1].keyHash);
  assert.equal(entries[0].keyHash, users.keyHash);
  assert.notEqual(entries[0].keyHash, entries[2].keyHash);
  await client.close();
});

test("each failed request has an entry, with Graph's ids and code", async () => {
  const { graph, client, entries, users } = await openLogged();
  graph.fault({ name: "status", status: 503, code: "serviceNotAvailable" }, { kind: "next" });
  graph.fault("network", { kind: "initial" });
  graph.fault("notJson", { kind: "delta" });
  const first = await users.sync();
  const second = await users.sync();
  const requests = entries.filter(({ event }) => event === "request");
  assert.equal(first.retries + second.retries, 3);
  assert.equal(requests.length, 3);
  const entryOf = (code) => requests.find((entry) => entry.code === code);
  const refused = entryOf("serviceNotAvailable");
  assert.equal(refused.status, 503);
  assert.match(refused.requestId, /^[0-9a-f-]{36}$/);
  assert.deepEqual(first.failedRequestIds, [refused.requestId]);
  assert.deepEqual([entryOf("network").status, entryOf("network").requestId], [undefined, undefined]);
  assert.ok(entryOf("malformed"));
  for (const { level, ms, time, clientRequestId } of requests) {
    assert.equal(level, "warn");
    assert.ok(ms >= 0 && time instanceof Date);
    assert.match(clientRequestId, /^[0-9a-f-]{36}$/);
  }
  await client.close();
});

test("the entry of a failed round has the code and the message of its error, and a level that says whether to try again", async () => {
  const table = [
    [{ name: "status", status: 503 }, "network", "warn"],
    [{ name: "throttle", retryAfter: 4000 }, "throttled", "warn"],
    [{ name: "claims" }, "claims", "warn"],
    [{ name: "status", status: 403, code: "Authorization_RequestDenied" }, "forbidden", "error"],
    [{ name: "status", status: 400, code: "BadRequest" }, "bad-request", "error"],
  ];
  for (const [fault, code, level] of table) {
    const { graph, client, entries, users } = await openLogged();
    graph.fault(fault, { times: Infinity });
    const error = await users.sync().catch((error) => error);
    const last = entries.at(-1);
    assert.deepEqual([last.event, last.code, last.level], ["round", code, level]);
    assert.deepEqual([last.code, last.message], [error.code, error.message]);
    assert.equal(last.report.outcome, "failed");
    await client.close();
  }
  const token = () => Promise.reject(new DeltaError("sign in", { code: "interaction" }));
  const { client, entries, users } = await openLogged({ token });
  await assert.rejects(users.sync(), { code: "interaction" });
  assert.deepEqual([entries.at(-1).code, entries.at(-1).level], ["interaction", "warn"]);
  await client.close();
});

test("a round that ends early or is aborted has an entry of level info", async () => {
  const { client, entries, users } = await openLogged();
  for await (const { last } of users.round()) if (!last) break;
  const abort = new AbortController();
  users.status.subscribe(({ phase }) => phase === "syncing" && abort.abort());
  await assert.rejects(users.sync({ signal: abort.signal }), { name: "AbortError" });
  await users.sync();
  assert.deepEqual(
    entries.map(({ level, report, code }) => [level, report.outcome, code]),
    [
      ["info", "partial", "aborted"],
      ["info", "partial", undefined],
      ["info", "complete", undefined],
    ],
  );
  await client.close();
});

test("no entry has a token, a link, a query string or the account", async () => {
  const { graph, client, entries, tokens, users } = await openLogged();
  const faults = [
    "unauthorized",
    "claims",
    "network",
    "html",
    "poisoned",
    "sameLink",
    "foreignLink",
    "reset",
  ];
  for (const name of faults) {
    await users.reset();
    graph.fault(name, { kind: "next" });
    await users.sync().catch(() => {});
    graph.clearFaults();
  }
  const filtered = client.track("/users/delta", { query: { $filter: "id eq 'secret-id'" } });
  await filtered.sync().catch(() => {});
  await users.sync();
  const failed = entries.filter(({ event }) => event === "request");
  assert.ok(failed.length >= 6 && entries.length - failed.length === faults.length + 2, `${failed.length}`);
  const text = JSON.stringify(entries);
  assert.ok(tokens.length > 0 && linkTokensOf(graph).length > 5);
  for (const secret of [...tokens, ...linkTokensOf(graph), graph.token.account, "secret-id"])
    assert.ok(!text.includes(secret), `${secret} in ${text}`);
  assert.doesNotMatch(
    JSON.stringify(entries.map(({ message: _, ...rest }) => rest)),
    /https?:|\$|\?|token=|Bearer/,
  );
  // The message about a foreign link has its origin and its path.
  assert.doesNotMatch(entries.map(({ message }) => message).join(), /\$|\?|token=|Bearer/);
  await client.close();
});

test("an error that log throws is reported and does not affect the round", async (t) => {
  const reported = [];
  const before = globalThis.reportError;
  globalThis.reportError = (error) => reported.push(error.message);
  t.after(() => (globalThis.reportError = before));
  const fails = {
    throws: () => {
      throw new Error("throws");
    },
    rejects: () => Promise.reject(new Error("rejects")),
  };
  for (const [name, log] of Object.entries(fails)) {
    const { graph, client, users } = await openLogged({ log });
    graph.fault("network");
    const { outcome, retries } = await users.sync();
    assert.deepEqual([outcome, retries], ["complete", 1]);
    await client.close();
    assert.deepEqual(reported.splice(0), [name, name]);
  }
});

test("log may close the client or begin a round", async () => {
  const { graph, client, entries, users } = await openLogged({
    log(entry) {
      entries.push(entry);
      if (entry.event === "request") void users.sync().catch(() => {});
      else void client.close();
    },
  });
  graph.fault("network");
  assert.equal((await users.sync()).outcome, "complete");
  await assert.rejects(async () => users.sync(), { code: "closed" });
  assert.deepEqual(
    entries.map(({ event }) => event),
    ["request", "round"],
  );
});

test("log must be a function", async () => {
  await assert.rejects(openLogged({ log: "console" }), {
    code: "bad-request",
    message: /^options\.log must be a function, got /,
  });
});

test("the delays after a throttle are in the waits and in the status", async () => {
  let requests = 0;
  const client = await clientOf((url, count) => {
    requests = count;
    if (count === 1) return new Response("", { status: 429, headers: { "Retry-After": "0.01" } });
    return page([{ id: `${count}` }], {
      ...(count < 4 ? { next: `/users/delta?$skiptoken=${count}` } : { delta: "/users/delta?$deltatoken=1" }),
    });
  });
  const users = client.track("/users/delta");
  const waits = [];
  users.status.subscribe(({ phase, waitReason, waitUntil }) => {
    if (phase === "waiting") waits.push({ waitReason, isDate: waitUntil instanceof Date, requests });
  });
  const report = await users.sync();
  // One entry for the throttle, and one for all random delays while the limits recover.
  const [throttle, delays, ...others] = report.waits;
  assert.deepEqual([throttle.reason, delays.reason, others], ["throttled", "throttled", []]);
  assert.equal(throttle.ms, 10);
  assert.ok(delays.ms > 0 && report.endedAt - report.startedAt >= delays.ms - 20, `${delays.ms}`);
  assert.ok(waits.length > 1);
  for (const { waitReason, isDate } of waits) assert.deepEqual([waitReason, isDate], ["throttled", true]);
  assert.ok(waits.some(({ requests }) => requests > 1));
  await client.close();
});

test("after a throttle, a query that waits for the request of another query has the phase waiting", async () => {
  const [sent, mayRespond] = [event(), event()];
  const client = await clientOf(async (url, count) => {
    if (count === 1) return new Response("", { status: 429, headers: { "Retry-After": "0.01" } });
    if (count === 2) {
      sent.fire();
      await mayRespond.fired;
    }
    return page([{ id: `${count}` }], { delta: `${new URL(url).pathname.slice(5)}?$deltatoken=1` });
  });
  const [users, groups] = [client.track("/users/delta"), client.track("/groups/delta")];
  const first = users.sync();
  await sent.fired;
  const second = groups.sync();
  const { waitReason, waitUntil } = await statusUntil(groups, ({ phase }) => phase === "waiting");
  assert.deepEqual([waitReason, waitUntil], ["throttled", undefined]);
  assert.equal(client.requests.length, 2);
  mayRespond.fire();
  await first;
  const { waits } = await second;
  assert.deepEqual([waits.length, waits[0].reason], [1, "throttled"]);
  await client.close();
});

test("if the last attempt was throttled, the message says so and the error has the time of the next one", async () => {
  const { graph, client, users } = await openLogged({ retry: { ...quick, attempts: 2 } });
  graph.fault("throttle", { times: Infinity });
  const error = await users.sync().catch((error) => error);
  assert.equal(error.code, "throttled");
  assert.match(error.message, /: the last of 2 attempts was throttled \(options\.retry\.attempts\); the/);
  assert.doesNotMatch(error.message, /longer wait/);
  assert.ok(error.retryAt instanceof Date);
  await client.close();
});

test("the JSON of an error has its name, its message and its fields, but not its cause", async () => {
  const { graph, client, users } = await openLogged({ retry: { ...quick, maxWait: 10 } });
  graph.fault({ name: "throttle", retryAfter: 60 });
  const error = await users.sync().catch((error) => error);
  const { name, message, code, status, graphCode, requestId, retryable, retryAt, report } = error;
  const json = JSON.parse(JSON.stringify(error));
  assert.deepEqual(json, {
    ...{ name: "DeltaError", message, code: "throttled", status: 429, graphCode, requestId, retryable },
    clientRequestId: error.clientRequestId,
    retryAt: retryAt.toISOString(),
    report: JSON.parse(JSON.stringify(report)),
  });
  assert.deepEqual([name, code, status], ["DeltaError", "throttled", 429]);
  assert.match(json.message, /^Graph returned 429/);
  const made = new DeltaError("text", { code: "store", cause: new Error("secret") });
  assert.equal(
    JSON.stringify(made),
    '{"name":"DeltaError","message":"text","retryable":false,"code":"store"}',
  );
  await statusUntil(users, ({ error }) => error?.toJSON().message === message);
  await client.close();
});
