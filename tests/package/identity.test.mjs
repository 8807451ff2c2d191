// The claims of a token: the limits of a mailbox under all names of its user, and kinds that no
// user may read.
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "../wait.mjs";
import { clientOf, page, week } from "./responses.mjs";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (claims) => `${encode({ alg: "none" })}.${encode(claims)}.c2ln`;
const user = {
  scp: "Calendars.Read Mail.Read",
  oid: "0a0a0a0a-0000-4000-8000-000000000001",
  upn: "Ann@contoso.example",
};

/** Opens a client. Each of its `requests` waits until the test calls the request's `resolve()`. */
async function openWaiting(options) {
  const requests = [];
  const respond = (url) =>
    new Promise((resolve) => requests.push({ url, resolve: () => resolve(page([], { delta: "/d" })) }));
  const client = await clientOf(respond, options);
  return { client, requests };
}

/** Four queries under each name of a mailbox. */
const queries = (client, names) =>
  names.flatMap((name) => {
    const path = name === "me" ? "/me" : `/users/${name}`;
    const window = { startDateTime: "2026-11-01", endDateTime: "2026-12-01" };
    return [
      client.events({ ...week, ...(name === "me" ? {} : { user: name }) }),
      client.track(`${path}/mailFolders/inbox/messages/delta`),
      client.track(`${path}/contactFolders/delta`),
      client.track(`${path}/calendars/c/calendarView/delta`, { query: window }),
    ];
  });

for (const [title, options, names] of [
  ["its token says", { token: () => jwt(user) }, ["me", "ann@contoso.example", user.oid]],
  [
    "version 1 of its token says",
    { token: () => jwt({ scp: "x", unique_name: "ANN@contoso.example" }) },
    ["me", "Ann@Contoso.example"],
  ],
  ["MSAL's account says", { account: `${user.oid}.7e7e7e7e-0000-4000-8000-000000000002` }, ["me", user.oid]],
  ["the caller says", { account: "ann@contoso.example" }, ["me", "ann@contoso.example"]],
])
  test(`a mailbox has at most four requests in flight under all its names, as ${title}`, async () => {
    const { client, requests } = await openWaiting(options);
    const first = client.track("/me/mailFolders/delta").sync();
    await until(() => requests.length === 1);
    requests[0].resolve();
    await first;
    const rounds = queries(client, names).map((query) => query.sync());
    let most = 0;
    let responded = 1;
    while (responded < rounds.length + 1) {
      await until(() => requests.length > responded);
      most = Math.max(most, requests.length - responded);
      requests[responded].resolve();
      responded += 1;
    }
    await Promise.all(rounds);
    assert.ok(most <= 4, `${most} at once`);
    await client.close();
  });

test("two mailboxes have four requests in flight each", async () => {
  const { client, requests } = await openWaiting({ token: () => jwt(user) });
  const rounds = queries(client, ["me", "bob@contoso.example"]).map((query) => query.sync());
  await until(() => requests.length === 8);
  for (const { resolve } of requests) resolve();
  await Promise.all(rounds);
  await client.close();
});

test("too many requests in a mailbox restrict it under each name that it may have", async (t) => {
  const busy = Response.json(
    { error: { code: "ApplicationThrottled", message: "Application is over its MailboxConcurrency limit." } },
    { status: 429, headers: { "Retry-After": "60" } },
  );
  const inFlight = [];
  const client = await clientOf((url) => new Promise((respond) => inFlight.push({ url, respond })));
  t.after(() => client.close());
  const sent = (part) => inFlight.filter(({ url }) => url.includes(part));
  const end = new AbortController();
  const own = client.track("/me/mailFolders/delta").sync({ signal: end.signal });
  const names = ["mailFolders", "contactFolders", "todo/lists"];
  const others = names.map((path) => client.track(`/users/ann@contoso.example/${path}/delta`).sync());
  const more = client.track("/users/ann@contoso.example/mailFolders/x/messages/delta").sync();
  await until(() => inFlight.length === 5);
  sent("/me/")[0].respond(busy);
  // Runs whole rounds in another scope: when they have ended, everything that was ready has run.
  const users = async (name) => {
    const round = client.track("/users/delta", { name }).sync();
    await until(() => sent("/users/delta").length > 0);
    inFlight.splice(inFlight.indexOf(sent("/users/delta")[0]), 1)[0].respond(page([], { delta: "/d" }));
    await round;
  };
  await users("first");
  // Another name, which may belong to the same mailbox.
  const later = ["mailFolders", "contactFolders"].map((path) =>
    client.track(`/users/0a0a/${path}/delta`).sync(),
  );
  await until(() => sent("0a0a").length > 0);
  await users("a while");
  assert.equal(sent("0a0a").length, 1);
  for (const number of [0, 1]) {
    await until(() => sent("0a0a").length > number);
    sent("0a0a")[number].respond(page([], { delta: "/d" }));
  }
  await Promise.all(later);
  sent("ann@")[0].respond(page([], { next: "/users/ann@contoso.example/mailFolders/delta?page2" }));
  await users("second");
  assert.equal(sent("page2").length, 0, "three requests of this mailbox are in flight, and two are allowed");
  for (const { respond } of sent("ann@").slice(1)) respond(page([], { delta: "/d" }));
  await until(() => sent("page2").length === 1);
  sent("page2")[0].respond(page([], { delta: "/d" }));
  await Promise.all([...others, more]);
  end.abort(new Error("enough"));
  await assert.rejects(own, /enough/);
});

test("a kind for apps only is rejected without a request if the token can be read and is a user's", async () => {
  const recordings = { organizer: "0a0a" };
  for (const [claims, refused] of [
    [{ scp: "OnlineMeetingRecording.Read.All" }, true],
    [{ scp: "" }, true],
    [{ roles: ["OnlineMeetingRecording.Read.All"] }, false],
  ]) {
    const client = await clientOf(() => page([], { delta: "/d" }), { token: () => jwt(claims) });
    const round = client.callRecordings(recordings).sync();
    if (refused)
      await assert.rejects(round, {
        code: "forbidden",
        retryable: false,
        message: /only an app-only token can read callRecording.*OnlineMeetingRecording\.Read\.All/,
      });
    else await round;
    assert.equal(client.requests.length, refused ? 0 : 1, JSON.stringify(claims));
    await client.close();
  }
  const client = await clientOf(() => page([], { delta: "/d" }), { token: () => "opaque.token.text" });
  await client.callRecordings(recordings).sync();
  assert.equal(client.requests.length, 1);
  await client.close();
});
