// A Graph with scripted responses, for the cases of public bug reports.
import { openDelta } from "deltalink";

const ROOT = "https://graph.microsoft.com/v1.0";

/** A refusal in the form of Graph. */
export const refusal = (status, code, message = "no", headers = {}) => ({
  status,
  headers,
  body: { error: { code, message } },
});

/** A page. `next` and `delta` are the tokens of its links. */
export const page = (value, links) => ({ value, ...links });
export const next = (value, token) => page(value, { next: token });
export const delta = (value, token) => page(value, { delta: token });

/**
 * A client in memory for one delta path. The keys of `responses` are the tokens of links, `start`
 * for the query itself, and other paths. A response is a page, a refusal, or a function of the URL
 * and the request that returns one of these or a `Response`. The responses of an array are used in
 * their order, and the last one again and again. `client.requests` lists the requests.
 */
export async function scripted(t, path, responses, options = {}) {
  const requests = [];
  const used = new Map();
  const fetch = async (url, init) => {
    const token = /[?&](?:\$|%24)?(?:skip|delta)?token=([^&]+)/.exec(url)?.[1];
    const requested = decodeURIComponent(url.slice(ROOT.length).split("?")[0]);
    const key = token ?? (requested === path ? "start" : requested);
    const headers = new Headers(init.headers);
    requests.push({ key, url: decodeURIComponent(url), prefer: headers.get("prefer") ?? "", headers });
    const known = responses[key] ?? refusal(404, "ErrorItemNotFound", `no response for ${key}`);
    const list = Array.isArray(known) ? known : [known];
    const count = used.get(key) ?? 0;
    used.set(key, count + 1);
    let response = list[Math.min(count, list.length - 1)];
    if (typeof response === "function") response = await response(decodeURIComponent(url), init);
    if (response instanceof Response) return response;
    if (response.status) {
      const { status, headers, body } = response;
      return Response.json(body, { status, headers });
    }
    const link = (kind, token) => `${ROOT}${encodeURI(path)}?$${kind}token=${token}`;
    return Response.json({
      value: response.value,
      ...(response.next && { "@odata.nextLink": link("skip", response.next) }),
      ...(response.delta && { "@odata.deltaLink": link("delta", response.delta) }),
    });
  };
  const retry = { base: 1, cap: 2 };
  const client = await openDelta({ token: () => "a-token", store: "memory", retry, fetch, ...options });
  t.after(() => client.close());
  return Object.assign(client, { requests, keys: () => requests.map(({ key }) => key) });
}

/** The ids of a mirror, sorted. */
export const ids = async (query) => (await query.all()).map(({ id }) => id).sort();

/** Resolves to the outcome in the report of a round, or to the code of its error. */
export const outcome = (round) => round.then(({ outcome }) => outcome).catch(({ code }) => code);

/** The error that a call throws or rejects with. */
export async function errorOf(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}
