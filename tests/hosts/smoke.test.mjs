// Tests the packed package in hosts that need no installation. `make hosts` tests the others.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { projects } from "./hosts.mjs";
import { Project, resultOf, stage } from "./kit.mjs";

let shared;
before(async () => {
  shared = await stage();
});
after(() => shared.end());

for (const { parts, ways } of projects.filter(({ smoke }) => smoke)) {
  for (const [host, wasmOrigin, run] of ways) {
    test(`${host}: a round completes with the wasm from ${wasmOrigin}`, async () => {
      const project = await Project.make(shared, parts, false);
      try {
        assert.deepEqual(await run(project), resultOf(wasmOrigin));
      } finally {
        await project.end();
      }
    });
  }
}
