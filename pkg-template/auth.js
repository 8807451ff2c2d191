// @ts-check
// App-only tokens by OAuth's client credentials grant, for Workers and servers. No entry for
// browsers imports this file: a secret does not belong in a browser.
import { DeltaError, badRequest, typeOf } from "./error.js";
import { checkNames, checkOption, isFunction, isTimeout, TIMEOUT } from "./option-checks.js";
import { retryTime, withoutSecrets } from "./refusal.js";
import { isSafe, parseUrl } from "./urls.js";

/**
 * The authority that issues the tokens of each cloud, by the origin of the cloud's Graph (Graph's
 * page "National cloud deployments").
 */
const AUTHORITIES = {
  "https://graph.microsoft.com": "https://login.microsoftonline.com",
  "https://graph.microsoft.us": "https://login.microsoftonline.us",
  "https://dod-graph.microsoft.us": "https://login.microsoftonline.us",
  "https://microsoftgraph.chinacloudapi.cn": "https://login.chinacloudapi.cn",
};
const OWNER = "clientCredentials()";
const OPTIONS = "tenant clientId secret assertion authority timeout cache fetch".split(" ");
/** The time before its expiry, in milliseconds, from which a token is no longer used. */
const MARGIN = 300_000;
/** The assumed lifetime of a token, in seconds, if the authority does not state it. */
const DEFAULT_LIFETIME = 3600;
/** The maximum number of cached tokens: sources of many tenants may share a cache. */
const MAX_TENANTS = 1000;
/** The maximum number of cached tokens for claims. Each claims challenge adds a token. */
const MAX_CLAIMS = 20;

/** Whether a value has the methods of a Map that are used here: it may be one of another realm. */
const isMap = (value) => ["get", "set", "delete", "keys"].every((name) => isFunction(value?.[name]));

/** Returns the origin of an authority, without a slash at the end. */
function originOf(authority) {
  const url = parseUrl(authority);
  if (isSafe(url) && `${url.origin}/` === url.href) return url.origin;
  throw badRequest(
    'options.authority of clientCredentials() must be an origin such as "https://login.microsoftonline.com", without the tenant; http is allowed for loopback only',
  );
}

/** @type {typeof import("./auth.js").clientCredentials} */
export function clientCredentials(options) {
  checkNames(options, OPTIONS, OWNER);
  const {
    tenant,
    clientId,
    secret,
    assertion,
    authority,
    timeout = 30_000,
    cache = new Map(),
    fetch = globalThis.fetch,
  } = options ?? {};
  for (const [name, value] of Object.entries({ tenant, clientId })) {
    if (typeof value !== "string" || !value)
      throw badRequest(
        `options.${name} of clientCredentials() must be a non-empty string, got ${typeOf(value)}`,
      );
  }
  if ((secret === undefined) === (assertion === undefined))
    throw badRequest(
      `clientCredentials() needs either options.secret or options.assertion, got ${secret === undefined ? "neither" : "both"}`,
    );
  for (const [name, value] of Object.entries({ secret, assertion })) {
    const isUsable =
      (typeof value === "string" && value) || (name === "assertion" && typeof value === "function");
    if (value !== undefined && !isUsable)
      throw badRequest(
        `options.${name} of clientCredentials() must be a non-empty string${name === "assertion" ? " or a function" : ""}, got ${typeOf(value)}`,
      );
  }
  checkOption(options, "timeout", OWNER, isTimeout, TIMEOUT);
  checkOption(options, "fetch", OWNER, isFunction, "a function");
  checkOption(options, "cache", OWNER, isMap, "a Map");
  const root = authority === undefined ? undefined : originOf(authority);
  if (tenant.includes("/"))
    throw badRequest(
      "options.tenant of clientCredentials() must be the id or a domain of the tenant, such as contoso.onmicrosoft.com, got a URL or a path; another authority is options.authority",
    );
  /** By key: the request for a token that all callers of this source wait for. */
  const pending = new Map();
  /** By key: the token that this source returned last. */
  const returned = new Map();

  async function request(scope, claims) {
    const issuer = root ?? AUTHORITIES[scope.replace(/\/\.default$/, "")];
    if (!issuer) throw badRequest(`the authority for ${scope} is not known; set options.authority`);
    const body = new URLSearchParams({ grant_type: "client_credentials", client_id: clientId, scope });
    if (claims) body.set("claims", claims);
    const controller = new AbortController();
    let timer;
    let waitingFor = "options.assertion";
    // All callers share this request. Without a timeout, a hanging request would block all later
    // calls.
    const timedOut = new Promise((_, reject) => {
      timer = setTimeout(() => {
        reject(
          new DeltaError(`${waitingFor} did not respond within ${timeout} ms; the next round asks again`, {
            code: "network",
            retryable: true,
          }),
        );
        controller.abort();
      }, timeout);
    });
    let response;
    let json;
    try {
      if (secret !== undefined) body.set("client_secret", secret);
      else {
        body.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        body.set(
          "client_assertion",
          typeof assertion === "function" ? await Promise.race([timedOut, assertion()]) : assertion,
        );
      }
      waitingFor = issuer;
      response = await Promise.race([
        timedOut,
        fetch(`${issuer}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`, {
          method: "POST",
          body,
          redirect: "manual",
          signal: controller.signal,
        }),
      ]);
      json = await Promise.race([timedOut, response.json().catch(() => undefined)]);
    } catch (cause) {
      if (waitingFor !== issuer || cause instanceof DeltaError) throw cause;
      throw new DeltaError(`${issuer} did not respond; the next round continues at the same page`, {
        code: "network",
        retryable: true,
        cause,
      });
    } finally {
      clearTimeout(timer);
    }
    const { access_token: accessToken, expires_in: seconds } = json ?? {};
    if (response.ok && typeof accessToken === "string") {
      // RFC 6749 lets an authority leave out `expires_in`.
      const lifetime = (Number(seconds) > 0 ? Number(seconds) : DEFAULT_LIFETIME) * 1000;
      return { accessToken, expiresOn: new Date(Date.now() + lifetime) };
    }
    const { status } = response;
    // Any other response is that of a proxy, or of a network with a sign-in page.
    const isOfAuthority = typeof json?.error === "string";
    const retryable = status === 429 || status === 408 || status >= 500 || (response.ok && !isOfAuthority);
    // The first line of the description is the reason; the others are ids and times.
    const [description] = String(json?.error_description ?? json?.error ?? "").split(/\r?\n/);
    const secrets = ["client_secret", "client_assertion"].map((name) => body.get(name));
    const text = withoutSecrets(description, secrets).slice(0, 300);
    const reason = text && ` (${text})`;
    const isTemporary = retryable && !response.ok;
    const advice = isTemporary
      ? "try again later"
      : !isOfAuthority
        ? "it is not the response of an authority; check options.authority, and whether a proxy responds instead"
        : "check the tenant, the client id, its secret or assertion, and its consent";
    const retryAt = retryTime(response.headers.get("retry-after"));
    throw new DeltaError(`${issuer} returned no token, status ${status}: ${advice}${reason}`, {
      code: "unauthorized",
      status,
      retryable,
      ...(retryable && retryAt && { retryAt }),
    });
  }

  /** Stores a token as the most recently used one. Beyond a limit, removes the oldest one. */
  function store(key, token) {
    for (const tokens of [cache, returned]) {
      const isNew = !tokens.delete(key);
      tokens.set(key, token);
      if (!isNew) continue;
      limit(tokens, MAX_TENANTS, () => true);
      limit(tokens, MAX_CLAIMS, hasClaims);
    }
    return token;
  }

  function limit(tokens, most, isCounted) {
    const counted = [...tokens.keys()].filter(isCounted);
    if (counted.length > most) tokens.delete(counted[0]);
  }

  function hasClaims(key) {
    return JSON.parse(key).at(-1) !== null;
  }

  /** @param {import("./tokens.js").TokenRequest} request */
  const source = async ({ reason, claims, scopes: [scope], signal }) => {
    const key = JSON.stringify([authority, tenant, clientId, scope, claims]);
    if (!pending.has(key)) {
      const token = cache.get(key);
      const last = returned.get(key);
      // Another source with the same cache may have replaced the token that Graph refused.
      const refused = reason === "unauthorized" && (!last || last === token);
      if (token && !refused && token.expiresOn - MARGIN > Date.now()) return store(key, token);
      const made = request(scope, claims).then((result) => store(key, result));
      pending.set(key, made);
      made.finally(() => pending.delete(key)).catch(() => {});
    }
    // The signal ends the wait of this caller only: others may wait for the same request.
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason);
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort, { once: true });
      pending
        .get(key)
        .then(resolve, reject)
        .finally(() => signal?.removeEventListener("abort", abort));
    });
  };
  source.account = `app ${clientId} of ${tenant}`;
  return source;
}
