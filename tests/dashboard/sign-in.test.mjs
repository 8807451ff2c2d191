// Sign-in and accounts of the dashboard, with the real MSAL and in the demo.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bundle } from "./compile.mjs";
import { count, counts, idle, open, press, ready, show, SCREENSHOTS, shownIds, sync } from "./harness.mjs";
import { syncAll, untilCount, VIEWS, World } from "./harness.mjs";
import { fake, newContext, sortedIds } from "./setup.mjs";

const MSAL = {
  clientId: "11111111-2222-4333-8444-555555555555",
  tenant: "99999999-8888-4777-8666-555555555555",
  user: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
  username: "adele@contoso.example",
  scopes: ["https://graph.microsoft.com/Calendars.Read", "https://graph.microsoft.com/OrgContact.Read.All"],
  expiresIn: 3600,
};

async function openSeeded(context, world, token) {
  const script = await bundle("tests/dashboard/msal-seed.ts");
  await context.route("**/msal-seed.html", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<!doctype html><title>seed</title><script type="module">${script.replaceAll("</script", "<\\/script")}</script>`,
    }),
  );
  const page = await context.newPage();
  await page.goto(`${fake.origin}/msal-seed.html`);
  await page.waitForFunction(() => "seed" in window);
  const account = await page.evaluate((seed) => window.seed(seed), { ...MSAL, token });
  await page.goto(
    world.url({ msal: "test", clientId: MSAL.clientId, tenant: MSAL.tenant, endpoint: world.root }),
  );
  await ready(page);
  return { page, account };
}

/** Replaces Microsoft's sign-in pages: signs the user in, except for `prompt=none`. */
async function stubSignInPages(context, world) {
  const seen = { authorize: [], token: [], logout: [] };
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const client_info = encode({ uid: MSAL.user, utid: MSAL.tenant });
  const nonces = new Map();
  await context.route(/^https:/, async (route) => {
    const url = new URL(route.request().url());
    if (url.pathname.endsWith("/oauth2/v2.0/authorize")) {
      const parameters = Object.fromEntries(url.searchParams);
      seen.authorize.push(parameters);
      const code = `code-${seen.authorize.length}`;
      nonces.set(code, parameters.nonce);
      const result = new URLSearchParams({
        state: parameters.state,
        client_info,
        ...(parameters.prompt === "none"
          ? { error: "interaction_required", error_description: "Sign in, please." }
          : { code }),
      });
      return route.fulfill({
        contentType: "text/html",
        body: `<!doctype html><script>location.replace(${JSON.stringify(`${parameters.redirect_uri}#${result}`)})</script>`,
      });
    }
    if (url.pathname.endsWith("/oauth2/v2.0/token")) {
      const parameters = Object.fromEntries(new URLSearchParams(route.request().postData()));
      seen.token.push(parameters);
      const now = Math.floor(Date.now() / 1000);
      const { token } = await world.request("POST", "/token", { kind: "delegated" });
      const claims = {
        aud: parameters.client_id,
        iss: `https://login.microsoftonline.com/${MSAL.tenant}/v2.0`,
        iat: now,
        nbf: now,
        exp: now + 3600,
        name: "Adele",
        oid: MSAL.user,
        preferred_username: MSAL.username,
        sub: MSAL.user,
        tid: MSAL.tenant,
        ver: "2.0",
        nonce: nonces.get(parameters.code),
      };
      const body = {
        token_type: "Bearer",
        scope: `openid profile ${MSAL.scopes.join(" ")}`,
        expires_in: 3600,
        ext_expires_in: 3600,
        access_token: token,
        client_info,
        id_token: `${encode({ alg: "none", typ: "JWT" })}.${encode(claims)}.x`,
      };
      return route.fulfill({ json: body, headers: { "access-control-allow-origin": "*" } });
    }
    if (url.pathname.endsWith("/oauth2/v2.0/logout")) {
      seen.logout.push(url.searchParams.get("post_logout_redirect_uri"));
      const back = `${url.searchParams.get("post_logout_redirect_uri")}?${new URLSearchParams({ state: url.searchParams.get("state") })}`;
      return route.fulfill({
        contentType: "text/html",
        body: `<!doctype html><script>location.replace(${JSON.stringify(back)})</script>`,
      });
    }
    return route.abort();
  });
  return seen;
}

test("two accounts in one browser do not see the data of each other", async () => {
  const world = await World.make(fake.origin);
  const context = await newContext();
  // Not today: the agenda folds past days, and after midnight in Berlin it is still yesterday in
  // UTC.
  const soon = new Date(Date.now() + 2 * 86_400_000).toISOString().slice(0, 10);
  const meeting = (subject) => ({
    subject,
    type: "singleInstance",
    isAllDay: false,
    start: { dateTime: `${soon}T10:00:00.0000000`, timeZone: "UTC" },
    end: { dateTime: `${soon}T11:00:00.0000000`, timeZone: "UTC" },
  });
  const anna = await open(context, world, { account: "anna" });
  await world.edit(
    { collection: "events", op: "add", user: "anna@contoso.example", item: meeting("Anna's secret") },
    { collection: "recordings", op: "add", user: "anna@contoso.example" },
  );
  await syncAll(anna);
  await show(anna, "calendar");
  assert.ok((await anna.innerText("#calendar")).includes("Anna's secret"));
  assert.ok((await count(anna, "contacts")) > 0);
  assert.equal(await count(anna, "recordings"), 1);

  const ben = await open(context, world, { account: "ben" });
  for (const view of VIEWS) assert.equal(await count(ben, view), 0, `${view} of another account`);
  await world.edit({
    collection: "events",
    op: "add",
    user: "ben@contoso.example",
    item: meeting("Ben's plan"),
  });
  await syncAll(ben);
  await show(ben, "calendar");
  const text = await ben.innerText("#calendar");
  assert.ok(text.includes("Ben's plan") && !text.includes("Anna's secret"));
  assert.equal(await count(ben, "recordings"), 0);

  const held = await counts(ben);
  await ben.getByRole("button", { name: /account and settings/ }).click();
  await ben.getByRole("button", { name: "Forget the stored data" }).click();
  const dialog = ben.getByRole("dialog", { name: "Forget the stored data?" });
  const asked = await dialog.innerText();
  for (const number of held) assert.ok(asked.includes(`${number} `), `${number} in: ${asked}`);
  await dialog.getByRole("button", { name: "Forget", exact: true }).click();
  await ben
    .getByText(/^Deleted from this browser: /)
    .first()
    .waitFor();
  await ready(ben);
  assert.deepEqual(await counts(ben), [0, 0, 0]);
  await show(anna, "calendar");
  await anna.reload();
  await ready(anna);
  assert.ok(
    (await anna.innerText("#calendar")).includes("Anna's secret"),
    "forgetting one account keeps the data of the other",
  );
  assert.ok((await count(anna, "contacts")) > 0);
});

test("a real PublicClientApplication, seeded by loadExternalTokens, supplies the token", async () => {
  const world = await World.make(fake.origin);
  const context = await newContext();
  const otherHosts = [];
  await context.route(/^https:/, (route) => (otherHosts.push(route.request().url()), route.abort()));
  const { token } = await world.request("POST", "/token", { kind: "delegated" });
  const { page, account } = await openSeeded(context, world, token);
  assert.equal(account, `${MSAL.user}.${MSAL.tenant}`);
  assert.equal(await page.innerText(".account-name"), MSAL.username);
  assert.equal(await page.locator("#demo-panel").count(), 0);
  await syncAll(page);
  assert.deepEqual(await shownIds(page, "contacts"), sortedIds(await world.table("contacts")));
  assert.ok((await count(page, "calendar")) > 0);
  const log = await world.log();
  assert.deepEqual(new Set(log.map(({ headers }) => headers.authorization)), new Set(["delegated"]));
  assert.deepEqual(
    new Set(log.map(({ collection }) => collection)),
    new Set(["events", "contacts"]),
    "the dashboard does not request recordings",
  );
  await show(page, "recordings");
  assert.match(await page.innerText("#recordings"), /app-only token/);
  await page.screenshot({ path: `${SCREENSHOTS}/signed-in-recordings-wide-light.png` });

  await page.reload();
  await ready(page);
  assert.equal(await page.innerText(".account-name"), MSAL.username, "signed in silently after a reload");
  assert.ok((await count(page, "contacts")) > 0);
  assert.deepEqual(otherHosts, [], "no other host got a request");
});

test("a user signs in through the popup of MSAL, again when Graph refuses the token, and signs out", async () => {
  const world = await World.make(fake.origin);
  const context = await newContext();
  const seen = await stubSignInPages(context, world);
  const page = await context.newPage();
  await page.goto(
    world.url({ msal: "test", clientId: MSAL.clientId, tenant: MSAL.tenant, endpoint: world.root }),
  );
  await ready(page);
  assert.equal(await page.inputValue("#client-id"), MSAL.clientId);
  await page.getByRole("button", { name: "Sign in with Microsoft" }).click();
  await page.waitForFunction(() => document.body.dataset.session === "microsoft365");
  assert.equal(await page.innerText(".account-name"), MSAL.username);
  const [parameters] = seen.authorize;
  assert.equal(parameters.client_id, MSAL.clientId);
  assert.equal(parameters.redirect_uri, `${fake.origin}/auth.html`);
  for (const scope of MSAL.scopes) assert.ok(parameters.scope.split(" ").includes(scope), scope);
  assert.deepEqual(JSON.parse(parameters.claims).access_token.xms_cc.values, ["CP1"]);
  await page.goto(`${page.url().split("#")[0]}#contacts`);
  await sync(page, "contacts");
  const before = (await world.table("contacts")).length;
  assert.ok(before > 0);
  assert.equal(await count(page, "contacts"), before);

  await world.request("POST", "/revoke");
  await world.edit({ collection: "contacts", op: "add" });
  await press(page, "Sync");
  await page.getByRole("button", { name: "Sign in again" }).waitFor();
  assert.equal(await page.getAttribute("#contacts", "data-phase"), "needs-auth");
  assert.equal(await count(page, "contacts"), before, "the stored rows stay readable");
  await page.screenshot({ path: `${SCREENSHOTS}/sign-in-again-wide-light.png` });
  await page.getByRole("button", { name: "Sign in again" }).click();
  await untilCount(page, "contacts", before + 1);
  await page.getByRole("group", { name: "Sign in again" }).waitFor({ state: "detached" });

  await page.getByRole("button", { name: /account and settings/ }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("dialog", { name: "Sign out?" }).getByRole("button", { name: "Sign out" }).click();
  await page.waitForSelector("form.signin");
  const kept = await page.evaluate(async () => {
    const databases = await indexedDB.databases();
    let rows = 0;
    for (const { name } of databases.filter((one) => one.name.includes("deltalink"))) {
      const database = await new Promise((resolve, reject) => {
        const opening = indexedDB.open(name);
        opening.onsuccess = () => resolve(opening.result);
        opening.onerror = () => reject(opening.error);
      });
      for (const store of database.objectStoreNames)
        rows += await new Promise(
          (resolve) =>
            (database.transaction(store).objectStore(store).count().onsuccess = (event) =>
              resolve(event.target.result)),
        );
      database.close();
    }
    return rows;
  });
  assert.equal(kept, 0, "no row of the account is left");
  await page.reload();
  await page.waitForSelector("form.signin");
  assert.ok(seen.logout.every((uri) => uri === `${fake.origin}/auth.html`));
});

test("a link cannot make the dashboard send a token to another origin", async () => {
  const world = await World.make(fake.origin);
  const context = await newContext();
  const otherHosts = [];
  await context.route(
    /^https:/,
    (route) => (otherHosts.push(new URL(route.request().url()).host), route.abort()),
  );
  const { page } = await openSeeded(context, world, "a-token");
  await page.goto(
    world.url({
      msal: "test",
      clientId: MSAL.clientId,
      tenant: MSAL.tenant,
      endpoint: "https://collector.example/v1.0",
    }),
  );
  await ready(page);
  await show(page, "contacts");
  await press(page, "Sync");
  await page.waitForFunction(() => document.getElementById("contacts").dataset.phase !== "idle");
  assert.ok(!otherHosts.includes("collector.example"));
});

test("a round that needs a sign-in waits with a banner, and continues after it", async () => {
  const world = await World.make(fake.origin);
  const page = await open(
    await newContext({ viewport: { width: 1440, height: 900 } }),
    world,
    {},
    "contacts",
  );
  await page.getByRole("button", { name: "Demo", exact: true }).click();
  await page.getByRole("button", { name: "Ask for a sign-in" }).click();
  await page.getByRole("button", { name: "Sign in again" }).waitFor();
  assert.equal(await page.getAttribute("#contacts", "data-phase"), "needs-auth");
  assert.equal(await count(page, "contacts"), 0);
  await page.getByRole("button", { name: "Sign in again" }).click();
  await untilCount(page, "contacts");
  await idle(page, "contacts");
  await page.getByRole("group", { name: "Sign in again" }).waitFor({ state: "detached" });
  assert.deepEqual(await shownIds(page, "contacts"), sortedIds(await world.table("contacts")));
});
