// @ts-check
// Checks the URLs to which a token or a secret is sent.
import { badRequest } from "./error.js";

/** The roots of the clouds (Graph's page "National cloud deployments"). */
const CLOUDS = {
  global: "https://graph.microsoft.com/v1.0",
  usgov: "https://graph.microsoft.us/v1.0",
  "usgov-dod": "https://dod-graph.microsoft.us/v1.0",
  china: "https://microsoftgraph.chinacloudapi.cn/v1.0",
};

/** Parses a URL. Returns undefined for any other text. */
export function parseUrl(text) {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** Whether a secret may be sent to a URL: by https, or by http on this machine. */
export const isSafe = (url) =>
  url?.protocol === "https:" ||
  (url?.protocol === "http:" && /^(localhost|\[::1\]|127\.\d+\.\d+\.\d+)$/.test(url.hostname));

/** What may mean another root to a URL parser: other characters, and the segments "." and "..". */
const REFUSED = /[^!-~]|[?#\\]|\/(\.|%2e){1,2}(\/|$)/i;

/**
 * Returns the origin and the URL of Graph's root, without a slash at the end. The rules are those
 * of src/protocol/endpoint.rs: a root without a path gets the version.
 */
export function rootOf(options, owner) {
  const { cloud, endpoint } = options ?? {};
  if (cloud !== undefined && endpoint !== undefined)
    throw badRequest(`options.cloud and options.endpoint of ${owner} exclude each other`);
  const name = cloud === undefined ? "global" : cloud;
  if (endpoint === undefined && !Object.hasOwn(CLOUDS, name))
    throw badRequest(`options.cloud of ${owner} must be one of ${Object.keys(CLOUDS).join(", ")}`);
  const text = endpoint === undefined ? CLOUDS[name] : endpoint;
  const url = typeof text === "string" ? parseUrl(text) : undefined;
  if (!isSafe(url) || url.host !== hostOf(text) || REFUSED.test(text))
    throw badRequest(
      `options.endpoint of ${owner} must be a root such as "https://graph.microsoft.com/v1.0"; http is allowed for loopback only`,
    );
  const path = url.pathname.replace(/\/+$/, "") || "/v1.0";
  return { origin: url.origin, href: url.origin + path };
}

/**
 * Returns the host of a root as it is written. A URL parser accepts other forms too, such as
 * `https:host`, and hosts that it has to decode.
 */
function hostOf(text) {
  const [, scheme, host] = /^(https?):\/\/([^/]+)/i.exec(text) ?? [];
  return host?.toLowerCase().replace(scheme.toLowerCase() === "https" ? /:443$/ : /:80$/, "");
}
