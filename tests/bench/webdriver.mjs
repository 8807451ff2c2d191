// Firefox and WebKitGTK, by plain calls of the WebDriver protocol. Each start is a driver and a
// browser on a fresh profile.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { delayed } from "../wait.mjs";

const ELEMENT_TIMEOUTS = { script: 300_000, pageLoad: 60_000 };
/**
 * Runs in the page: calls a function of window.bench, and answers what it resolves to or why it
 * failed.
 */
const CALL = `
  const [name, values, done] = arguments;
  Promise.resolve().then(() => window.bench[name](...values))
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

/** Asks the driver until it is ready for a session, or has ended. */
async function ready(driver, child) {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the driver ended with ${child.exitCode}`);
    const status = await command(driver, "GET", "/status").catch(() => undefined);
    if (status?.ready) return;
    await delayed(50);
  }
}

/** `line(port)` is the driver's command line; `capabilities` are those of the session. */
function engineOf(name, missing, line, capabilities, env) {
  return {
    name,
    missing,
    async start() {
      const port = await freePort();
      const [program, ...args] = line(port);
      const child = spawn(program, args, {
        stdio: "ignore",
        detached: true,
        env: { ...process.env, ...env },
      });
      const ended = once(child, "exit");
      // Its own process group: whatever the driver has started ends with it.
      const end = () => child.exitCode === null && process.kill(-child.pid, "SIGTERM");
      process.once("exit", end);
      const driver = `http://127.0.0.1:${port}`;
      const begin = async () => {
        await ready(driver, child);
        return command(driver, "POST", "/session", { capabilities: { alwaysMatch: capabilities() } });
      };
      const made = await begin().catch((error) => {
        end();
        throw error;
      });
      const session = `/session/${made.sessionId}`;
      await command(driver, "POST", `${session}/timeouts`, ELEMENT_TIMEOUTS);
      const execute = (kind, script, values) =>
        command(driver, "POST", `${session}/execute/${kind}`, { script, args: values });
      return {
        version: made.capabilities.browserVersion,
        async goto(url) {
          await command(driver, "POST", `${session}/url`, { url });
          while (!(await execute("sync", "return Boolean(window.bench)", []))) await delayed(10);
        },
        async renew(url) {
          await this.goto("about:blank");
          await this.goto(url);
        },
        async call(called, ...values) {
          const answer = await execute("async", CALL, [called, values]);
          if (answer.error) throw new Error(answer.error);
          return answer.value;
        },
        async stop() {
          await command(driver, "DELETE", session);
          process.off("exit", end);
          end();
          await ended;
        },
      };
    },
  };
}

export const firefox = engineOf(
  "Firefox",
  () => !process.env.FIREFOX && "it is not installed",
  (port) => [`${process.env.TOOLS}/bin/geckodriver`, "--port", String(port), "--host", "127.0.0.1"],
  () => ({
    browserName: "firefox",
    "moz:firefoxOptions": { binary: process.env.FIREFOX, args: ["-headless"] },
  }),
);

const CAPABILITIES = fileURLToPath(new URL("../../webdriver.json", import.meta.url));
const BROWSER = "webkitgtk:browserOptions";
const webkitOptions = () => ({ [BROWSER]: JSON.parse(readFileSync(CAPABILITIES, "utf8"))[BROWSER] });

export const webkit = engineOf(
  "WebKitGTK",
  () => !process.env.WEBKITDRIVER && "it is not installed",
  (port) => ["xvfb-run", "-a", process.env.WEBKITDRIVER, `--port=${port}`, "--host=127.0.0.1"],
  webkitOptions,
  { WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" },
);
