// Microsoft's own client with its default handlers, and idb.
import {
  Client,
  HTTPMessageHandler,
  RedirectHandler,
  RetryHandler,
  TelemetryHandler,
} from "@microsoft/microsoft-graph-client";
import { openIdb } from "./idb-storage.js";
import { mirrorOf, oneByOne } from "./loop.js";

/** Adds the token. The handler of the client only does so for https, and the server uses http. */
class TokenHandler {
  #token;
  #next;

  constructor(token) {
    this.#token = token;
  }

  execute(context) {
    context.options.headers = { ...context.options.headers, Authorization: `Bearer ${this.#token}` };
    return this.#next.execute(context);
  }

  setNext(next) {
    this.#next = next;
  }
}

export async function open({ name, root, path, token, prefer }) {
  const chain = [
    new TokenHandler(token),
    new RetryHandler(),
    new RedirectHandler(),
    new TelemetryHandler(),
    new HTTPMessageHandler(),
  ];
  chain.forEach((handler, index) => index + 1 < chain.length && handler.setNext(chain[index + 1]));
  const client = Client.initWithMiddleware({
    baseUrl: root.slice(0, root.lastIndexOf("/")),
    defaultVersion: "v1.0",
    middleware: chain[0],
  });
  const headers = prefer ? { Prefer: prefer } : {};
  // The client's api() and PageIterator accept absolute links only for https, so this function
  // passes the path of a link.
  const get = (url) => client.api(url.slice(root.length)).headers(headers).get();
  return mirrorOf(await openIdb(name), root + path, (url) => oneByOne(get, url));
}
