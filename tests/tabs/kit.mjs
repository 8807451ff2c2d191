// Opens and controls tabs with a client of a world.
import { Browser } from "../kill/harness.mjs";

/**
 * Opens a tab with a client of a world that all tabs of the test share. A test may set
 * `window.signIn`, which then returns the tokens.
 */
export async function openTab(site, within, world, { locks = true } = {}) {
  const page = await within.newPage();
  if (!locks) await page.addInitScript(() => Object.defineProperty(navigator, "locks", { value: undefined }));
  await page.goto(`${site.fake.origin}/`);
  await page.waitForFunction(() => window.openDelta);
  await page.evaluate(
    async ([root, token]) => {
      const client = await window.openDelta({
        endpoint: root,
        account: "alex",
        token: () => window.signIn?.() ?? token,
        retry: { base: 5, cap: 20 },
      });
      const query = client.orgContacts();
      const outcome = (promise) =>
        promise.then(
          (value) => ({ value }),
          (reason) => (reason instanceof Error ? { reason: reason.code, name: reason.name } : { reason }),
        );
      /** Starts work whose result the test reads later. */
      const begin = (name, work) => (window.ends[name] = outcome(work()));
      const until = ({ status }, holds) =>
        new Promise((resolve) => {
          const stop = status.subscribe(
            (status) => holds(status) && (resolve(), queueMicrotask(() => stop())),
          );
        });
      Object.assign(window, { client, query, outcome, begin, until, ends: {} });
    },
    [world.root, world.tokens.delegated],
  );
  page.session = await within.newCDPSession(page);
  return page;
}

/** Starts a browser whose tabs can be hidden. Only hidden tabs can be frozen. */
export async function startHideable(context, complaints) {
  const browser = new Browser();
  context.after(() => browser.stop());
  await browser.start();
  browser.context.on("weberror", (error) => complaints.push(String(error.error())));
  return browser.context;
}

export async function freeze(page) {
  await page.waitForFunction(() => document.visibilityState === "hidden", undefined, { polling: 20 });
  await page.session.send("Page.setWebLifecycleState", { state: "frozen" });
}

export const thaw = (page) => page.session.send("Page.setWebLifecycleState", { state: "active" });

/** Starts a live query in a tab, and waits until its status shows the next round. */
export async function goLive(page, options) {
  await page.evaluate((options) => {
    window.changes = [];
    window.query.on("change", (changes) => void window.changes.push(...changes));
    window.live = window.query.live(options);
  }, options);
  await waitUntilResting(page);
}

/** Waits until no round runs and the next one is known. */
export const waitUntilResting = (page) =>
  page.evaluate(() =>
    window.until(window.query, ({ phase, nextRoundAt }) => phase === "idle" && nextRoundAt !== undefined),
  );

/** Whether a tab holds the lock of the leader. */
export const leads = (page) =>
  page.evaluate(async () => {
    const name = `deltalink live | ${window.query.key}`;
    const { held } = await navigator.locks.query();
    const holder = held.find((lock) => lock.name === name)?.clientId;
    // A tab finds its own client id only as the holder of a lock.
    const own = await navigator.locks.request("own id", async () => {
      const { held } = await navigator.locks.query();
      return held.find(({ name }) => name === "own id").clientId;
    });
    return holder === own;
  });
