// Tokens and claims challenges, through the packed package in Node.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DeltaError, openDelta } from "deltalink";
import { requestsOf, startFake } from "../fake.mjs";
import { until } from "../wait.mjs";
import { open, quick, statusUntil } from "./kit.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

const populate = { contacts: 30, events: 30, users: 10, around: "2026-11-21T00:00:00Z" };
const CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}';

/** An error with the shape of MSAL's `InteractionRequiredAuthError`. */
const interactionRequired = (fields) =>
  Object.assign(new Error("sign in"), { name: "InteractionRequiredAuthError", ...fields });

/** A token source whose first call requires a sign-in. */
function signsInAfterOneCall(world) {
  let calls = 0;
  return async () => {
    calls += 1;
    if (calls > 1) return world.tokens.delegated;
    throw interactionRequired();
  };
}

test("the token source gets the decoded claims of a challenge, and the page is requested again", async () => {
  for (const status of [401, 403]) {
    const world = await fake.world({ populate });
    await world.faults({ match: { kind: "next" }, fault: { name: "claims", status } });
    const requests = [];
    const token = (request) => {
      requests.push([request.reason, request.claims]);
      return world.tokens.delegated;
    };
    const client = await open(world, { token });
    const report = await client.orgContacts().sync();
    assert.deepEqual(
      requests,
      [
        ["start", undefined],
        ["expired", undefined],
        ["claims", CLAIMS],
      ],
      "the token that satisfied the challenge is used for the following pages",
    );
    assert.deepEqual([report.pages, report.requests, report.retries], [3, 4, 1]);
    await client.close();
  }
});

test("a credential's getToken gets the claims, enableCae and the signal", async () => {
  const world = await fake.world({ populate });
  await world.faults({ match: {}, fault: "claims" });
  const requests = [];
  const credential = {
    async getToken(scopes, options) {
      requests.push([
        this === credential,
        scopes,
        options.claims,
        options.enableCae,
        options.abortSignal.aborted,
      ]);
      return { token: world.tokens.delegated, expiresOnTimestamp: Date.now() + 3600e3 };
    },
  };
  const client = await open(world, { token: credential });
  await client.orgContacts().sync();
  const scope = [`${new URL(world.root).origin}/.default`];
  assert.deepEqual(requests, [
    [true, scope, undefined, true, false],
    [true, scope, CLAIMS, true, false],
  ]);
  await client.close();
});

test("claims in base64url are decoded, and malformed ones are ignored", async () => {
  for (const [claims, expected] of [
    ["eyJ4IjoiPz8-P34_In0", ["claims", '{"x":"??>?~?"}']],
    ["%%%", ["unauthorized", undefined]],
    ["W10=", ["unauthorized", undefined]],
    [Buffer.from("{not json}").toString("base64"), ["unauthorized", undefined]],
    ["", ["unauthorized", undefined]],
  ]) {
    const world = await fake.world({ populate });
    await world.faults({ match: {}, fault: { name: "claims", claims } });
    const requests = [];
    const client = await open(world, {
      token: ({ reason, claims }) => (requests.push([reason, claims]), world.tokens.delegated),
    });
    await client.orgContacts().sync();
    assert.deepEqual(requests[1], expected, claims);
    await client.close();
  }
});

test("a token that never satisfies the claims ends the round with the claims, and keeps the pages", async () => {
  const world = await fake.world({ populate });
  await world.faults({ match: { kind: "next" }, times: null, fault: "claims" });
  const client = await open(world);
  const contacts = client.orgContacts();
  const error = await contacts.sync().catch((error) => error);
  assert.deepEqual([error.code, error.claims, error.status, error.retryable], ["claims", CLAIMS, 401, true]);
  assert.match(error.message, /sign the user in with error\.claims, then call resume\(\)/);
  const status = contacts.status.get();
  assert.deepEqual([status.phase, status.error], ["needs-auth", error]);
  assert.equal((await requestsOf(world)).filter(({ kind }) => kind === "next").length, 2, "not a third time");
  assert.equal(await contacts.count(), 10, "the page before is kept");
  await client.close();
});

test("a required sign-in is a status with claims, and resume() continues with the same page", async () => {
  const world = await fake.world({ populate });
  await world.faults({
    match: { kind: "next" },
    times: null,
    fault: { name: "claims", until_new_token: true },
  });
  let isSignedIn = false;
  const token = async ({ claims }) => {
    if (isSignedIn) return world.token({ kind: "delegated" });
    if (claims)
      throw interactionRequired({
        errorCode: "interaction_required",
        claims: '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}',
      });
    return world.tokens.delegated;
  };
  const client = await open(world, { token });
  const contacts = client.orgContacts();
  const error = await contacts.sync().catch((error) => error);
  assert.deepEqual(
    [error.code, error.claims],
    ["interaction", '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'],
  );
  assert.equal(error.cause.name, "InteractionRequiredAuthError");
  assert.equal(contacts.status.get().phase, "needs-auth");
  isSignedIn = true;
  await world.clearLog();
  client.resume();
  const done = await statusUntil(contacts, ({ phase, lastSyncedAt }) => phase === "idle" && lastSyncedAt);
  assert.equal(done.error, undefined);
  assert.equal(await contacts.count(), 30);
  assert.deepEqual(
    (await requestsOf(world)).map(({ kind }) => kind),
    ["next", "next"],
    "from the page where it stopped",
  );
  await client.close();
});

test("the client says when a sign-in is needed for any of its queries, and prefers an error with claims", async () => {
  const world = await fake.world({ populate });
  const refuse = (claims) => {
    throw interactionRequired({ claims });
  };
  let source = () => refuse();
  const client = await open(world, { token: async (request) => source(request) });
  const errors = [];
  const stop = client.signInError.subscribe((error) => errors.push(error && (error.claims ?? error.code)));
  const contacts = client.orgContacts();
  await assert.rejects(contacts.sync(), { code: "interaction" });
  assert.equal(client.signInError.get(), contacts.status.get().error);
  await until(() => errors.length === 2);
  assert.deepEqual(errors, [undefined, "interaction"]);

  await world.faults({ match: {}, times: null, fault: { name: "claims", until_new_token: true } });
  source = ({ claims }) => (claims ? refuse(claims) : world.tokens.delegated);
  const users = client.track("/users/delta");
  const refused = await users.sync().catch((error) => error);
  assert.deepEqual([refused.code, client.signInError.get()], ["interaction", refused]);
  await until(() => errors.length === 3);
  assert.equal(errors.at(-1), CLAIMS);

  source = () => world.token({ kind: "delegated" });
  client.resume();
  await until(() => client.signInError.get() === undefined);
  await statusUntil(users, ({ phase, lastSyncedAt }) => phase === "idle" && lastSyncedAt);
  assert.deepEqual(errors, [undefined, "interaction", CLAIMS, undefined]);
  stop();
  await client.close();
});

test("resume() and close() end the wait of all queries at once: no error of another query is shown", async () => {
  const world = await fake.world({ populate });
  let isSignedIn = false;
  const token = async () => {
    if (isSignedIn) return world.tokens.delegated;
    throw interactionRequired();
  };
  for (const end of ["resume", "close"]) {
    isSignedIn = false;
    const client = await open(world, { token });
    const queries = [client.orgContacts(), client.track("/users/delta")];
    await Promise.allSettled(queries.map((query) => query.sync()));
    const errors = [];
    client.signInError.subscribe((error) => errors.push(error?.code));
    isSignedIn = true;
    await client[end]();
    await until(() => errors.length === 2);
    assert.deepEqual(errors, ["interaction", undefined], end);
    await client.close();
    // The end of the client is told once.
    assert.deepEqual(errors.slice(2), end === "resume" ? [undefined] : []);
  }
});

test("a subscriber of signInError may call resume() at once", async () => {
  const world = await fake.world({ populate });
  const client = await open(world, { token: signsInAfterOneCall(world) });
  const contacts = client.orgContacts();
  client.signInError.subscribe((error) => error && client.resume());
  await assert.rejects(contacts.sync(), { code: "interaction" });
  await statusUntil(contacts, ({ phase, lastSyncedAt }) => phase === "idle" && lastSyncedAt);
  assert.equal(client.signInError.get(), undefined);
  await client.close();
});

test("a subscriber of the status may call resume() at once: the round is repeated, a live query continues", async () => {
  const world = await fake.world({ populate });
  const start = { sync: (query) => query.sync(), live: (query) => query.live().syncNow() };
  for (const [way, run] of Object.entries(start)) {
    const client = await open(world, { token: signsInAfterOneCall(world) });
    const contacts = client.orgContacts();
    let resumes = 0;
    contacts.status.subscribe(({ phase }) => {
      if (phase !== "needs-auth") return;
      resumes += 1;
      client.resume();
    });
    await assert.rejects(run(contacts), { code: "interaction" }, way);
    const isPlanned = ({ nextRoundAt }) => way === "sync" || nextRoundAt;
    await statusUntil(
      contacts,
      (status) => status.phase === "idle" && status.lastSyncedAt && isPlanned(status),
    );
    assert.equal(resumes, 1, way);
    await client.close();
  }
});

test("a closed client asks for no sign-in", async () => {
  const world = await fake.world({ populate });
  const token = async () => {
    throw interactionRequired();
  };
  const client = await open(world, { token });
  await assert.rejects(client.orgContacts().sync(), { code: "interaction" });
  assert.equal(client.signInError.get().code, "interaction");
  await client.close();
  assert.equal(client.signInError.get(), undefined);
});

test("after a sign-in during a call of the token source, the source is called again if that call fails", async () => {
  const world = await fake.world({ populate });
  const refusal = interactionRequired();
  for (const refusals of [1, 2]) {
    let calls = 0;
    const token = async () => {
      calls += 1;
      // The user signs in, perhaps in another tab, while the first call is under way.
      if (calls === 1) client.resume();
      if (calls <= refusals) throw refusal;
      return world.tokens.delegated;
    };
    const client = await open(world, { token });
    const contacts = client.orgContacts();
    const outcome = await contacts.sync().then(
      ({ outcome }) => outcome,
      ({ code }) => code,
    );
    // The second refusal came after the sign-in, so it counts.
    assert.equal(outcome, refusals === 1 ? "complete" : "interaction");
    await client.close();
  }
});

test("a token source that calls resume() and fails is called twice, not forever", async () => {
  const world = await fake.world({ populate });
  let calls = 0;
  const client = await open(world, {
    token: async () => {
      calls += 1;
      client.resume();
      throw interactionRequired();
    },
  });
  await assert.rejects(client.orgContacts().sync(), { code: "interaction" });
  assert.equal(calls, 2);
  await client.close();
});

test("a sync() during resume() joins its round: each page is requested once", async () => {
  const world = await fake.world({ populate });
  for (const resumesFirst of [true, false]) {
    let isSignedIn = false;
    const token = () => {
      if (isSignedIn) return world.tokens.delegated;
      throw interactionRequired();
    };
    const client = await open(world, { token });
    const contacts = client.orgContacts();
    await assert.rejects(contacts.sync(), { code: "interaction" });
    isSignedIn = true;
    await world.clearLog();
    if (resumesFirst) client.resume();
    const sync = contacts.sync();
    if (!resumesFirst) client.resume();
    const { pages } = await sync;
    await statusUntil(contacts, ({ phase }) => phase === "idle");
    assert.equal((await requestsOf(world)).length, pages, resumesFirst ? "resume() first" : "sync() first");
    await client.close();
  }
});

test("an interaction error without claims gets those of the challenge", async () => {
  const world = await fake.world({ populate });
  await world.faults({ match: {}, times: null, fault: "claims" });
  const client = await open(world, {
    token: ({ claims }) => {
      if (claims) throw Object.assign(new Error("x"), { errorCode: "login_required" });
      return world.tokens.delegated;
    },
  });
  await assert.rejects(client.orgContacts().sync(), { code: "interaction", claims: CLAIMS });
  await client.close();
});

test("a token that another query got meanwhile is used before the source is called again", async () => {
  const world = await fake.world({ populate });
  let count = 0;
  const token = async () => {
    count += 1;
    return {
      accessToken: await world.token({ kind: "delegated" }),
      expiresOn: new Date(Date.now() + 3600e3),
    };
  };
  const client = await open(world, { token });
  const names = ["a", "b", "c", "d", "e"];
  await Promise.all(names.map((name) => client.orgContacts({ name }).sync()));
  const before = count;
  await world.revoke();
  for (const name of names) await client.orgContacts({ name }).sync();
  assert.equal(count, before + 1);
  await client.close();
});

test("a network error of the token source is retried, another error ends the round at once", async () => {
  const world = await fake.world({ populate });
  for (const [error, reason = "network"] of [
    [Object.assign(new TypeError("fetch failed"))],
    [Object.assign(new TypeError("Failed to fetch"))],
    [Object.assign(new Error("x"), { errorCode: "no_network_connectivity" })],
    [Object.assign(new Error("x"), { errorCode: "post_request_failed" })],
    [new DeltaError("no response", { code: "network", retryable: true })],
    [new DeltaError("busy", { code: "unauthorized", retryable: true, status: 503 }), "server"],
  ]) {
    let times = 0;
    const client = await open(world, {
      token: () => {
        if ((times += 1) < 3) throw error;
        return world.tokens.delegated;
      },
    });
    const report = await client.orgContacts().sync();
    assert.deepEqual(
      report.waits.map(({ reason }) => reason),
      [reason, reason],
      error.message,
    );
    await client.close();
  }
  for (const error of [new TypeError("x is undefined"), new Error("no"), "no", undefined]) {
    const client = await open(world, { token: () => Promise.reject(error) });
    const refused = await client
      .orgContacts()
      .sync()
      .catch((refused) => refused);
    assert.deepEqual([refused.code, refused.cause], ["unauthorized", error]);
    await client.close();
  }
  const cause = new TypeError("fetch failed");
  const client = await open(world, {
    retry: { ...quick, attempts: 2 },
    token: () => Promise.reject(cause),
  });
  await assert.rejects(client.orgContacts().sync(), {
    code: "network",
    message: /^the token source got no response/,
    cause,
  });
  await client.close();
});

test("an error of the token source is retryable unless the app has a mistake, which the message names", async () => {
  const world = await fake.world({ populate });
  const msal = (name, errorCode) =>
    Object.assign(new Error(`${errorCode}: see the docs`), { name, errorCode });
  for (const [error, retryable] of [
    [msal("BrowserAuthError", "uninitialized_public_client_application"), false],
    [msal("ClientConfigurationError", "authority_uri_insecure"), false],
    [msal("ServerError", "unauthorized_client"), false],
    [new ReferenceError("pca is not defined"), false],
    [msal("ClientConfigurationError", "untrusted_authority"), true],
    [new TypeError("Cannot read properties of null (reading 'homeAccountId')"), true],
    [msal("ServerError", "temporarily_unavailable"), true],
    [new SyntaxError("Unexpected token '<'"), true],
    [new Error("the backend returned 500"), true],
  ]) {
    const client = await open(world, { token: () => Promise.reject(error) });
    const refused = await client
      .orgContacts()
      .sync()
      .catch((refused) => refused);
    assert.deepEqual([refused.code, refused.retryable], ["unauthorized", retryable], error.message);
    assert.match(
      refused.message,
      retryable
        ? /^the token source failed \(.+\); the next round calls it again$/
        : /^the token source failed \(.+\): this is a mistake in the app's code, configuration or registration/,
    );
    await client.close();
  }
});

test("the token source is not called before the retryAt of its error", async () => {
  const world = await fake.world({ populate });
  const calls = [];
  const client = await open(world, {
    token: () => {
      calls.push(Date.now());
      if (calls.length < 2)
        throw new DeltaError("busy", {
          code: "unauthorized",
          retryable: true,
          status: 429,
          retryAt: new Date(Date.now() + 700),
        });
      return world.tokens.delegated;
    },
  });
  await client.orgContacts().sync();
  assert.ok(calls[1] - calls[0] >= 690, `${calls[1] - calls[0]} ms`);
  const later = await open(world, {
    retry: { ...quick, maxWait: 100 },
    token: () =>
      Promise.reject(
        new DeltaError("busy", {
          code: "unauthorized",
          retryable: true,
          status: 429,
          retryAt: new Date(Date.now() + 60_000),
        }),
      ),
  });
  const error = await later
    .orgContacts()
    .sync()
    .catch((error) => error);
  assert.equal(error.code, "throttled");
  assert.ok(error.retryAt - Date.now() > 50_000);
  await Promise.all([client.close(), later.close()]);
});

test("a token function that never resolves leads to an error with a reason", async () => {
  const world = await fake.world({ populate });
  const client = await open(world, {
    retry: { ...quick, maxWait: 30, timeout: 40 },
    token: () => new Promise(() => {}),
  });
  await assert.rejects(client.orgContacts().sync(), {
    code: "unauthorized",
    message: /^the token source failed \(it did not respond within 0 s\)/,
  });
  await client.close();
});

test("a token source that makes a DeltaError without a code is a mistake of the app, which no retry mends", async () => {
  const world = await fake.world({ populate });
  const client = await open(world, {
    token: () => {
      throw new DeltaError("nobody is signed in", /** @type {any} */ (undefined));
    },
  });
  await assert.rejects(client.orgContacts().sync(), {
    code: "unauthorized",
    retryable: false,
    message: /^the token source failed \(the second argument of new DeltaError\(\) must be \{ code, … \}/,
  });
  await client.close();
});

test("an error never contains a token that the response repeats", async () => {
  const token = "eyJ0eXAiOiJKV1QiLCJub25jZSI6.eyJhdWQiOiJodHRwczovL2dyYXBo.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
  for (const respond of [
    () => Response.json({ error: { code: token, message: `for ${token}` } }, { status: 400 }),
    () =>
      Response.json(
        { error: { code: "x", innerError: { code: token, "request-id": token } } },
        { status: 403 },
      ),
    () => Response.json({ error: { code: token } }),
    () => new Response("", { status: 404, headers: { "request-id": token } }),
  ]) {
    const client = await openDelta({
      token: () => token,
      store: "memory",
      retry: { base: 1, cap: 1, attempts: 1 },
      fetch: async () => respond(),
    });
    const error = await client
      .orgContacts()
      .sync()
      .catch((error) => error);
    assert.ok(!JSON.stringify([error.message, { ...error }]).includes(token.slice(0, 30)), error.message);
    await client.close();
  }
});
