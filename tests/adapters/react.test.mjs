// The hooks of deltalink/react with both versions of React in Chromium. The fake Graph runs in the
// web page too. tests/adapters/site/react.js has the functions that the tests call there.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { until } from "../wait.mjs";
import { stage, withReact } from "./kit.mjs";

let pages;
before(async () => (pages = await stage(withReact("site/react.js"))));
after(() => pages.end());

test("the packed file begins with the directive of client components", async () => {
  const packed = await readFile(new URL("../node_modules/deltalink/react.js", import.meta.url), "utf8");
  assert.match(packed, /^"use client";/);
});

for (const version of ["react-18", "react-19"]) {
  /** Runs a test in a new tab, which must log no error and no warning. */
  const inPage = (name, run) =>
    test(`${version}: ${name}`, async () => {
      const { page, complaints, close } = await pages.open(version, "Names");
      try {
        await run(page, complaints);
        assert.deepEqual(complaints, []);
      } finally {
        await close();
      }
    });
  /** Waits until the tab shows this text. */
  const shows = (page, text) => page.waitForFunction((text) => window.text() === text, text);

  inPage("the first render is empty, and the last one has the rows in order", async (page) => {
    await page.evaluate(async () => {
      const { client } = await window.open({ names: ["Kim", "Ada", "Lou"] });
      window.log = [];
      const { h, Names, DeltaProvider } = window;
      const names = h(Names, { options: { orderBy: "displayName" }, log: window.log });
      window.mount(h(DeltaProvider, { client }, names));
    });
    await shows(page, "Ada,Kim,Lou");
    await page.waitForFunction(() => window.result.status.lastSyncedAt);
    const { first, last } = await page.evaluate(() => ({ first: window.log[0], last: window.result }));
    assert.deepEqual([first.items, first.ready, first.total, first.status.phase], [[], false, 0, "new"]);
    assert.deepEqual([last.items.length, last.ready, last.total], [3, true, 3]);
  });

  inPage(
    "no render says that there is nothing before the rows of the first round are there",
    async (page) => {
      await page.evaluate(async () => {
        const { client } = await window.open({ names: ["Kim", "Ada", "Lou"] });
        window.log = [];
        window.mount(window.h(window.DeltaProvider, { client }, window.h(window.Names, { log: window.log })));
      });
      await page.waitForFunction(() => window.result.synced);
      const renders = await page.evaluate(() =>
        window.log.map(({ items, synced, status }) => [items.length, synced, status.phase]),
      );
      assert.ok(
        renders.every(([length, synced, phase]) => length === 3 || !(synced || phase === "idle")),
        `${renders}`,
      );
    },
  );

  inPage("a change renders only the row that has changed", async (page) => {
    await page.evaluate(async () => {
      const { h, React, DeltaProvider, useDelta, useDeltaClient } = window;
      const opened = await window.open({ names: ["Ada", "Kim", "Lou"] });
      Object.assign(window, opened, { renders: [] });
      const Row = React.memo(({ item }) => {
        window.renders.push(item.displayName);
        return item.displayName;
      });
      function List() {
        const { items, syncNow } = useDelta(useDeltaClient()?.orgContacts(), { orderBy: "displayName" });
        window.syncNow = syncNow;
        return items.map((item) => h(Row, { key: item.id, item }));
      }
      window.mount(h(DeltaProvider, { client: opened.client }, h(List)));
    });
    await shows(page, "AdaKimLou");
    await page.evaluate(async () => {
      await window.statusUntil(window.client.orgContacts(), ({ nextRoundAt }) => nextRoundAt);
      window.renders.length = 0;
      const { id } = window.graph.items("contacts").find(({ displayName }) => displayName === "Kim");
      window.graph.edit("contacts", id, { displayName: "Kit" });
      await window.syncNow();
    });
    await shows(page, "AdaKitLou");
    assert.deepEqual(await page.evaluate(() => window.renders), ["Kit"]);
  });

  inPage("StrictMode causes no second round", async (page) => {
    await page.evaluate(async () => {
      const { h, React, Names, DeltaProvider } = window;
      Object.assign(window, await window.open({ names: ["Ada", "Kim"] }));
      window.mount(h(React.StrictMode, null, h(DeltaProvider, { client: window.client }, h(Names))));
    });
    await page.waitForFunction(() => window.result?.status.nextRoundAt && window.result.items.length === 2);
    const kinds = await page.evaluate(async () => {
      await window.waitForDueRequests();
      return window.graph.requests().map(({ kind }) => kind);
    });
    assert.deepEqual(kinds, ["initial"]);
  });

  inPage(
    "an unmounted component leaves no live query, and one that is mounted again at once sends no request",
    async (page) => {
      await page.evaluate(async () => {
        const { h, Names, DeltaProvider } = window;
        Object.assign(window, await window.open({ names: ["Ada"] }));
        window.app = (child) => h(DeltaProvider, { client: window.client }, child);
        window.root = window.mount(window.app(h(Names)));
        window.contacts = window.client.orgContacts();
      });
      await page.waitForFunction(() => window.result?.status.nextRoundAt);
      const requests = await page.evaluate(async () => {
        window.graph.clearRequests();
        window.flushSync(() => window.root.render(window.app(null)));
        window.root.render(window.app(window.h(window.Names)));
        await window.waitForDueRequests();
        return window.graph.requests().length;
      });
      assert.equal(requests, 0);
      await page.waitForFunction(() => window.text() === "Ada" && window.contacts.status.get().nextRoundAt);
      await page.evaluate(() => window.root.render(window.app(null)));
      await page.waitForFunction(() => !window.contacts.status.get().nextRoundAt);
      assert.equal(await page.evaluate(() => window.graph.requests().length), 0);
    },
  );

  inPage("after a change of the client, no row of the previous client is shown", async (page) => {
    await page.evaluate(async () => {
      const { h, React, DeltaProvider, useDelta, useDeltaClient } = window;
      const ada = await window.open({ names: ["Ada"], account: "ada" });
      const kim = await window.open({ names: ["Kim"], account: "kim" });
      const lou = await window.open({ names: ["Lou"], account: "lou" });
      const owners = new Map([
        [ada.client, "Ada"],
        [kim.client, "Kim"],
        [lou.client, "Lou"],
      ]);
      window.mixed = [];
      function List() {
        const client = useDeltaClient();
        const { items } = useDelta(client?.orgContacts());
        const owner = owners.get(client);
        const names = items.map(({ displayName }) => displayName).join();
        React.useLayoutEffect(() => {
          if (names && names !== owner) window.mixed.push([owner, names]);
        });
        return names;
      }
      const app = (client) => h(DeltaProvider, { client }, h(List));
      const root = window.mount(app(ada.client));
      Object.assign(window, {
        toKim: () => root.render(app(kim.client)),
        toLou: () => root.render(app(Promise.resolve(lou.client))),
        signOut: () => root.render(app(undefined)),
      });
    });
    await shows(page, "Ada");
    await page.evaluate(() => window.toKim());
    await shows(page, "Kim");
    await page.evaluate(() => window.toLou());
    await shows(page, "Lou");
    await page.evaluate(() => window.signOut());
    await shows(page, "");
    assert.deepEqual(await page.evaluate(() => window.mixed), []);
  });

  inPage(
    "new functions are used when deps change, and other options when their values change",
    async (page) => {
      await page.evaluate(async () => {
        const { h, Names, DeltaProvider } = window;
        const { client } = await window.open({ names: ["Ada", "Ann", "Kim"] });
        window.log = [];
        const app = (letter, deps, limit) => {
          const where = ({ displayName }) => displayName.startsWith(letter);
          const options = { where, orderBy: "displayName", limit, live: { every: 60_000 } };
          return h(DeltaProvider, { client }, h(Names, { options, deps, log: window.log }));
        };
        const root = window.mount(app("A", ["A"], 5));
        window.show = (...values) => window.flushSync(() => root.render(app(...values)));
      });
      await shows(page, "Ada,Ann");
      await page.evaluate(() => window.show("K", ["A"], 5));
      assert.equal(await page.evaluate(() => window.text()), "Ada,Ann");
      const { isSame, count } = await page.evaluate(() => {
        const before = window.result.items;
        window.show("A", ["A"], 5);
        return { isSame: before === window.result.items, count: window.result.items.length };
      });
      assert.deepEqual([isSame, count], [true, 2]);
      await page.evaluate(() => (window.log.length = 0));
      await page.evaluate(() => window.show("K", ["K"], 5));
      assert.equal(await page.evaluate(() => window.text()), "Kim", "at once");
      await page.evaluate(() => window.show("A", ["A"], 1));
      assert.equal(await page.evaluate(() => window.text()), "Ada");
      const lengths = await page.evaluate(() => window.log.map(({ items }) => items.length));
      assert.ok(!lengths.includes(0), `an empty list was rendered: ${lengths}`);
    },
  );

  inPage("HTML from a server hydrates without a warning, and then shows the rows", async (page) => {
    const html = await page.evaluate(async () => {
      const { h, DeltaProvider, useDelta, useDeltaClient } = window;
      window.log = [];
      function List() {
        const result = useDelta(useDeltaClient()?.orgContacts());
        window.log.push(result);
        const { items, ready, total, status } = result;
        return h("p", null, `${items.length} ${ready} ${total} ${status.phase}`);
      }
      const app = (client) => h(DeltaProvider, { client }, h(List));
      const html = window.renderToString(app(undefined));
      window.renderToString(app(undefined));
      document.querySelector("#root").innerHTML = html;
      window.isFrozen = Object.isFrozen(window.log[0].items) && window.log[0].items === window.log[1].items;
      const { client } = await window.open({ names: ["Ada", "Kim"] });
      window.client = client;
      // The client is open already, but must not be used before the end of the hydration.
      window.hydrateRoot(document.querySelector("#root"), app(client));
      return html;
    });
    assert.match(html, /<p>0 false 0 new<\/p>/);
    assert.ok(await page.evaluate(() => window.isFrozen));
    await page.waitForFunction(() => window.text() === "2 true 2 idle");
  });

  inPage(
    "components without a query show the error of a promise that rejects, and the console has it once",
    async (page, complaints) => {
      await page.evaluate(() => {
        const { h, React, Names, DeltaProvider } = window;
        const client = Promise.reject(Object.assign(new Error("no store"), { code: "store" }));
        window.mount(h(React.StrictMode, null, h(DeltaProvider, { client }, h(Names))));
      });
      await until(() => complaints.length > 0);
      await page.waitForFunction(() => window.result?.status.phase === "failed");
      const { code, count } = await page.evaluate(() => ({
        code: window.result.error.code,
        count: window.result.items.length,
      }));
      assert.deepEqual([code, count], ["store", 0]);
      const [complaint, ...others] = complaints.splice(0);
      assert.match(complaint, /no store/);
      assert.deepEqual(others, []);
    },
  );

  inPage("useSignInError() has the error while any query waits for a sign-in", async (page) => {
    await page.evaluate(async () => {
      const { h, DeltaProvider, useSignInError } = window;
      let isSignedIn = false;
      const token = async () => {
        if (isSignedIn)
          return { accessToken: "a-token-of-the-user", expiresOn: new Date(Date.now() + 3.6e6) };
        throw Object.assign(new Error("sign in"), { name: "InteractionRequiredAuthError" });
      };
      window.signIn = () => (isSignedIn = true);
      Object.assign(window, await window.open({ token }));
      const Banner = () => useSignInError()?.code ?? "signed in";
      window.mount(h(DeltaProvider, { client: window.client }, h(Banner)));
    });
    await shows(page, "signed in");
    await page.evaluate(() =>
      window.client
        .orgContacts()
        .sync()
        .catch(() => {}),
    );
    await shows(page, "interaction");
    await page.evaluate(() => {
      window.signIn();
      window.client.resume();
    });
    await shows(page, "signed in");
  });

  inPage(
    "a closed client breaks no component, and does not affect the client of another account",
    async (page) => {
      await page.evaluate(async () => {
        const { h, Names, DeltaProvider, useDelta } = window;
        const mine = await window.open({ names: ["Ada"] });
        const other = await window.open({ names: ["Kim"], account: "kim" });
        const contacts = other.client.orgContacts();
        const Other = () => useDelta(contacts).items.length;
        window.mount(h(DeltaProvider, { client: mine.client }, h(Names), "|", h(Other)));
        Object.assign(window, { mine, other });
      });
      await shows(page, "Ada|1");
      await page.evaluate(() => window.other.client.close());
      // A closed client shows no rows.
      await shows(page, "Ada|0");
      await page.evaluate(() => window.mine.client.forget());
      await shows(page, "|0");
      assert.equal(await page.evaluate(() => window.result.status.phase), "closed");
    },
  );

  inPage(
    "syncNow() resolves when a round fails, and the error is shown; with live: false no round starts",
    async (page) => {
      await page.evaluate(async () => {
        const { h, Names, DeltaProvider } = window;
        Object.assign(window, await window.open({ names: ["Ada"] }));
        window.app = (live) => h(DeltaProvider, { client: window.client }, h(Names, { options: { live } }));
        window.root = window.mount(window.app(false));
      });
      await page.waitForFunction(() => window.result?.ready);
      const requests = await page.evaluate(async () => {
        await window.waitForDueRequests();
        return window.graph.requests().length;
      });
      assert.equal(requests, 0);
      const fail = () =>
        page.evaluate(async () => {
          window.graph.fault({ name: "status", status: 403, code: "Forbidden" });
          await window.result.syncNow();
        });
      await fail();
      await page.waitForFunction(() => window.result.error?.code === "forbidden");
      await page.evaluate(() => window.result.syncNow());
      await shows(page, "Ada");
      await page.evaluate(() => window.flushSync(() => window.root.render(window.app(true))));
      await page.waitForFunction(() => window.result.status.nextRoundAt && !window.result.error);
      await fail();
      await page.waitForFunction(() => window.result.error?.code === "forbidden" && window.text() === "Ada");
    },
  );

  inPage(
    "a query that each render makes anew ends with an error that names the cause",
    async (page, complaints) => {
      await page.evaluate(async () => {
        const { h, React, DeltaProvider, useDelta, useDeltaClient } = window;
        Object.assign(window, await window.open({ names: ["Ada"] }));
        class Boundary extends React.Component {
          state = {};
          static getDerivedStateFromError = ({ message }) => ({ message });
          render() {
            return this.state.message ?? this.props.children;
          }
        }
        function Soon() {
          const end = new Date(Date.now() + 86_400_000);
          return useDelta(useDeltaClient()?.events({ start: new Date(), end })).items.length;
        }
        window.mount(h(Boundary, null, h(DeltaProvider, { client: window.client }, h(Soon))));
      });
      await page.waitForFunction(() => window.text().includes("use options.window, or the start of a day"));
      complaints.length = 0;
    },
  );

  inPage("a client that is closed before the provider is mounted is closed, not new", async (page) => {
    await page.evaluate(async () => {
      const { h, DeltaProvider, useDelta, useDeltaClient } = window;
      const { client } = await window.open({ names: ["Ada"] });
      await client.close();
      const Phase = () => {
        const current = useDeltaClient();
        return `${current === undefined} ${useDelta(current?.orgContacts()).status.phase} `;
      };
      window.mount([
        h(DeltaProvider, { client, key: 1 }, h(Phase)),
        h(DeltaProvider, { client: Promise.resolve(client), key: 2 }, h(Phase)),
      ]);
    });
    await shows(page, "true closed true closed ");
  });

  inPage("a client that is closed while it is shown is closed, even without a query", async (page) => {
    await page.evaluate(async () => {
      const { h, React, DeltaProvider, useDeltaClient, useDeltaStatus } = window;
      const { client } = await window.open({ names: ["Ada"] });
      Object.assign(window, { client });
      const Account = () => `${useDeltaClient() === undefined} ${useDeltaStatus(undefined).phase}`;
      window.mount(h(React.StrictMode, null, h(DeltaProvider, { client }, h(Account))));
    });
    await shows(page, "false new");
    await page.evaluate(() => window.client.close());
    await shows(page, "true closed");
  });

  inPage("the words of a status change as time passes", async (page) => {
    await page.clock.install();
    await page.evaluate(() => {
      const status = { phase: "idle", lastSyncedAt: new Date() };
      window.mount(window.h(() => window.useDescription(status, { sentences: { idle: "As of {since}." } })));
    });
    await shows(page, "As of now.");
    await page.clock.runFor(61_000);
    await shows(page, "As of 1 minute ago.");
  });

  inPage("a filter that throws for new deps is an error of the hook", async (page, complaints) => {
    await page.evaluate(async () => {
      const { h, DeltaProvider, useDelta, useDeltaClient } = window;
      const { client } = await window.open({ names: ["Ada", "Kim"] });
      function Found({ text }) {
        const where = ({ displayName }) => new RegExp(text).test(displayName);
        const { items, status, error } = useDelta(useDeltaClient()?.orgContacts(), { where }, [text]);
        return `${items.length} ${status.phase === "failed"} ${error?.code} ${error?.cause?.name}`;
      }
      const app = (text) => h(DeltaProvider, { client }, h(Found, { text }));
      const root = window.mount(app("A"));
      window.show = (text) => window.flushSync(() => root.render(app(text)));
    });
    await shows(page, "1 false undefined undefined");
    await page.evaluate(() => window.show("("));
    await shows(page, "0 true bad-request SyntaxError");
    await page.evaluate(() => window.show("K"));
    await shows(page, "1 false undefined undefined");
    assert.ok(complaints.length >= 1);
    for (const complaint of complaints) assert.match(complaint, /SyntaxError/);
    complaints.length = 0;
  });

  inPage("hooks without a provider, or with a feed, say what is missing", async (page, complaints) => {
    const messages = await page.evaluate(async () => {
      const { h, DeltaProvider, Names, useDelta, useDeltaStatus, useSignInError } = window;
      const { client } = await window.open({ names: ["Ada"] });
      const OfFeed = () => useDelta(client.orgContacts({ mirror: false })).items.length;
      const Banner = () => String(useSignInError());
      const OfPromise = () => useDelta(Promise.resolve(client.orgContacts())).items.length;
      const StatusOfPromise = () => useDeltaStatus(Promise.resolve(client.orgContacts())).phase;
      const WordsOfReadable = () => window.useDescription(client.orgContacts().status);
      const inProvider = (component) => h(DeltaProvider, { client }, h(component));
      return [
        h(Names),
        h(Banner),
        ...[OfFeed, OfPromise, StatusOfPromise, WordsOfReadable].map(inProvider),
      ].map((element) => {
        try {
          return window.renderToString(element);
        } catch (error) {
          return `${error.code}: ${error.message}`;
        }
      });
    });
    assert.deepEqual(messages, [
      "bad-request: useDeltaClient() needs a <DeltaProvider> around its component",
      "bad-request: useSignInError() needs a <DeltaProvider> around its component",
      "bad-request: useDelta() needs a mirror, and a feed (mirror: false) has none",
      "bad-request: useDelta() needs a query, such as client.orgContacts(), got a Promise",
      "bad-request: useDeltaStatus() needs a query, such as client.orgContacts(), got a Promise",
      "bad-request: useDescription() needs the status of useDelta() or useDeltaStatus(query), got an object",
    ]);
    complaints.length = 0;
  });

  inPage("all components of a transition show the same state of the mirror", async (page) => {
    await page.evaluate(async () => {
      const { h, React, DeltaProvider, useDelta, useDeltaClient } = window;
      Object.assign(window, await window.open({ names: ["Ada"] }), { torn: [] });
      const Count = ({ name }) => {
        const { length } = useDelta(useDeltaClient()?.orgContacts()).items;
        return h("i", { className: name }, length);
      };
      /** A slow render, so that React yields between the components of a transition. */
      const Slow = () => {
        const end = performance.now() + 3;
        while (performance.now() < end);
        return null;
      };
      const slow = Array.from({ length: 30 }, (_, key) => h(Slow, { key }));
      const App = () => {
        const [shown, show] = React.useState(false);
        window.reveal = () => React.startTransition(() => show(true));
        React.useLayoutEffect(() => {
          const [one, other] = [".a", ".b"].map((name) => document.querySelector(name)?.textContent);
          if (one !== other) window.torn.push([one, other]);
        });
        return shown && [h(Count, { key: "a", name: "a" }), ...slow, h(Count, { key: "b", name: "b" })];
      };
      await window.client.orgContacts().sync();
      // Reads the rows before the transition.
      window.view = window.client.orgContacts().view();
      window.view.subscribe(() => {});
      window.mount(h(DeltaProvider, { client: window.client }, h(App)));
    });
    await page.waitForFunction(() => window.reveal && window.view.get().ready);
    await page.evaluate(async () => {
      window.reveal();
      window.graph.add("contacts", { displayName: "Kim" });
      await window.client.orgContacts().sync();
    });
    await page.waitForFunction(() => window.text(".a") === "2" && window.text(".b") === "2");
    assert.deepEqual(await page.evaluate(() => window.torn), []);
  });
}
