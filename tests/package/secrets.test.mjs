// No message contains a part of a token or of a link's token, whatever the source of the token is.
import assert from "node:assert/strict";
import test from "node:test";
import { openDelta } from "deltalink";
import { clientOf, page } from "./responses.mjs";

const ROOT = "https://graph.microsoft.com/v1.0";
/** The shortest run of a secret's characters that counts as a leak. */
const RUN = 8;

/** Secrets in the forms of tokens: a JWT, an opaque token, a link's token, a hexadecimal one. */
const SECRETS = [
  `eyJ0eXAiOiJKV1QiLCJub25jZSI6Ij.${"eyJhdWQiOiJodHRwczovL2dyYXBo".repeat(3)}.Sflk7xRJSMeKKF2QT4fwpM`,
  `EwBgA8l6BAAU${"aB3dE6gH9jK2mN5pQ8sT1vW4yZ7".repeat(4)}`,
  `R0usmcCM996atia_s${"TCFgIDO86xEvLaGxPnxKgI".repeat(3)}`,
  "00112233445566778899aabbccddeeff".repeat(3),
];

/** The first run of a secret's characters in a text; undefined if there is none. */
function leak(text, secret) {
  for (let index = 0; index + RUN <= secret.length; index += 1) {
    const run = secret.slice(index, index + RUN);
    if (text.includes(run)) return run;
  }
  return undefined;
}

/** Everything in an error or a report that a caller may log. */
function loggable(error) {
  const fields = { ...error, cause: undefined };
  return [
    error.message,
    error.stack,
    String(error),
    JSON.stringify(fields),
    JSON.stringify(error.report),
  ].join("\n");
}

const users = (client) => client.track("/users/delta").sync();
const refuse = (body, status = 400, headers = {}) => Response.json(body, { status, headers });
const failing = (respond) => async () => users(await clientOf(respond));
const options = (more) => () => openDelta({ token: () => "a-token", store: "memory", ...more });
const query = (make) => async () => make(await clientOf(() => page([], { delta: "/d" })));
const thrown = (secret) =>
  Object.assign(new Error(`failed for ${secret}`), { name: secret, code: secret, errorCode: secret });

/** Each way in which a secret may reach a message. */
const PLACES = {
  "options.token is the token": (secret) => options({ token: secret }),
  "options.token is a result": (secret) => options({ token: { accessToken: secret } }),
  "the token source returns an object with another name": (secret) => async () =>
    users(await clientOf(() => page([]), { token: () => ({ jwt: secret }) })),
  "the token source returns an array": (secret) => async () =>
    users(await clientOf(() => page([]), { token: () => [secret] })),
  "the token source returns a token with a line end": (secret) => async () =>
    users(await clientOf(() => page([]), { token: () => `${secret}\n` })),
  "the token source throws": (secret) => async () =>
    users(await clientOf(() => page([]), { token: () => Promise.reject(thrown(secret)) })),
  "the token source throws a string": (secret) => async () =>
    users(await clientOf(() => page([]), { token: () => Promise.reject(secret) })),
  "Graph repeats the token in the message": (secret) =>
    failing(() => refuse({ error: { code: "x", message: `The token ${secret} is no good.` } })),
  "Graph repeats the token as the code": (secret) =>
    failing(() => refuse({ error: { code: secret, message: "no" } })),
  "Graph repeats the token as an inner code and a request id": (secret) =>
    failing(() => refuse({ error: { code: "x", innerError: { code: secret, "request-id": secret } } })),
  "Graph repeats the token in a header": (secret) =>
    failing(() => refuse({ error: { code: "x" } }, 400, { "request-id": secret, "Retry-After": secret })),
  "a body under a good status has an error": (secret) =>
    failing(() => Response.json({ error: { code: secret, message: secret } })),
  "a body is not JSON": (secret) => failing(() => new Response(`<html>${secret}</html>`)),
  "a nextLink leads elsewhere": (secret) =>
    failing(() =>
      Response.json({
        value: [],
        "@odata.nextLink": `https://evil.example/v1.0/users/delta?$skiptoken=${secret}`,
      }),
    ),
  "a nextLink leads elsewhere, with the token in its path": (secret) =>
    failing(() =>
      Response.json({
        value: [],
        "@odata.nextLink": `https://evil.example/v1.0/users/delta(token='${secret}')`,
      }),
    ),
  "a nextLink has an empty segment": (secret) =>
    failing(() =>
      Response.json({ value: [], "@odata.nextLink": `${ROOT}/users//delta?$skiptoken=${secret}` }),
    ),
  "a nextLink is refused": (secret) =>
    failing((url, count) =>
      count === 1
        ? page([], { next: `/users/delta?$skiptoken=${secret}` })
        : refuse({ error: { code: "x", message: url } }),
    ),
  "nextLinks form a cycle": (secret) =>
    failing(() => page([{ id: "a" }], { next: `/users/delta?$skiptoken=${secret}` })),
  "the host's network names the link": (secret) =>
    failing(() => Promise.reject(new TypeError(`fetch failed: ${ROOT}/users/delta?$skiptoken=${secret}`))),
  "fetch has a defect": (secret) =>
    failing(() => Promise.reject(new ReferenceError(`${secret} is not defined`))),
  "fetch returns the token": (secret) => failing(() => secret),
  "the store throws": (secret) => async () => {
    const store = {
      load: () => Promise.reject(thrown(secret)),
      rows() {},
      scan() {},
      commit() {},
      clear() {},
    };
    return users(await clientOf(() => page([]), { store, account: "alex" }));
  },
  "the store returns the token for a record": (secret) => async () => {
    const store = {
      load: () => ({ link: secret, format: secret }),
      rows: () => [],
      scan: () => [],
      commit: () => true,
      clear() {},
    };
    return users(await clientOf(() => page([]), { store, account: "alex" }));
  },
  "options.endpoint has the token": (secret) =>
    options({ endpoint: `https://graph.microsoft.com/v1.0?token=${secret}` }),
  "options.cloud is the token": (secret) => options({ cloud: secret }),
  "options.store is the token": (secret) => options({ store: secret }),
  "options.fetch is the token": (secret) => options({ fetch: secret }),
  "options.retry is the token": (secret) => options({ retry: secret }),
  "options.retry.base is the token": (secret) => options({ retry: { base: secret } }),
  "openDelta is called with the token": (secret) => () => openDelta(secret),
  "a path has a link's token": (secret) =>
    query((client) => client.track(`/users/delta?$deltatoken=${secret}`)),
  "a path is a link": (secret) =>
    query((client) => client.track(`${ROOT}/users/delta?$deltatoken=${secret}`)),
  "the start of a calendar is a link": (secret) =>
    query((client) => client.events({ start: `${ROOT}?$deltatoken=${secret}`, end: "2026-12-01" })),
  "options.select has the token": (secret) =>
    query((client) => client.track("/users/delta", { select: [`${secret} `] })),
  "options.ids is the token": (secret) => query((client) => client.track("/users/delta", { ids: secret })),
  "options.prefer has the token": (secret) =>
    query((client) => client.track("/users/delta", { prefer: [`${secret}é`] })),
  "options.query has the token as a name": (secret) =>
    query((client) => client.track("/users/delta", { query: { [`${secret}&`]: "x" } })),
  "options.signal is the token": (secret) =>
    query((client) => client.track("/users/delta").sync({ signal: secret })),
  "onError returns the token": (secret) => async () =>
    users(await clientOf(() => refuse({ error: { code: "x" } }), { onError: () => secret })),
};

for (const [place, attempt] of Object.entries(PLACES))
  test(`no message leaks a secret where ${place}`, async () => {
    for (const secret of SECRETS) {
      const error = await (async () => attempt(secret)())().then(
        () => assert.fail("no error"),
        (thrown) => thrown,
      );
      assert.equal(error.name, "DeltaError", `${error.stack}`);
      assert.equal(leak(loggable(error), secret), undefined, error.message);
    }
  });
