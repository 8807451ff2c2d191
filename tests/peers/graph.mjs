// Microsoft's and PnP's clients only send requests to https://graph.microsoft.com. This `fetch` sends
// them to a world of the fake Graph.
const GRAPH = "https://graph.microsoft.com/v1.0";

/** A `fetch` that maps the address of Graph to a world, and the links of its responses back. */
export function fetchOf(world, token = world.tokens.delegated) {
  return async (url, init = {}) => {
    const address = String(url.url ?? url);
    if (!address.startsWith(GRAPH)) throw new TypeError(`an unexpected request for ${address}`);
    const headers = { ...init.headers };
    headers.Authorization = `Bearer ${token}`;
    const response = await fetch(world.root + address.slice(GRAPH.length), { method: init.method, headers });
    const body = (await response.text()).replaceAll(world.root, GRAPH);
    return new Response(body, { status: response.status, headers: response.headers });
  };
}

/** Applies the items of a round to a copy, by id. */
export function apply(copy, items) {
  for (const item of items) {
    if (item["@removed"]) copy.delete(item.id);
    else copy.set(item.id, item);
  }
}
