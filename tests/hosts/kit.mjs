// Makes projects like those of users in temporary folders, with the packed package, and starts
// servers and Chromium.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { startChromium } from "../dashboard/harness.mjs";
import { startFake } from "../fake.mjs";
import { guard } from "../wait.mjs";

const here = new URL(".", import.meta.url).pathname;
const root = new URL("../..", import.meta.url).pathname;
const tarball = join(root, "dist/deltalink.tgz");
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Starts a fake Graph and Chromium for all projects. `end()` stops both. */
export async function stage() {
  const fake = await startFake();
  const browser = await startChromium();
  return {
    fake,
    browser,
    async end() {
      await browser.close();
      await fake.stop();
    },
  };
}

/** The running child processes, which end with this process. */
const running = new Set();
process.once("exit", () => running.forEach(kill));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** Signals the process group of a child, so that its own children end too. */
function kill(child) {
  process.kill(-child.pid, "SIGTERM");
}

export class Project {
  #stage;
  #ends = [];

  /**
   * Makes a project. `parts` are pairs: a path in this folder and its place in the project.
   * With `install`, npm installs the tools of the project.
   */
  static async make(stage, parts, install) {
    const project = new Project();
    project.#stage = stage;
    project.folder = await mkdtemp(join(tmpdir(), "deltalink-host-"));
    project.#ends.push(() => rm(project.folder, { recursive: true }));
    try {
      for (const [from, to] of parts)
        await cp(join(here, from), join(project.folder, to), { recursive: true });
      if (install) {
        await project.run(
          `npm install --no-save --no-package-lock --prefer-offline --no-audit --no-fund --loglevel=error ${tarball}`,
        );
      } else {
        await project.run(
          `mkdir -p node_modules/deltalink && tar xzf ${tarball} -C node_modules/deltalink --strip-components=1`,
        );
      }
      return project;
    } catch (error) {
      await project.end();
      throw error;
    }
  }

  async end() {
    for (const end of this.#ends.reverse()) await end();
  }

  /**
   * Runs a command in the project and returns its output. Tools that the project does not install
   * come from this repository.
   */
  async run(command, ...args) {
    const child = this.#spawn(command, args);
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text) => (output += text));
    const [code] = await once(child, "close");
    assert.equal(code, 0, `${command}: ${output}`);
    return output;
  }

  /** Runs a program and parses the last line of its output as JSON. */
  async json(command) {
    const { root, tokens } = await this.world();
    const output = await this.run(`${command} "$@"`, root, tokens.delegated);
    return JSON.parse(output.trim().split("\n").at(-1));
  }

  /** Starts a server and resolves to its origin. */
  async start(command, port) {
    const child = this.#spawn(command, []);
    let output = "";
    let up;
    const listening = new Promise((resolve) => (up = resolve));
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
        if (output.includes(`:${port}`)) up();
      });
    }
    const ended = once(child, "close").then(() => Promise.reject(new Error(`${command}: ${output}`)));
    ended.catch(() => {});
    this.#ends.push(async () => {
      if (running.has(child)) kill(child);
      await ended.catch(() => {});
    });
    const cancelTimeout = guard(60_000, () => kill(child));
    await Promise.race([listening, ended]);
    cancelTimeout();
    return `http://127.0.0.1:${port}`;
  }

  #spawn(command, args) {
    const path = [
      join(this.folder, "node_modules/.bin"),
      join(root, "node_modules/.bin"),
      process.env.PATH,
    ].join(":");
    const env = {
      ...process.env,
      PATH: path,
      CI: "true",
      NO_COLOR: "1",
      FORCE_COLOR: "0",
      NEXT_TELEMETRY_DISABLED: "1",
      WRANGLER_SEND_METRICS: "false",
    };
    const child = spawn("bash", ["-c", command, "bash", ...args], {
      cwd: this.folder,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    running.add(child);
    child.once("close", () => running.delete(child));
    return child;
  }

  /** Serves a folder of the project as static files. */
  async serve(folder = ".") {
    const served = await serve((path) => join(this.folder, folder, path));
    this.#ends.push(served.end);
    return served.origin;
  }

  /** Opens a web page and resolves to the result of its round. */
  async openInBrowser(url) {
    const { root, tokens } = await this.world();
    const context = await this.#stage.browser.newContext();
    try {
      const page = await context.newPage();
      const errors = [];
      page.on("pageerror", (error) => errors.push(error.message));
      await page.goto(`${url}?${new URLSearchParams({ endpoint: root, token: tokens.delegated })}`);
      const result = page.waitForFunction(() => document.body?.dataset.result, undefined, {
        timeout: 30_000,
      });
      return JSON.parse(
        await (
          await result.catch((error) => Promise.reject(new Error([error.message, ...errors].join("; "))))
        ).jsonValue(),
      );
    } finally {
      await context.close();
    }
  }

  /** Sends a request to a server and parses the response as JSON. */
  async getJson(url, fetcher = fetch) {
    const { root, tokens } = await this.world();
    const response = await fetcher(
      `${url}?${new URLSearchParams({ endpoint: root, token: tokens.delegated })}`,
    );
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return JSON.parse(text);
  }

  world() {
    return this.#stage.fake.world({ populate: { contacts: 25 } });
  }
}

/** The expected result of a round, with the origin of the wasm. */
export const resultOf = (wasmOrigin) => ({ wasmOrigin, pages: 3, added: 25, count: 25 });

/** Serves files by their path. `respond` can return another status, type and body for a path. */
export async function serve(file, respond = () => undefined, headers = {}) {
  const requestedPaths = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://127.0.0.1");
    requestedPaths.push(pathname);
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const found = async () => ({
      status: 200,
      type: TYPES[extname(path)] ?? "text/plain",
      body: await readFile(file(path)),
    });
    const { status, type, body } =
      (await respond(path)) ??
      (await found().catch(() => ({ status: 404, type: "text/plain", body: "the file does not exist" })));
    response.writeHead(status, { "content-type": type, ...headers });
    response.end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    requestedPaths,
    end: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

/** Returns a port that is free now. */
export async function freePort() {
  const { origin, end } = await serve(() => "");
  await end();
  return new URL(origin).port;
}
