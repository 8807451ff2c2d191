// PnP's Graph client on the fake Graph. Its delta() cannot complete a round of several pages. These
// tests describe its abilities.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DefaultParse, RejectOnError, ResolveOnData } from "@pnp/queryable";
import { graphfi } from "@pnp/graph";
import "@pnp/graph/files/index.js";
import "@pnp/graph/users/index.js";
import { requestsOf, startFake } from "../fake.mjs";
import { apply, fetchOf } from "./graph.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

function graphOf(world) {
  const sendToFake = fetchOf(world);
  return graphfi("https://graph.microsoft.com/v1.0").using((instance) => {
    instance.using(ResolveOnData(), RejectOnError(), DefaultParse());
    instance.on.auth.replace(async (url, init) => [url, init]);
    instance.on.send.replace((url, init) => sendToFake(url, init));
    return instance;
  });
}

const rootOf = (world) => graphOf(world).me.drive.root;

test("delta() of a drive reads a first page, and the link of a round with one page leads to the changes", async () => {
  const world = await fake.world({ populate: { drive: 8 } });
  const page = await rootOf(world).delta()();
  const copy = new Map();
  apply(copy, page.values);
  assert.deepEqual([...copy.keys()].sort(), (await world.table("drive")).map(({ id }) => id).sort());
  assert.equal(page.next(), null);
  const { id } = page.values.find(({ file }) => file);
  await world.edits({ collection: "drive", op: "edit", id });
  const { values: changed } = await page.delta();
  assert.ok(changed.some((item) => item.id === id));
  assert.ok(
    (await requestsOf(world)).every(
      ({ kind, status, as_issued }) => kind !== "unexpected" && status === 200 && as_issued !== false,
    ),
  );
});

test("known: the second page is an array without links, so a longer round cannot continue", async () => {
  const world = await fake.world({ populate: { drive: 25 } });
  const page = await rootOf(world).delta()();
  const second = await page.next()();
  assert.ok(Array.isArray(second) && second.length === 10);
  assert.equal(second.next, undefined);
  assert.equal(page.delta(), null);
});
