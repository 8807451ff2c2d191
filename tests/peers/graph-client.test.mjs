// Runs whole rounds with Microsoft's own JavaScript client, to show that the fake Graph is not
// tailored to deltalink. Tests named "known" describe limitations of Microsoft's client.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, PageIterator } from "@microsoft/microsoft-graph-client";
import { requestsOf, startFake } from "../fake.mjs";
import { apply, fetchOf } from "./graph.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

/** The client without its handlers for retries and redirects, which wait for seconds. */
function clientOf(world) {
  const send = fetchOf(world);
  const middleware = {
    async execute(context) {
      context.response = await send(context.request, context.options);
    },
    setNext() {},
  };
  return Client.initWithMiddleware({ middleware });
}

/** Runs one round with the client's PageIterator. Resolves to the items and the deltaLink. */
async function round(client, path, { query, prefer, stopAfter = Infinity } = {}) {
  const headers = prefer ? { Prefer: prefer } : {};
  let request = client.api(path).headers(headers);
  if (query) request = request.query(query);
  const items = [];
  const iterator = new PageIterator(client, await request.get(), (item) => items.push(item) < stopAfter, {
    headers,
  });
  await iterator.iterate();
  return { items, deltaLink: iterator.getDeltaLink() };
}

const kinds = [
  ["contacts", "/contacts/delta", {}, ""],
  ["users", "/users/delta", {}, ""],
  ["messages", "/me/mailFolders/inbox/messages/delta", { prefer: "odata.maxpagesize=7" }, ""],
  [
    "events",
    "/me/calendarView/delta",
    {
      query: { startDateTime: "2026-11-01T00:00:00Z", endDateTime: "2026-12-20T00:00:00Z" },
      prefer: "odata.maxpagesize=7",
    },
    "?start=2026-11-01&end=2026-12-20",
  ],
];

for (const [collection, path, options, tableQuery] of kinds) {
  test(`a first and an incremental round of ${collection} with PageIterator give the items of the table`, async () => {
    const world = await fake.world({
      populate: { [collection]: 40, around: "2026-11-21T00:00:00Z" },
      options: { withhold_masters: false, empty_pages: 1, duplicates: "pages" },
    });
    const client = clientOf(world);
    const copy = new Map();
    const first = await round(client, path, options);
    apply(copy, first.items);
    const ids = async () => (await world.table(collection, tableQuery)).map(({ id }) => id).sort();
    assert.deepEqual([...copy.keys()].sort(), await ids());
    await world.edits({ collection, op: "random", count: 9 });
    const second = await round(client, first.deltaLink, { prefer: options.prefer });
    assert.ok(second.items.length > 0 && second.deltaLink && second.deltaLink !== first.deltaLink);
    apply(copy, second.items);
    assert.deepEqual([...copy.keys()].sort(), await ids());
    const log = await requestsOf(world);
    assert.ok(
      log.every(
        ({ kind, as_issued, status }) => kind !== "unexpected" && as_issued !== false && status === 200,
      ),
      JSON.stringify(log),
    );
  });
}

test("known: PageIterator delivers every duplicate", async () => {
  const world = await fake.world({ populate: { contacts: 25 }, options: { duplicates: "page" } });
  const { items } = await round(clientOf(world), "/contacts/delta");
  assert.ok(items.length > 25);
  assert.equal(new Set(items.map(({ id }) => id)).size, 25);
});

test("known: PageIterator does not notice pages that repeat under new links", async () => {
  const world = await fake.world({ populate: { contacts: 25 } });
  await world.faults({ match: { kind: "next" }, times: null, fault: { name: "livelock", cycle: 1 } });
  const { items, deltaLink } = await round(clientOf(world), "/contacts/delta", { stopAfter: 500 });
  assert.equal(items.length, 500, "the round would never end");
  assert.equal(deltaLink, undefined);
});

test("known: a 500 or a broken connection ends the round, and its position is lost", async () => {
  for (const fault of [{ name: "status", status: 500 }, "network"]) {
    const world = await fake.world({ populate: { contacts: 25 } });
    await world.faults({ match: { kind: "next" }, times: 1, fault });
    await assert.rejects(round(clientOf(world), "/contacts/delta"));
  }
});

test("known: a reset is an error that does not say what to do", async () => {
  const world = await fake.world({ populate: { contacts: 5 } });
  const client = clientOf(world);
  const { deltaLink } = await round(client, "/contacts/delta");
  await world.expire();
  await assert.rejects(
    round(client, deltaLink),
    (error) => error.statusCode === 400 && error.code === "syncStateNotFound",
  );
});
