// The packed package in every host. Ends with a table, and with 1 if it worked not everywhere.
// Words choose among the hosts.
import assert from "node:assert/strict";
import { projects } from "./hosts.mjs";
import { Project, stage, through } from "./kit.mjs";

const words = process.argv.slice(2);
/** What can't be shown on every machine, and why. */
const ELSEWHERE = [
  [
    "Safari, Firefox",
    "the loader is the browsers' own fetch, compile and import; `make test` runs the engine in Firefox and WebKitGTK",
  ],
  [
    "Cloudflare's and Vercel's networks",
    "nothing is deployed; workerd and the edge runtime of Next.js run here",
  ],
];
const rows = [];
const set = await stage();
for (const { parts, ways } of projects) {
  const wanted = ways.filter(([host]) => !words.length || words.some((word) => host.includes(word)));
  if (!wanted.length) continue;
  const start = Date.now();
  let project;
  try {
    project = await Project.make(set, parts, true);
  } catch (error) {
    for (const [host] of wanted) row(host, "", error);
    continue;
  }
  console.log(
    `installed for ${wanted.map(([host]) => host).join("; ")} in ${((Date.now() - start) / 1000).toFixed(1)} s`,
  );
  for (const [host, rung, run] of wanted) {
    try {
      const { note = "", ...result } = await run(project);
      assert.deepEqual(result, through(rung));
      row(host, rung, undefined, note);
    } catch (error) {
      row(host, rung, error);
    }
  }
  await project.end();
}
await set.end();

function row(host, rung, error, note = "") {
  if (error) console.error(`${host}: ${error.message}`);
  rows.push([host, rung, error ? "FAILED" : "ok", note]);
}

const width = (at) => Math.max(...rows.map((cells) => cells[at].length), 4);
for (const [host, rung, ok, note] of [["host", "rung", "ok", ""], ...rows])
  console.log(`${host.padEnd(width(0))}  ${rung.padEnd(width(1))}  ${ok.padEnd(6)}  ${note}`.trimEnd());
for (const [host, why] of ELSEWHERE) console.log(`not run: ${host}: ${why}`);
const failed = rows.filter(([, , ok]) => ok !== "ok").length;
console.log(`${rows.length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
