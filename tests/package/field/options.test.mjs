// Rules of Graph's documentation that 0.1.0 did not know, and cases in which it delivered or
// reported something wrong. tests/README.md lists the cases by their numbers.
import assert from "node:assert/strict";
import test from "node:test";
import { openDelta } from "deltalink";
import { turn } from "../../wait.mjs";
import { delta, errorOf, next, outcome, refusal, scripted } from "./script.mjs";

async function memoryClient(t, options = {}) {
  const client = await openDelta({ token: () => "a-token", store: "memory", ...options });
  t.after(() => client.close());
  return client;
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (claims) => `${encode({ alg: "none" })}.${encode(claims)}.c2ln`;

test("case 18: an error about options.token shows nothing of the token", async () => {
  const secret = `eyJ0eXAiOiJKV1Qi.${"eyJhdWQiOiJodHRwcz".repeat(4)}.Sflk7xRJSMeKKF2QT4fw`;
  for (const token of [secret, { accessToken: secret }, [secret]]) {
    const error = await errorOf(() => openDelta({ token, store: "memory" }));
    assert.equal(error.code, "bad-request");
    assert.doesNotMatch(error.message, /eyJ|Sflk7xRJ/);
  }
});

for (const [what, call] of [
  ["callRecordings()", (client) => client.callRecordings({ organizer: "u" })],
  [
    "transcripts",
    (client) => client.track("/users/u/onlineMeetings/getAllTranscripts(meetingOrganizerUserId='u')/delta"),
  ],
  ["sites", (client) => client.track("/sites/delta")],
])
  test(`case 19: ${what} are refused with a user's token before any request`, async (t) => {
    const token = () => jwt({ scp: "User.Read" });
    const client = await scripted(t, "/", {}, { token });
    const error = await errorOf(() => call(client).sync());
    assert.deepEqual([error.code, client.requests.length], ["forbidden", 0]);
    const app = await scripted(t, "/", {}, { token: () => jwt({ roles: ["Sites.Read.All"] }) });
    await errorOf(() => call(app).sync());
    assert.equal(app.requests.length, 1, "the token of an app is used");
  });

test("case 19: the error of a request that Graph forbids names the permission", async (t) => {
  for (const [path, permission] of [
    ["/users/delta", /User\.Read/],
    ["/contacts/delta", /OrgContact\.Read\.All/],
    ["/groups/delta", /Group/],
  ]) {
    const client = await scripted(t, path, { start: refusal(403, "Authorization_RequestDenied") });
    const { message } = await errorOf(() => client.track(path).sync());
    assert.match(message, permission);
  }
});

test("case 22: a mailbox has at most four requests in flight under all its names", async (t) => {
  const user = { scp: "Mail.Read", oid: "0a0a0a0a-0000-4000-8000-000000000001", upn: "Ann@contoso.example" };
  let inFlight = 0;
  let most = 0;
  const fetch = async (url) => {
    most = Math.max(most, (inFlight += 1));
    for (let passed = 0; passed < 20; passed += 1) await turn();
    inFlight -= 1;
    return Response.json({ value: [], "@odata.deltaLink": `${url.split("?")[0]}?$deltatoken=d1` });
  };
  const client = await memoryClient(t, { fetch, token: () => jwt(user) });
  const folder = (owner, name) => client.track(`${owner}/mailFolders/${name}/messages/delta`).sync();
  await folder("/me", "first");
  most = 0;
  await Promise.all(
    ["/me", "/users/ann@contoso.example", `/users/${user.oid}`].flatMap((owner) =>
      ["a", "b", "c", "d"].map((name) => folder(owner, name)),
    ),
  );
  assert.ok(most <= 4, `${most} at once`);
});

test("case 25: a tracked calendar view has the rules of events()", async (t) => {
  const client = await memoryClient(t);
  const view = (startDateTime, endDateTime) =>
    client.track("/me/calendarView/delta", { query: { startDateTime, endDateTime } });
  for (const [start, end, message] of [
    ["2020-01-01", "2026-01-01", /at most 1825 days apart/],
    ["2026-02-01T00:00:00Z", "2026-02-01T01:00:00+01:00", /must be after/],
    ["tomorrow", "2026-01-01", /must be an ISO 8601 date/],
  ])
    assert.match((await errorOf(() => view(start, end)))?.message ?? "", message);
  assert.equal(
    view("2026-11-01T01:00:00+01:00", "2026-12-01").key,
    view("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z").key,
  );
});

test("case 26: a filter of ids that makes too long a URL is refused with its length", async (t) => {
  const client = await memoryClient(t);
  const many = (count) => Array.from({ length: count }, (_, index) => String(index).padStart(36, "0"));
  for (const [path, count] of [
    ["/devices/delta", 900],
    ["/applications/delta", 400],
  ]) {
    const error = await errorOf(() => client.track(path, { ids: many(count) }));
    assert.match(error?.message ?? "", /the URL of this query would have \d+ bytes.*use fewer options\.ids/);
  }
});

test("case 27: transcripts need an organizer, recordings take an end, and the paths of a meeting are known", async (t) => {
  const client = await memoryClient(t);
  const error = await errorOf(() => client.track("/users/u/onlineMeetings/getAllTranscripts()/delta"));
  assert.match(error?.message ?? "", /call transcripts need the meeting organizer/);
  const scriptedClient = await scripted(t, "/", {});
  await errorOf(() => scriptedClient.callRecordings({ organizer: "u", endDateTime: "2026-12-01" }).sync());
  assert.match(scriptedClient.requests[0].url, /endDateTime=2026-12-01T00:00:00Z/);
  for (const path of ["/me/onlineMeetings/m/recordings/delta", "/me/adhocCalls/c/transcripts/delta"])
    assert.match(
      (await errorOf(() => client.track(path, { select: ["id"] })))?.message ?? "",
      /options\.select is refused by Graph on call(Recording|Transcript)/,
    );
});

test("case 28: a slash at the end of a path is ignored, and an empty segment is refused", async (t) => {
  const client = await memoryClient(t);
  assert.equal(client.track("/contacts/delta/").key, client.track("/contacts/delta").key);
  for (const path of ["/users//mailFolders/delta", "/teams//channels/c/messages/delta"])
    assert.match((await errorOf(() => client.track(path)))?.message ?? "", /one of its segments is empty/);
});

test("case 29: drives can leave out parents and list shared folders", async (t) => {
  const path = "/me/drive/root/delta";
  const client = await scripted(t, path, { start: delta([], "d1") });
  await client.track(path, { excludeParents: true, sharedFolders: true }).sync();
  const [{ headers, prefer }] = client.requests;
  assert.equal(headers.get("deltaExcludeParent"), "true");
  assert.match(prefer, /Include-Feature=AddToOneDrive/);
  const error = await errorOf(() => client.track("/users/delta", { excludeParents: true }));
  assert.equal(
    error.message,
    "options.excludeParents is refused by Graph on user: only items of drives have parents to exclude; leave it out",
  );
});

test("case 30: a kind of the global cloud is refused in another cloud before any request", async (t) => {
  for (const [cloud, path] of [
    ["china", "/education/classes/c/assignmentCategories/delta"],
    ["usgov", "/admin/exchange/mailboxes/m/folders/delta"],
    ["china", "/me/notes/delta"],
  ]) {
    const client = await memoryClient(t, { cloud });
    assert.equal((await errorOf(() => client.track(path)))?.code, "not-supported", `${path} in ${cloud}`);
  }
});

test("case 31: the full rounds after resets are spread over time", async (t) => {
  const waits = [];
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const query = await resetOnce(t);
    const { waits: own } = await query.sync();
    waits.push(own.find(({ reason }) => reason === "resync")?.ms ?? 0);
  }
  assert.ok(new Set(waits.map(Math.round)).size > 2, `waits of ${waits}`);
});

/** A query whose next round gets a reset. */
async function resetOnce(t, code = "syncStateNotFound", innerCode = undefined) {
  const reset = refusal(410, code);
  if (innerCode) reset.body.error.innerError = { code: innerCode };
  const responses = { start: delta([{ id: "a" }], "d1"), d1: reset };
  const client = await scripted(t, "/users/delta", responses, { retry: { base: 20, cap: 40 } });
  const query = client.track("/users/delta");
  await query.sync();
  return query;
}

test("case 35: an item that a round repeats is announced once, and again only if it differs", async (t) => {
  const client = await scripted(t, "/users/delta", {
    start: next([{ id: "a", mail: "1" }, { id: "b" }], "n1"),
    n1: next([{ id: "a", mail: "1" }], "n2"),
    n2: delta([{ id: "a", mail: "2" }, { id: "b" }], "d1"),
  });
  const seen = [];
  for await (const { changes } of client.track("/users/delta").round())
    seen.push(...changes.map(({ id, item }) => `${id} ${item.mail ?? ""}`.trim()));
  assert.deepEqual(seen, ["a 1", "b", "a 2"]);
});

test("case 36: an event that a rolling window leaves behind has the reason left-window", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.parse("2026-11-20T08:00:00Z") });
  const event = (id, date) => ({
    id,
    type: "singleInstance",
    start: { dateTime: `${date}T09:00:00.0000000`, timeZone: "UTC" },
    end: { dateTime: `${date}T10:00:00.0000000`, timeZone: "UTC" },
  });
  const [left, stays, gone] = [
    event("left", "2026-11-19"),
    event("stays", "2026-11-25"),
    event("gone", "2026-11-26"),
  ];
  const client = await scripted(t, "/me/calendarView/delta", {
    start: [delta([left, stays, gone], "d1"), delta([stays], "d2")],
    d1: delta([], "d1"),
  });
  const events = client.events({ window: { daysBack: 1, daysAhead: 10, timeZone: "UTC" } });
  await events.sync();
  t.mock.timers.setTime(Date.now() + 3 * 86_400_000);
  const removals = [];
  events.on("change", (changes) => {
    for (const { type, id, reason } of changes) if (type === "remove") removals.push(`${id} ${reason}`);
  });
  await events.sync();
  assert.deepEqual(removals.sort(), ["gone ghost", "left left-window"]);
});

test("case 37: a report counts bytes, the time in the store and the requests that failed", async (t) => {
  const failing = refusal(503, "serviceNotAvailable", "no", { "request-id": "1a2b" });
  const client = await scripted(t, "/users/delta", { start: [failing, delta([{ id: "a" }], "d1")] });
  const report = await client.track("/users/delta").sync();
  assert.ok(report.bytes > 50 && report.storeMs >= 0, JSON.stringify(report));
  assert.deepEqual(report.failedRequestIds, ["1a2b"]);
});

test("case 38: the report names the kind of reset that Graph asks for", async (t) => {
  for (const [outer, inner, resync] of [
    ["resyncChangesUploadDifferences", undefined, "resyncChangesUploadDifferences"],
    ["resyncChangesUploadDifferences", "invalidRequest", "resyncChangesUploadDifferences"],
    ["gone", "resyncChangesApplyDifferences", "resyncChangesApplyDifferences"],
  ]) {
    const query = await resetOnce(t, outer, inner);
    assert.equal((await query.sync()).resync, resync);
  }
});

test("case 39: onError decides about an error that would end a round", async (t) => {
  const responses = () => ({ start: [refusal(403, "Forbidden"), delta([{ id: "a" }], "d1")] });
  for (const [decision, expected] of [
    ["retry", "complete"],
    [{ after: 1 }, "complete"],
    ["stop", "forbidden"],
  ]) {
    const client = await scripted(t, "/users/delta", responses(), { onError: () => decision });
    assert.equal(await outcome(client.track("/users/delta").sync()), expected);
  }
});

test("case 40: a value that is not an AbortSignal is refused as options.signal", async (t) => {
  const client = await scripted(t, "/users/delta", { start: delta([], "d1") });
  for (const signal of [{ aborted: false }, new AbortController(), "signal"]) {
    const error = await errorOf(() => client.track("/users/delta").sync({ signal }));
    assert.match(error?.message ?? "", /options\.signal must be an AbortSignal/);
  }
});
