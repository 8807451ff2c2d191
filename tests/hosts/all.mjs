// Tests the packed package in every host, or in those whose names contain one of the arguments.
// Prints a table and exits with 1 if a host failed.
import assert from "node:assert/strict";
import { projects } from "./hosts.mjs";
import { Project, resultOf, stage } from "./kit.mjs";

const words = process.argv.slice(2);
/** The hosts that this script cannot run, with the reason. */
const ELSEWHERE = [
  ["Safari, Firefox", "not installed by this script; `make test` runs the wasm in Firefox and WebKitGTK"],
  [
    "Cloudflare's and Vercel's networks",
    "the tests deploy nothing; workerd and the edge runtime of Next.js run on this machine",
  ],
];
const rows = [];
const shared = await stage();
for (const { parts, ways } of projects) {
  const wanted = ways.filter(([host]) => !words.length || words.some((word) => host.includes(word)));
  if (!wanted.length) continue;
  const start = Date.now();
  let project;
  try {
    project = await Project.make(shared, parts, true);
  } catch (error) {
    for (const [host] of wanted) row(host, "", error);
    continue;
  }
  console.log(
    `installed for ${wanted.map(([host]) => host).join("; ")} in ${((Date.now() - start) / 1000).toFixed(1)} s`,
  );
  for (const [host, wasmOrigin, run] of wanted) {
    try {
      const { note = "", ...result } = await run(project);
      assert.deepEqual(result, resultOf(wasmOrigin));
      row(host, wasmOrigin, undefined, note);
    } catch (error) {
      row(host, wasmOrigin, error);
    }
  }
  await project.end();
}
await shared.end();

function row(host, wasmOrigin, error, note = "") {
  if (error) console.error(`${host}: ${error.message}`);
  rows.push([host, wasmOrigin, error ? "FAILED" : "ok", note]);
}

const width = (index) => Math.max(...rows.map((cells) => cells[index].length), 4);
for (const [host, wasmOrigin, ok, note] of [["host", "wasm from", "ok", ""], ...rows])
  console.log(`${host.padEnd(width(0))}  ${wasmOrigin.padEnd(width(1))}  ${ok.padEnd(6)}  ${note}`.trimEnd());
for (const [host, why] of ELSEWHERE) console.log(`not run: ${host}: ${why}`);
const failed = rows.filter(([, , ok]) => ok !== "ok").length;
console.log(`${rows.length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
