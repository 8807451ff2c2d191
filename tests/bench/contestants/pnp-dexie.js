// PnP's client with its behaviors for browsers, and dexie. Its delta() cannot continue after the
// second page, so this loop requests the links.
import { GraphBrowser, GraphQueryable, graphGet } from "@pnp/graph";
import { BearerToken, InjectHeaders, JSONParse } from "@pnp/queryable";
import { openDexie } from "./dexie-storage.js";
import { mirrorOf, oneByOne } from "./loop.js";

export async function open({ name, root, path, token, prefer }) {
  const get = (url) => {
    const query = GraphQueryable(url).using(GraphBrowser({ baseUrl: root }), BearerToken(token), JSONParse());
    if (prefer) query.using(InjectHeaders({ Prefer: prefer }));
    return graphGet(query);
  };
  return mirrorOf(await openDexie(name), root + path, (url) => oneByOne(get, url));
}
