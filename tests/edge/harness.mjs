// The harness of the edge example: serves tokens, validates the addresses of subscriptions,
// records every request, and consumes the queue.
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { startFake } from "../fake.mjs";
import { until } from "../wait.mjs";
import { startWorker } from "./workerd.mjs";

const SECRET = "a secret of the tests, long enough";
export const PASSWORD = "let me in, please";
const entry = new URL("edge-worker.ts", import.meta.url).pathname;

/** The settings of wrangler.jsonc. */
async function readSettings() {
  const source = await readFile(new URL("../../www/edge/wrangler.jsonc", import.meta.url), "utf8");
  return JSON.parse(source.replace(/^\s*\/\/.*$/gm, ""));
}

const SINK = `
import { WorkerEntrypoint } from "cloudflare:workers";
export default {
  async queue(batch, env) {
    await env.END.fetch("http://end", { method: "POST", body: JSON.stringify(batch.messages.map(({ body }) => body)) });
  },
};
/** A queue that accepts a batch if the test does, and never loses an accepted batch. */
export class TestQueue extends WorkerEntrypoint {
  async sendBatch(messages) {
    const response = await this.env.END.fetch("http://test-queue", { method: "POST", body: JSON.stringify(messages.map(({ body }) => body)) });
    if (!response.ok) throw new Error("the queue is overloaded");
  }
}`;

/**
 * Starts the example on a fake Graph. `acceptsBatch(batch)` decides whether the queue accepts a
 * batch. With `ownConsumer`, the consumer of the example reads the queue. What the Worker prints is
 * in `logs`.
 */
export async function startEdge({
  acceptsBatch,
  ownConsumer,
  options,
  pause = 30,
  backoff = 40,
  settings,
} = {}) {
  const fake = await startFake();
  const world = await fake.world({ options });
  const messages = [];
  const requests = [];
  const logs = [];
  /** By id: the subscriptions that the fake Graph has made, also those that are `gone`. */
  const subscriptions = new Map();
  /** By mailbox: the number of requests in flight, and its maximum. */
  const flights = new Map();
  /**
   * `request` and `token` can replace the response of Graph and of the authority, and delay it.
   * `subscribe`: whether Graph accepts subscriptions, or its response to all requests for them.
   * `subscribing` can delay a request for a subscription, before and after it takes effect.
   * `expires` replaces the end of new subscriptions.
   */
  const hooks = {
    async request() {},
    subscribe: true,
    async token() {},
    async subscribing() {},
    expires: undefined,
  };

  let stopped = false;
  const serve = async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const respond = (status, json) =>
      response.writeHead(status, { "content-type": "application/json" }).end(json && JSON.stringify(json));
    if (request.url.includes("/oauth2/")) {
      edge.tokens += 1;
      const override = await hooks.token();
      if (override) return response.writeHead(override.status, override.headers).end("{}");
      return respond(200, { access_token: world.tokens.app, expires_in: 3600 });
    }
    if (request.url.includes("/subscriptions")) {
      edge.subscriptionRequests.push(request.method);
      if (hooks.subscribe.status)
        return response
          .writeHead(hooks.subscribe.status, {
            "content-type": "application/json",
            ...hooks.subscribe.headers,
          })
          .end("{}");
      await hooks.subscribing(request.method, "before");
      const [status, json] = await subscribed(request, body);
      await hooks.subscribing(request.method, "after");
      return respond(status, json);
    }
    const mailbox = /(?:meetingOrganizerUserId='|\/users\/)([^'/]*)['/]/.exec(
      decodeURIComponent(request.url).replace(/.*(?=meetingOrganizerUserId)/, ""),
    )?.[1];
    const flight = flights.get(mailbox) ?? { now: 0, most: 0 };
    flights.set(mailbox, flight);
    flight.most = Math.max(flight.most, ++flight.now);
    // A round that is aborted closes its request.
    response.once("close", () => (flight.now -= 1));
    requests.push({ mailbox, url: request.url, at: performance.now() });
    const override = await hooks.request(mailbox, requests.filter((one) => one.mailbox === mailbox).length);
    if (override)
      return response
        .writeHead(override.status, { "content-type": "application/json", ...override.headers })
        .end("{}");
    const { authorization, prefer } = request.headers;
    const fromGraph = await fetch(fake.origin + request.url, {
      headers: { authorization, ...(prefer && { prefer }) },
    });
    const text = (await fromGraph.text()).replaceAll(fake.origin, origin);
    response.writeHead(fromGraph.status, { "content-type": "application/json" }).end(text);
  };
  const server = createServer((request, response) =>
    serve(request, response).catch((error) => {
      // Requests in flight at the end of the test fail.
      if (!stopped) throw error;
    }),
  ).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;

  /**
   * Passes a request for subscriptions to the fake Graph, which has no outgoing HTTP: validates the
   * address of a new subscription before.
   */
  async function subscribed({ method, url, headers }, body) {
    if (!hooks.subscribe) return [403, { error: { code: "Forbidden", message: "no subscriptions today" } }];
    if (method === "POST") {
      const token = "Validation: <b>100 %2B</b> & more";
      const { pathname } = new URL(JSON.parse(body).notificationUrl);
      const echo = await worker.fetch(
        `${pathname}?validationToken=${encodeURIComponent(token).replaceAll("%20", "+")}`,
        { method: "POST" },
      );
      if (
        echo.status !== 200 ||
        !echo.headers.get("content-type").startsWith("text/plain") ||
        (await echo.text()) !== token
      ) {
        return [
          400,
          { error: { code: "InvalidRequest", message: "Subscription validation request failed." } },
        ];
      }
    }
    const { authorization } = headers;
    const response = await fetch(fake.origin + url, {
      method,
      headers: { authorization },
      ...(body && { body }),
    });
    const text = await response.text();
    const json = text ? JSON.parse(text) : undefined;
    const known = subscriptions.get(json?.id ?? url.split("/subscriptions/")[1]);
    if (response.status === 201) subscriptions.set(json.id, { ...json, renewed: 0 });
    else if (response.ok && method === "PATCH") Object.assign(known, json, { renewed: known.renewed + 1 });
    else if (response.ok && method === "DELETE") known.gone = true;
    if (response.status === 201 && hooks.expires) json.expirationDateTime = hooks.expires;
    return [response.status, json];
  }

  const { vars, durable_objects, queues, triggers } = await readSettings();
  const [{ binding, queue }] = queues.producers;
  const end = async (request) => {
    const batch = await request.json();
    if (new URL(request.url).hostname === "test-queue" && !acceptsBatch(batch))
      return new Response(null, { status: 503 });
    messages.push(...batch);
    return new Response();
  };
  const bindings = {
    ...vars,
    CLIENT_SECRET: "not a real one",
    NOTIFICATION_SECRET: SECRET,
    ADMIN_PASSWORD: PASSWORD,
    PUBLIC_URL: "https://worker.example",
    GRAPH_ENDPOINT: world.root.replace(fake.origin, origin),
    AUTHORITY: origin,
    PAUSE_MS: String(pause),
    BACKOFF_MS: String(backoff),
    SPREAD_MS: String(pause),
    ...settings,
  };
  const [consumer] = queues.consumers;
  const worker = await startWorker(
    entry,
    {
      durableObjects: Object.fromEntries(
        durable_objects.bindings.map(({ name, class_name }) => [
          name,
          { className: class_name, useSQLite: true },
        ]),
      ),
      ...(acceptsBatch
        ? { serviceBindings: { [binding]: { name: "sink", entrypoint: "TestQueue" } } }
        : { queueProducers: { [binding]: queue } }),
      ...(ownConsumer && {
        queueConsumers: {
          [consumer.queue]: {
            maxBatchSize: consumer.max_batch_size,
            maxBatchTimeout: 0,
            deadLetterQueue: consumer.dead_letter_queue,
          },
        },
      }),
      bindings,
    },
    [
      {
        name: "sink",
        compatibilityDate: "2026-07-01",
        modules: true,
        script: SINK,
        serviceBindings: { END: end },
        queueConsumers: {
          [ownConsumer ? consumer.dead_letter_queue : queue]: { maxBatchSize: 100, maxBatchTimeout: 0 },
        },
      },
    ],
    { handleStructuredLogs: ({ message }) => void logs.push(message) },
  );

  const edge = {
    world,
    worker,
    messages,
    requests,
    subscriptions,
    flights,
    hooks,
    crons: triggers.crons,
    /** The bindings of the Worker. A test can change them before a restart. */
    bindings,
    logs,
    /** The number of requests for a token. */
    tokens: 0,
    /** The methods of the requests for subscriptions. */
    subscriptionRequests: [],
    /** Makes `count` users of the fake Graph, each with this number of recordings. */
    async addPeople(count, recordings, item) {
      const all = Array.from({ length: count }, (_, n) => `person${n}@contoso.example`);
      for (const user of all) {
        await world.token({ kind: "app", user });
        for (let n = 0; n < recordings; n++) await edge.addRecording(user, item);
      }
      return all;
    },
    async addRecording(user, item) {
      await world.edits({ collection: "recordings", op: "add", user, ...(item && { item }) });
    },
    /** The subscription of a mailbox that Graph has. */
    subscriptionOf(mailbox) {
      const expected = edge.clientState(mailbox);
      return [...subscriptions.values()].find(({ clientState, gone }) => !gone && clientState === expected);
    },
    /** Ends a subscription as Graph does, without a request of the Worker. */
    async endSubscription({ id }) {
      const headers = { authorization: `Bearer ${world.tokens.app}` };
      await fetch(`${world.root}/subscriptions/${id}`, { method: "DELETE", headers });
      subscriptions.get(id).gone = true;
    },
    admin: (path, method = "GET") =>
      worker.fetch(path, {
        method,
        headers: {
          authorization: `Basic ${Buffer.from(`admin:${bindings.ADMIN_PASSWORD}`).toString("base64")}`,
        },
      }),
    add: (mailbox) => edge.admin(`/mailboxes/${encodeURIComponent(mailbox)}`, "PUT"),
    async statuses() {
      return (await (await edge.admin("/status.json")).json()).mailboxes;
    },
    clientState: (mailbox) =>
      createHmac("sha256", bindings.NOTIFICATION_SECRET).update(mailbox).digest("hex"),
    /** Sends a notification in the form of Graph. */
    notify: (mailbox, change = {}) =>
      worker.fetch(`/notifications/${encodeURIComponent(mailbox)}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          value: [
            {
              subscriptionId: edge.subscriptionOf(mailbox)?.id ?? "none",
              changeType: "created",
              clientState: edge.clientState(mailbox),
              ...change,
            },
          ],
        }),
      }),
    tick: async () => (await worker.miniflare.getWorker("worker")).scheduled({ cron: triggers.crons[0] }),
    /** By mailbox: the ids in the table of the fake Graph. */
    async listed(people) {
      return Object.fromEntries(
        await Promise.all(
          people.map(async (user) => [
            user,
            (await world.table("recordings", `?user=${encodeURIComponent(user)}`)).map(({ id }) => id).sort(),
          ]),
        ),
      );
    },
    /** By mailbox: the ids that the queue delivered. */
    delivered(people) {
      return Object.fromEntries(
        people.map((user) => [
          user,
          [...new Set(messages.filter(({ mailbox }) => mailbox === user).map(({ id }) => id))].sort(),
        ]),
      );
    },
    /** Waits until no mailbox has a round left to run. */
    async untilQuiet(people) {
      await until(async () => {
        const statuses = await edge.statuses();
        const done = statuses.filter(({ phase }) => phase === "current").length;
        return (
          done === people.length ||
          `${done} of ${people.length} are up to date: ${JSON.stringify(statuses.find(({ phase }) => phase !== "current"))}`
        );
      });
    },
    /** Prints what a test has cost until now. The runner shows these lines. */
    note(name) {
      const { length } = edge.subscriptionRequests;
      console.log(
        `cost: ${name}: ${requests.length} requests to Graph, ${length} for subscriptions, ${worker.cpuTime.toFixed(1)} s of CPU in workerd`,
      );
    },
    async stop() {
      stopped = true;
      await worker.dispose();
      server.closeAllConnections();
      server.close();
      await fake.stop();
    },
  };
  return edge;
}
