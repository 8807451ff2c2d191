// What a client keeps of queries that nobody holds: node --expose-gc collected.mjs
import { clientOf, page, week } from "./answers.mjs";
import { turn, until } from "../wait.mjs";

let signedIn = false;
const token = () => {
  if (signedIn) return "a-token";
  throw Object.assign(new Error("sign in"), { name: "InteractionRequiredAuthError" });
};
const respond = () =>
  page([{ id: "event 1", type: "singleInstance" }], { delta: "/me/calendarView/delta?$deltatoken=1" });
const client = await clientOf(respond, { token });
const named = (name) => client.events({ ...week, name });

/** Collects garbage until `holds()`, or for many times. */
async function collected(holds) {
  for (let times = 0; times < 30 && !holds(); times++) {
    await turn();
    globalThis.gc();
    await turn();
  }
}
const alive = (references) => references.filter((reference) => reference.deref()).length;

// A sync that waits for the user: resume() goes on with it, though nobody holds its query.
await named("waits for a sign-in")
  .sync()
  .catch(() => {});
const waiting = new WeakRef(named("waits for a sign-in").shared);
await collected(() => false);
signedIn = true;
client.resume();
await until(() => waiting.deref()?.status.get().lastSyncedAt !== undefined);
const resumed = waiting.deref().status.get().phase;

/** Listens to a window, syncs it and leaves it. */
async function visit(name) {
  const query = named(name);
  const stop = query.on("change", () => {});
  await query.sync();
  stop();
  return new WeakRef(query.shared);
}

const references = [];
for (let at = 0; at < 50; at++) references.push(await visit(`window ${at}`));

// Somebody listens, or subscribes, and holds nothing but that.
const listener = [];
named("listened to").on("change", (changes) => void listener.push(...changes.map(({ id }) => id)));
const statuses = [];
const shared = (name) => new WeakRef(named(name).shared);
const sync = (name) =>
  named(name)
    .sync()
    .then(() => {});
const subscriptions = [named("subscribed to").status.subscribe(({ phase }) => statuses.push(phase))];
const subscribed = shared("subscribed to");
await collected(() => alive(references) === 0);
await sync("listened to");
await sync("subscribed to");
subscriptions.pop()();
// Node keeps the last promise that settled for a while: it is not to be one of that query.
await sync("another");
await collected(() => !subscribed.deref());
const result = {
  windows: 50,
  alive: alive(references),
  listener,
  subscriber: statuses.includes("syncing"),
  resumed,
  unsubscribed: alive([subscribed]),
};
console.log(JSON.stringify(result));
await client.close();
