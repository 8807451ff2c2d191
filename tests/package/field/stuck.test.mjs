// Cases of public bug reports in which the rounds of 0.1.0 never completed again, or ended with a
// wrong error. tests/README.md lists the cases by their numbers.
import assert from "node:assert/strict";
import test from "node:test";
import { delta, errorOf, ids, next, outcome, refusal, scripted } from "./script.mjs";

const HOUR = 3_600_000;
const month = { start: "2026-11-01", end: "2026-12-31" };
const VIEW = "/me/calendarView/delta";
const INBOX = "/me/mailFolders/inbox/messages/delta";
const occurrence = (id) => ({
  id,
  type: "occurrence",
  seriesMasterId: "M",
  start: { dateTime: "2026-11-25T09:00:00.0000000", timeZone: "UTC" },
});

for (const [what, response] of [
  ["500", refusal(500, "ErrorInternalServerError")],
  ["HTML", () => new Response("<html><body>Service unavailable</body></html>")],
  [
    "a redirect",
    () => new Response(null, { status: 302, headers: { location: "https://login.contoso.example/" } }),
  ],
  ["no response", () => Promise.reject(new TypeError("fetch failed"))],
])
  test(`case 10: a request for a master that ends with ${what} does not block its calendar`, async (t) => {
    const master = { id: "M", type: "seriesMaster", subject: "Stand-up" };
    let fails = true;
    const client = await scripted(
      t,
      VIEW,
      {
        start: delta([occurrence("occ")], "d1"),
        d1: delta([], "d1"),
        "/me/events/M": (...args) =>
          fails ? (typeof response === "function" ? response(...args) : response) : Response.json(master),
      },
      { retry: { attempts: 2, base: 1, cap: 2 } },
    );
    const events = client.events(month);
    let rounds = 0;
    while ((await outcome(events.sync())) !== "complete") assert.ok((rounds += 1) < 3, `${rounds} rounds`);
    fails = false;
    await events.sync();
    assert.deepEqual(
      (await events.all({ occurrences: "complete" })).map(({ subject }) => subject),
      ["Stand-up"],
      "it is requested again later",
    );
  });

for (const [what, code] of [
  ["a room", "ErrorAccessDenied"],
  ["a delegate", "DelegatedCalendarAccessDenied"],
  ["a mailbox on hold", "ErrorForbidden"],
])
  test(`case 11: a nextLink that stays forbidden for ${what} is replaced by the query itself`, async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: Date.parse("2026-11-20T08:00:00Z") });
    const client = await scripted(t, VIEW, {
      start: [next([{ id: "a" }], "n1"), delta([{ id: "a" }, { id: "b" }], "d1")],
      n1: refusal(403, code, "Access is denied. Check credentials and try again."),
      d1: delta([], "d1"),
    });
    const events = client.events(month);
    const outcomes = [];
    for (let hours = 0; hours < 5; hours += 1) {
      outcomes.push(await outcome(events.sync()));
      t.mock.timers.setTime(Date.now() + 1.1 * HOUR);
    }
    assert.deepEqual(outcomes, ["forbidden", "forbidden", "forbidden", "complete", "complete"]);
    assert.deepEqual(await ids(events), ["a", "b"]);
  });

for (const [path, status, code, message] of [
  ["/users/delta", 400, "Directory_ExpiredPageToken", "The specified page token value has expired."],
  ["/contacts/delta", 400, "Directory_ExpiredPageToken", "The specified page token value has expired."],
  ["/groups/delta", 404, "Request_ResourceNotFound", "The page token is unknown or has expired."],
])
  test(`case 12: ${code} on a stored nextLink of ${path} lists everything in the same sync()`, async (t) => {
    const client = await scripted(t, path, {
      start: [next([{ id: "a" }], "n1"), delta([{ id: "a" }, { id: "b" }], "d1")],
      n1: refusal(status, code, message),
    });
    const query = client.track(path);
    for await (const { changes } of query.round({ maxPages: 1 })) assert.equal(changes.length, 1);
    const report = await query.sync();
    assert.deepEqual([report.outcome, report.resync, await ids(query)], ["complete", code, ["a", "b"]]);
  });

for (const path of [
  "/teams/t/channels/c/messages/delta",
  "/teams/t/channels/19:abc@thread.tacv2/messages/delta",
])
  test(`case 13: a Teams channel without a conversation is not supported, at ${path}`, async (t) => {
    const client = await scripted(t, path, {
      start: next([], "n1"),
      n1: refusal(400, "BadRequest", "Parameter 'DeltaToken' not supported for this request."),
    });
    const error = await errorOf(() => client.track(path).sync());
    assert.deepEqual([error.code, client.keys()], ["not-supported", ["start", "n1", "start", "n1"]]);
    assert.match(error.message, /list the collection without it/);
  });

for (const status of [503, 504])
  test(`case 14: pages of an unknown size that always fail with ${status} become smaller`, async (t) => {
    const many = Array.from({ length: 200 }, (_, index) => ({ id: `event ${index}` }));
    const size = (init) => {
      const header = new Headers(init.headers).get("prefer") ?? "";
      return Number(/maxpagesize=(\d+)/.exec(header)?.[1] ?? 200);
    };
    const client = await scripted(
      t,
      VIEW,
      {
        start: next(many, "n1"),
        n1: (url, init) =>
          size(init) > 100 ? refusal(status, "UnknownError") : delta([{ id: "last" }], "d1"),
      },
      { retry: { attempts: 4, base: 1, cap: 2 } },
    );
    const events = client.events(month);
    await events.sync();
    assert.equal(await events.count(), 201);
  });

test("case 14: kinds with $top begin a new listing with smaller pages", async (t) => {
  const many = Array.from({ length: 200 }, (_, index) => ({ id: `file ${index}` }));
  const top = (url) => Number(/\$top=(\d+)/.exec(url)?.[1] ?? 200);
  let small = false;
  const client = await scripted(
    t,
    "/me/drive/root/delta",
    {
      start: (url) => ((small = top(url) <= 100), next(many, "n1")),
      n1: () => (small ? delta([{ id: "last" }], "d1") : refusal(504, "UnknownError")),
    },
    { retry: { attempts: 3, base: 1, cap: 2 } },
  );
  const files = client.track("/me/drive/root/delta");
  let rounds = 0;
  while ((await outcome(files.sync())) !== "complete") assert.ok((rounds += 1) < 9, `${rounds} rounds`);
  assert.equal(await files.count(), 201);
});

for (const path of ["/education/users/delta", "/education/schools/delta", "/me/contacts/delta"])
  test(`case 15: only kinds whose removals Graph does not report are listed again daily, at ${path}`, async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: Date.parse("2026-11-20T08:00:00Z") });
    const client = await scripted(t, path, {
      start: [delta([{ id: "a" }, { id: "b" }], "d1"), delta([{ id: "a" }], "d2")],
      d1: delta([], "d1"),
    });
    const query = client.track(path);
    await query.sync();
    t.mock.timers.setTime(Date.now() + 25 * HOUR);
    await query.sync();
    assert.deepEqual(await ids(query), path.startsWith("/education") ? ["a"] : ["a", "b"]);
  });

for (const code of ["ErrorSyncFolderNotFound", "ErrorItemNotFound"])
  test(`case 16: a deleted folder (${code}) is gone, and clear() empties its mirror`, async (t) => {
    const client = await scripted(t, INBOX, {
      start: delta([{ id: "a" }], "d1"),
      d1: refusal(404, code, "The specified folder could not be found in the store."),
    });
    const messages = client.track(INBOX);
    await messages.sync();
    const error = await errorOf(() => messages.sync());
    const { phase } = messages.status.get();
    assert.deepEqual(
      [error.code, error.gone, phase, await ids(messages)],
      ["not-found", true, "failed", ["a"]],
    );
    await messages.clear();
    assert.deepEqual(await ids(messages), []);
  });

const msal = (errorCode, name = "BrowserAuthError") =>
  Object.assign(new Error(`${errorCode}: See https://aka.ms/msal.js.errors`), { name, errorCode });
for (const code of ["timed_out", "monitor_window_timeout", "no_account_error", "interaction_in_progress"])
  test(`case 17: MSAL's ${code} needs the user, and resume() continues`, async (t) => {
    let signedIn = false;
    const token = async () => {
      if (!signedIn) throw msal(code);
      return "a-token";
    };
    const client = await scripted(t, "/users/delta", { start: delta([{ id: "a" }], "d1") }, { token });
    const users = client.track("/users/delta");
    const error = await errorOf(() => users.sync());
    assert.deepEqual([error.code, users.status.get().phase], ["interaction", "needs-auth"]);
    signedIn = true;
    client.resume();
    await users.sync();
    assert.deepEqual(await ids(users), ["a"]);
  });

test("case 23: an absurd Retry-After never leads to a retryAt more than a day ahead", async (t) => {
  for (const value of ["99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "172801"]) {
    const client = await scripted(
      t,
      "/users/delta",
      { start: refusal(429, "TooManyRequests", "slow down", { "Retry-After": value }) },
      { retry: { attempts: 2, base: 1, cap: 2, maxWait: 1000 } },
    );
    const error = await errorOf(() => client.track("/users/delta").sync());
    const wait = (error.retryAt?.getTime() ?? 0) - Date.now();
    assert.ok(wait <= 86_400_000, `${value}: ${wait} ms`);
  }
});

for (const [code, message] of [
  ["BadRequest", "Delta query is not supported by this resource."],
  ["UnknownError", "The delta query isn't supported for this resource."],
  ["Request_UnsupportedQuery", "Delta query is not supported by this resource."],
])
  test(`case 32: "${message}" as ${code} is not supported`, async (t) => {
    const client = await scripted(t, "/me/drive/root/delta", { start: refusal(400, code, message) });
    const error = await errorOf(() => client.track("/me/drive/root/delta").sync());
    assert.equal(error.code, "not-supported");
  });

test("case 33: recordings without a link are listed again without top (known issue 22931)", async (t) => {
  const path = "/users/u/onlineMeetings/getAllRecordings(meetingOrganizerUserId='u')/delta";
  for (const pages of [0, 1]) {
    const noLink = () => Response.json({ value: [] });
    const client = await scripted(t, path, {
      start: [pages ? next([{ id: "r0" }], "n1") : noLink, delta([{ id: "r0" }, { id: "r1" }], "d1")],
      n1: noLink,
    });
    const recordings = client.callRecordings({ organizer: "u", top: 5 });
    await recordings.sync();
    assert.deepEqual(await ids(recordings), ["r0", "r1"]);
    assert.doesNotMatch(client.requests.at(-1).url, /\$top/);
  }
});

for (const [status, code] of [
  [500, "syncStateNotFound"],
  [503, "resyncRequired"],
  [500, "syncStateInvalid"],
])
  test(`case 34: ${code} under ${status} is a reset of a stored link`, async (t) => {
    const client = await scripted(t, "/contacts/delta", {
      start: [delta([{ id: "a" }], "d1"), delta([{ id: "a" }, { id: "b" }], "d2")],
      d1: refusal(status, code),
    });
    const contacts = client.orgContacts();
    await contacts.sync();
    const report = await contacts.sync();
    assert.deepEqual([report.kind, await ids(contacts)], ["full", ["a", "b"]]);
  });
