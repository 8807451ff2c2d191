// The dashboard as built, in Chromium, on the fake Graph: what the page shows is compared with the
// fake's tables, and what it asked with the fake's log.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { bundle } from "./compile.mjs";
import {
  count,
  differences,
  idle,
  idsOf,
  open,
  pathOf,
  ready,
  show,
  SHOTS,
  startChromium,
  startFake,
  sync,
  syncAll,
  VIEWS,
  words,
  World,
} from "./harness.mjs";

let fake;
let browser;
const contexts = [];
const complaints = [];

before(async () => {
  [fake, browser] = await Promise.all([startFake(), startChromium()]);
});
after(async () => {
  await browser?.close();
  await fake?.stop();
});
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  assert.deepEqual(complaints.splice(0), [], "the page broke its own policy, or threw");
});

async function fresh(options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    ...options,
  });
  context.setDefaultTimeout(20_000);
  context.on("weberror", (error) => complaints.push(String(error.error())));
  context.on("console", (message) => {
    if (/Content Security Policy|TrustedHTML|TrustedScript/.test(message.text()))
      complaints.push(message.text());
  });
  contexts.push(context);
  return context;
}

/** The window that the page asks for, as the fake's tables want it. */
async function windowOf(page) {
  const { from, to } = JSON.parse(await page.evaluate(() => localStorage.getItem("deltalink.window")));
  const day = (date, days) =>
    new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
  return { from, to, query: `?start=${day(from, -1)}T00:00:00Z&end=${day(to, 2)}T00:00:00Z` };
}

const sorted = (items) => items.map(({ id }) => id).sort();

test("three collections arrive, and what is painted is what the server lists", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await fresh(), world);
  for (const view of VIEWS) assert.equal(await count(page, view), 0);
  await syncAll(page);
  assert.deepEqual(await idsOf(page, "#contacts tbody tr"), sorted(await world.table("contacts")));
  assert.deepEqual(await idsOf(page, "#recordings .recording"), sorted(await world.table("recordings")));
  const { from, to, query } = await windowOf(page);
  const events = await world.table("events", query);
  const within = events.filter(
    ({ type, start }) =>
      type !== "seriesMaster" && start.dateTime.slice(0, 10) >= from && start.dateTime.slice(0, 10) < to,
  );
  const painted = new Set(await idsOf(page, "#calendar .entry"));
  assert.ok(within.length > 5);
  for (const { id, subject } of within) assert.ok(painted.has(id), `${subject ?? id} is not in the agenda`);
  const master = events.find(({ type }) => type === "seriesMaster");
  if (master) assert.ok(!painted.has(master.id), "a master is no row of its own");
  const occurrence = events.find(
    ({ type, seriesMasterId, start }) =>
      type === "occurrence" &&
      seriesMasterId === master?.id &&
      start.dateTime.slice(0, 10) > from &&
      start.dateTime.slice(0, 10) < to,
  );
  if (occurrence)
    assert.equal(
      await page.locator(`.entry[data-id="${occurrence.id}"] .title`).first().textContent(),
      master.subject,
    );
  for (const view of VIEWS)
    assert.match(await words(page, view), /added \d+, changed 0, removed 0 · \d+ pages? · \d+ requests? · /);
});

test("a change on the server and a second round bring exactly that change", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await fresh(), world);
  await syncAll(page);
  await world.clearLog();

  const [contact] = await world.table("contacts");
  await world.edit({
    collection: "contacts",
    op: "edit",
    id: contact.id,
    patch: { jobTitle: "Lighthouse Keeper" },
  });
  assert.match(await sync(page, "contacts"), /added 0, changed 1, removed 0 · 1 page · 1 request · /);
  assert.deepEqual(await differences(page, "contacts"), [["changed", contact.displayName]]);
  assert.equal(
    await page.locator(`tr[data-id="${contact.id}"] [data-label=Title]`).innerText(),
    "Lighthouse Keeper",
  );
  assert.equal(await page.locator("#contacts tr[data-mark]").count(), 1);

  const [added] = await world.edit({ collection: "recordings", op: "add" });
  assert.match(await sync(page, "recordings"), /added 1, changed 0, removed 0 · 1 page · 1 request · /);
  assert.equal(await page.locator(`.recording[data-id="${added}"] .chip`).innerText(), "New");

  const { query } = await windowOf(page);
  const gone = (await world.table("events", query)).find(({ type }) => type === "singleInstance");
  await world.edit({ collection: "events", op: "remove", id: gone.id });
  assert.match(await sync(page, "calendar"), /added 0, changed 0, removed 1 · 1 page · 1 request · /);
  const [[verb, title], ...rest] = await differences(page, "calendar");
  assert.deepEqual([verb, rest], ["removed", []]);
  assert.ok(title.startsWith(gone.subject), title);
  assert.equal(await page.locator(`.entry[data-id="${gone.id}"]`).count(), 0);
  assert.equal((await world.log()).length, 3, "one request for each of the three rounds");
});

test("after an offline reload all three are painted, and nothing is asked", async () => {
  const world = await World.make(fake.origin);
  const context = await fresh();
  const page = await open(context, world);
  await syncAll(page);
  const before = await Promise.all(VIEWS.map((view) => count(page, view)));
  await page.waitForSelector('body[data-shell="kept"]');
  await world.clearLog();
  await context.setOffline(true);
  await page.reload();
  await ready(page);
  assert.deepEqual(await Promise.all(VIEWS.map((view) => count(page, view))), before);
  assert.ok((await page.locator("#contacts tbody tr").count()) > 0);
  assert.ok((await page.locator("#recordings .recording").count()) > 0);
  assert.ok((await page.locator("#calendar .entry").count()) > 0);
  assert.equal(await page.locator(".connection").innerText(), "Offline");
  assert.match(await words(page, "calendar"), /Last round: added/);
  await show(page, "contacts");
  await page.click("#contacts .sync");
  await page.waitForSelector('#contacts[data-phase="waiting"], #contacts[data-phase="failed"]');
  assert.match(await words(page, "contacts"), /the connection broke|offline|network/);
  assert.equal(await count(page, "contacts"), before[1], "what is stored stays readable");
  await page.screenshot({ path: `${SHOTS}/offline-wide-light.png` });
  assert.deepEqual(await world.log(), []);
});

test("after a reload the next request is the stored deltaLink", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await fresh(), world);
  const links = new Map();
  page.on("response", async (answer) => {
    if (!answer.url().startsWith(world.root) || answer.request().method() !== "GET") return;
    const body = await answer.json().catch(() => ({}));
    if (body["@odata.deltaLink"])
      links.set(new URL(answer.url()).pathname.split("/")[4], body["@odata.deltaLink"]);
  });
  await syncAll(page);
  await page.waitForFunction(() => true);
  const stored = [...links.values()].map(pathOf).sort();
  assert.equal(stored.length, 3);
  await page.reload();
  await ready(page);
  await world.clearLog();
  await syncAll(page);
  const asked = await world.log();
  assert.deepEqual(asked.map(({ url }) => url).sort(), stored);
  assert.deepEqual(new Set(asked.map(({ kind }) => kind)), new Set(["delta"]));
});

test("the days asked for stay the same on the next day, so the stored link goes on being used", async () => {
  const world = await World.make(fake.origin);
  const context = await fresh();
  const page = await open(context, world);
  const { from, to } = await windowOf(page);
  const day = (date, days) =>
    new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
  // As it would have been chosen yesterday.
  await page.evaluate((window) => localStorage.setItem("deltalink.window", JSON.stringify(window)), {
    from: day(from, -1),
    to: day(to, -1),
  });
  await page.reload();
  await ready(page);
  await sync(page, "calendar");
  const [{ url }] = await world.log("events");
  assert.ok(decodeURIComponent(url).includes(`=${day(from, -2)}T00:00:00`), url);
  await page.getByRole("button", { name: "Four weeks later" }).click();
  await page.waitForFunction(
    (before) => JSON.parse(localStorage.getItem("deltalink.window")).from !== before,
    day(from, -1),
  );
  await idle(page, "calendar");
  await page.getByRole("button", { name: "Today" }).click();
  await page.waitForFunction(
    (expected) => JSON.parse(localStorage.getItem("deltalink.window")).from === expected,
    from,
  );
});

test("a page killed in the middle of a round goes on without asking again for an acknowledged page", async () => {
  const world = await World.make(fake.origin, { options: { latency_ms: 250 }, populate: { contacts: 120 } });
  const context = await fresh();
  const page = await open(context, world, {}, "contacts");
  await page.click("#contacts .sync");
  await page.waitForFunction(() => Number(document.getElementById("contacts").dataset.count) >= 40);
  const painted = await count(page, "contacts");
  await Promise.all([page.waitForEvent("crash"), page.goto("chrome://crash").catch(() => undefined)]);
  const first = await world.log("contacts");
  const again = await open(context, world, {}, "contacts");
  assert.ok((await count(again, "contacts")) >= painted, "what was on the screen was stored");
  await world.clearLog();
  assert.match(await sync(again, "contacts"), /resumed/);
  const second = await world.log("contacts");
  const acknowledged = new Set(first.slice(0, Math.floor(painted / 10)).map(({ url }) => url));
  assert.ok(acknowledged.size >= 4);
  for (const { url } of second) assert.ok(!acknowledged.has(url), `asked again: ${url}`);
  assert.ok(
    second.every(({ kind }) => kind === "next"),
    "no round began anew",
  );
  assert.ok(
    first.length + second.length <= 14,
    `${first.length} and ${second.length} requests for 12 pages and one in flight`,
  );
  assert.deepEqual(await idsOf(again, "#contacts tbody tr"), sorted(await world.table("contacts")));
});

test("two accounts in one browser see nothing of each other", async () => {
  const world = await World.make(fake.origin);
  const context = await fresh();
  // Not today: after midnight in Berlin the day in UTC is yesterday, and past days are folded away.
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
  const text = await ben.innerText("#calendar");
  assert.ok(text.includes("Ben's plan") && !text.includes("Anna's secret"));
  assert.equal(await count(ben, "recordings"), 0);

  await ben.click(".account");
  await ben.click("text=Forget what is stored here");
  await ben.waitForFunction(
    () =>
      document.getElementById("contacts").dataset.painted === "mirror" &&
      document.getElementById("contacts").dataset.count === "0",
  );
  await anna.reload();
  await ready(anna);
  assert.ok(
    (await anna.innerText("#calendar")).includes("Anna's secret"),
    "what one account forgets, the other keeps",
  );
  assert.ok((await count(anna, "contacts")) > 0);
});

const MSAL = {
  clientId: "11111111-2222-4333-8444-555555555555",
  tenant: "99999999-8888-4777-8666-555555555555",
  user: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
  username: "adele@contoso.example",
  scopes: ["https://graph.microsoft.com/Calendars.Read", "https://graph.microsoft.com/OrgContact.Read.All"],
  expiresIn: 3600,
};

async function seeded(context, world, token) {
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

test("a real PublicClientApplication, seeded by loadExternalTokens, supplies the token", async () => {
  const world = await World.make(fake.origin);
  const context = await fresh();
  const elsewhere = [];
  await context.route(/^https:/, (route) => (elsewhere.push(route.request().url()), route.abort()));
  const { token } = await world.ask("POST", "/token", { kind: "delegated" });
  const { page, account } = await seeded(context, world, token);
  assert.equal(account, `${MSAL.user}.${MSAL.tenant}`);
  assert.equal(await page.innerText(".account-name"), MSAL.username);
  assert.equal(await page.locator("#demo-panel").count(), 0);
  await page.click("#sync-all");
  await idle(page, "calendar");
  await idle(page, "contacts");
  assert.deepEqual(await idsOf(page, "#contacts tbody tr"), sorted(await world.table("contacts")));
  assert.ok((await count(page, "calendar")) > 0);
  const log = await world.log();
  assert.deepEqual(new Set(log.map(({ headers }) => headers.authorization)), new Set(["delegated"]));
  assert.deepEqual(
    new Set(log.map(({ collection }) => collection)),
    new Set(["events", "contacts"]),
    "recordings are not even asked for",
  );
  await show(page, "recordings");
  assert.match(await page.innerText("#recordings"), /app-only token/);
  await page.screenshot({ path: `${SHOTS}/signed-in-recordings-wide-light.png` });

  await page.reload();
  await ready(page);
  assert.equal(await page.innerText(".account-name"), MSAL.username, "silent after a reload");
  assert.ok((await count(page, "contacts")) > 0);
  assert.deepEqual(elsewhere, [], "nothing was asked of another host");
});

/**
 * Stands in for Microsoft's sign-in pages: who gets there is signed in, unless nobody is to be
 * asked.
 */
async function signInPages(context, world) {
  const seen = { authorize: [], token: [], logout: [] };
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const client_info = encode({ uid: MSAL.user, utid: MSAL.tenant });
  const nonces = new Map();
  await context.route(/^https:/, async (route) => {
    const url = new URL(route.request().url());
    if (url.pathname.endsWith("/oauth2/v2.0/authorize")) {
      const asked = Object.fromEntries(url.searchParams);
      seen.authorize.push(asked);
      const code = `code-${seen.authorize.length}`;
      nonces.set(code, asked.nonce);
      const answer = new URLSearchParams({
        state: asked.state,
        client_info,
        ...(asked.prompt === "none"
          ? { error: "interaction_required", error_description: "Sign in, please." }
          : { code }),
      });
      return route.fulfill({
        contentType: "text/html",
        body: `<!doctype html><script>location.replace(${JSON.stringify(`${asked.redirect_uri}#${answer}`)})</script>`,
      });
    }
    if (url.pathname.endsWith("/oauth2/v2.0/token")) {
      const asked = Object.fromEntries(new URLSearchParams(route.request().postData()));
      seen.token.push(asked);
      const now = Math.floor(Date.now() / 1000);
      const { token } = await world.ask("POST", "/token", { kind: "delegated" });
      const claims = {
        aud: asked.client_id,
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
        nonce: nonces.get(asked.code),
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

test("somebody signs in through MSAL's popup, is asked again when Graph refuses, and signs out", async () => {
  const world = await World.make(fake.origin);
  const context = await fresh();
  const seen = await signInPages(context, world);
  const page = await context.newPage();
  await page.goto(
    world.url({ msal: "test", clientId: MSAL.clientId, tenant: MSAL.tenant, endpoint: world.root }),
  );
  await ready(page);
  assert.equal(await page.inputValue("#client-id"), MSAL.clientId);
  await page.getByRole("button", { name: "Sign in with Microsoft" }).click();
  await page.waitForFunction(() => document.body.dataset.session === "microsoft365");
  assert.equal(await page.innerText(".account-name"), MSAL.username);
  const [asked] = seen.authorize;
  assert.equal(asked.client_id, MSAL.clientId);
  assert.equal(asked.redirect_uri, `${fake.origin}/auth.html`);
  for (const scope of MSAL.scopes) assert.ok(asked.scope.split(" ").includes(scope), scope);
  assert.deepEqual(JSON.parse(asked.claims).access_token.xms_cc.values, ["CP1"]);
  await page.goto(`${page.url().split("#")[0]}#contacts`);
  await sync(page, "contacts");
  const before = await count(page, "contacts");
  assert.ok(before > 0, await page.innerText("#contacts"));

  await world.ask("POST", "/revoke");
  await world.edit({ collection: "contacts", op: "add" });
  await page.click("#contacts .sync");
  await page.waitForSelector(".banner button");
  assert.equal(await page.getAttribute("#contacts", "data-phase"), "needs-auth");
  assert.equal(await count(page, "contacts"), before, "what is stored stays readable");
  await page.screenshot({ path: `${SHOTS}/sign-in-again-wide-light.png` });
  await page.getByRole("button", { name: "Sign in again" }).click();
  await page.waitForFunction(
    (n) => Number(document.getElementById("contacts").dataset.count) === n,
    before + 1,
  );
  await page.waitForSelector(".banner", { state: "detached" });

  await page.click(".account");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForSelector("form.signin");
  const kept = await page.evaluate(async () => {
    const stores = await indexedDB.databases();
    let rows = 0;
    for (const { name } of stores.filter((one) => one.name.includes("deltalink"))) {
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
  assert.equal(kept, 0, "nothing of the account is left");
  await page.reload();
  await page.waitForSelector("form.signin");
  assert.ok(seen.logout.every((uri) => uri === `${fake.origin}/auth.html`));
});

test("opened without a word, the page is the demo, and a reload does not make its world anew", async () => {
  const demo = new World(fake.origin, "demo");
  const page = await (await fresh()).newPage();
  await page.goto(`${fake.origin}/`);
  await ready(page);
  await page.waitForFunction(() =>
    ["calendar", "contacts", "recordings"].every(
      (id) =>
        Number(document.getElementById(id).dataset.count) > 0 &&
        document.getElementById(id).dataset.busy === "false",
    ),
  );
  await demo.clearLog();
  await page.reload();
  await ready(page);
  await page.waitForFunction(
    () =>
      /1 request/.test(document.querySelector("#calendar [data-testid=status]").textContent) &&
      document.getElementById("calendar").dataset.busy === "false",
  );
  assert.ok((await demo.log()).every(({ kind }) => kind === "delta"));
});

test("a link cannot make the page send a token to another origin", async () => {
  const world = await World.make(fake.origin);
  const context = await fresh();
  const elsewhere = [];
  await context.route(
    /^https:/,
    (route) => (elsewhere.push(new URL(route.request().url()).host), route.abort()),
  );
  const { page } = await seeded(context, world, "a-token");
  await page.goto(
    world.url({
      msal: "test",
      clientId: MSAL.clientId,
      tenant: MSAL.tenant,
      endpoint: "https://collector.example/v1.0",
    }),
  );
  await ready(page);
  await page.click("#contacts .sync", { force: true }).catch(() => undefined);
  await show(page, "contacts");
  await page.click("#contacts .sync");
  await page.waitForFunction(() => document.getElementById("contacts").dataset.phase !== "idle");
  assert.ok(!elsewhere.includes("collector.example"));
});

test("recordings say plainly that a signed-in user's token cannot read them", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await fresh(), world, {}, "recordings");
  await page.getByLabel("the signed-in user's").check();
  await page.waitForSelector("#recordings .error-card");
  assert.equal(await page.getAttribute("#recordings .error-card", "data-code"), "forbidden");
  const card = await page.innerText("#recordings .error-card");
  assert.match(card, /403/);
  assert.match(card, /app-only/);
  await page.screenshot({ path: `${SHOTS}/recordings-forbidden-wide-light.png` });
  await page.click("text=Read with an app-only token");
  await page.waitForFunction(() => Number(document.getElementById("recordings").dataset.count) > 0);
  assert.equal(await page.locator("#recordings .error-card").count(), 0);
});

test("an error shows its message, codes and request id, and the next round goes through", async () => {
  const world = await World.make(fake.origin);
  const context = await fresh({ permissions: ["clipboard-read", "clipboard-write"] });
  const page = await open(context, world);
  await syncAll(page);
  const before = await count(page, "calendar");
  await world.fault(
    { collection: "events" },
    { name: "status", status: 403, code: "ErrorAccessDenied", message: "Access is denied." },
  );
  await page.click("#calendar .sync");
  await page.waitForSelector("#calendar .error-card");
  const card = await page.innerText("#calendar .error-card");
  for (const expected of ["forbidden", "403", "ErrorAccessDenied", "Request id"])
    assert.ok(card.includes(expected), `${expected} in ${card}`);
  assert.equal(await count(page, "calendar"), before, "the mirror stays");
  await page.screenshot({ path: `${SHOTS}/error-card-wide-light.png` });
  await page.click("text=Copy report");
  await page.waitForSelector("text=Copied");
  const report = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  assert.equal(report.error.code, "forbidden");
  assert.ok(!JSON.stringify(report).includes("fake.delegated"), "no token in a report");
  await page.click("#calendar .error-card >> text=Try again");
  await idle(page, "calendar");
  assert.equal(await page.locator("#calendar .error-card").count(), 0);
  assert.match(await words(page, "calendar"), /added 0, changed 0, removed 0/);
});

test("while Graph throttles, the page says until when and why", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await fresh(), world, {}, "contacts");
  await world.fault(
    { collection: "contacts" },
    { name: "status", status: 429, code: "TooManyRequests", headers: { "Retry-After": "2" } },
  );
  await page.click("#contacts .sync");
  await page.waitForSelector('#contacts[data-phase="waiting"]');
  assert.match(await words(page, "contacts"), /Waiting until \d.*: Graph asked for a pause/);
  await idle(page, "contacts");
  assert.match(await words(page, "contacts"), /1 retry/);
});

test("expired links lead to a full round that leaves the mirror readable and takes away ghosts", async () => {
  const world = await World.make(fake.origin, { options: { latency_ms: 60 } });
  const page = await open(await fresh(), world, {}, "contacts");
  await sync(page, "contacts");
  const before = await count(page, "contacts");
  const [gone] = await world.table("contacts");
  await world.edit({ collection: "contacts", op: "remove", id: gone.id });
  await world.ask("POST", "/expire", { collection: "contacts" });
  await page.click("#contacts .sync");
  await page.waitForSelector('#contacts[data-phase="resyncing"]');
  assert.equal(await count(page, "contacts"), before);
  await idle(page, "contacts");
  assert.match(await words(page, "contacts"), /removed 1 .*started over/);
  assert.deepEqual(await differences(page, "contacts"), [["removed", gone.displayName]]);
  assert.deepEqual(await idsOf(page, "#contacts tbody tr"), sorted(await world.table("contacts")));
});

test("a round that needs the user waits behind a banner, and goes on after the sign-in", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await fresh({ viewport: { width: 1440, height: 900 } }), world, {}, "contacts");
  await page.getByRole("button", { name: "Ask for a sign-in" }).click();
  await page.waitForSelector(".banner button");
  assert.equal(await page.getAttribute("#contacts", "data-phase"), "needs-auth");
  assert.equal(await count(page, "contacts"), 0);
  await page.getByRole("button", { name: "Sign in again" }).click();
  await page.waitForFunction(() => Number(document.getElementById("contacts").dataset.count) > 0);
  await idle(page, "contacts");
  await page.waitForSelector(".banner", { state: "detached" });
  assert.deepEqual(await idsOf(page, "#contacts tbody tr"), sorted(await world.table("contacts")));
});

test("the demo's buttons change the server and show what the round brought", async () => {
  const world = await World.make(fake.origin);
  const page = await open(await fresh({ viewport: { width: 1440, height: 900 } }), world, {}, "contacts");
  await sync(page, "contacts");
  const outcome = () => page.locator(".demo-log li").first().locator('[data-outcome="complete"]').innerText();
  const press = async (name) => {
    const rows = await page.locator(".demo-log [data-outcome]").count();
    await page.locator("#demo-panel").getByRole("button", { name }).click();
    await page.waitForFunction((n) => document.querySelectorAll(".demo-log [data-outcome]").length > n, rows);
    return outcome();
  };
  assert.match(await press("Add"), /added 1, changed 0, removed 0/);
  assert.match(await press("Edit"), /added 0, changed 1, removed 0/);
  assert.match(await press("Delete"), /added 0, changed 0, removed 1/);
  await press("Ten changes at once");
  assert.match(await press(/Refuse the token/), /added 0, changed 0, removed 0/);
  assert.match(await press(/Expire the links/), /started over/);
  assert.match(await press(/Cut the connection/), /retr/);
  assert.deepEqual(await idsOf(page, "#contacts tbody tr"), sorted(await world.table("contacts")));
  await page.screenshot({ path: `${SHOTS}/demo-panel-wide-light.png` });
});

test("all-day events are on their date in Auckland and in Los Angeles", async () => {
  const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  const world = await World.make(fake.origin, { populate: {} });
  const midnight = (date) => ({ dateTime: `${date}T00:00:00.0000000`, timeZone: "UTC" });
  await world.edit({
    collection: "events",
    op: "add",
    item: {
      subject: "Fair",
      type: "singleInstance",
      isAllDay: true,
      start: midnight(day(3)),
      end: midnight(day(6)),
    },
  });
  for (const timezoneId of ["Pacific/Auckland", "America/Los_Angeles"]) {
    const page = await open(await fresh({ timezoneId }), world);
    await sync(page, "calendar");
    const where = await page
      .locator("#calendar .entry")
      .evaluateAll((rows) =>
        rows.map((row) => [
          row.closest("[data-date]").dataset.date,
          row.querySelector(".times").innerText.replace(/\s+/g, " "),
        ]),
      );
    assert.deepEqual(
      where,
      [
        [day(3), "All day day 1 of 3"],
        [day(4), "All day day 2 of 3"],
        [day(5), "All day day 3 of 3"],
      ],
      timezoneId,
    );
  }
});

test("text from Graph stays text", async () => {
  const world = await World.make(fake.origin, { populate: {} });
  const evil =
    '<img src=x onerror="document.body.dataset.hit=1"><script>document.body.dataset.hit=1</script>';
  await world.edit({
    collection: "contacts",
    op: "add",
    item: {
      displayName: evil,
      companyName: evil,
      mail: 'a@b"><b>',
      phones: [{ type: "business", number: "javascript:1" }],
    },
  });
  const page = await open(await fresh(), world, {}, "contacts");
  await sync(page, "contacts");
  assert.equal(await page.locator("#contacts tbody .name").innerText(), evil);
  assert.equal(
    await page
      .locator(
        "#contacts tbody img, #contacts tbody b, #contacts tbody script, #contacts a[href^=javascript]",
      )
      .count(),
    0,
  );
  assert.equal(await page.getAttribute("body", "data-hit"), null);
});

test("a search among 5,000 contacts answers while one types", async () => {
  const world = await World.make(fake.origin, { options: { page_size: 1000 }, populate: { contacts: 5000 } });
  const page = await open(await fresh(), world, {}, "contacts");
  await sync(page, "contacts");
  assert.equal(await count(page, "contacts"), 5000);
  await page.waitForFunction(() => document.querySelectorAll("#contacts tbody tr").length === 5000);
  const [contact] = await world.table("contacts");
  const took = await page.evaluate((name) => {
    const input = document.getElementById("contact-search");
    const from = performance.now();
    input.value = name;
    input.dispatchEvent(new Event("input"));
    document.body.getBoundingClientRect();
    return performance.now() - from;
  }, contact.displayName);
  assert.match(await page.innerText("#contact-count"), /of 5,000 found/);
  assert.ok((await idsOf(page, "#contacts tbody tr")).includes(contact.id));
  assert.ok(took < 500, `a keystroke took ${Math.round(took)} ms`);
});

test("the page can be used by keyboard, names its controls and never scrolls sideways", async () => {
  const world = await World.make(fake.origin);
  for (const width of [320, 390, 1280]) {
    const page = await open(await fresh({ viewport: { width, height: 800 } }), world);
    await syncAll(page);
    for (const view of VIEWS) {
      await show(page, view);
      const { over, nameless, headings } = await page.evaluate(() => ({
        over: document.documentElement.scrollWidth - window.innerWidth,
        nameless: [...document.querySelectorAll("button, a[href], input, select, summary")]
          .filter(
            (control) =>
              control.checkVisibility() &&
              !(control.getAttribute("aria-label") || control.textContent.trim() || control.labels?.length),
          )
          .map((control) => control.outerHTML.slice(0, 120)),
        headings: [...document.querySelectorAll("h1")].filter((heading) => heading.checkVisibility()).length,
      }));
      assert.ok(over <= 0, `${view} at ${width} is ${over} px too wide`);
      assert.deepEqual(nameless, []);
      assert.equal(headings, 1);
    }
    await page.goto(world.url());
    await ready(page);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    await page.focus('.rail a[href="#contacts"]');
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.id === "contacts-heading");
  }
});

test("every view is photographed, wide and narrow, light and dark", async () => {
  const world = await World.make(fake.origin, { populate: { events: 60, contacts: 80, recordings: 14 } });
  for (const [size, viewport] of [
    ["wide", { width: 1440, height: 900 }],
    ["narrow", { width: 390, height: 844 }],
  ]) {
    for (const colorScheme of ["light", "dark"]) {
      const context = await fresh({ viewport, colorScheme, reducedMotion: "reduce" });
      const page = await open(context, world);
      await syncAll(page);
      for (const view of VIEWS) {
        await show(page, view);
        await page.screenshot({ path: `${SHOTS}/${view}-${size}-${colorScheme}.png` });
      }
      await world.fault(
        { collection: "contacts" },
        {
          name: "status",
          status: 403,
          code: "Authorization_RequestDenied",
          message: "Insufficient privileges to complete the operation.",
        },
      );
      await show(page, "contacts");
      await page.click("#contacts .sync");
      await page.waitForSelector("#contacts .error-card");
      await page.screenshot({ path: `${SHOTS}/error-card-${size}-${colorScheme}.png` });
      await page.click(".account");
      await page.click("text=Use Microsoft 365");
      await page.waitForSelector("form.signin");
      await page.screenshot({ path: `${SHOTS}/sign-in-${size}-${colorScheme}.png`, fullPage: true });
    }
  }
});
