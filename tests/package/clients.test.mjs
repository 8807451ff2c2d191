// Each client has its own instance of the wasm. Measures the memory of fifty clients.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);

test("fifty clients in one process stay within 64 MB", async (context) => {
  const script = new URL("clients.mjs", import.meta.url).pathname;
  const { stdout } = await run(process.execPath, ["--expose-gc", script]);
  const { count, openMs, roundMs, rss, external, arrayBuffers } = JSON.parse(stdout);
  const [resident, outside, buffers] = [rss, external, arrayBuffers].map((megabytes) => megabytes.toFixed(1));
  const sizes = `${resident} MB resident, ${outside} MB external, ${buffers} MB in buffers`;
  // Prints the time, but does not check it, because it depends on the load of the machine.
  context.diagnostic(
    `clients: ${count} in Node: ${sizes}; ${openMs.toFixed(2)} ms to open one, ${roundMs.toFixed(2)} ms for its round`,
  );
  assert.ok(rss < 64 && external < 64, sizes);
});
