// The list of a view across subscribers: one that subscribes again sees the current mirror, and a
// view has its rows before its first subscriber if another view has read them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openDelta } from "deltalink";
import { fakeGraph } from "deltalink/testing";
import { fakeTimers } from "../wait.mjs";

async function open() {
  const graph = await fakeGraph({ populate: { contacts: 3 } });
  const client = await openDelta({ fetch: graph.fetch, token: graph.token, store: "memory" });
  const contacts = client.orgContacts();
  await contacts.sync();
  return { graph, client, contacts };
}

/** Subscribes, and resolves to the end of the subscription when the state holds. */
const subscribed = (view, holds) =>
  new Promise((resolve) => {
    const stop = view.subscribe((state) => holds(state) && queueMicrotask(() => resolve(stop)));
  });

test("a subscriber that comes after the rows were dropped does not see rows that were removed meanwhile", async (context) => {
  const { graph, client, contacts } = await open();
  const view = contacts.view();
  const stop = await subscribed(view, ({ items }) => items.length === 3);
  const timers = fakeTimers(context);
  stop();
  timers.tick(1000);
  context.mock.timers.reset();
  graph.remove("contacts", graph.items("contacts")[0].id);
  graph.add("contacts", { displayName: "Kim" });
  await contacts.sync();
  const again = await subscribed(view, ({ items }) => items.some(({ displayName }) => displayName === "Kim"));
  assert.equal(view.get().items.length, 3);
  again();
  await client.close();
});

test("a view of rows that another view has read has them before its first subscriber", async () => {
  const { client, contacts } = await open();
  const stop = await subscribed(contacts.view(), ({ ready }) => ready);
  const { items, ready, total } = contacts.view({ limit: 2 }).get();
  assert.deepEqual([items.length, ready, total], [2, true, 3]);
  stop();
  await client.close();
});
