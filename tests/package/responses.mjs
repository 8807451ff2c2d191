// Clients whose responses a function makes, for responses that the fake Graph cannot make.
import { openDelta } from "deltalink";

const ROOT = "https://graph.microsoft.com/v1.0";

/** A page in the form of Graph. `next` and `delta` are the paths of its links. */
export function page(items, { next, delta } = {}) {
  return Response.json({
    value: items,
    ...(next && { "@odata.nextLink": `${ROOT}${next}` }),
    ...(delta && { "@odata.deltaLink": `${ROOT}${delta}` }),
  });
}

/** A page whose text is used unchanged, instead of being parsed and written again. */
export function text(body) {
  return new Response(body, { headers: { "content-type": "application/json" } });
}

/**
 * A client in memory whose responses `respond(url, count)` makes. `count` is 1 for its first
 * request. `client.requests` lists the URLs and the tokens of the requests.
 */
export async function clientOf(respond, options = {}) {
  const requests = [];
  const fetch = async (url, { headers }) => {
    requests.push({ url, token: headers.get("Authorization").replace("Bearer ", "") });
    return respond(url, requests.length);
  };
  const retry = { base: 1, cap: 2 };
  const client = await openDelta({ token: () => "a-token", store: "memory", retry, fetch, ...options });
  return Object.assign(client, { requests });
}

export const week = { start: "2026-11-23", end: "2026-11-30" };
