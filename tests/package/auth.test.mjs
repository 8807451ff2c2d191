// App-only tokens, with an authority on loopback.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, beforeEach, test } from "node:test";
import { openDelta } from "deltalink";
import { clientCredentials } from "deltalink/auth";
import { requestsOf, startFake } from "../fake.mjs";
import { event, fakeTimers } from "../wait.mjs";

let fake;
let server;
let authority;
/** The requests to the authority, and how it responds to the next ones. */
let requests;
let respond;

before(async () => {
  fake = await startFake();
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    requests.push({ url: request.url, body: Object.fromEntries(new URLSearchParams(body)) });
    const { status = 200, headers = {}, json } = await respond(requests.length);
    response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(typeof json === "string" ? json : JSON.stringify(json));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  authority = `http://127.0.0.1:${server.address().port}`;
});
after(async () => {
  server.close();
  await fake.stop();
});
beforeEach(() => {
  requests = [];
  respond = (n) => ({ json: { access_token: `token${n}`, expires_in: 3600, token_type: "Bearer" } });
});

const SCOPE = "https://graph.microsoft.com/.default";
const app = {
  tenant: "contoso.example",
  clientId: "6c1f0000-aaaa-4bbb-8ccc-000000000001",
  secret: "not a real one &=+",
};
const start = (more) => ({ reason: "start", scopes: [SCOPE], ...more });

test("a token without a lifetime is used for an hour", async (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: 1_795_000_000_000 });
  respond = () => ({ json: { access_token: "t" } });
  const { expiresOn } = await clientCredentials({ ...app, authority })(start());
  assert.deepEqual(expiresOn, new Date(1_795_000_000_000 + 3_600_000));
});

test("a token is requested by the client credentials grant and cached until shortly before it expires", async (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: 1_795_000_000_000 });
  const token = clientCredentials({ ...app, authority });
  const first = await token(start());
  assert.deepEqual(first, { accessToken: "token1", expiresOn: new Date(1_795_000_000_000 + 3_600_000) });
  assert.deepEqual(requests, [
    {
      url: "/contoso.example/oauth2/v2.0/token",
      body: {
        grant_type: "client_credentials",
        client_id: app.clientId,
        scope: SCOPE,
        client_secret: app.secret,
      },
    },
  ]);
  context.mock.timers.setTime(1_795_000_000_000 + 3_299_999);
  assert.equal((await token(start())).accessToken, "token1");
  context.mock.timers.setTime(1_795_000_000_000 + 3_300_000);
  assert.equal((await token(start())).accessToken, "token2");
});

test("many callers share one request, and an abort of one does not affect the others", async () => {
  const [requested, release] = [event(), event()];
  respond = () => (requested.fire(), release.fired);
  const token = clientCredentials({ ...app, authority });
  const leaving = new AbortController();
  const all = [
    token(start()),
    token(start({ signal: leaving.signal })),
    token(start()),
    token(start({ reason: "unauthorized" })),
  ];
  leaving.abort("gone");
  await assert.rejects(all[1], (reason) => reason === "gone");
  await requested.fired;
  release.fire({ json: { access_token: "t", expires_in: 3600 } });
  assert.deepEqual(
    (await Promise.all([all[0], all[2], all[3]])).map(({ accessToken }) => accessToken),
    ["t", "t", "t"],
  );
  assert.equal(requests.length, 1);
});

test("a refused token and one without the requested claims are not taken from the cache", async () => {
  const token = clientCredentials({ ...app, authority });
  await token(start());
  assert.equal((await token(start({ reason: "unauthorized" }))).accessToken, "token2");
  const claims = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}';
  assert.equal((await token(start({ reason: "claims", claims }))).accessToken, "token3");
  assert.equal(requests[2].body.claims, claims);
  assert.equal((await token(start())).accessToken, "token2");
});

test("an assertion replaces the secret and is requested for each token", async () => {
  let made = 0;
  const token = clientCredentials({
    tenant: app.tenant,
    clientId: app.clientId,
    assertion: async () => `jwt${++made}`,
    authority,
  });
  await token(start());
  await token(start({ reason: "unauthorized" }));
  assert.deepEqual(
    requests.map(({ body }) => [body.client_assertion, body.client_secret]),
    [
      ["jwt1", undefined],
      ["jwt2", undefined],
    ],
  );
  assert.equal(
    requests[0].body.client_assertion_type,
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
  );
  const failing = clientCredentials({
    tenant: "t",
    clientId: "c",
    assertion: () => Promise.reject(new Error("no key")),
    authority,
  });
  await assert.rejects(failing(start()), /no key/);
});

test("each cloud uses its authority", async () => {
  const urls = [];
  const fetch = async (url) => {
    urls.push(new URL(url).host);
    return Response.json({ access_token: "t", expires_in: 3600 });
  };
  const token = clientCredentials({ ...app, fetch });
  for (const host of [
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "microsoftgraph.chinacloudapi.cn",
  ]) {
    await token(start({ scopes: [`https://${host}/.default`] }));
  }
  assert.deepEqual(urls, [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
  ]);
  await assert.rejects(token(start({ scopes: ["http://127.0.0.1:4010/.default"] })), {
    code: "bad-request",
    message: /the authority for http:\/\/127\.0\.0\.1:4010\/\.default is not known; set options\.authority/,
  });
});

test("failures are errors with a code, without the secret", async () => {
  const token = clientCredentials({ ...app, authority });
  const words = "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1\r\nTimestamp: 2";
  respond = () => ({ status: 401, json: { error: "invalid_client", error_description: words } });
  await assert.rejects(token(start()), (error) => {
    assert.deepEqual(
      [error.name, error.code, error.status, error.retryable],
      ["DeltaError", "unauthorized", 401, false],
    );
    assert.match(
      error.message,
      /returned no token, status 401: check the tenant, the client id, .* \(AADSTS7000215: Invalid client secret provided\.\)$/,
    );
    assert.ok(
      !JSON.stringify(error).includes(app.secret) &&
        !error.message.includes(app.secret) &&
        !error.message.includes("Trace"),
    );
    return true;
  });
  respond = () => ({ status: 503, headers: { "retry-after": "7" }, json: "<html>" });
  await assert.rejects(
    token(start()),
    (error) =>
      error.retryable &&
      error.message.endsWith("returned no token, status 503: try again later") &&
      Math.abs(error.retryAt - Date.now() - 7000) < 2000,
  );
  // A proxy or a network with a sign-in page responds instead of the authority.
  for (const other of [{ json: { no: "token" } }, { json: "<html>" }, { status: 404, json: "<html>" }]) {
    respond = () => other;
    await assert.rejects(token(start()), {
      code: "unauthorized",
      // Another address may be behind a wrong authority.
      retryable: other.status === undefined,
      message:
        /returned no token, status \d+: it is not the response of an authority; check options\.authority/,
    });
  }
  const nobody = clientCredentials({ ...app, authority: "http://127.0.0.1:1" });
  await assert.rejects(nobody(start()), {
    code: "network",
    retryable: true,
    message: /http:\/\/127\.0\.0\.1:1 did not respond/,
  });
  respond = () => ({ json: { access_token: "t", expires_in: 3600 } });
  assert.equal((await token(start())).accessToken, "t", "a failure is not cached");
});

test("invalid options are refused at once", () => {
  for (const [options, message] of [
    [
      { ...app, secret: "" },
      /^options\.secret of clientCredentials\(\) must be a non-empty string, got an empty string$/,
    ],
    [
      { ...app, secret: undefined, assertion: 7 },
      /^options\.assertion of clientCredentials\(\) must be a non-empty string or a function, got a number$/,
    ],
    [{ ...app, cache: {} }, /^options\.cache of clientCredentials\(\) must be a Map, got an object$/],
    [{ ...app, cache: null }, /^options\.cache .* must be a Map, got null$/],
    [{ ...app, timeout: null }, /^options\.timeout .* must be a whole number .*, got null$/],
    [{ ...app, cache: { get() {}, set() {} } }, /^options\.cache .* must be a Map, got an object$/],
    [{ ...app, timeout: 2 ** 31 }, /^options\.timeout .* to 2147483647, got 2147483648$/],
    [{ ...app, fetch: null }, /^options\.fetch .* must be a function, got null$/],
    [{ ...app, fetch: 5 }, /^options\.fetch .* must be a function, got 5$/],
    [
      { ...app, timeout: "30s" },
      /^options\.timeout .* must be a whole number of milliseconds from 1 .*, got a string$/,
    ],
    [{ ...app, authority: "login" }, /^options\.authority .* must be an origin such as "https:/],
    [{ ...app, authority: "http://login.example" }, /http is allowed for loopback only$/],
    [{ ...app, authority: "https://login.example/contoso" }, /, without the tenant; /],
    [
      { ...app, tenant: "https://login.microsoftonline.com/contoso" },
      /^options\.tenant of clientCredentials\(\) must be the id or a domain of the tenant, .* got a URL/,
    ],
    [undefined, /options\.tenant of clientCredentials\(\) must be a non-empty string, got undefined/],
    [
      { tenant: "t", clientId: 5, secret: "s" },
      /options\.clientId .* must be a non-empty string, got a number/,
    ],
    [{ tenant: "t", clientId: "c" }, /either options\.secret or options\.assertion, got neither/],
    [
      { tenant: "t", clientId: "c", secret: "s", assertion: "a" },
      /either options\.secret or options\.assertion, got both/,
    ],
    [
      { tenantId: "t", clientId: "c", secret: "s" },
      /^options\.tenantId is not an option of clientCredentials\(\): the options are tenant, clientId, /,
    ],
    ["a secret", /^the options of clientCredentials\(\) must be an object, got a string$/],
    [null, /^the options of clientCredentials\(\) must be an object, got null$/],
  ]) {
    assert.throws(
      () => clientCredentials(options),
      (error) => error.code === "bad-request" && message.test(error.message),
    );
  }
});

test("a client with an app-only token reads recordings and needs no account", async () => {
  const world = await fake.world({ populate: { recordings: 5 } });
  respond = () => ({ json: { access_token: world.tokens.app, expires_in: 3600 } });
  const client = await openDelta({
    endpoint: world.root,
    store: "memory",
    token: clientCredentials({ ...app, authority }),
  });
  const recordings = client.callRecordings({ organizer: world.user.id });
  await recordings.sync();
  assert.equal(await recordings.count(), 5);
  assert.equal(requests.length, 1);
  assert.ok(
    (await requestsOf(world)).every(
      ({ headers }) => headers.authorization === "app" || headers.Authorization === "app",
    ),
  );
  await client.close();
});

test("a redirect of the authority is not followed, so that the secret goes nowhere else", async () => {
  respond = () => ({ status: 307, headers: { location: `${authority}/elsewhere` }, json: {} });
  await assert.rejects(clientCredentials({ ...app, authority })(start()), {
    name: "DeltaError",
    code: "unauthorized",
    status: 307,
    retryable: false,
  });
  assert.equal(requests.length, 1);
});

test("an authority that hangs once is requested again by later callers", async (context) => {
  const clock = fakeTimers(context);
  const requested = new Promise((resolve) => {
    respond = () => {
      resolve();
      return new Promise(() => {});
    };
  });
  const token = clientCredentials({ ...app, authority, timeout: 100 });
  const both = Promise.all([token(start()), token(start())]);
  await requested;
  clock.tick(100);
  await assert.rejects(both, { code: "network", retryable: true });
  respond = () => ({ json: { access_token: "token", expires_in: 3600 } });
  assert.equal((await token(start())).accessToken, "token");
  assert.equal(requests.length, 2);
});

test("an assertion that hangs once is requested again by later callers", async (context) => {
  const clock = fakeTimers(context);
  let calls = 0;
  respond = () => ({ json: { access_token: "token", expires_in: 3600 } });
  const assertion = () => (calls++ ? "jwt" : new Promise(() => {}));
  const token = clientCredentials({ ...app, secret: undefined, assertion, authority, timeout: 50 });
  const both = Promise.all([token(start()), token(start())]);
  clock.tick(50);
  await assert.rejects(both, {
    code: "network",
    retryable: true,
    message: /options\.assertion did not respond within 50 ms/,
  });
  assert.equal((await token(start())).accessToken, "token");
  assert.deepEqual([calls, requests.length], [2, 1]);
});

test("the error has the end of a throttle, from seconds or a date", async () => {
  for (const [header, least] of [
    ["30", 29_000],
    [new Date(Date.now() + 45_000).toUTCString(), 43_000],
  ]) {
    respond = () => ({ status: 429, headers: { "retry-after": header }, json: {} });
    const error = await clientCredentials({ ...app, authority })(start()).catch((error) => error);
    assert.ok(error.retryAt - Date.now() > least, header);
  }
});

test("an error has no secret that the authority repeats", async () => {
  const jwt = `eyJhbGciOiJSUzI1NiJ9.${"payload".repeat(9)}.signature`;
  for (const sent of [{ secret: "s3cr3t &=+" }, { secret: undefined, assertion: jwt }]) {
    const given = sent.secret ?? sent.assertion;
    const forms = [given, encodeURIComponent(given)];
    respond = () => ({
      status: 401,
      json: { error: "invalid_client", error_description: `AADSTS7000215: bad: ${forms.join(" or ")}.` },
    });
    const error = await clientCredentials({ ...app, ...sent, authority })(start()).catch((error) => error);
    for (const form of forms) assert.ok(!`${error} ${error.stack}`.includes(form), error.message);
    assert.match(error.message, /AADSTS7000215: bad: … or …/);
  }
});

test("after a throttle of more than a day the error has no retryAt", async () => {
  for (const header of ["86401", "99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Infinity", "soon"]) {
    respond = () => ({ status: 429, headers: { "retry-after": header }, json: {} });
    const error = await clientCredentials({ ...app, authority })(start()).catch((error) => error);
    assert.deepEqual([error.code, error.retryable, error.retryAt], ["unauthorized", true, undefined], header);
  }
});

test("at most twenty tokens are cached, for any number of claims, and those in use stay", async () => {
  const token = clientCredentials({ ...app, authority });
  for (let n = 0; n <= 20; n++) {
    await token(start({ claims: `{"n":${n}}` }));
    await token(start());
  }
  await token(start({ claims: '{"n":20}' }));
  assert.equal(requests.length, 22, "the last ones are cached");
  await token(start({ claims: '{"n":0}' }));
  assert.equal(requests.length, 23);
});

test("sources with one cache share received tokens, but no pending request", async () => {
  const cache = new Map();
  const make = (more) => clientCredentials({ ...app, authority, cache, ...more });
  const [one, other] = [make(), make()];
  await Promise.all([one(start()), other(start())]);
  assert.equal(requests.length, 2);
  const { accessToken } = await make()(start());
  assert.deepEqual(
    [await one(start()), await other(start())].map((token) => token.accessToken),
    [accessToken, accessToken],
  );
  assert.equal(requests.length, 2);
  // Graph refuses the token: the first source requests another one, which the second one then uses.
  const refused = { ...start(), reason: "unauthorized" };
  const replaced = await one(refused);
  assert.equal((await other(refused)).accessToken, replaced.accessToken);
  assert.equal(requests.length, 3);
  assert.notEqual((await other(refused)).accessToken, replaced.accessToken);
  assert.equal(requests.length, 4);
  await make({ tenant: "fabrikam.example" })(start());
  assert.equal(requests.length, 5, "another tenant has separate tokens");
});

test("a shared cache has room for the tokens of many tenants", async () => {
  const cache = new Map();
  const sources = Array.from({ length: 60 }, (_, index) =>
    clientCredentials({ ...app, tenant: `tenant-${index}.example`, authority, cache }),
  );
  for (let turn = 0; turn < 3; turn += 1) for (const source of sources) await source(start());
  assert.equal(requests.length, 60);
});
