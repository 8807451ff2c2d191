// The packed package where nothing needs to be installed. `make hosts` has all the others.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { projects } from "./hosts.mjs";
import { Project, stage, through } from "./kit.mjs";

let set;
before(async () => {
  set = await stage();
});
after(() => set.end());

for (const { parts, ways } of projects.filter(({ smoke }) => smoke)) {
  for (const [host, rung, run] of ways) {
    test(`${host}: a round, with the wasm by the rung ${rung}`, async () => {
      const project = await Project.make(set, parts, false);
      try {
        assert.deepEqual(await run(project), through(rung));
      } finally {
        await project.end();
      }
    });
  }
}
