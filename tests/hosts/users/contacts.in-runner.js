// A test as users write it, for Vitest and Jest: a component on the fake Graph of the package.
/* global expect, test */
import { writeFileSync } from "node:fs";
import { createElement as h } from "react";
import { render, screen, waitFor } from "@testing-library/react";
import { init, openDelta } from "deltalink";
import { DeltaProvider } from "deltalink/react";
import { fakeGraph } from "deltalink/testing";
import { Contacts } from "./contacts.js";

test("the list shows the contacts of Graph, and follows them", async () => {
  const wasmOrigin = await init();
  const graph = await fakeGraph({ populate: { contacts: 25 } });
  const options = { fetch: graph.fetch, token: graph.token, retry: { base: 1 } };
  const client = await openDelta({ ...options, store: "memory" });
  const { pages, added } = await client.orgContacts().sync();
  const { unmount } = render(h(DeltaProvider, { client }, h(Contacts)));
  const rows = () => screen.queryAllByRole("listitem");
  await waitFor(() => expect(rows()).toHaveLength(25));
  const count = rows().length;

  graph.add("contacts", { displayName: "Zoë Contoso" });
  await client.orgContacts().sync();
  await screen.findByText("Zoë Contoso");
  unmount();
  await client.close();
  writeFileSync("result.json", JSON.stringify({ wasmOrigin, pages, added, count }));
});
