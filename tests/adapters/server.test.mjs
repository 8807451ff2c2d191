// React and Vue on a server, in Node: they render an empty list, log no warning and start nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { createSSRApp, h } from "vue";
import { renderToString as renderVue } from "vue/server-renderer";
import { openDelta } from "deltalink";
import { DeltaProvider, useDelta, useDeltaClient } from "deltalink/react";
import { fakeGraph } from "deltalink/testing";
import { useDelta as useDeltaInVue } from "deltalink/vue";

/**
 * Runs `render` with a client whose mirror has items. Fails if it sends a request or logs a
 * warning.
 */
async function renderOnServer(context, render) {
  const warnings = ["error", "warn"].map((name) => context.mock.method(console, name, () => {}));
  const graph = await fakeGraph({ populate: { contacts: 3 } });
  const client = await openDelta({ fetch: graph.fetch, token: graph.token, store: "memory" });
  await client.orgContacts().sync();
  graph.clearRequests();
  const html = await render(client);
  await client.close();
  assert.deepEqual(
    warnings.flatMap(({ mock }) => mock.calls.map((call) => call.arguments)),
    [],
  );
  assert.deepEqual(graph.requests(), []);
  return html;
}

test("React renders the empty state, even if the provider has a client", async (context) => {
  const List = () => {
    const { items, ready, status } = useDelta(useDeltaClient()?.orgContacts());
    return `${items.length} ${ready} ${status.phase}`;
  };
  const html = await renderOnServer(context, (client) =>
    renderToString(createElement(DeltaProvider, { client }, createElement(List))),
  );
  assert.equal(html, "0 false new");
});

test("Vue renders the empty state", async (context) => {
  const html = await renderOnServer(context, (client) =>
    renderVue(
      createSSRApp({
        setup() {
          const { items, ready, status } = useDeltaInVue(() => client.orgContacts());
          return () => h("p", `${items.value.length} ${ready.value} ${status.value.phase}`);
        },
      }),
    ),
  );
  assert.equal(html, "<p>0 false new</p>");
});
