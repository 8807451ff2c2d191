// @ts-check
// Creates, renews, replaces and deletes subscriptions. See Microsoft's pages "subscription resource
// type", "Create subscription" and "Set up notifications for changes in resource data".
import { DeltaError, badRequest, typeOf } from "./error.js";
import { checkNames, checkOption, isFunction, isText, isTimeout, TIMEOUT } from "./option-checks.js";
import { redact, retryTime, withoutSecrets } from "./refusal.js";
import { parseUrl, rootOf } from "./urls.js";

const MINUTE = 60_000;
/** Subtracted from the longest lifetime, because clocks differ. */
const CLOCK_MARGIN = 10 * MINUTE;
/**
 * The longest lifetime in minutes, the changes that a subscription may name, and the paths, where
 * `~` is `me` or `users/*`. From the tables "Supported resources" and "Subscription lifetime" of
 * Graph's page "Set up notifications for changes in resource data" (2025-03-05). Only kinds with a
 * delta query are listed.
 *
 * @type {[minutes: number, changeType: string, paths: string][]}
 */
const KINDS = [
  [41_760, "updated,deleted", "users users/* groups groups/* groups/*/members groups/*/owners"],
  [10_080, "created,updated,deleted", "~/events ~/messages ~/contacts ~/mailfolders/*/messages"],
  [42_300, "updated", "~/drive/root drives/*/root sites/*/lists/*"],
  [4320, "created", "communications/onlinemeetings/getallrecordings"],
  [4320, "created", "communications/onlinemeetings/getalltranscripts"],
  [4320, "created", "communications/onlinemeetings/*/recordings communications/onlinemeetings/*/transcripts"],
  [4320, "created", "users/*/onlinemeetings/getallrecordings users/*/onlinemeetings/getalltranscripts"],
  [4320, "created,updated,deleted", "teams/*/channels/*/messages chats/*/messages"],
  [4230, "created,updated,deleted", "~/todo/lists/*/tasks"],
];
const YEAR = 366 * 24 * 60 * MINUTE;
const isLifetime = (ms) => typeof ms === "number" && ms >= 1 && ms <= YEAR;
const OWNER = "subscriptions()";
const OPTIONS =
  "token resource notificationUrl lifecycleNotificationUrl clientState changeType lifetime cloud endpoint timeout fetch".split(
    " ",
  );
const encoder = new TextEncoder();

/** @type {typeof import("./notifications.js").subscriptionLimits} */
export function subscriptionLimits(resource) {
  // A key in parentheses counts as a separate segment.
  const path = resource
    .toLowerCase()
    .replaceAll(/\('([^']*)'\)/g, "/$1")
    .replace(/\?.*/, "");
  const kind = KINDS.find(([, , patterns]) =>
    patterns.split(" ").some((pattern) => {
      const source = pattern.replace("~", "(me|users/*)").replaceAll("*", "[^/]+");
      return new RegExp(`^/?${source}$`).test(path);
    }),
  );
  return kind && { lifetime: kind[0] * MINUTE, changeType: kind[1] };
}

/** @type {typeof import("./notifications.js").subscriptions} */
export function subscriptions(options) {
  checkNames(options, OPTIONS, OWNER);
  const { token, resource, clientState, timeout = 30_000, fetch = globalThis.fetch } = options ?? {};
  const root = rootOf(options, OWNER);
  const url = readUrl(options, "notificationUrl");
  const lifecycleUrl =
    options.lifecycleNotificationUrl === undefined ? url : readUrl(options, "lifecycleNotificationUrl");
  if (typeof token !== "function" && typeof (/** @type {any} */ (token)?.getToken) !== "function")
    throw badRequest(`options.token of subscriptions() must be a token source, got ${typeOf(token)}`);
  for (const [name, value, longest] of /** @type {[string, string, number][]} */ ([
    ["resource", resource, 1000],
    ["clientState", clientState, 128],
  ])) {
    if (typeof value !== "string" || !value || value.length > longest)
      throw badRequest(
        `options.${name} of subscriptions() must be a string of 1 to ${longest} characters, got ${typeOf(value)}`,
      );
  }
  checkOption(options, "timeout", OWNER, isTimeout, TIMEOUT);
  checkOption(options, "lifetime", OWNER, isLifetime, "a number of milliseconds from 1 to a year");
  checkOption(options, "changeType", OWNER, isText, 'a string such as "created,updated,deleted"');
  checkOption(options, "fetch", OWNER, isFunction, "a function");
  if (/\/delta(\(.*\))?$/i.test(resource))
    throw badRequest("options.resource of subscriptions() must be the collection, without /delta");
  const limits = subscriptionLimits(resource);
  const { lifetime = limits ? limits.lifetime - CLOCK_MARGIN : 0 } = options;
  const { changeType = limits?.changeType } = options;
  if (!(lifetime > 0) || !changeType)
    throw badRequest(
      `Graph documents no notifications for options.resource of subscriptions(), ${JSON.stringify(redact(resource.split(/[?#]/)[0]).slice(0, 80))}: poll it, or set options.lifetime and options.changeType`,
    );

  /**
   * Sends a request, unless the signal fires first. If Graph refuses the token, gets another one
   * and repeats the request once.
   */
  async function send(method, id, body, signal) {
    /** @type {{ reason: string, claims?: string }} */
    let request = { reason: "start" };
    for (let isLast = false; ; isLast = true) {
      const accessToken = await readToken(
        token,
        { ...request, scopes: [`${root.origin}/.default`] },
        timeout,
      );
      signal?.throwIfAborted();
      let response;
      try {
        response = await fetch(`${root.href}/subscriptions${id ? `/${encodeURIComponent(id)}` : ""}`, {
          method,
          headers: { authorization: `Bearer ${accessToken}`, "content-type": "application/json" },
          ...(body && { body: JSON.stringify(body) }),
          redirect: "manual",
          signal: AbortSignal.timeout(timeout),
        });
      } catch (cause) {
        throw new DeltaError("Graph did not respond to a request for a subscription; try again later", {
          code: "network",
          retryable: true,
          cause,
        });
      }
      if (
        response.type === "opaqueredirect" ||
        (response.status >= 300 && response.status < 400) ||
        !isFrom(response, root)
      )
        throw new DeltaError("a request for a subscription was redirected; a token is sent to Graph only", {
          code: "foreign-link",
          status: response.status,
        });
      if (response.status === 401 && !isLast) {
        const claims = claimsOf(response.headers.get("www-authenticate") ?? "");
        request = claims ? { reason: "claims", claims } : { reason: "unauthorized" };
        continue;
      }
      return { response, secrets: [accessToken, clientState] };
    }
  }

  /** Resolves to the subscription in a response, or rejects with the refusal. */
  async function readSubscription({ response, secrets }, settings) {
    if (!response.ok) throw await refusalOf(response, secrets);
    const json = await response.json().catch(() => undefined);
    const end = Date.parse(json?.expirationDateTime);
    if (typeof json?.id !== "string" || !json.id || !(end > 0))
      throw new DeltaError("Graph's response is not a subscription; try again later", {
        code: "protocol",
        retryable: true,
      });
    const now = Date.now();
    // Graph never grants more time than requested: a later end is ignored.
    const expiresAt = Math.min(end, now + lifetime);
    // The last third of the lifetime is left for attempts to renew it.
    return {
      id: json.id,
      expiresAt,
      renewAt: Math.max(expiresAt - (expiresAt - now) / 3, now + MINUTE),
      settings,
    };
  }

  /** Deletes the app's subscriptions with the same resource and notification URL. */
  async function deleteOthers(signal) {
    const { response, secrets } = await send("GET", undefined, undefined, signal);
    if (!response.ok) throw await refusalOf(response, secrets);
    const json = await response.json().catch(() => undefined);
    // Reads only the first page. If the subscription is on a later one, Graph refuses the next
    // attempt too.
    for (const other of json?.value ?? [])
      if (other.resource === resource && other.notificationUrl === url)
        await send("DELETE", other.id, undefined, signal);
  }

  return {
    async ensure(current, { renew = false, signal } = {}) {
      // If one of these has changed, a renewal is not enough: the subscription is replaced.
      const settings = await hash([resource, changeType, url, lifecycleUrl, clientState]);
      const isCurrent = current?.settings === settings;
      if (isCurrent && !renew && Date.now() < current.renewAt) return current;
      const expirationDateTime = new Date(Date.now() + lifetime).toISOString();
      if (isCurrent) {
        const renewed = await send("PATCH", current.id, { expirationDateTime }, signal);
        if (renewed.response.status !== 404) return readSubscription(renewed, settings);
      } else if (current) {
        const { response, secrets } = await send("DELETE", current.id, undefined, signal);
        // After another refusal the old subscription may remain until it expires.
        if (response.status === 429 || response.status >= 500) throw await refusalOf(response, secrets);
      }
      const properties = {
        changeType,
        notificationUrl: url,
        // Required for subscriptions longer than an hour.
        lifecycleNotificationUrl: lifecycleUrl,
        resource,
        expirationDateTime,
        clientState,
      };
      const created = await send("POST", undefined, properties, signal);
      if (created.response.status !== 409) return readSubscription(created, settings);
      // Graph allows only one subscription of this resource, and may have created it by a request
      // whose response was lost.
      await deleteOthers(signal);
      return readSubscription(await send("POST", undefined, properties, signal), settings);
    },
    async delete({ id }) {
      if (typeof id !== "string" || !id)
        throw badRequest(`delete() takes a subscription with its id, got ${typeOf(id)}`);
      const { response, secrets } = await send("DELETE", id);
      if (!response.ok && response.status !== 404) throw await refusalOf(response, secrets);
    },
  };
}

/** Returns the URL at which Graph calls this Worker. Graph requires https. */
function readUrl(options, name) {
  const text = options?.[name];
  if (parseUrl(text)?.protocol !== "https:")
    throw badRequest(`options.${name} of subscriptions() must be an https URL, got ${typeOf(text)}`);
  return text;
}

/** Whether a response comes from Graph. The caller's own `fetch` may follow redirects. */
const isFrom = ({ url }, root) => !url || parseUrl(url)?.origin === root.origin;

async function readToken(source, request, timeout) {
  const { scopes, claims } = request;
  let result;
  try {
    const signal = AbortSignal.timeout(timeout);
    // A source may ignore its signal.
    const timedOut = new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason)),
    );
    // If the source throws at once, nothing awaits this promise: its rejection would be unhandled.
    timedOut.catch(() => {});
    const token =
      typeof source === "function"
        ? source({ ...request, signal })
        : source.getToken(scopes, { ...(claims && { claims, enableCae: true }), abortSignal: signal });
    result = await Promise.race([token, timedOut]);
  } catch (cause) {
    if (cause instanceof DeltaError) throw cause;
    throw new DeltaError("options.token of subscriptions() failed; see the cause", {
      code: "unauthorized",
      retryable: true,
      cause,
    });
  }
  const accessToken = result?.accessToken ?? result?.token ?? result;
  // A token with other characters must not get into a header: the host's error would contain it.
  if (typeof accessToken === "string" && /^[\x21-\x7e]+$/.test(accessToken)) return accessToken;
  throw new DeltaError(
    "options.token of subscriptions() returned no usable token; it must return a string, { accessToken } or { token }",
    {
      code: "unauthorized",
      retryable: false,
    },
  );
}

/** Returns the claims of a challenge, decoded. Undefined if there are none. */
function claimsOf(challenge) {
  try {
    const encoded = /claims="([^"]+)"/.exec(challenge)?.[1] ?? "";
    const claims = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
    JSON.parse(claims);
    return claims;
  } catch {
    return undefined;
  }
}

/** Returns a refusal as an error, without secrets. */
async function refusalOf(response, secrets) {
  const { status } = response;
  const { error } = (await response.json().catch(() => undefined)) ?? {};
  const codes = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    409: "conflict",
    429: "throttled",
  };
  // Graph also responds with 400 if the notification URL does not respond to the validation in
  // time.
  const retryable = [400, 408, 429].includes(status) || status >= 500;
  const code = codes[status] ?? (retryable ? "network" : "protocol");
  const [graphCode, message] = [error?.code, error?.message].map((value) =>
    typeof value === "string" ? value : "",
  );
  const text = `Graph refused the subscription: ${status} ${graphCode} ${message}`.trim();
  const retryAt = retryable ? retryTime(response.headers.get("retry-after")) : undefined;
  const requestId = response.headers.get("request-id");
  return new DeltaError(withoutSecrets(text, secrets).slice(0, 300), {
    code,
    status,
    retryable,
    ...(/^[\w.-]{1,100}$/.test(graphCode) && { graphCode }),
    ...(retryAt && { retryAt }),
    ...(requestId && { requestId }),
  });
}

async function hash(values) {
  return toHex(await crypto.subtle.digest("SHA-256", encoder.encode(JSON.stringify(values))));
}

export function toHex(bytes) {
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
