// Chromium on a profile of its own, a page with the packed package, the fake Graph behind it, and a
// line from the page to the test.
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

/**
 * The fake Graph with the page in front of it: one origin for as long as the test runs, however
 * often the browser dies.
 */
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
 * A Chromium that may be killed and started again on the same profile. It ends with this process,
 * by the end of its pipe.
 */
export class Browser {
  #profile;
  #child;
  #said = "";

  async start() {
    this.#profile ??= await mkdtemp(join(tmpdir(), "deltalink-profile-"));
    const child = (this.#child = spawn(
      process.env.CHROMIUM || "/usr/bin/chromium",
      [...FLAGS, `--user-data-dir=${this.#profile}`, "about:blank"],
      { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] },
    ));
    this.#said = "";
    const address = await new Promise((resolve, reject) => {
      child.stderr.setEncoding("utf8").on("data", (text) => {
        this.#said += text;
        const found = /DevTools listening on (ws:\S+)/.exec(this.#said);
        if (found) resolve(found[1]);
      });
      child.once("exit", (code) => reject(new Error(`Chromium ended with ${code}: ${this.#said}`)));
    });
    this.connection = await chromium.connectOverCDP(address, { noDefaults: true });
    [this.context] = this.connection.contexts();
    this.context.setDefaultTimeout(20_000);
  }

  /**
   * Whether Chromium has, since the last call, thrown the database away, by its own words. It
   * writes a transaction of more than 32 KB in several pieces, goes on behind a torn one after a
   * kill, and finds at the next opening that its log is broken ("partial record without end").
   */
  dropped() {
    const found = this.#said.includes("recovering from a corrupted (and deleted) database");
    this.#said = "";
    return found;
  }

  /** As a power cut would: no process of it gets to say or write anything more. */
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

  /** A page of the site, ready for use. `control` is where it tells what it does. */
  async page(site, control = "") {
    const page = await this.context.newPage();
    await page.goto(`${site.fake.origin}/?${new URLSearchParams({ control })}`);
    await page.waitForFunction(() => window.follow);
    // Made ahead: a page that is stopped lets no session begin.
    page.session = await this.context.newCDPSession(page);
    return page;
  }
}

/** The renderer of a page ends at once, whatever it is at. */
export async function crash(page) {
  const crashed = page.waitForEvent("crash");
  // It is not answered: who would answer is gone.
  page.session.send("Page.crash").catch(() => {});
  await crashed;
  await page.close();
}

/**
 * What pages tell. A message of the kind `stopped` is never answered, so that the page stays where
 * it is.
 */
export async function startLine() {
  const messages = [];
  let lives = 0;
  let wake = () => {};
  let failed;
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text) => (body += text));
    request.on("end", () => {
      const message = JSON.parse(body);
      // The last words of a page that was killed may come late.
      if (request.url === `/${lives}`) messages.push(message);
      wake();
      if (message.kind !== "stopped") response.writeHead(200, { "access-control-allow-origin": "*" }).end();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const line = {
    /** Where the next page tells; those of before are not heard any more. */
    next() {
      messages.splice(0);
      return `http://127.0.0.1:${server.address().port}/${(lives += 1)}`;
    },
    /** All that was told since the last call. */
    take: () => messages.splice(0),
    /** The same, once this kind is among it; `life` is what the page does meanwhile. */
    async until(kind, life) {
      failed = undefined;
      life.catch((error) => {
        failed = error;
        wake();
      });
      const inTime = guard(20_000, () => {
        const said = messages.map(
          ({ kind, index = "", changes = [] }) => `${kind}${index} (${changes.length})`,
        );
        failed = new Error(
          `no page said "${kind}" within 20 s, but ${said.slice(0, 12).join(", ")} and so on, ${said.length} in all`,
        );
        wake();
      });
      try {
        while (!messages.some((message) => message.kind === kind)) {
          line.check();
          await new Promise((resolve) => (wake = resolve));
        }
        return line.take();
      } finally {
        inTime();
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
  return line;
}

/** Numbers that a seed brings back. */
export function dice(seed) {
  let state = seed >>> 0;
  const roll = (sides) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides;
  };
  return { roll, pick: (list) => list[roll(list.length)] };
}

/** An item without what an answer adds to it: the tables hold no annotations. */
export const bare = (item) =>
  Object.fromEntries(Object.entries(item).filter(([name]) => !name.startsWith("@odata.") && name !== "eTag"));
export const byId = (items) => items.map(bare).sort((one, other) => (one.id < other.id ? -1 : 1));
