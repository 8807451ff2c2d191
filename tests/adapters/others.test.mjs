// deltalink/vue and deltalink/tanstack-db with the real frameworks in Chromium, and the frameworks
// that need no adapter: Svelte and Solid. The fake Graph runs in the web page too.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { stage } from "./kit.mjs";

let pages;
before(async () => (pages = await stage({ others: { file: "site/others.js" } })));
after(() => pages.end());

/** Runs a test in a new tab, which must log no error and no warning. */
const inPage = (name, run) =>
  test(name, async () => {
    const { page, complaints, close } = await pages.open("others", "useDelta");
    try {
      await run(page);
      assert.deepEqual(complaints, []);
    } finally {
      await close();
    }
  });
const shows = (page, text) => page.waitForFunction((text) => window.text() === text, text);

inPage("Vue: a list follows its query and its options, and unmounting ends the live query", async (page) => {
  await page.evaluate(async () => {
    const { Vue, useDelta } = window;
    const ada = await window.open({ names: ["Kim", "Ada"], account: "ada" });
    const lou = await window.open({ names: ["Lou"], account: "lou" });
    const client = Vue.shallowRef();
    const letter = Vue.ref("");
    const app = Vue.createApp({
      setup() {
        const list = useDelta(
          () => client.value?.orgContacts(),
          () => {
            const start = letter.value;
            return { orderBy: "displayName", where: ({ displayName }) => displayName.startsWith(start) };
          },
        );
        window.list = list;
        return () => list.items.value.map(({ displayName }) => displayName).join();
      },
    });
    app.mount("#root");
    Object.assign(window, { ada, lou, client, letter, app });
  });
  assert.equal(await page.evaluate(() => window.text()), "");
  assert.deepEqual(await page.evaluate(() => [window.list.ready.value, window.list.status.value.phase]), [
    false,
    "new",
  ]);
  await page.evaluate(() => (window.client.value = window.ada.client));
  await shows(page, "Ada,Kim");
  await page.evaluate(() => (window.letter.value = "K"));
  await shows(page, "Kim");
  await page.evaluate(() => (window.letter.value = ""));
  await shows(page, "Ada,Kim");
  await page.evaluate(async () => {
    window.ada.graph.add("contacts", { displayName: "Ben" });
    await window.list.syncNow();
  });
  await shows(page, "Ada,Ben,Kim");
  await page.evaluate(async () => {
    window.ada.graph.fault({ name: "status", status: 403, code: "Forbidden" });
    await window.list.syncNow();
  });
  assert.equal(await page.evaluate(() => window.list.error.value.code), "forbidden");
  await page.evaluate(() => (window.client.value = window.lou.client));
  await shows(page, "Lou");
  await page.evaluate(() => window.app.unmount());
  for (const name of ["ada", "lou"])
    await page.waitForFunction(
      (name) => window[name].client.orgContacts().status.get().nextRoundAt === undefined,
      name,
    );
});

inPage("Vue: a promise that becomes the query later is refused", async (page) => {
  await page.evaluate(() => {
    const { Vue, useDelta } = window;
    const query = Vue.shallowRef();
    const app = Vue.createApp({
      setup() {
        useDelta(query);
        return () => "";
      },
    });
    app.config.errorHandler = ({ message }) => (window.message = message);
    app.mount("#root");
    query.value = Promise.resolve();
  });
  await page.waitForFunction(() => window.message);
  assert.equal(
    await page.evaluate(() => window.message),
    "useDelta() needs a query, such as client.orgContacts(), got a Promise",
  );
});

inPage("Vue: a ref follows a readable until the component is unmounted", async (page) => {
  await page.evaluate(() => {
    const { Vue, useReadable } = window;
    const made = [0, 1].map((number) => {
      const runs = new Set();
      return {
        runs,
        get: () => number,
        subscribe: (run) => (run(number), runs.add(run), () => runs.delete(run)),
        set: (value) => runs.forEach((run) => run(value)),
      };
    });
    const index = Vue.ref(-1);
    const app = Vue.createApp({
      setup() {
        const value = useReadable(() => made[index.value]);
        return () => String(value.value);
      },
    });
    app.mount("#root");
    Object.assign(window, { made, index, app });
  });
  await shows(page, "undefined");
  await page.evaluate(() => (window.index.value = 0));
  await shows(page, "0");
  await page.evaluate(() => window.made[0].set("changed"));
  await shows(page, "changed");
  await page.evaluate(() => (window.index.value = 1));
  await shows(page, "1");
  const subscribers = () => page.evaluate(() => window.made.map(({ runs }) => runs.size));
  assert.deepEqual(await subscribers(), [0, 1]);
  await page.evaluate(() => window.app.unmount());
  assert.deepEqual(await subscribers(), [0, 0]);
});

inPage("Vue: the words of a status follow it and the time, until unmounting", async (page) => {
  await page.clock.install();
  await page.evaluate(() => {
    const { Vue, useDescription } = window;
    const status = Vue.ref({ phase: "idle", lastSyncedAt: new Date() });
    const app = Vue.createApp({
      setup() {
        const words = useDescription(status, { sentences: { idle: "As of {since}." } });
        window.words = words;
        return () => words.value;
      },
    });
    app.mount("#root");
    Object.assign(window, { shown: status, app });
  });
  await shows(page, "As of now.");
  await page.clock.runFor(61_000);
  await shows(page, "As of 1 minute ago.");
  await page.evaluate(() => (window.shown.value = { phase: "needs-auth" }));
  await shows(page, "Please sign in.");
  await page.evaluate(() => (window.shown.value = { phase: "idle", lastSyncedAt: new Date() }));
  await shows(page, "As of now.");
  await page.evaluate(() => window.app.unmount());
  await page.clock.runFor(120_000);
  assert.equal(await page.evaluate(() => window.words.value), "As of now.", "no timer is left");
});

test("Vue: on a server the words of a status are those of now, and no timer runs", async () => {
  const { createSSRApp } = await import("vue");
  const { renderToString } = await import("vue/server-renderer");
  const { useDescription } = await import("deltalink/vue");
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const app = createSSRApp({
    setup() {
      const words = useDescription(() => ({ phase: "needs-auth" }));
      return () => words.value;
    },
  });
  assert.equal(await renderToString(app), "Please sign in.");
  assert.equal(timers(), before);
});

test("Vue: on a server a ref has the current value, and nothing is subscribed", async () => {
  const { createSSRApp } = await import("vue");
  const { renderToString } = await import("vue/server-renderer");
  const { useReadable } = await import("deltalink/vue");
  const readable = { get: () => "now", subscribe: () => assert.fail("subscribed on a server") };
  const app = createSSRApp({
    setup() {
      const value = useReadable(readable);
      return () => value.value;
    },
  });
  assert.equal(await renderToString(app), "now");
});

test("TanStack DB: without a query the options of a collection are refused", async () => {
  const { deltaCollectionOptions } = await import("deltalink/tanstack-db");
  for (const [options, type] of [
    [undefined, "undefined"],
    [{}, "undefined"],
    [{ query: Promise.resolve() }, "a Promise"],
  ])
    assert.throws(() => deltaCollectionOptions(/** @type {any} */ (options)), {
      code: "bad-request",
      message: `deltaCollectionOptions() needs a query, such as client.orgContacts(), got ${type}`,
    });
});

inPage("TanStack DB: a collection has the items, and its changes have the previous values", async (page) => {
  await page.evaluate(async () => {
    const { createCollection, deltaCollectionOptions } = window;
    Object.assign(window, await window.open({ names: ["Ada", "Kim", "Lou"] }));
    const query = window.client.orgContacts();
    const contacts = createCollection(deltaCollectionOptions({ query }));
    window.changes = [];
    contacts.subscribeChanges(
      (changes) =>
        window.changes.push(
          ...changes.map(({ type, value, previousValue }) =>
            [type, previousValue?.displayName, value.displayName].join(" "),
          ),
        ),
      { includeInitialState: true },
    );
    window.names = () =>
      contacts.toArray
        .map(({ displayName }) => displayName)
        .sort()
        .join();
    Object.assign(window, { query, contacts });
  });
  await page.waitForFunction(() => window.names() === "Ada,Kim,Lou" && window.contacts.status === "ready");
  await page.evaluate(async () => {
    const idOf = (name) => window.graph.items("contacts").find(({ displayName }) => displayName === name).id;
    window.changes.length = 0;
    window.graph.edit("contacts", idOf("Kim"), { displayName: "Kit" });
    window.graph.remove("contacts", idOf("Lou"));
    window.graph.add("contacts", { displayName: "Ben" });
    await window.query.sync();
  });
  await page.waitForFunction(() => window.names() === "Ada,Ben,Kit");
  const changes = await page.evaluate(() => window.changes.sort());
  assert.deepEqual(changes, ["delete  Lou", "insert  Ben", "update Kim Kit"]);
});

inPage("TanStack DB: a ghost is deleted, and cleanup() ends the live query", async (page) => {
  await page.evaluate(async () => {
    const { createCollection, deltaCollectionOptions } = window;
    Object.assign(window, await window.open({ names: ["Ada", "Kim"] }));
    const query = window.client.orgContacts();
    const contacts = createCollection(deltaCollectionOptions({ query }));
    await contacts.preload();
    await window.statusUntil(query, ({ nextRoundAt }) => nextRoundAt);
    const [{ id }] = window.graph.items("contacts");
    window.graph.remove("contacts", id);
    window.graph.expireLinks();
    window.report = await query.sync();
    Object.assign(window, { query, contacts });
  });
  assert.equal(await page.evaluate(() => window.report.ghosts), 1);
  await page.waitForFunction(() => window.contacts.size === 1);
  await page.evaluate(() => window.contacts.cleanup());
  await page.waitForFunction(() => window.query.status.get().nextRoundAt === undefined);
});

inPage("TanStack DB: after a sign-out a collection has no rows", async (page) => {
  await page.evaluate(async () => {
    const { createCollection, deltaCollectionOptions } = window;
    const { client } = await window.open({ names: ["Ada", "Kim"] });
    const contacts = createCollection(deltaCollectionOptions({ query: client.orgContacts() }));
    contacts.subscribeChanges(() => {});
    Object.assign(window, { client, contacts });
  });
  await page.waitForFunction(() => window.contacts.size === 2);
  await page.evaluate(() => window.client.forget());
  await page.waitForFunction(() => window.contacts.size === 0);
});

inPage("TanStack DB: a collection without network is ready with the stored items", async (page) => {
  const names = await page.evaluate(async () => {
    const { createCollection, deltaCollectionOptions } = window;
    const first = await window.open({ names: ["Ada"], store: "indexeddb" });
    await first.client.orgContacts().sync();
    await first.client.close();
    const { client, graph } = await window.open({ store: "indexeddb" });
    graph.fault("network", { times: Infinity });
    const contacts = createCollection(deltaCollectionOptions({ query: client.orgContacts() }));
    await contacts.preload();
    return contacts.toArray.map(({ displayName }) => displayName);
  });
  assert.deepEqual(names, ["Ada"]);
});

inPage("TanStack DB: a live query joins events and contacts, and follows both", async (page) => {
  await page.evaluate(async () => {
    const { BasicIndex, createCollection, createLiveQueryCollection, deltaCollectionOptions, eq } = window;
    Object.assign(window, await window.open());
    const { graph, client } = window;
    window.contact = graph.add("contacts", { displayName: "Ada", mail: graph.user.address });
    const time = (hour) => ({ dateTime: `2026-11-23T${hour}:00:00.0000000`, timeZone: "UTC" });
    window.event = graph.add("events", { subject: "Review", start: time("09"), end: time("10") });
    const week = client.events({ start: "2026-11-22", end: "2026-11-29" });
    const people = client.orgContacts();
    const indexed = { autoIndex: "eager", defaultIndexType: BasicIndex };
    const events = createCollection(deltaCollectionOptions({ query: week, ...indexed }));
    const contacts = createCollection(deltaCollectionOptions({ query: people, ...indexed }));
    const joined = createLiveQueryCollection((q) =>
      q
        .from({ event: events })
        .innerJoin({ contact: contacts }, ({ event, contact }) =>
          eq(event.organizer.emailAddress.address, contact.mail),
        )
        .select(({ event, contact }) => ({ subject: event.subject, by: contact.displayName })),
    );
    await joined.preload();
    window.rows = () => joined.toArray.map(({ subject, by }) => `${subject} by ${by}`).join();
    Object.assign(window, { week, people });
  });
  await page.waitForFunction(() => window.rows() === "Review by Ada");
  await page.evaluate(async () => {
    window.graph.edit("contacts", window.contact, { displayName: "Ada B." });
    window.graph.edit("events", window.event, { subject: "Retrospective" });
    await Promise.all([window.week.sync(), window.people.sync()]);
  });
  await page.waitForFunction(() => window.rows() === "Retrospective by Ada B.");
  await page.evaluate(async () => {
    window.graph.remove("events", window.event);
    await window.week.sync();
  });
  await page.waitForFunction(() => window.rows() === "");
});

inPage("Svelte and Solid accept a view without an adapter", async (page) => {
  await page.evaluate(async () => {
    const { from, createSolidRoot } = window;
    Object.assign(window, await window.open({ names: ["Ada", "Kim"] }));
    const query = window.client.orgContacts();
    window.view = query.view({ orderBy: "displayName" });
    createSolidRoot(() => (window.signal = from(window.view)));
    await query.sync();
  });
  await page.waitForFunction(() => window.signal().items.length === 2);
  const names = await page.evaluate(() => [
    window.get(window.view).items.map(({ displayName }) => displayName),
    window.signal().items === window.get(window.view).items,
  ]);
  assert.deepEqual(names, [["Ada", "Kim"], true]);
});
