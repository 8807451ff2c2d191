// The two Workers of docs/edge.md, taken from its text: they compile with Cloudflare's types, fit
// in 60 and 40 lines, and run in workerd against Graph's own addresses, which lead to the fake
// Graph.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { after, afterEach, before, test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { startFake } from "../fake.mjs";
import { until } from "../wait.mjs";
import { bundle, startWorker } from "./workerd.mjs";

const root = new URL("../..", import.meta.url).pathname;
const folder = `${root}tests/node_modules/.docs-edge`;
const GRAPH = "https://graph.microsoft.com/v1.0";
const STATE = "a state of the tests, which is long enough";
const SINK = `export default { async queue(batch, env) {
  await env.END.fetch("http://end", { method: "POST", body: JSON.stringify(batch.messages.map(({ body }) => body)) });
} };`;
/** The Workers of docs/edge.md, and the most lines of each. */
const WORKERS = {
  users: { binding: "USERS", className: "Users", most: 60 },
  calendars: { binding: "CALENDARS", className: "Calendar", most: 40 },
};
/** What `wrangler types` writes. */
const envOf = ({ binding, className }) => `interface Env {
  ${binding}: DurableObjectNamespace<import("./index").${className}>;
  CHANGES: Queue;
  TENANT: string; CLIENT: string; URL: string; SECRET: string; STATE: string;
}`;

/** The code of each Worker, and the objects of its configuration. */
const [code, bindings] = [{}, {}];
let settings;
let example;
before(async () => {
  const page = await readFile(`${root}docs/edge.md`, "utf8");
  const blocks = (language) =>
    [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"))].map(([, text]) => text);
  const [whole, lines] = blocks("jsonc");
  settings = JSON.parse(whole);
  bindings.users = settings.durable_objects.bindings;
  bindings.calendars = JSON.parse(`{${lines.replace(/,\s*$/, "")}}`).durable_objects.bindings;
  [code.users, code.calendars] = blocks("ts");
  for (const [name, worker] of Object.entries(WORKERS)) {
    await mkdir(`${folder}/${name}`, { recursive: true });
    await writeFile(`${folder}/${name}/index.ts`, code[name]);
    await writeFile(`${folder}/${name}/env.d.ts`, envOf(worker));
    const config = { extends: `${root}www/edge/tsconfig.json`, include: ["*.ts"] };
    await writeFile(`${folder}/${name}/tsconfig.json`, JSON.stringify(config));
  }
});

after(() => rm(folder, { recursive: true }));
afterEach(async () => {
  await example?.stop();
  example = undefined;
});

/** Starts a Worker of docs/edge.md. `respond` of the result may replace a response of Graph. */
async function start(name) {
  const { binding: object, className } = WORKERS[name];
  const fake = await startFake();
  const world = await fake.world({ populate: { users: 3 } });
  const made = {
    world,
    messages: [],
    requests: [],
    subscriptions: new Map(),
    respond: () => undefined,
  };
  const outbound = async (request) => {
    const url = new URL(request.url);
    const path = url.href.slice(GRAPH.length);
    if (url.origin === "https://login.microsoftonline.com")
      return Response.json({ access_token: world.tokens.app, expires_in: 3600 });
    assert.ok(url.href.startsWith(GRAPH), url.href);
    made.requests.push(`${request.method} ${path.split("?")[0]}`);
    const replaced = made.respond(path);
    if (replaced) return replaced;
    if (path.startsWith("/subscriptions")) return subscribed(request, path, await request.text());
    const headers = { authorization: request.headers.get("authorization") };
    const response = await fetch(world.root + path, { headers });
    const text = (await response.text()).replaceAll(world.root, GRAPH);
    return new Response(text, { status: response.status, headers: { "content-type": "application/json" } });
  };
  /** Validates the address of a new subscription, and passes the request to the fake Graph. */
  async function subscribed({ method, headers }, path, body) {
    if (method === "POST") {
      const { pathname } = new URL(JSON.parse(body).notificationUrl);
      const echo = await worker.fetch(`${pathname}?validationToken=a+token`, { method });
      assert.equal(await echo.text(), "a token");
    }
    const authorization = headers.get("authorization");
    const response = await fetch(world.root + path, { method, body, headers: { authorization } });
    const subscription = await response.json();
    if (response.ok) made.subscriptions.set(subscription.id, subscription);
    return Response.json(subscription, { status: response.status });
  }
  const [{ binding, queue }] = settings.queues.producers;
  const worker = await startWorker(
    `${folder}/${name}/index.ts`,
    {
      compatibilityDate: settings.compatibility_date,
      durableObjects: { [object]: { className, useSQLite: true } },
      queueProducers: { [binding]: queue },
      bindings: { ...settings.vars, SECRET: "not a real one", STATE },
      outboundService: outbound,
    },
    [
      {
        name: "sink",
        compatibilityDate: settings.compatibility_date,
        modules: true,
        script: SINK,
        serviceBindings: {
          END: async (request) => {
            made.messages.push(...(await request.json()));
            return new Response();
          },
        },
        queueConsumers: { [queue]: { maxBatchSize: 100, maxBatchTimeout: 0 } },
      },
    ],
    { handleStructuredLogs: ({ message }) => void made.logs.push(message) },
  );
  return Object.assign(made, {
    worker,
    logs: [],
    tick: async () =>
      (await worker.miniflare.getWorker("worker")).scheduled({ cron: settings.triggers.crons[0] }),
    notify: (body, [subscription] = made.subscriptions.values()) =>
      worker.fetch(new URL(subscription.notificationUrl).pathname, { method: "POST", body }),
    add: (displayName) => world.edits({ collection: "users", op: "add", item: { displayName } }),
    names: () => made.messages.map(({ item }) => item?.displayName),
    async stop() {
      await worker.dispose();
      await fake.stop();
    },
  });
}

const notification = (change) =>
  JSON.stringify({
    value: [{ subscriptionId: "any", changeType: "updated", clientState: STATE, ...change }],
  });

test("the Workers of docs/edge.md fit in 60 and 40 lines of 110 columns, and compile", async () => {
  for (const [name, { binding, className, most }] of Object.entries(WORKERS)) {
    const lines = code[name].trim().split("\n");
    assert.ok(lines.length <= most, `${name} has ${lines.length} lines`);
    for (const line of lines) assert.ok(line.length <= 110, line);
    assert.deepEqual(bindings[name], [{ name: binding, class_name: className }]);
    const options = ["-p", `${folder}/${name}`];
    const tsc = promisify(execFile)(`${root}node_modules/.bin/tsc`, options, { cwd: root });
    await tsc.catch(({ stdout }) => assert.fail(stdout));
  }
  for (const name of Object.keys(WORKERS)) await printSize(name);
});

async function printSize(name) {
  const bundled = await bundle(`${folder}/${name}/index.ts`);
  const files = await Promise.all(
    ["worker.mjs", "deltalink.wasm"].map((file) => readFile(`${bundled}/${file}`)),
  );
  const size = gzipSync(Buffer.concat(files), { level: 9 }).length;
  const { length } = code[name].trim().split("\n");
  console.log(
    `scale: the Worker for ${name} of docs/edge.md: ${length} lines, ${Math.round(size / 1024)} KB gzipped`,
  );
  await rm(bundled, { recursive: true });
}

test("the first Worker of docs/edge.md sends the users of a tenant to a queue, woken by cron and notifications", async () => {
  example = await start("users");
  await example.tick();
  await until(() => example.messages.length === 3 || `${example.messages.length} messages`);
  await until(() => example.subscriptions.size === 1 || "no subscription");
  const [{ id, resource, changeType, notificationUrl, clientState }] = example.subscriptions.values();
  assert.deepEqual(
    { resource, changeType, notificationUrl, clientState },
    {
      resource: "users",
      changeType: "updated,deleted",
      notificationUrl: settings.vars.URL,
      clientState: STATE,
    },
  );

  await example.add("Ann");
  assert.equal((await example.notify(notification({ clientState: "forged" }))).status, 202);
  assert.equal((await example.notify(notification())).status, 202);
  await until(() => example.names().includes("Ann") || "no message about Ann");

  const renewals = () => example.requests.filter((one) => one === `PATCH /subscriptions/${id}`).length;
  assert.equal(renewals(), 0);
  await example.notify(notification({ changeType: undefined, lifecycleEvent: "reauthorizationRequired" }));
  await until(() => renewals() === 1 || "not renewed");
  assert.equal((await example.worker.fetch("/")).status, 404);
  const lines = () => example.logs.filter((line) => line.includes("event: 'round'"));
  // The round follows the renewal.
  await until(() => lines().length >= 3 || example.logs.join("\n"));
  assert.ok(lines().every((line) => !line.includes(example.world.tokens.app)));
});

test("the first Worker of docs/edge.md waits as long as Graph asks for, also after a notification", async () => {
  example = await start("users");
  await example.tick();
  await until(() => example.subscriptions.size === 1 || "no subscription");
  example.respond = (path) =>
    path.startsWith("/users") && new Response("{}", { status: 429, headers: { "retry-after": "90" } });
  await example.add("Bob");
  const failures = () => example.logs.filter((line) => line.includes("event: 'failed'"));
  await example.notify(notification());
  await until(() => failures().length === 1 || example.logs.join("\n"));
  assert.match(failures()[0], /reason: 'retry-after'/);
  example.respond = () => undefined;
  const { length } = example.requests;
  await example.notify(notification());
  await example.tick();
  // The object has handled both when it answers a third one.
  await example.notify(notification());
  assert.equal(example.requests.length, length, "no request before the end of the throttle");
});

test("the second Worker of docs/edge.md sends the calendars of three users, each with its own secret", async () => {
  example = await start("calendars");
  const people = ["ann@contoso.com", "bob@contoso.com", "cho@contoso.com"];
  const at = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString();
  const add = (user, subject) => {
    const item = { subject, start: at(24), end: at(25) };
    return example.world.edits({ collection: "events", op: "add", user, item });
  };
  for (const user of people) {
    await example.world.token({ kind: "app", user });
    await add(user, `of ${user}`);
  }
  await example.tick();
  const sent = () => example.messages.map(({ user, item }) => `${user} ${item.subject}`).sort();
  await until(() => sent().join() === people.map((user) => `${user} of ${user}`).join() || sent().join());
  await until(() => example.subscriptions.size === 3 || `${example.subscriptions.size} subscriptions`);
  const all = [...example.subscriptions.values()];
  assert.equal(new Set(all.map(({ clientState }) => clientState)).size, 3);
  const [ann, bob] = ["ann", "bob"].map((name) => all.find(({ resource }) => resource.includes(name)));
  const { clientState } = bob;

  for (const user of people) await add(user, "new");
  const { length } = example.requests;
  assert.equal((await example.notify(notification({ clientState }), [ann])).status, 202);
  assert.equal(example.requests.length, length, "the secret of Bob is not that of Ann");
  await example.notify(notification({ clientState }), [bob]);
  await until(() => sent().includes("bob@contoso.com new") || sent().join());
  assert.equal(example.messages.length, 4);

  const renewals = (id) => example.requests.filter((one) => one === `PATCH /subscriptions/${id}`).length;
  await example.notify(notification({ clientState, lifecycleEvent: "reauthorizationRequired" }), [bob]);
  assert.equal(renewals(bob.id), 0, "the id is that of another subscription");
  const renew = { clientState, lifecycleEvent: "reauthorizationRequired", subscriptionId: bob.id };
  await example.notify(notification(renew), [bob]);
  await until(() => renewals(bob.id) === 1 || "not renewed");
  assert.equal((await example.worker.fetch("/notifications/dan%40contoso.com")).status, 404);
});

/** Runs the recipe of docs/testing.md, changed by `change`, beside the second Worker. */
async function runRecipe(change = (code) => code) {
  const page = await readFile(`${root}docs/testing.md`, "utf8");
  const [, recipe] = /^```js\n(.*?)^```$/ms.exec(page);
  const bundled = await bundle(`${folder}/calendars/index.ts`);
  await mkdir(`${folder}/out`, { recursive: true });
  await copyFile(`${bundled}/worker.mjs`, `${folder}/out/index.js`);
  await copyFile(`${bundled}/deltalink.wasm`, `${folder}/out/deltalink.wasm`);
  await rm(bundled, { recursive: true });
  await writeFile(`${folder}/recipe.mjs`, change(recipe));
  // The variable tells a test runner to report to this one.
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  const flags = ["--test-reporter=tap", "recipe.mjs"];
  const options = { cwd: folder, env, timeout: 60_000 };
  return promisify(execFile)(process.execPath, flags, options).catch((error) => error);
}

test("the recipe of docs/testing.md runs the second Worker in Miniflare", async () => {
  const { stdout } = await runRecipe();
  assert.match(stdout, /^ok 1 - a notification leads to a round$/m);
});

test("the recipe of docs/testing.md ends when its test fails, with a message", async () => {
  const { stdout, code, killed } = await runRecipe((recipe) =>
    recipe.replace("untilItHas(2)", "untilItHas(3)").replace("Date.now() + 10_000", "Date.now() + 1000"),
  );
  assert.deepEqual({ code, killed }, { code: 1, killed: false });
  assert.match(stdout, /^not ok 1 - a notification leads to a round$/m);
  assert.match(stdout, /no current mirror of 3 events after 10 s: \{/);
});
