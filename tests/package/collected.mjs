// Checks which queries a client keeps although no one references them: node --expose-gc
// collected.mjs
import { clientOf, page, week } from "./responses.mjs";
import { turn, until } from "../wait.mjs";

let isSignedIn = false;
const token = () => {
  if (isSignedIn) return "a-token";
  throw Object.assign(new Error("sign in"), { name: "InteractionRequiredAuthError" });
};
const respond = () =>
  page([{ id: "event 1", type: "singleInstance" }], { delta: "/me/calendarView/delta?$deltatoken=1" });
const client = await clientOf(respond, { token });
const named = (name) => client.events({ ...week, name });

/** Collects garbage until `holds()` returns true, or many times. */
async function collectUntil(holds) {
  for (let times = 0; times < 30 && !holds(); times++) {
    await turn();
    globalThis.gc();
    await turn();
  }
}
const alive = (references) => references.filter((reference) => reference.deref()).length;

// A sync that waits for the user. resume() continues it although its query is not referenced.
await named("waits for a sign-in")
  .sync()
  .catch(() => {});
const waiting = new WeakRef(named("waits for a sign-in").state);
await collectUntil(() => false);
isSignedIn = true;
client.resume();
await until(() => waiting.deref()?.status.get().lastSyncedAt !== undefined);
const resumed = waiting.deref().status.get().phase;

/** Adds a listener to the query of a window, syncs, and removes the listener. */
async function visit(name) {
  const query = named(name);
  const stop = query.on("change", () => {});
  await query.sync();
  stop();
  return new WeakRef(query.state);
}

const references = [];
for (let index = 0; index < 50; index++) references.push(await visit(`window ${index}`));

/** Makes a query live and stops it, before the schedule knows it. */
function stopAtOnce(name) {
  const query = named(name);
  query.live().stop();
  return new WeakRef(query.state);
}
for (let index = 0; index < 50; index++) references.push(stopAtOnce(`stopped at once ${index}`));

// Only a listener or a subscription remains.
const listener = [];
named("listened to").on("change", (changes) => void listener.push(...changes.map(({ id }) => id)));
const statuses = [];
const stateOf = (name) => new WeakRef(named(name).state);
const sync = (name) =>
  named(name)
    .sync()
    .then(() => {});
const subscriptions = [named("subscribed to").status.subscribe(({ phase }) => statuses.push(phase))];
const subscribed = stateOf("subscribed to");
await collectUntil(() => alive(references) === 0);
await sync("listened to");
await sync("subscribed to");
subscriptions.pop()();
// Node keeps the last settled promise for a while, so that must not be a promise of the query.
await sync("another");
await collectUntil(() => !subscribed.deref());
const result = {
  windows: references.length,
  alive: alive(references),
  listener,
  subscriber: statuses.includes("syncing"),
  resumed,
  unsubscribed: alive([subscribed]),
};
console.log(JSON.stringify(result));
await client.close();
