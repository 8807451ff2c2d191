// Each client has its own instance of the wasm. Measures the memory of fifty clients in one isolate
// of workerd. Checks that live queries are refused there.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { startWorker } from "./workerd.mjs";

const COUNT = 50;
const entry = new URL("clients-worker.mjs", import.meta.url).pathname;

/** The child processes of this process, from /proc. */
function children() {
  return readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ").filter(Boolean);
}

/** The resident memory of workerd, in megabytes. */
function resident() {
  const isWorkerd = (pid) => readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("workerd");
  const status = readFileSync(`/proc/${children().find(isWorkerd)}/status`, "utf8");
  return Number(status.match(/VmRSS:\s+(\d+) kB/)[1]) / 1024;
}

test("live() is refused in a Worker, with what to use instead", async () => {
  const worker = await startWorker(entry, {});
  try {
    const { code, message } = await (await worker.fetch("/live")).json();
    assert.equal(code, "not-supported");
    assert.match(message, /a Worker does not run between requests; call sync\(\) in an alarm/);
  } finally {
    await worker.dispose();
  }
});

const skip = !existsSync("/proc/self/task") && "this system has no /proc";

test("fifty clients in one isolate stay within 64 MB", { skip }, async () => {
  const worker = await startWorker(entry, {});
  try {
    const open = async (count) => (await worker.fetch(`/?count=${count}`)).json();
    assert.equal(await open(1), 1);
    // Opens ten first, because V8 compiles and collects garbage meanwhile.
    assert.equal(await open(10), 11);
    const before = resident();
    const start = performance.now();
    assert.equal(await open(COUNT), COUNT + 11);
    const each = (performance.now() - start) / COUNT;
    const grown = resident() - before;
    console.log(
      `clients: ${COUNT} in one isolate of workerd: ${grown.toFixed(1)} MB resident; ${each.toFixed(2)} ms to open one and for its round`,
    );
    assert.ok(grown < 64, `${grown.toFixed(1)} MB`);
  } finally {
    await worker.dispose();
  }
});
