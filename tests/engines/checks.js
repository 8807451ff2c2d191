// The checks for the packed package in every engine. A check is a list of steps. A step opens the
// site in the first tab, reloads it there, or runs in another tab or in the first one again.

const POPULATE = { contacts: 30, events: 20, around: "2026-11-21T00:00:00Z" };
const WEEKS = { start: "2026-11-01", end: "2026-12-20" };
const CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}';

/** The options of the world of each check. */
export const populate = POPULATE;

function equal(got, expected, what = "") {
  const [one, other] = [got, expected].map((value) => JSON.stringify(value));
  if (one !== other) throw new Error(`${what}: got ${one}, expected ${other}`);
}

async function rejects(promise, code) {
  const error = await promise.then(
    () => undefined,
    (error) => error,
  );
  if ((error?.code ?? error) !== code) throw new Error(`expected ${code}, got ${error?.stack ?? error}`);
  return error;
}

/** Calls the control API of the fake Graph. */
async function control(world, path, body) {
  const init = body && {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  };
  const response = await fetch(`/control/worlds/${world.id}${path}`, init);
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  return text && JSON.parse(text);
}

const edits = (world, ...list) => control(world, "/edits", list);
const fault = (world, match, name, times = 1) => control(world, "/faults", [{ match, times, fault: name }]);
const requests = async (world) => (await control(world, "/log")).filter(({ kind }) => kind !== "preflight");
const kinds = async (world) => (await requests(world)).map(({ kind }) => kind);
const ids = (items) => items.map(({ id }) => id).sort();

/** Waits until a world has received this number of requests. */
async function waitForRequests(world, count) {
  while ((await requests(world)).length < count) await null;
}

async function open(world, more) {
  const { openDelta } = await import("deltalink");
  return openDelta({
    endpoint: world.root,
    account: "alex",
    token: () => world.tokens.delegated,
    retry: { base: 5, cap: 20 },
    ...more,
  });
}

async function assertEqualsServer(query, world, collection = "contacts") {
  equal(
    ids(await query.all()),
    ids(await control(world, `/tables/${collection}`)),
    "the mirror equals the table of the server",
  );
}

function waitForPhase(query, expected) {
  return new Promise((resolve) => {
    const stop = query.status.subscribe((status) => {
      if (status.phase !== expected) return;
      resolve(status);
      queueMicrotask(() => stop());
    });
  });
}

/** Waits until no round runs and the next one of a live query is known. */
function waitUntilResting(query) {
  return new Promise((resolve) => {
    const stop = query.status.subscribe(({ phase, nextRoundAt }) => {
      if (phase !== "idle" || !nextRoundAt) return;
      resolve();
      queueMicrotask(() => stop());
    });
  });
}

/** Waits until a view shows this number of items. */
function waitForTotal(view, count) {
  return new Promise((resolve) => {
    const stop = view.subscribe(({ ready, total }) => {
      if (!ready || total !== count) return;
      resolve();
      queueMicrotask(() => stop());
    });
  });
}

/** A request of IndexedDB as a promise. */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
const names = async () => (await indexedDB.databases()).map(({ name }) => name);

const afterOpening = (run) => ({ run });
const afterReload = (run) => ({ run, where: "reloaded" });
const inOtherTab = (run) => ({ run, where: "other tab" });
const inFirstTab = (run) => ({ run, where: "first tab" });
const withZone = (run) => ({ run, query: "?zone" });

export const checks = {
  "the wasm comes from its own file": [
    afterOpening(async () => {
      const { init } = await import("deltalink");
      equal(await init(), "url");
      const loaded = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname);
      equal(
        loaded.filter((path) => /wasm|inline/.test(path)),
        ["/deltalink/deltalink.wasm"],
        "the loaded files",
      );
    }),
  ],
  "a first round fills the mirror": [
    afterOpening(async ({ world }) => {
      const client = await open(world);
      const contacts = client.orgContacts();
      const { outcome, kind, pages, added, requests: sent } = await contacts.sync();
      equal(
        { outcome, kind, pages, added, sent },
        { outcome: "complete", kind: "full", pages: 3, added: 30, sent: 3 },
      );
      await assertEqualsServer(contacts, world);
      await client.close();
    }),
  ],
  "an incremental round delivers the changes": [
    afterOpening(async ({ world }) => {
      const client = await open(world);
      const contacts = client.orgContacts();
      await contacts.sync();
      const [edited, removed] = await contacts.all();
      await edits(
        world,
        { collection: "contacts", op: "edit", id: edited.id, patch: { jobTitle: "Archivist" } },
        { collection: "contacts", op: "remove", id: removed.id },
        { collection: "contacts", op: "add" },
      );
      const { kind, pages, added, changed, removed: gone } = await contacts.sync();
      equal(
        { kind, pages, added, changed, gone },
        { kind: "incremental", pages: 1, added: 1, changed: 1, gone: 1 },
      );
      equal((await contacts.get(edited.id)).jobTitle, "Archivist");
      equal(await contacts.get(removed.id), undefined);
      await assertEqualsServer(contacts, world);
      await client.close();
    }),
  ],
  "a round that a reload has interrupted resumes at its page": [
    afterOpening(async ({ world }) => {
      const pages = (await open(world)).orgContacts().round()[Symbol.asyncIterator]();
      await pages.next();
      equal((await pages.next()).value.index, 1);
      // The third page is requested ahead.
      await waitForRequests(world, 3);
    }),
    afterReload(async ({ world }) => {
      const client = await open(world);
      const contacts = client.orgContacts();
      equal(await contacts.count(), 10, "the page before stays");
      const { outcome, resumed, pages } = await contacts.sync();
      equal({ outcome, resumed, pages }, { outcome: "complete", resumed: true, pages: 2 });
      const expected = ["initial", "next", "next", "next", "next"];
      equal(await kinds(world), expected, "no earlier page is requested again");
      await assertEqualsServer(contacts, world);
      await client.close();
    }),
  ],
  "the mirror is read without a request: whole, in chunks, by id, and counted": [
    afterOpening(async ({ world }) => {
      const client = await open(world);
      await client.orgContacts().sync();
      await client.close();
    }),
    afterReload(async ({ world }) => {
      const before = await kinds(world);
      const client = await open(world);
      const contacts = client.orgContacts();
      const all = await contacts.all();
      equal([all.length, await contacts.count()], [30, 30]);
      equal(await contacts.get(all[7].id), all[7]);
      equal(await contacts.get("nobody"), undefined);
      const items = [];
      for await (const item of contacts.items({ after: all[9].id, limit: 5 })) items.push(item);
      equal(items, all.slice(10, 15), "a range");
      const whole = [];
      for await (const item of contacts.items()) whole.push(item);
      equal(whole, all);
      if (!(contacts.status.get().lastSyncedAt instanceof Date)) await waitForPhase(contacts, "idle");
      equal(await kinds(world), before, "no request");
      await client.close();
    }),
  ],
  "another tab receives commits as they happen, with their items": [
    afterOpening(async ({ world }) => {
      const client = await open(world);
      const received = (window.received = []);
      window.enough = new Promise((resolve) => {
        client.orgContacts().on("change", (changes, { remote, last }) => {
          received.push(...changes.map(({ id, item }) => ({ id, remote, name: item.displayName })));
          if (last) resolve();
        });
      });
    }),
    inOtherTab(async ({ world }) => {
      const client = await open(world);
      const { outcome } = await client.orgContacts().sync();
      equal(outcome, "complete");
      await client.close();
    }),
    inFirstTab(async ({ world }) => {
      await window.enough;
      const table = await control(world, "/tables/contacts");
      const named = table.map(({ id, displayName }) => ({ id, remote: true, name: displayName }));
      const sorted = (list) => list.sort((one, other) => (one.id < other.id ? -1 : 1));
      equal(sorted(window.received), sorted(named));
    }),
  ],
  "a second tab waits for the round of the first, and continues from its stored link": [
    afterOpening(async ({ world }) => {
      const client = await open(world);
      window.pages = client.orgContacts().round()[Symbol.asyncIterator]();
      await window.pages.next();
      await window.pages.next();
      // The third page is requested ahead.
      await waitForRequests(world, 3);
    }),
    inOtherTab(async ({ world }) => {
      const contacts = (await open(world)).orgContacts();
      window.syncing = contacts.sync();
      window.contacts = contacts;
      await waitForPhase(contacts, "following");
      equal((await requests(world)).length, 3, "a tab that waits sends no request");
    }),
    inFirstTab(() => window.pages.return().then(() => {})),
    inOtherTab(async ({ world }) => {
      const { outcome, resumed, pages } = await window.syncing;
      equal({ outcome, resumed, pages }, { outcome: "complete", resumed: true, pages: 2 });
      await assertEqualsServer(window.contacts, world);
    }),
  ],
  "persist asks the browser to keep the storage, and the client also works after a refusal": [
    afterOpening(async ({ world }) => {
      let calls = 0;
      const answers = [() => Promise.resolve(false), () => Promise.reject(new TypeError("not here"))];
      const persist = () => answers[calls++]();
      const setStorage = (value) =>
        Object.defineProperty(navigator, "storage", { value, configurable: true });
      const errors = [];
      window.reportError = (error) => errors.push(String(error));
      setStorage({ persist });
      await (await open(world)).close();
      equal(calls, 0);
      for (const expected of [1, 2, 2]) {
        // Some hosts have no `navigator.storage`.
        if (calls === 2) setStorage(undefined);
        const client = await open(world, { persist: true });
        equal((await client.orgContacts().sync()).outcome, "complete");
        equal(calls, expected);
        await client.close();
      }
      equal(errors, ["TypeError: not here"]);
      await rejects(open(world, { persist: "yes" }), "bad-request");
    }),
  ],
  "a shared worker runs the rounds of a live query, and a view in the tab follows": [
    afterOpening(async ({ world }) => {
      const worker = new window.SharedWorker("shared-worker.js", { type: "module", name: world.id });
      const ask = (...message) =>
        new Promise((resolve, reject) => {
          worker.onerror = () => reject(new Error("the shared worker did not load"));
          worker.port.onmessage = ({ data }) => resolve(data);
          worker.port.postMessage(message);
        });
      equal(await ask("start", world), "resting");
      const contacts = (await open(world)).orgContacts();
      const view = contacts.view({ orderBy: "displayName" });
      view.subscribe(() => {});
      window.live = contacts.live();
      await waitUntilResting(contacts);
      await waitForTotal(view, 30);
      equal((await requests(world)).length, 3, "one round of three pages");
      await edits(world, { op: "add", collection: "contacts" });
      equal(await ask("syncNow"), "complete", "the worker leads");
      await waitForTotal(view, 31);
      equal((await requests(world)).length, 4, "the worker has sent one request");
    }),
  ],
  "of two tabs with a live query one runs the rounds, and views of both follow": [
    afterOpening(async ({ world }) => {
      const contacts = (await open(world)).orgContacts();
      window.view = contacts.view({ orderBy: "displayName" });
      window.view.subscribe(() => {});
      window.live = contacts.live({ hidden: "slow" });
      await waitUntilResting(contacts);
      await waitForTotal(window.view, 30);
      equal((await requests(world)).length, 3, "one round of three pages");
    }),
    inOtherTab(async ({ world }) => {
      const contacts = (await open(world)).orgContacts();
      window.view = contacts.view({ orderBy: "displayName" });
      window.view.subscribe(() => {});
      window.live = contacts.live();
      await waitUntilResting(contacts);
      await waitForTotal(window.view, 30);
      equal((await requests(world)).length, 3, "the mirror is fresh");
      await edits(world, { op: "add", collection: "contacts" });
      await window.live.syncNow();
      await waitForTotal(window.view, 31);
      equal((await requests(world)).length, 4, "one tab has sent one request");
    }),
    inFirstTab(async () => {
      await waitForTotal(window.view, 31);
      window.live.stop();
    }),
    inOtherTab(async ({ world }) => {
      await edits(world, { op: "add", collection: "contacts" });
      // Undefined while the first tab still leads.
      while ((await window.live.syncNow()) === undefined) await null;
      await waitForTotal(window.view, 32);
    }),
  ],
  "an abort ends a round with its reason, and the next one continues": [
    afterOpening(async ({ world }) => {
      await fault(world, { kind: "next" }, "hang");
      const client = await open(world);
      const contacts = client.orgContacts();
      const stop = new AbortController();
      const syncing = contacts.sync({ signal: stop.signal });
      while ((await contacts.count()) < 10) await null;
      await waitForRequests(world, 2);
      stop.abort("enough");
      await rejects(syncing, "enough");
      equal(contacts.status.get().phase, "new");
      const { outcome, resumed } = await contacts.sync();
      equal({ outcome, resumed }, { outcome: "complete", resumed: true });
      await assertEqualsServer(contacts, world);
      await client.close();
    }),
  ],
  "a claims challenge reaches the token source decoded": [
    afterOpening(async ({ world }) => {
      await fault(world, { kind: "next" }, { name: "claims", status: 401 });
      const calls = [];
      const token = ({ reason, claims }) => {
        calls.push([reason, claims ?? null]);
        return world.tokens.delegated;
      };
      const client = await open(world, { token });
      const { outcome, requests: sent } = await client.orgContacts().sync();
      equal({ outcome, sent }, { outcome: "complete", sent: 4 });
      equal(calls, [
        ["start", null],
        ["expired", null],
        ["claims", CLAIMS],
      ]);
      await client.close();
    }),
  ],
  "a round waits out a throttle, and repeats a request that the service failed": [
    afterOpening(async ({ world }) => {
      await fault(
        world,
        { kind: "initial" },
        { name: "status", status: 429, code: "TooManyRequests", headers: { "Retry-After": "1" } },
      );
      await fault(world, { kind: "next" }, { name: "status", status: 503, code: "ServiceUnavailable" });
      const client = await open(world);
      const contacts = client.orgContacts();
      const { outcome, waits, retries } = await contacts.sync();
      equal(
        // Further waits are delays while the limits recover from the throttle.
        { outcome, retries, reasons: [...new Set(waits.map(({ reason }) => reason))] },
        { outcome: "complete", retries: 2, reasons: ["throttled", "server"] },
      );
      await assertEqualsServer(contacts, world);
      await client.close();
    }),
  ],
  "a resync removes items that Graph no longer lists": [
    afterOpening(async ({ world }) => {
      const client = await open(world);
      const contacts = client.orgContacts();
      await contacts.sync();
      const [gone] = await contacts.all();
      await edits(world, { collection: "contacts", op: "remove", id: gone.id });
      await control(world, "/expire", {});
      const { outcome, kind, ghosts, resync } = await contacts.sync();
      equal(
        { outcome, kind, ghosts, isResync: Boolean(resync) },
        { outcome: "complete", kind: "full", ghosts: 1, isResync: true },
      );
      await assertEqualsServer(contacts, world);
      await client.close();
    }),
  ],
  "occurrences of a calendar are complete": [
    afterOpening(async ({ world }) => {
      const client = await open(world);
      const events = client.events(WEEKS);
      equal((await events.sync()).outcome, "complete");
      const all = await events.all();
      const incomplete = all.filter(({ type, subject }) => type === "occurrence" && subject === undefined);
      equal([all.length > 0, incomplete.length], [true, 0]);
      await client.close();
    }),
  ],
  "the stored state can be read in IndexedDB": [
    afterOpening(async ({ world }) => {
      const client = await open(world);
      const contacts = client.orgContacts();
      await contacts.sync();
      const { key } = contacts;
      const all = await contacts.all();
      await client.close();
      equal(await names(), ["deltalink | alex"]);
      const database = await done(indexedDB.open("deltalink | alex"));
      equal([...database.objectStoreNames].slice(0, 2), ["items", "state"]);
      const stored = database.transaction(["items", "state"]);
      const [state, rows] = await Promise.all([
        done(stored.objectStore("state").get(key)),
        done(stored.objectStore("items").getAll()),
      ]);
      database.close();
      equal(
        { format: state.format, phase: state.phase, count: state.count },
        { format: 1, phase: "idle", count: 30 },
      );
      if (!state.link.startsWith(world.root)) throw new Error(`no deltaLink: ${state.link}`);
      equal(
        rows.map(({ item }) => item),
        all,
      );
    }),
  ],
  "forget() deletes the database, and a later client starts with a first round": [
    afterOpening(async ({ world }) => {
      const client = await open(world);
      await client.orgContacts().sync();
      equal(await names(), ["deltalink | alex"]);
      await client.forget();
      await rejects((async () => client.orgContacts())(), "closed");
    }),
    afterReload(async ({ world }) => {
      equal((await names()).length, 0, "no database");
      const client = await open(world);
      const contacts = client.orgContacts();
      equal([await contacts.count(), (await contacts.sync()).kind], [0, "full"]);
      await client.close();
    }),
  ],
  "two accounts are kept apart": [
    afterOpening(async ({ world }) => {
      const [alex, robin] = [await open(world), await open(world, { account: "robin" })];
      await alex.orgContacts().sync();
      equal([await alex.orgContacts().count(), await robin.orgContacts().count()], [30, 0]);
      equal((await robin.orgContacts().sync()).kind, "full");
      equal((await names()).sort(), ["deltalink | alex", "deltalink | robin"]);
      await alex.forget();
      equal(await names(), ["deltalink | robin"]);
      await assertEqualsServer(robin.orgContacts(), world);
      await robin.close();
    }),
  ],
  "a listener that awaits a sync() of its own query gets bad-request, and no lock is left": [
    afterOpening(async ({ world }) => {
      const client = await open(world);
      const contacts = client.orgContacts();
      const codes = [];
      contacts.on("change", () => contacts.sync().catch(({ code }) => void codes.push(code)));
      equal((await contacts.sync()).outcome, "complete");
      equal(codes, ["bad-request", "bad-request", "bad-request"]);
      equal((await navigator.locks.query()).held.length, 0, "locks");
      await client.close();
    }),
  ],
  "an account can be forgotten after a trap: the database of the instance that ended is closed": [
    afterOpening(async ({ world }) => {
      const client = await open(world);
      await client.orgContacts().sync();
      // A host function throws through the wasm, like a trap.
      const { random } = Math;
      Math.random = () => {
        throw new Error("this host is broken");
      };
      await rejects(client.orgContacts().sync(), "internal");
      Math.random = random;
      await assertEqualsServer(client.orgContacts(), world);
      await client.forget();
      equal(await names(), []);
    }),
  ],
  "sync() completes where zone.js has replaced Promise": [
    withZone(async ({ world }) => {
      if (!window.Zone || !Promise.toString().includes("ZoneAwarePromise"))
        throw new Error("zone.js is not loaded");
      const client = await open(world);
      const contacts = client.orgContacts();
      const received = [];
      contacts.on("change", (changes) => void received.push(...changes));
      const { outcome, requests: sent } = await contacts.sync();
      equal({ outcome, sent, received: received.length }, { outcome: "complete", sent: 3, received: 30 });
      await assertEqualsServer(contacts, world);
      const pages = [];
      for await (const page of contacts.round()) pages.push(page.index);
      equal(pages, [0]);
      await client.close();
    }),
  ],
};
