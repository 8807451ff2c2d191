// The app on the fake Graph, which the test changes by `window.graph`. A real app imports the fake
// in a separate file, so that it is not in the production build.
import { createElement as h } from "react";
import { createRoot } from "react-dom/client";
import { init, openDelta } from "deltalink";
import { DeltaProvider } from "deltalink/react";
import { fakeGraph } from "deltalink/testing";
import { Contacts } from "../contacts.js";

const wasmOrigin = await init();
const graph = await fakeGraph({ populate: { contacts: 25 } });
const client = await openDelta({ fetch: graph.fetch, token: graph.token, account: "kim@contoso.example" });
const { pages, added } = await client.orgContacts().sync();
Object.assign(window, { graph, client, result: { wasmOrigin, pages, added } });
createRoot(document.getElementById("app")).render(h(DeltaProvider, { client }, h(Contacts)));
