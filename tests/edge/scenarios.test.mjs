// Runs the scenarios of the model test with the whole package in Durable Objects: edits, faults,
// rival clients, and aborts between any two steps. Compares with the tables of the fake Graph.
// `SEED=n` replays one scenario, `SCENARIOS=n` runs that many.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { startFake } from "../fake.mjs";
import { startWorker } from "./workerd.mjs";

const root = new URL("../..", import.meta.url).pathname;
const count = Number(process.env.SCENARIOS ?? 200);
const crashes = { hit: 0, set: 0 };
let fake;
let worker;
let scenarios;
before(async () => {
  const { SEED: seed } = process.env;
  const range = seed === undefined ? ["0", String(count)] : [seed, "1"];
  const { stdout } = await promisify(execFile)(
    "cargo",
    ["run", "--quiet", "--locked", "-p", "fake-graph", "--example", "scenarios", "--", ...range],
    { cwd: root, maxBuffer: 1 << 28 },
  );
  // Replaces faults that wait a second or hang.
  scenarios = stdout
    .trim()
    .split("\n")
    .map((line) =>
      JSON.parse(
        line
          .replaceAll('"Retry-After":"1"', '"Retry-After":"0"')
          .replaceAll('"name":"hang"', '"name":"network"'),
      ),
    );
  fake = await startFake();
  worker = await startWorker(new URL("scenarios-worker.mjs", import.meta.url).pathname, {
    durableObjects: { HOLDER: { className: "Holder", useSQLite: true } },
    d1Databases: ["DB"],
  });
});
after(async () => {
  await worker.dispose();
  await fake.stop();
});

async function runInWorker(task, scenario, turn) {
  const response = await worker.fetch("/", {
    method: "POST",
    body: JSON.stringify({ task, scenario, turn }),
  });
  return response.json();
}

/** After these errors, a round cannot continue before some hours or the next day. */
const isOver = (end) => ["resync-loop", "forbidden"].includes(end?.code);

const QUIET = { crash: null, rival: null, midRoundEdits: [], hasConsumer: true };

async function run({ turns, options, populate, query, ...scenario }, more) {
  const { seed, collection } = scenario;
  scenario.query = { ...query };
  const world = await fake.world({
    seed,
    options,
    populate: { ...populate, around: new Date(populate.around).toISOString() },
  });
  const control = `${fake.origin}/control/worlds/${world.id}`;
  if (scenario.isAppOnly) scenario.query.organizer = world.user.id;
  Object.assign(scenario, {
    control,
    root: world.root,
    kind: scenario.isAppOnly ? "app" : "delegated",
    account: `seed ${seed} of ${world.id}`,
    ...more,
  });
  for (const turn of turns) {
    for (const edit of turn.edits) await world.edits(edit).catch(() => {});
    if (turn.faults.length) await world.faults(...turn.faults);
    if (turn.expire) await world.expire();
    const end = await runInWorker("turn", scenario, { ...turn, copied: scenario.deliversEveryPage });
    if (turn.crash !== null) crashes.set += 1;
    if (end.code === "crash") {
      assert.ok(
        turn.crash !== null && end.message.includes("by the scenario"),
        `seed ${seed}: ${end.message}`,
      );
      crashes.hit += 1;
    }
    assert.notEqual(end.code, "internal", `seed ${seed}: ${end.message}`);
    if (isOver(end)) await runInWorker("reset", scenario);
  }
  await fetch(`${control}/faults`, { method: "DELETE" });
  for (let nth = 0; nth < (scenario.needsRefresh ? 3 : 2); nth++) {
    if (nth === 2) await runInWorker("reset", scenario);
    let end;
    for (let left = 8; end?.outcome !== "complete"; left--) {
      assert.ok(left > 0, `seed ${seed}: none of eight rounds without faults completes: ${end?.message}`);
      if (isOver(end)) await runInWorker("reset", scenario);
      end = await runInWorker("turn", scenario, { ...QUIET, copied: scenario.deliversEveryPage });
    }
  }
  const { items, count: counted, copy, message } = await runInWorker("mirror", scenario);
  assert.equal(message, undefined, `seed ${seed}`);
  assert.equal(counted, items.length, `seed ${seed}: the count`);
  if (scenario.deliversEveryPage) assert.deepEqual(byId(copy), byId(items), `seed ${seed}: invariant 5`);
  // Graph does not report the masters that it withholds.
  const withheld = options.withhold_masters || options.withhold_masters_full;
  await world.options({ withhold_masters_full: false });
  const listed = byId(
    await world.table(collection, collection === "events" ? "?start=2026-11-01&end=2026-12-20" : ""),
  );
  const mirror = byId(items);
  const expected = [...listed]
    .filter(([id, { type }]) => !withheld || type !== "seriesMaster" || mirror.has(id))
    .map(([id]) => id);
  assert.deepEqual([...mirror.keys()].sort(), expected.sort(), `seed ${seed}: ${collection}`);
  for (const [id, item] of mirror) {
    if (item.type === "seriesMaster" && withheld) continue;
    assert.deepEqual(
      withoutAnnotations(collection, item),
      withoutAnnotations(collection, listed.get(id)),
      `seed ${seed}: ${collection}: ${id}`,
    );
  }
  await fetch(control, { method: "DELETE" });
}

const byId = (items) => new Map(items.map((item) => [item.id, item]));
const SELECTED = ["id", "displayName", "mail", "jobTitle", "manager"];

/** An item without the annotations of a response, and with relationships in the form of tables. */
function withoutAnnotations(collection, item) {
  const named = Object.entries(item).filter(
    ([name]) => !name.startsWith("@odata.") && name !== "eTag" && name !== "changeKey",
  );
  const found = Object.fromEntries(
    named.map(([name, value]) => [name, value === "true" ? true : value === "false" ? false : value]),
  );
  const ids = (set) => (set ?? []).map((one) => one.id ?? one);
  if (collection === "groups") found.members = ids(found.members).sort();
  if (collection !== "users") return found;
  found.manager = Array.isArray(found.manager) ? (ids(found.manager)[0] ?? null) : (found.manager ?? null);
  return Object.fromEntries(Object.entries(found).filter(([name]) => SELECTED.includes(name)));
}

for (const [store, where, share] of [
  ["durable-object", "a Durable Object", 1],
  ["d1", "D1", 5],
]) {
  test(`after any scenario the mirror in ${where} equals the list of Graph`, async () => {
    const left = scenarios.slice(0, Math.ceil(scenarios.length / share));
    const { length } = left;
    const before = { ...crashes };
    const some = async () => {
      for (let one; (one = left.shift());) await run(one, { store });
    };
    await Promise.all([some(), some(), some(), some()]);
    const [hit, set] = [crashes.hit - before.hit, crashes.set - before.set];
    console.log(
      `scenarios: ${length} with the mirror in ${where}, ${hit} objects aborted in the middle of a round`,
    );
    if (length > 30) assert.ok(hit > length / 2, `${hit} of ${set} crashes were met`);
  });
}

test(
  "the scenarios find a store that does not remove rows",
  { skip: process.env.SEED !== undefined },
  async () => {
    const found = await Promise.allSettled(
      scenarios
        .filter(({ collection }) => collection !== "recordings")
        .slice(0, 8)
        .map((one) => run(one, { broken: true })),
    );
    assert.ok(
      found.some(({ reason }) => /seed \d+: \w+/.test(reason?.message)),
      "none of eight scenarios found it",
    );
  },
);
