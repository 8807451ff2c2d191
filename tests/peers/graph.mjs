// The peers speak to https://graph.microsoft.com and nothing else: this puts a world of the fake in
// its place.
const GRAPH = "https://graph.microsoft.com/v1.0";

/** A `fetch` with the world behind Graph's own address, in the links of its answers too. */
export function fetchOf(world, token = world.tokens.delegated) {
  return async (url, init = {}) => {
    const address = String(url.url ?? url);
    if (!address.startsWith(GRAPH)) throw new TypeError(`asked ${address}`);
    const headers = { ...init.headers };
    headers.Authorization = `Bearer ${token}`;
    const response = await fetch(world.root + address.slice(GRAPH.length), { method: init.method, headers });
    const body = (await response.text()).replaceAll(world.root, GRAPH);
    return new Response(body, { status: response.status, headers: response.headers });
  };
}

/** Applies what a round brought to a copy by id. */
export function apply(copy, items) {
  for (const item of items) {
    if (item["@removed"]) copy.delete(item.id);
    else copy.set(item.id, item);
  }
}
