// Starts the fake Graph for the tests in JavaScript, and calls its control API.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const BINARY = process.env.FAKE_GRAPH ?? new URL("../target/debug/fake-graph", import.meta.url).pathname;

/** Starts a fake Graph. `--stdin-lifeline` ends it with this process, even if that is killed. */
export async function startFake(...args) {
  const child = spawn(BINARY, ["--stdin-lifeline", ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "exit").then(([code]) =>
    Promise.reject(new Error(`the fake Graph ended with ${code}`)),
  );
  ended.catch(() => {});
  const [line] = await Promise.race([once(lines, "line"), ended]);
  const origin = line.split(" ").pop();
  return {
    origin,
    /** Makes a world: a tenant with an endpoint, `root`, and tokens, `tokens`. */
    async world(options = {}) {
      const made = await call(`${origin}/control/worlds`, "POST", { seed: 1, ...options });
      const controlUrl = `${origin}/control/worlds/${made.id}`;
      return {
        ...made,
        options: (changes) => call(`${controlUrl}/options`, "PATCH", changes),
        edits: (...edits) => call(`${controlUrl}/edits`, "POST", edits),
        faults: (...rules) => call(`${controlUrl}/faults`, "POST", rules),
        /** Resolves to how often each fault was applied. */
        faultCounts: () => call(`${controlUrl}/faults`).then(({ counts }) => counts),
        expire: (body = {}) => call(`${controlUrl}/expire`, "POST", body),
        revoke: () => call(`${controlUrl}/revoke`, "POST", {}),
        token: (body) => call(`${controlUrl}/token`, "POST", body).then(({ token }) => token),
        table: (collection, query = "") => call(`${controlUrl}/tables/${collection}${query}`),
        log: () => call(`${controlUrl}/log`),
        clearLog: () => call(`${controlUrl}/log`, "DELETE"),
      };
    },
    async stop() {
      if (child.exitCode !== null) return;
      child.stdin.end();
      await once(child, "exit");
    },
  };
}

async function call(url, method = "GET", body) {
  const response = await fetch(url, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

/**
 * Waits for a whole round of a simple client in another world. After it, a test can assert that a
 * client sent nothing: a request that was ready when this began is in the log when it ends.
 */
export async function waitForPendingRequests(fake) {
  const world = await fake.world({ populate: { contacts: 30 } });
  const headers = { Authorization: `Bearer ${world.tokens.delegated}` };
  for (let url = `${world.root}/contacts/delta`; url;) {
    const page = await fetch(url, { headers }).then((response) => response.json());
    url = page["@odata.nextLink"];
  }
}

/** The requests in the log of a world, without preflights. */
export async function requestsOf(world) {
  const log = await world.log();
  return log.filter((entry) => entry.kind !== "preflight");
}
