// One round at a time across the tabs of a browser, even if the tab that holds the lock freezes,
// crashes or loses the lock.
import assert from "node:assert/strict";
import { test } from "node:test";
import { requestsOf } from "../fake.mjs";
import { byId } from "../kill/harness.mjs";
import { until } from "../wait.mjs";
import { freeze, thaw } from "./kit.mjs";
import { context, hideable, site, tab } from "./setup.mjs";

const end = (page, name) => page.evaluate((name) => window.ends[name], name);
const phase = (page, name) =>
  page.evaluate((name) => window.until(window.query, ({ phase }) => phase === name), name);
/** Waits until a request to the fake Graph hangs. */
async function waitForHang(world) {
  await until(async () => (await world.faultCounts()).hang > 0);
}

const status = (page) => page.evaluate(() => ({ ...window.query.status.get() }));
const sync = (page) => page.evaluate(() => window.outcome(window.query.sync()));

/** Starts a round in a tab, up to the delivery of its first page. */
const hold = (page) =>
  page.evaluate(async () => {
    window.pages = window.query.round()[Symbol.asyncIterator]();
    window.page = (await window.pages.next()).value;
  });

/** Starts a round in a tab that has to wait for the lock. */
async function follow(page, name = "following") {
  await page.evaluate((name) => void window.begin(name, () => window.query.sync()), name);
  await phase(page, "following");
}

/**
 * Starts another round in the tab whose round has the lock, and waits until it is in the queue for
 * the lock. The status of the query is still that of the first round.
 */
async function queueUp(page) {
  await page.evaluate(() => void window.begin("following", () => window.query.sync()));
  await until(() => page.evaluate(async () => (await navigator.locks.query()).pending.length > 0));
}

/** Runs a round, and asserts that the mirror equals the contacts of the fake Graph. */
async function syncAndCompare(page, world) {
  const { value } = await sync(page);
  assert.equal(value?.outcome, "complete");
  assert.deepEqual(byId(await page.evaluate(() => window.query.all())), byId(await world.table("contacts")));
}

const makeWorld = (more) => site.fake.world({ populate: { contacts: 30 }, ...more });

/** Whether no tab holds the lock. */
const isLockFree = (page) => page.evaluate(async () => (await navigator.locks.query()).held.length === 0);

test("a second tab waits for the lock, its signal ends the wait, and it gets the lock after the first tab", async () => {
  const world = await makeWorld();
  const [first, second] = [await tab(world), await tab(world)];
  await hold(first);
  // The second page is requested ahead.
  await until(async () => (await requestsOf(world)).length === 2);
  await second.evaluate(() => {
    window.stop = new AbortController();
    window.begin("stopped", () => window.query.sync({ signal: window.stop.signal }));
  });
  await phase(second, "following");
  await second.evaluate(() => window.stop.abort("enough"));
  assert.deepEqual(await end(second, "stopped"), { reason: "enough" });
  assert.equal((await status(second)).phase, "new");
  await follow(second);
  assert.equal((await requestsOf(world)).length, 2, "a tab that waits for the lock sends no request");
  await first.evaluate(() => window.pages.return());
  assert.equal((await end(second, "following")).value.outcome, "complete");
  await syncAndCompare(first, world);
});

test("rounds that four tabs start at once run one after the other, and only one is a full round", async () => {
  const world = await makeWorld({ options: { latency_ms: 20 } });
  const tabs = await Promise.all([1, 2, 3, 4].map(() => tab(world)));
  const reports = (await Promise.all(tabs.map(sync))).map(({ value }) => value);
  assert.deepEqual(reports.map(({ kind }) => kind).sort(), [
    "full",
    "incremental",
    "incremental",
    "incremental",
  ]);
  assert.deepEqual(
    (await requestsOf(world)).map(({ kind }) => kind),
    ["initial", "next", "next", "delta", "delta", "delta"],
  );
  for (const page of tabs) await syncAndCompare(page, world);
});

test("in one tab, sync() of queries with the same key joins one round, and other keys have other rounds", async () => {
  const world = await makeWorld({ options: { latency_ms: 20 } });
  const page = await tab(world);
  const { same, other } = await page.evaluate(async () => {
    const { client, query } = window;
    const [one, two, three, other] = await Promise.all([
      query.sync(),
      client.orgContacts().sync(),
      client.orgContacts().sync(),
      client.orgContacts({ name: "other" }).sync(),
    ]);
    return { same: one === two && two === three, other: other !== one && other.pages };
  });
  assert.deepEqual([same, other], [true, 3]);
  assert.equal((await requestsOf(world)).length, 6);
});

test("a stolen lock ends a round that is fetching with a conflict, and the round of the other tab continues", async () => {
  const world = await makeWorld();
  const [victim, thief] = [await tab(world), await tab(world)];
  await world.faults({ match: { kind: "next" }, fault: "hang" });
  await victim.evaluate(() => void window.begin("victim", () => window.query.sync()));
  await waitForHang(world);
  await thief.evaluate(() =>
    navigator.locks.request(`deltalink | ${window.query.key}`, { steal: true }, () => {}),
  );
  assert.deepEqual(await end(victim, "victim"), { reason: "conflict", name: "DeltaError" });
  const { phase, error } = await victim.evaluate(() => {
    const { phase, error } = window.query.status.get();
    return { phase, error: { code: error.code, retryable: error.retryable } };
  });
  assert.deepEqual([phase, error], ["failed", { code: "conflict", retryable: true }]);
  await syncAndCompare(thief, world);
  await syncAndCompare(victim, world);
});

test("a page that was delivered before the lock was stolen can no longer be acknowledged", async () => {
  const world = await makeWorld();
  const [victim, thief] = [await tab(world), await tab(world)];
  await hold(victim);
  await thief.evaluate(() =>
    navigator.locks.request(`deltalink | ${window.query.key}`, { steal: true }, () => {}),
  );
  await phase(victim, "failed");
  assert.deepEqual(await victim.evaluate(() => window.outcome(window.page.ack())), {
    reason: "conflict",
    name: "DeltaError",
  });
  assert.deepEqual(await victim.evaluate(() => window.outcome(window.pages.next())), {
    reason: "conflict",
    name: "DeltaError",
  });
  assert.equal(await victim.evaluate(() => window.query.count()), 0);
  await syncAndCompare(thief, world);
  await syncAndCompare(victim, world);
});

test("without Web Locks the revision decides: one round completes, the other ends with a conflict and writes nothing", async () => {
  const world = await makeWorld();
  const [one, other] = [await tab(world, { locks: false }), await tab(world, { locks: false })];
  await hold(one);
  await hold(other);
  assert.equal((await one.evaluate(() => window.outcome(window.page.ack()))).reason, undefined);
  assert.deepEqual(await other.evaluate(() => window.outcome(window.page.ack())), {
    reason: "conflict",
    name: "DeltaError",
  });
  assert.equal(await other.evaluate(() => window.query.count()), 10);
  for (const page of [one, other]) await page.evaluate(() => window.pages.return());
  await syncAndCompare(other, world);
  await syncAndCompare(one, world);
});

test("a hidden tab continues its round, including the waits", async (test) => {
  const world = await makeWorld();
  const within = await hideable(test);
  const hidden = await tab(world, { within });
  // Another tab comes to the front.
  await tab(world, { within });
  await hidden.waitForFunction(() => document.visibilityState === "hidden", undefined, { polling: 20 });
  await world.faults({
    match: { kind: "next" },
    fault: { name: "status", status: 429, code: "TooManyRequests", headers: { "Retry-After": "1" } },
  });
  await syncAndCompare(hidden, world);
  assert.equal(await hidden.evaluate(() => document.visibilityState), "hidden");
});

test("a frozen tab releases the lock, and its round ends with a conflict when it resumes", async (test) => {
  const world = await makeWorld();
  const within = await hideable(test);
  const [frozen, other] = [await tab(world, { within }), await tab(world, { within })];
  await hold(frozen);
  await follow(other);
  await freeze(frozen);
  assert.equal((await end(other, "following")).value.outcome, "complete");
  await thaw(frozen);
  assert.deepEqual(await frozen.evaluate(() => window.outcome(window.page.ack())), {
    reason: "conflict",
    name: "DeltaError",
  });
  await frozen.evaluate(() => window.outcome(window.pages.next()));
  await syncAndCompare(frozen, world);
});

test("a tab that is frozen in a fetch, or while it waits for the lock, does not block other tabs", async (test) => {
  const world = await makeWorld();
  const within = await hideable(test);
  const [leader, follower, third] = [
    await tab(world, { within }),
    await tab(world, { within }),
    await tab(world, { within }),
  ];
  await world.faults({ match: {}, fault: "hang" });
  await leader.evaluate(() => void window.begin("leading", () => window.query.sync()));
  await waitForHang(world);
  await follow(follower);
  await freeze(follower);
  await freeze(leader);
  await syncAndCompare(third, world);
  for (const [page, name] of [
    [leader, "leading"],
    [follower, "following"],
  ]) {
    await thaw(page);
    assert.deepEqual(await end(page, name), { reason: "conflict", name: "DeltaError" }, name);
    await syncAndCompare(page, world);
  }
});

test("a round whose iterator is garbage-collected releases the lock", async () => {
  const world = await makeWorld();
  const [page, other] = [await tab(world), await tab(world)];
  for (const ack of ["next", "manual"]) {
    await page.evaluate(async (ack) => {
      // A loop that never continues, with an iterator that nothing else references.
      const abandoned = async () => {
        for await (const page of window.query.round({ ack, signal: new AbortController().signal })) {
          window.delivered(page.index);
          await new Promise(() => {});
        }
      };
      const delivered = new Promise((resolve) => (window.delivered = resolve));
      void abandoned();
      await delivered;
      window.delivered = undefined;
    }, ack);
    await queueUp(page);
    await follow(other);
    await page.session.send("HeapProfiler.collectGarbage");
    assert.equal((await end(page, "following")).value.outcome, "complete", ack);
    assert.equal((await end(other, "following")).value.outcome, "complete", ack);
    assert.equal((await status(page)).phase, "idle");
    await page.evaluate(() => window.query.reset());
  }
});

test("a round lives as long as its iterator, its pages or the round itself are referenced", async () => {
  const world = await makeWorld();
  const page = await tab(world);
  for (const kept of ["round", "pages", "page"]) {
    await page.evaluate(async (kept) => {
      const round = window.query.round();
      const pages = round[Symbol.asyncIterator]();
      const { value } = await pages.next();
      window.kept = { round, pages, page: value }[kept];
    }, kept);
    for (let times = 0; times < 3; times += 1) await page.session.send("HeapProfiler.collectGarbage");
    assert.equal(await isLockFree(page), false, kept);
    const { reason } = await page.evaluate(async (kept) => {
      const { outcome, kept: thing } = window;
      window.kept = undefined;
      if (kept === "page") return outcome(thing.ack());
      return outcome(thing[Symbol.asyncIterator]().return());
    }, kept);
    assert.equal(reason, undefined);
    await page.session.send("HeapProfiler.collectGarbage");
    await page.waitForFunction(async () => (await navigator.locks.query()).held.length === 0);
  }
});

for (const [title, action] of [
  ["forget() in another tab", () => window.client.forget()],
  [
    "a database that another tab deletes",
    async () => {
      for (const { name } of await indexedDB.databases()) {
        await new Promise((resolve, reject) =>
          Object.assign(indexedDB.deleteDatabase(name), { onsuccess: resolve, onerror: reject }),
        );
      }
    },
  ],
]) {
  test(`${title} ends rounds and reads of this tab with closed, and nothing opens the database again`, async () => {
    const world = await makeWorld();
    const [fetching, holding, idle, other] = [
      await tab(world),
      await tab(world),
      await tab(world),
      await tab(world),
    ];
    await syncAndCompare(fetching, world);
    await hold(holding);
    await follow(fetching);
    // A second query of the same client, which is fetching.
    await world.faults({ match: {}, times: null, fault: "hang" });
    await fetching.evaluate(() => {
      window.second = window.client.orgContacts({ name: "second" });
      window.begin("fetching", () => window.second.sync());
    });
    await waitForHang(world);
    await other.evaluate(action);
    for (const name of ["following", "fetching"])
      assert.deepEqual(await end(fetching, name), { reason: "closed", name: "DeltaError" }, name);
    for (const page of [fetching, holding, idle]) {
      await phase(page, "closed");
      const reasons = await page.evaluate(async () => {
        const { query, outcome, client } = window;
        const [all, get, count, synced] = await Promise.all(
          [query.all(), query.get("x"), query.count(), query.sync()].map(outcome),
        );
        const made = await outcome((async () => client.orgContacts())());
        return [all, get, count, synced, made].map(({ reason }) => reason);
      });
      assert.deepEqual(reasons, Array(5).fill("closed"));
    }
    assert.deepEqual(await holding.evaluate(() => window.outcome(window.page.ack())), {
      reason: "closed",
      name: "DeltaError",
    });
    assert.deepEqual(await holding.evaluate(() => window.outcome(window.pages.next())), {
      reason: "closed",
      name: "DeltaError",
    });
    assert.deepEqual(await idle.evaluate(() => indexedDB.databases()), []);
    assert.ok(await isLockFree(idle), "no lock is held");
  });
}

test("close() ends a round that waits for the lock, and a running round releases the lock at once", async () => {
  const world = await makeWorld();
  const [page, other] = [await tab(world), await tab(world)];
  await world.faults({ match: {}, fault: "hang" });
  await page.evaluate(() => {
    window.begin("running", () => window.query.sync());
    const second = window.query.round()[Symbol.asyncIterator]();
    window.begin("waiting", () => second.next());
  });
  await waitForHang(world);
  await follow(other);
  await page.evaluate(() => window.client.close());
  for (const name of ["running", "waiting"])
    assert.deepEqual(await end(page, name), { reason: "closed", name: "DeltaError" }, name);
  assert.equal((await status(page)).phase, "closed");
  assert.equal((await end(other, "following")).value.outcome, "complete");
  await syncAndCompare(other, world);
});

test("a throttle of one tab applies to the other tabs too", async () => {
  const world = await site.fake.world({ populate: { contacts: 30, users: 10 } });
  const [one, other] = [await tab(world), await tab(world)];
  await world.faults({
    match: { kind: "next" },
    fault: { name: "status", status: 429, code: "TooManyRequests", headers: { "Retry-After": "2" } },
  });
  await one.evaluate(() => void window.begin("sync", () => window.query.sync()));
  await phase(one, "waiting");
  // Another query in another tab, in the same throttling scope.
  const { waits } = await other.evaluate(() => window.client.track("/users/delta").sync());
  // The wait, and maybe the delays after it.
  assert.deepEqual([...new Set(waits.map(({ reason }) => reason))], ["throttled"]);
  assert.equal((await end(one, "sync")).value.outcome, "complete");
  const log = await requestsOf(world);
  const throttled = log.find(({ status }) => status === 429);
  assert.deepEqual(
    log.filter(({ at, n }) => n > throttled.n && at < throttled.at + 1990),
    [],
    "no tab sent a request early",
  );
});

test("all tabs together have at most four requests in flight in a mailbox, also after one is closed", async () => {
  const world = await site.fake.world({ populate: { events: 3, users: 3, around: "2026-11-21T00:00:00Z" } });
  const tabs = [await tab(world), await tab(world), await tab(world)];
  let inFlight = [];
  let holds = true;
  await context.route(/calendarView/, (route) => (holds ? void inFlight.push(route) : route.continue()));
  for (const [number, page] of tabs.entries()) {
    await page.evaluate((number) => {
      for (let index = 0; index < 4; index += 1) {
        const events = window.client.events({
          start: "2026-11-20",
          end: "2026-11-22",
          name: `${number} ${index}`,
        });
        window.begin(`round ${index}`, () => events.sync());
      }
    }, number);
    // The first tab has all four slots before the others begin.
    await until(() => inFlight.length >= 4);
  }
  /** Waits for four requests, and until a whole round in another scope has ended in each tab. */
  const assertFour = async (pages) => {
    await until(() => inFlight.length >= 4);
    for (const page of pages) await page.evaluate(() => window.client.track("/users/delta").sync());
    assert.equal(inFlight.length, 4);
  };
  const [first, ...others] = tabs;
  await assertFour(tabs);
  inFlight = [];
  await first.close();
  await assertFour(others);
  holds = false;
  await Promise.all(inFlight.map((route) => route.continue()));
  for (const page of others)
    for (let index = 0; index < 4; index += 1)
      assert.equal((await end(page, `round ${index}`)).value.outcome, "complete");
  assert.deepEqual(
    await others[0].evaluate(async () => {
      const { held, pending } = await navigator.locks.query();
      return [...held, ...pending].map(({ name }) => name).filter((name) => name.includes("not before"));
    }),
    [],
    "no slot is left behind",
  );
});

test("a tab that keeps all requests of a mailbox to itself does not stop another one for longer than a timeout", async () => {
  const world = await site.fake.world({ populate: { events: 3, around: "2026-11-21T00:00:00Z" } });
  const [stuck, other] = [await tab(world), await tab(world)];
  let held = 0;
  await context.route(/calendarView/, (route) => {
    if (route.request().frame().page() !== stuck) return route.continue();
    held += 1;
    return undefined;
  });
  await stuck.evaluate(() => {
    for (let index = 0; index < 4; index += 1) {
      const events = window.client.events({ start: "2026-11-20", end: "2026-11-22", name: `${index}` });
      window.begin(`round ${index}`, () => events.sync());
    }
  });
  await until(() => held === 4);
  const { outcome, reasons, shown } = await other.evaluate(
    async ([endpoint, token]) => {
      const retry = { timeout: 300 };
      const client = await window.openDelta({ endpoint, account: "alex", token: () => token, retry });
      const events = client.events({ start: "2026-11-20", end: "2026-11-22" });
      const shown = [];
      events.status.subscribe(({ phase, waitReason }) => phase === "waiting" && shown.push(waitReason));
      const { outcome, waits } = await events.sync();
      await client.close();
      return { outcome, reasons: waits.map(({ reason }) => reason), shown };
    },
    [world.root, world.tokens.delegated],
  );
  assert.equal(outcome, "complete");
  assert.deepEqual(shown.slice(0, 1), ["throttled"], "the status says that it waits");
  assert.deepEqual(reasons, ["throttled"], "and so does the report");
});

test("a call of the token source that fails after a sign-in in another tab, but began before it, is repeated", async () => {
  const world = await site.fake.world({ populate: { contacts: 5 } });
  const [page, other] = [await tab(world), await tab(world)];
  await page.evaluate(() => {
    const refusal = Object.assign(new Error("again"), { errorCode: "interaction_required" });
    window.calls = 0;
    window.signIn = () => {
      window.calls += 1;
      if (window.calls === 1)
        return new Promise((_resolve, reject) => (window.refuse = () => reject(refusal)));
      return undefined;
    };
    window.begin("sync", () => window.query.sync());
  });
  await page.waitForFunction(() => window.refuse);
  await page.evaluate(() => {
    // The same channel as the client's: resolves after the client has got the message too.
    const channel = new BroadcastChannel("deltalink sign-in | alex");
    window.heard = new Promise((resolve) => (channel.onmessage = resolve)).then(() => channel.close());
  });
  await other.evaluate(() => window.client.resume());
  await page.evaluate(async () => {
    await window.heard;
    window.refuse();
  });
  assert.equal((await end(page, "sync")).value.outcome, "complete");
});

test("a tab that was frozen during a sign-in in another tab continues after it", async () => {
  const world = await site.fake.world({ populate: { contacts: 5 } });
  const [page, other] = [await tab(world), await tab(world)];
  await page.evaluate(() => {
    const refusal = Object.assign(new Error("again"), { errorCode: "interaction_required" });
    window.signIn = () => Promise.reject(refusal);
    window.begin("sync", () => window.query.sync());
    return window.until(window.query, ({ phase }) => phase === "needs-auth");
  });
  await page.evaluate(() =>
    window.dispatchEvent(new window.PageTransitionEvent("pagehide", { persisted: true })),
  );
  await other.evaluate(() => window.client.resume());
  await page.evaluate(() => {
    window.signIn = undefined;
    const synced = window.until(window.query, ({ phase, lastSyncedAt }) => phase === "idle" && lastSyncedAt);
    window.dispatchEvent(new window.PageTransitionEvent("pageshow", { persisted: true }));
    return synced;
  });
  assert.equal(await page.evaluate(() => window.query.count()), 5);
});

test("an offline tab waits until it is online", async () => {
  const world = await site.fake.world({ populate: { contacts: 30 } });
  const page = await tab(world);
  await context.setOffline(true);
  await page.evaluate(() => void window.begin("sync", () => window.query.sync()));
  await phase(page, "waiting");
  assert.equal((await status(page)).waitReason, "offline");
  await context.setOffline(false);
  assert.equal((await end(page, "sync")).value.outcome, "complete");
});
