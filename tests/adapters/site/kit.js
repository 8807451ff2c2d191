// Runs in the browser: opens clients, each on a fake Graph that runs there too.
import { openDelta } from "deltalink";
import { fakeGraph } from "deltalink/testing";

/** Opens a client on a new fake Graph. `names` are the contacts. `token` replaces its token. */
async function open({ names = [], populate, account = "alex", store = "memory", token } = {}) {
  const graph = await fakeGraph(populate && { populate });
  for (const displayName of names) graph.add("contacts", { displayName });
  const client = await openDelta({
    fetch: graph.fetch,
    token: token ?? graph.token,
    account,
    store,
    retry: { base: 1, attempts: 1 },
  });
  return { graph, client };
}

/** Runs a round of another client. When it ends, all requests that were due before were sent. */
async function waitForDueRequests() {
  const { client } = await open({ names: ["Kim"] });
  await client.orgContacts().sync();
  await client.close();
}

/** Resolves to the first status of a query for which `holds` is true. */
const statusUntil = ({ status }, holds) =>
  new Promise((resolve) => {
    const stop = status.subscribe((value) => holds(value) && (resolve(value), queueMicrotask(() => stop())));
  });

const text = (selector = "#root") => document.querySelector(selector)?.textContent;

Object.assign(window, { open, waitForDueRequests, statusUntil, text });
