// Tests fromMsal with the real @azure/msal-browser in Chromium. Routes of the browser replace
// the authority, and count every other request that would leave the machine.
import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { startChromium } from "../dashboard/harness.mjs";
import { requestsOf, startFake } from "../fake.mjs";

const AUTHORITY = "https://login.contoso.example/6f1c0c5e-0000-4000-8000-00000000c0de";
const scopes = ["https://graph.microsoft.com/OrgContact.Read.All"];
const config = {
  auth: {
    clientId: "0a1b2c3d-0000-4000-8000-00000000abcd",
    authority: AUTHORITY,
    knownAuthorities: ["login.contoso.example"],
    clientCapabilities: ["CP1"],
    authorityMetadata: JSON.stringify({
      issuer: `${AUTHORITY}/v2.0`,
      authorization_endpoint: `${AUTHORITY}/oauth2/v2.0/authorize`,
      token_endpoint: `${AUTHORITY}/oauth2/v2.0/token`,
      end_session_endpoint: `${AUTHORITY}/logout`,
      jwks_uri: `${AUTHORITY}/keys`,
    }),
  },
  cache: { cacheLocation: "sessionStorage" },
};
const CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}';
const MORE = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}';

let fake;
let folder;
let chromium;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "deltalink-msal-"));
  const absolutePath = (path) => fileURLToPath(new URL(path, import.meta.url));
  await cp(absolutePath("site"), folder, { recursive: true });
  await cp(absolutePath("../node_modules/deltalink"), join(folder, "deltalink"), { recursive: true });
  await build({
    stdin: { contents: 'export * from "@azure/msal-browser";', resolveDir: absolutePath(".") },
    bundle: true,
    format: "esm",
    target: "es2022",
    logLevel: "error",
    outfile: join(folder, "msal-browser.js"),
  });
  [fake, chromium] = await Promise.all([startFake("--static", folder), startChromium()]);
});
after(async () => {
  await chromium?.close();
  await fake?.stop();
  await rm(folder, { recursive: true });
});

let page;
let world;
let context;
/** The requests to the authority, and how it responds. */
let posts;
let respond;
/** Requests that would have left the machine. */
let strayed;
afterEach(() => context.close());
beforeEach(async () => {
  [posts, strayed] = [[], []];
  context = await chromium.newContext();
  await context.route("**/*", (route) => {
    const { origin } = new URL(route.request().url());
    if (origin === fake.origin) return route.fallback();
    strayed.push(route.request().url());
    return route.abort();
  });
  await context.route(`${AUTHORITY}/**`, async (route) => {
    const request = route.request();
    const cors = { "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*" };
    if (request.method() === "OPTIONS") return route.fulfill({ status: 204, headers: cors });
    posts.push(Object.fromEntries(new URLSearchParams(request.postData())));
    const { status = 200, ...body } = await respond();
    return route.fulfill({ status, headers: cors, json: body });
  });
  world = await fake.world({ populate: { contacts: 30 } });
  page = await context.newPage();
  await page.goto(`${fake.origin}/`);
  await page.waitForFunction(() => window.start);
});

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** The response of the authority to a sign-in or to a refresh token. */
function granted(access_token, refresh_token) {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud: config.auth.clientId,
    iss: `${AUTHORITY}/v2.0`,
    iat: now,
    nbf: now,
    exp: now + 3600,
    oid: "alex",
    sub: "alex",
    tid: "contoso",
    preferred_username: "alex@contoso.example",
    name: "Alex",
    ver: "2.0",
  };
  return {
    token_type: "Bearer",
    scope: scopes.join(" "),
    expires_in: 3600,
    ext_expires_in: 3600,
    access_token,
    refresh_token,
    id_token: `${encoded({ alg: "none", typ: "JWT" })}.${encoded(claims)}.`,
    client_info: encoded({ uid: "alex", utid: "contoso" }),
  };
}

const signIn = (tokens) => page.evaluate((given) => window.signIn(given), { config, scopes, tokens });
const start = () => page.evaluate((given) => window.start(given), { config, scopes, root: world.root });
const sync = () => page.evaluate(() => window.sync());

test("the POST of MSAL contains a claims challenge of Graph, and the round continues with the new token", async () => {
  await signIn(granted(world.tokens.delegated, "refresh-1"));
  assert.equal(await start(), "alex.contoso");
  await world.faults({
    match: { kind: "next" },
    times: null,
    fault: { name: "claims", until_new_token: true },
  });
  respond = async () => granted(await world.token({ kind: "delegated" }), "refresh-2");
  assert.deepEqual(await sync(), { outcome: "complete", resumed: false });
  assert.equal(posts.length, 1);
  const [{ grant_type, refresh_token, claims }] = posts;
  assert.deepEqual([grant_type, refresh_token], ["refresh_token", "refresh-1"]);
  assert.deepEqual(JSON.parse(claims).access_token, {
    ...JSON.parse(CLAIMS).access_token,
    xms_cc: { values: ["CP1"] },
  });
  assert.deepEqual(
    (await requestsOf(world)).map(({ kind, status }) => [kind, status]),
    [
      ["initial", 200],
      ["next", 401],
      ["next", 200],
      ["next", 200],
    ],
  );
  assert.deepEqual(strayed, []);
});

test("an InteractionRequiredAuthError of MSAL becomes needs-auth with its claims, and resume() continues at the same page", async () => {
  await signIn(granted(world.tokens.delegated, "refresh-1"));
  await start();
  await world.faults({
    match: { kind: "next" },
    times: null,
    fault: { name: "claims", until_new_token: true },
  });
  respond = () => ({
    status: 400,
    error: "interaction_required",
    suberror: "basic_action",
    error_description: "AADSTS50076: multi-factor authentication is required.",
    error_codes: [50076],
    claims: MORE,
  });
  assert.deepEqual(await sync(), {
    code: "interaction",
    claims: MORE,
    real: true,
    errorCode: "interaction_required",
  });
  const status = await page.evaluate(() => {
    const { phase, error } = window.query.status.get();
    return { phase, claims: error.claims };
  });
  assert.deepEqual(status, { phase: "needs-auth", claims: MORE });
  // Simulates the popup of MSAL, which puts new tokens into its cache.
  await signIn(granted(await world.token({ kind: "delegated" }), "refresh-3"));
  await world.clearLog();
  const resumed = await page.evaluate(async () => {
    window.client.resume();
    await new Promise((resolve) => {
      const stop = window.query.status.subscribe(
        ({ phase, lastSyncedAt }) =>
          phase === "idle" && lastSyncedAt && (resolve(), queueMicrotask(() => stop())),
      );
    });
    return window.query.count();
  });
  assert.equal(resumed, 30);
  assert.deepEqual(
    (await requestsOf(world)).map(({ kind, status }) => [kind, status]),
    [
      ["next", 200],
      ["next", 200],
    ],
  );
  assert.deepEqual(strayed, []);
});

test("MSAL refreshes a token that Graph refuses, without its cache", async () => {
  await signIn(granted(world.tokens.delegated, "refresh-1"));
  await start();
  await world.revoke();
  respond = async () => granted(await world.token({ kind: "delegated" }), "refresh-2");
  assert.deepEqual(await sync(), { outcome: "complete", resumed: false });
  assert.deepEqual(
    posts.map(({ grant_type, claims }) => [grant_type, JSON.parse(claims).access_token]),
    [["refresh_token", { xms_cc: { values: ["CP1"] } }]],
  );
  assert.deepEqual(strayed, []);
});

test("a round waits for an authority that cannot be reached", async () => {
  await signIn({ ...granted(world.tokens.delegated, "refresh-1") });
  await start();
  await world.revoke();
  let times = 0;
  await context.route(`${AUTHORITY}/**`, (route) =>
    (times += 1) < 3 ? route.abort("connectionfailed") : route.fallback(),
  );
  respond = async () => granted(await world.token({ kind: "delegated" }), "refresh-2");
  assert.deepEqual(await sync(), { outcome: "complete", resumed: false });
  assert.ok(times >= 3);
});
