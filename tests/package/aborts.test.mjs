// Aborts at every point of a round, through the packed package in Node.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openDelta } from "deltalink";
import { requestsOf, startFake, waitForPendingRequests } from "../fake.mjs";
import { delayed, event, until as polled } from "../wait.mjs";
import { open, statusUntil } from "./kit.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

const populate = { contacts: 30, events: 30, users: 10, around: "2026-11-21T00:00:00Z" };
const weeks = { start: "2026-11-01", end: "2026-12-20" };

test("an abort ends the token call, the request, its body and the wait after a throttle, with its reason unchanged", async () => {
  const world = await fake.world({ populate });
  const never = () => new Promise(() => {});
  let tokenSignal;
  let fetchSignal;
  // A new body for each request, because reading a body locks it.
  let arrived;
  const hangOnArrival = () => (arrived.fire(), never());
  // The stream is pulled again after its first piece was read.
  const slow = () => {
    const pieces = ['{"value":['];
    const pull = (controller) =>
      pieces.length ? controller.enqueue(new TextEncoder().encode(pieces.pop())) : hangOnArrival();
    return new ReadableStream({ pull }, { highWaterMark: 0 });
  };
  const throttled = () => new Response("", { status: 429, headers: { "Retry-After": "100" } });
  const places = {
    token: { token: ({ signal }) => ((tokenSignal = signal), hangOnArrival()) },
    request: { fetch: (url, { signal }) => ((fetchSignal = signal), hangOnArrival()) },
    body: { fetch: async () => new Response(slow()) },
    wait: { fetch: async () => throttled() },
  };
  for (const [place, options] of Object.entries(places)) {
    for (const reason of ["stop", undefined, null, 0, new Error("mine"), { any: "thing" }]) {
      let requests = 0;
      arrived = event();
      const own = options.fetch && ((...request) => ((requests += 1), options.fetch(...request)));
      const client = await open(world, { ...options, ...(own && { fetch: own }) });
      const contacts = client.orgContacts();
      const stop = new AbortController();
      const done = contacts.sync({ signal: stop.signal }).then(
        () => assert.fail(place),
        (thrown) => [thrown],
      );
      await (place === "wait" ? statusUntil(contacts, ({ phase }) => phase === "waiting") : arrived.fired);
      const before = requests;
      stop.abort(reason);
      const [thrown] = await done;
      assert.equal(thrown, stop.signal.reason, place);
      await waitForPendingRequests(fake);
      assert.equal(requests, before, `${place}: nothing is sent afterwards`);
      assert.equal(contacts.status.get().phase, "new");
      await client.close();
    }
  }
  assert.ok(tokenSignal.aborted && fetchSignal.aborted);
});

test("an abort in the queue of a mailbox lets the other queries proceed", async () => {
  const world = await fake.world({ populate });
  let isHeld = true;
  let requests = 0;
  const hang = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const client = await open(world, {
    fetch: (url, init) => ((requests += 1), isHeld ? hang(init) : fetch(url, init)),
  });
  const stops = Array.from({ length: 6 }, () => new AbortController());
  const rounds = stops.map(({ signal }, index) =>
    client.events({ ...weeks, name: `q${index}` }).sync({ signal }),
  );
  await polled(() => requests === 4);
  await waitForPendingRequests(fake);
  assert.equal(requests, 4, "the others wait");
  isHeld = false;
  // Two that wait, and one with a request in flight.
  for (const index of [5, 4, 0]) stops[index].abort("left");
  for (const index of [5, 4, 0]) await assert.rejects(rounds[index], (reason) => reason === "left");
  assert.equal((await client.events({ ...weeks, name: "late" }).sync()).outcome, "complete");
  for (const stop of stops) stop.abort("end");
  await Promise.allSettled(rounds);
  await client.close();
});

test("an abort inside a callback leaves no unhandled rejection", async (t) => {
  const unhandled = [];
  const note = (reason) => unhandled.push(reason);
  process.on("unhandledRejection", note);
  t.after(() => process.off("unhandledRejection", note));
  const world = await fake.world({ populate });
  const stop = new AbortController();
  const client = await open(world);
  const contacts = client.orgContacts();
  contacts.status.subscribe(({ progress }) => progress?.requests && stop.abort("bye"));
  await assert.rejects(contacts.sync({ signal: stop.signal }), (reason) => reason === "bye");
  assert.deepEqual(await requestsOf(world), [], "nothing is sent afterwards");
  const clients = [];
  const token = () => {
    void clients[0].close();
    throw new Error("signed out");
  };
  clients.push(await open(world, { token }));
  await assert.rejects(clients[0].orgContacts().sync(), { code: "closed" });
  await client.close();
  await waitForPendingRequests(fake);
  assert.deepEqual(unhandled, []);
});

test("an abort cancels the body", async () => {
  let reads = 0;
  let cancelled = false;
  const endless = new ReadableStream({
    pull: (controller) =>
      delayed(5).then(() => ((reads += 1), controller.enqueue(new TextEncoder().encode(" ")))),
    cancel: () => (cancelled = true),
  });
  const client = await openDelta({
    token: () => "t",
    store: "memory",
    fetch: async () => new Response(endless),
  });
  const stop = new AbortController();
  const done = client.orgContacts().sync({ signal: stop.signal });
  await polled(() => reads >= 3);
  stop.abort("enough");
  await assert.rejects(done, (reason) => reason === "enough");
  await polled(() => cancelled);
  await client.close();
});
