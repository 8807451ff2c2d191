// Tests of the benchmarks: the pages of the server give the expected checksum, and a package counts
// as slower only beyond the noise.
import assert from "node:assert/strict";
import { test } from "node:test";
import { summarize } from "./checksum.js";
import { documentOf } from "./document.mjs";
import { shuffled } from "./order.mjs";
import { isSlower, looksSlower, lowerLimit, median } from "./stats.mjs";
import { World } from "./world.mjs";

/** Runs one round into a copy. Returns the deltaLink. */
function round(world, copy, link = "") {
  for (let url = link; ;) {
    const body = JSON.parse(Buffer.concat(world.respond(url.slice(url.indexOf("?")))));
    for (const item of body.value) {
      if (item["@removed"]) copy.delete(item.id);
      else copy.set(item.id, item);
    }
    url = body["@odata.nextLink"];
    if (!url) return body["@odata.deltaLink"];
  }
}

for (const kind of ["events", "users"]) {
  test(`a copy of ${kind} has the expected checksum after each kind of round`, () => {
    const world = new World("http://127.0.0.1:9/w1/v1.0", { kind, pages: 3, size: 7 });
    const copy = new Map();
    const assertEqual = () => assert.deepEqual(summarize([...copy.values()]), world.expected);
    let link = round(world, copy);
    assertEqual();
    world.change(5);
    world.change(2);
    assert.notDeepEqual(summarize([...copy.values()]), world.expected);
    link = round(world, copy, link);
    assertEqual();
    world.removeSilently(4);
    round(world, copy, link);
    assert.equal(
      copy.size,
      world.expected.count + 4,
      "an incremental round does not report the silent removals",
    );
    copy.clear();
    round(world, copy);
    assertEqual();
  });
}

test("an event is 2.7 KB long", () => {
  const world = new World("http://127.0.0.1:9/w1/v1.0", { kind: "events", pages: 1, size: 100 });
  const [, items] = world.respond("");
  assert.ok(Math.abs(items.length / 100 - 2701) < 20, `${items.length / 100} bytes`);
});

test("an unknown link is refused", () => {
  const world = new World("http://127.0.0.1:9/w1/v1.0", { kind: "users", pages: 1, size: 1 });
  assert.equal(world.respond("?$deltatoken=made-up"), undefined);
});

test("the lower limit of a median needs five values for 95 %, and ignores outliers", () => {
  assert.equal(lowerLimit([1.2, 1.3, 1.4, 1.5]), -Infinity);
  assert.equal(lowerLimit([1.5, 1.2, 1.3, 1.4, 1.6]), 1.2);
  assert.equal(lowerLimit([0.1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8]), 1.1);
  assert.equal(median([4, 1, 3, 2]), 2.5);
});

test("a package counts as slower if the difference exceeds five percent and the noise", () => {
  assert.equal(isSlower([1.06, 1.08, 1.1, 1.2, 1.04]), true);
  assert.equal(isSlower([1.01, 1.02, 1.04, 1.03, 1.02]), false, "within five percent");
  assert.equal(isSlower([0.8, 1.3, 1.4, 1.2, 0.9]), false, "noise");
  assert.equal(isSlower([1.5, 1.5, 1.5]), false, "too few runs");
  assert.equal(looksSlower([1.5, 1.5, 1.5]), true, "a reason to measure again");
  assert.equal(looksSlower([0.8, 1.3, 1.4, 1.2, 0.9]), false);
});

test("each run has all contestants, and the order changes between runs", () => {
  const orders = Array.from({ length: 9 }, (_, run) => shuffled([0, 1, 2, 3, 4, 5], run));
  for (const order of orders) assert.deepEqual([...order].sort(), [0, 1, 2, 3, 4, 5]);
  assert.ok(new Set(orders.map(String)).size > 6);
});

test("the document has the profile of a results file, and no table without one", () => {
  const contestants = [{ key: "reference", label: "the loop" }];
  const measured = [{ id: "users", contestants, results: new Map([["reference", [3, 1, 2]]]) }];
  const facts = { measured, packages: [], minutes: 1, note: "", versions: {} };
  const profiles = { users: { waiting: 0.5, browser: 0.25, wasm: 0.125, javascript: 0.125 } };
  const row = "| First round, 40 × 100 users of 0.5 KB, no latency | 50 % | 25 % | 13 % | 13 % |";
  assert.ok(documentOf({ ...facts, profiles }).includes(row));
  assert.ok(!documentOf({ ...facts, profiles: {} }).includes("deltalink's wasm"));
});
