// Runs the servers of docs/storage.md and docs/testing.md as processes, from the text of the pages.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import test, { after, afterEach } from "node:test";
import { until } from "../wait.mjs";
import { blockOf } from "./documented.mjs";

const folder = new URL("../node_modules/.docs-servers/", import.meta.url).pathname;
mkdirSync(folder, { recursive: true });
writeFileSync(`${folder}package.json`, '{ "type": "module" }');
writeFileSync(`${folder}file-store.js`, blockOf("storage.md", "function fileStore("));
after(() => rmSync(folder, { recursive: true }));

/** Replaces the service for the server of docs/storage.md: a fake Graph with seven recordings. */
const SERVICE = `
import { fakeGraph } from "deltalink/testing";
const graph = await fakeGraph();
for (let n = 0; n < 7; n += 1) graph.add("recordings", undefined, { user: "22223333-cccc-4444-dddd-5555eeee6666" });
globalThis.fetch = async (input, init) =>
  String(input).startsWith("https://login.microsoftonline.com/")
    ? Response.json({ access_token: graph.appToken(), expires_in: 3600 })
    : graph.fetch(input, init);
`;

let processes = [];
afterEach(() => {
  for (const child of processes) child.kill("SIGKILL");
  processes = [];
});

function start(name, code, port, flags = []) {
  writeFileSync(`${folder}${name}.mjs`, code);
  const env = { ...process.env, PORT: String(port), CLIENT_SECRET: "not a real one" };
  const child = spawn(process.execPath, [...flags, `${name}.mjs`], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  processes.push(child);
  return child;
}

async function freePort() {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

test("the server of docs/storage.md serves the stored rows, and ends on SIGTERM", async () => {
  const port = await freePort();
  writeFileSync(`${folder}service.mjs`, SERVICE);
  const child = start("server", blockOf("storage.md", "createServer("), port, ["--import", "./service.mjs"]);
  child.stdout.resume();
  const rows = () =>
    fetch(`http://localhost:${port}/`).then(
      (response) => response.json(),
      () => [],
    );
  await until(async () => (await rows()).length === 7);
  assert.equal(child.exitCode, null, "the process is alive after its first round");
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("the server of docs/testing.md serves one fake Graph to several processes, and replaces refused tokens", async () => {
  const port = await freePort();
  const revoke = 'process.on("SIGUSR2", () => { graph.revokeTokens(); console.log("revoked"); });';
  const graph = start("graph", blockOf("testing.md", "createServer(") + revoke, port);
  const isUp = () =>
    fetch(`http://localhost:${port}/token?reason=start`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until(isUp);
  const code = blockOf("testing.md", "development.json").replaceAll("localhost:4711", `localhost:${port}`);
  const runClient = async (kind, added) => {
    const child = start("client", code, port);
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    assert.deepEqual(await once(child, "exit"), [0, null]);
    assert.match(output, new RegExp(`kind: '${kind}'`));
    assert.match(output, new RegExp(`added: ${added},`));
  };
  await runClient("full", 25);
  await runClient("incremental", 0);
  graph.kill("SIGUSR2");
  await once(graph.stdout, "data");
  await runClient("incremental", 0);
});
