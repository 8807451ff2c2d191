// The harness of the tests: Chromium with a new profile, a tab with the packed package, the fake
// Graph, and a channel by which the tab sends messages to the test.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { startFake } from "../fake.mjs";
import { guard } from "../wait.mjs";

const SITE = fileURLToPath(new URL("site", import.meta.url));
const PACKAGE = fileURLToPath(new URL("../node_modules/deltalink", import.meta.url));
const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-extensions",
  "--disable-breakpad",
  "--enable-logging=stderr",
  "--log-level=2",
  "--remote-debugging-port=0",
  "--remote-debugging-pipe",
];

/** Starts the fake Graph, which also serves the site, so that all browsers use the same origin. */
export async function startSite() {
  const folder = await mkdtemp(join(tmpdir(), "deltalink-site-"));
  await cp(SITE, folder, { recursive: true });
  await cp(PACKAGE, join(folder, "deltalink"), { recursive: true });
  const fake = await startFake("--static", folder);
  return {
    fake,
    async stop() {
      await fake.stop();
      await rm(folder, { recursive: true });
    },
  };
}

/**
 * A Chromium that a test may kill and start again with the same profile. It exits with this
 * process, because its pipe closes.
 */
export class Browser {
  #profile;
  #child;
  #stderr = "";

  async start() {
    this.#profile ??= await mkdtemp(join(tmpdir(), "deltalink-profile-"));
    const child = (this.#child = spawn(
      process.env.CHROMIUM || "/usr/bin/chromium",
      [...FLAGS, `--user-data-dir=${this.#profile}`, "about:blank"],
      { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] },
    ));
    this.#stderr = "";
    const address = await new Promise((resolve, reject) => {
      child.stderr.setEncoding("utf8").on("data", (text) => {
        this.#stderr += text;
        const found = /DevTools listening on (ws:\S+)/.exec(this.#stderr);
        if (found) resolve(found[1]);
      });
      child.once("exit", (code) => reject(new Error(`Chromium exited with ${code}: ${this.#stderr}`)));
    });
    this.connection = await chromium.connectOverCDP(address, { noDefaults: true });
    [this.context] = this.connection.contexts();
    this.context.setDefaultTimeout(20_000);
  }

  /**
   * Whether Chromium has printed since the last call that it deleted the database. Chromium writes
   * a transaction of more than 32 KB in several pieces. If it was killed between two, it appends to
   * the incomplete one, and at the next opening finds its log corrupted ("partial record without
   * end").
   */
  dropped() {
    const found = this.#stderr.includes("recovering from a corrupted (and deleted) database");
    this.#stderr = "";
    return found;
  }

  /** Kills all processes of the browser at once, like a power failure. */
  async kill() {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
    await this.connection.close().catch(() => {});
  }

  async stop() {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) await this.kill();
    if (this.#profile) await rm(this.#profile, { recursive: true, maxRetries: 20, retryDelay: 50 });
  }

  /** Opens a tab with the site. `control` is the URL to which it sends messages. */
  async page(site, control = "") {
    const page = await this.context.newPage();
    await page.goto(`${site.fake.origin}/?${new URLSearchParams({ control })}`);
    await page.waitForFunction(() => window.runFollower);
    // Opened now, because a stopped tab cannot open a session.
    page.session = await this.context.newCDPSession(page);
    return page;
  }
}

/** Crashes the renderer of a tab. */
export async function crash(page) {
  const crashed = page.waitForEvent("crash");
  // The call never returns, because the renderer has crashed.
  page.session.send("Page.crash").catch(() => {});
  await crashed;
  await page.close();
}

/**
 * Starts the channel for the messages of tabs. A message of the kind `stopped` gets no response, so
 * that the tab stays at this point.
 */
export async function startChannel() {
  const messages = [];
  let tabs = 0;
  let notify = () => {};
  let failed;
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text) => (body += text));
    request.on("end", () => {
      const message = JSON.parse(body);
      // Messages of a tab that was killed may arrive late.
      if (request.url === `/${tabs}`) messages.push(message);
      notify();
      if (message.kind !== "stopped") response.writeHead(200, { "access-control-allow-origin": "*" }).end();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const channel = {
    /**
     * The URL for the messages of the next tab. Messages of earlier tabs are ignored from now on.
     */
    next() {
      messages.splice(0);
      return `http://127.0.0.1:${server.address().port}/${(tabs += 1)}`;
    },
    /** Returns the messages since the last call. */
    take: () => messages.splice(0),
    /** Waits for a message of this kind, then returns as `take` does. Rejects if `run` does. */
    async until(kind, run) {
      failed = undefined;
      run.catch((error) => {
        failed = error;
        notify();
      });
      const cancelTimeout = guard(20_000, () => {
        const others = messages.map(
          ({ kind, index = "", changes = [] }) => `${kind}${index} (${changes.length})`,
        );
        failed = new Error(
          `no tab sent "${kind}" within 20 s; ${others.length} other messages came: ${others.slice(0, 12).join(", ")} …`,
        );
        notify();
      });
      try {
        while (!messages.some((message) => message.kind === kind)) {
          channel.check();
          await new Promise((resolve) => (notify = resolve));
        }
        return channel.take();
      } finally {
        cancelTimeout();
      }
    },
    check() {
      if (failed) throw failed;
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
  return channel;
}

/** Random numbers that depend only on the seed. */
export function seededRandom(seed) {
  let state = seed >>> 0;
  const below = (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
  return { below, pick: (list) => list[below(list.length)] };
}

/** An item without the OData annotations that a response adds. */
export const withoutAnnotations = (item) =>
  Object.fromEntries(Object.entries(item).filter(([name]) => !name.startsWith("@odata.") && name !== "eTag"));
export const byId = (items) =>
  items.map(withoutAnnotations).sort((one, other) => (one.id < other.id ? -1 : 1));
