// Starts Chromium, Firefox and WebKitGTK by the WebDriver protocol. Each start runs a new driver
// and a browser with a new profile.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { delayed } from "./wait.mjs";

const TIMEOUTS = { script: 300_000, pageLoad: 60_000 };
/** Runs in the tab: calls a method of an object of the window, and returns its result. */
const CALL = `
  const [object, name, values, done] = arguments;
  Promise.resolve().then(() => window[object][name](...values))
    .then((value) => ({ value }), (error) => ({ error: String(error) + "\\n" + (error.stack ?? "") }))
    .then(done);`;

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function command(driver, method, path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`${driver}${path}`, { method, headers, body: body && JSON.stringify(body) });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${value?.error} ${value?.message}`);
  return value;
}

/** Polls the driver until it accepts a session. Throws if it has exited. */
async function ready(driver, child) {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the driver exited with ${child.exitCode}`);
    const status = await command(driver, "GET", "/status").catch(() => undefined);
    if (status?.ready) return;
    await delayed(50);
  }
}

/** A browser. `object` names the object of the window whose methods `call` calls. */
class Session {
  #driver;
  #path;
  #object;
  #end;

  constructor(driver, { sessionId, capabilities }, object, end) {
    this.#driver = driver;
    this.#path = `/session/${sessionId}`;
    this.#object = object;
    this.#end = end;
    this.version = capabilities.browserVersion;
  }

  #command(method, path, body) {
    return command(this.#driver, method, `${this.#path}${path}`, body);
  }

  setTimeouts() {
    return this.#command("POST", "/timeouts", TIMEOUTS);
  }

  /** Opens a web page and waits until its window has the object. */
  async goto(url) {
    await this.#command("POST", "/url", { url });
    const script = `return Boolean(window[${JSON.stringify(this.#object)}])`;
    while (!(await this.#command("POST", "/execute/sync", { script, args: [] }))) await delayed(10);
  }

  /** Unloads the web page and opens another one. */
  async renew(url) {
    await this.#command("POST", "/url", { url: "about:blank" });
    await this.goto(url);
  }

  /** Calls a method of the object of the window. */
  async call(name, ...values) {
    const result = await this.#command("POST", "/execute/async", {
      script: CALL,
      args: [this.#object, name, values],
    });
    if (result.error) throw new Error(result.error);
    return result.value;
  }

  /** The handle of the current tab. */
  tab() {
    return this.#command("GET", "/window");
  }

  /** Opens another tab of the same profile. Returns its handle. */
  async newTab() {
    const { handle } = await this.#command("POST", "/window/new", { type: "tab" });
    return handle;
  }

  /** Makes a tab the current one. */
  select(handle) {
    return this.#command("POST", "/window", { handle });
  }

  /** Closes the current tab. */
  closeTab() {
    return this.#command("DELETE", "/window");
  }

  async stop() {
    await this.#command("DELETE", "");
    await this.#end();
  }
}

/** `line(port)` is the driver's command line; `capabilities` are those of the session. */
function engineOf(name, missing, line, capabilities, env) {
  return {
    name,
    missing,
    async start(object) {
      const port = await freePort();
      const [program, ...args] = line(port);
      const child = spawn(program, args, {
        stdio: "ignore",
        detached: true,
        env: { ...process.env, ...env },
      });
      const ended = once(child, "exit");
      // Signals the process group of the driver, so that the browser ends too.
      const kill = () => child.exitCode === null && process.kill(-child.pid, "SIGTERM");
      process.once("exit", kill);
      const end = async () => {
        process.off("exit", kill);
        kill();
        await ended;
      };
      const driver = `http://127.0.0.1:${port}`;
      try {
        await ready(driver, child);
        const body = { capabilities: { alwaysMatch: capabilities() } };
        const session = new Session(driver, await command(driver, "POST", "/session", body), object, end);
        await session.setTimeouts();
        return session;
      } catch (error) {
        kill();
        throw error;
      }
    },
  };
}

const CAPABILITIES = fileURLToPath(new URL("../webdriver.json", import.meta.url));
const optionsOf = (browser) => JSON.parse(readFileSync(CAPABILITIES, "utf8"))[browser];
const isMissing = (name) => () => !process.env[name] && "it is not installed";

export const chromium = engineOf(
  "Chromium",
  isMissing("CHROMEDRIVER"),
  (port) => [process.env.CHROMEDRIVER, `--port=${port}`],
  () => ({
    browserName: "chrome",
    "goog:chromeOptions": { ...optionsOf("goog:chromeOptions"), binary: process.env.CHROMIUM },
  }),
);

export const firefox = engineOf(
  "Firefox",
  isMissing("FIREFOX"),
  (port) => [`${process.env.TOOLS}/bin/geckodriver`, "--port", String(port), "--host", "127.0.0.1"],
  () => ({
    browserName: "firefox",
    "moz:firefoxOptions": { binary: process.env.FIREFOX, args: ["-headless"] },
  }),
);

const WEBKIT = "webkitgtk:browserOptions";

export const webkit = engineOf(
  "WebKit",
  isMissing("WEBKITDRIVER"),
  (port) => ["xvfb-run", "-a", process.env.WEBKITDRIVER, `--port=${port}`, "--host=127.0.0.1"],
  () => ({ [WEBKIT]: optionsOf(WEBKIT) }),
  { WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" },
);
