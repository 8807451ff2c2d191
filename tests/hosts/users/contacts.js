// A component of a user's app, without JSX. Copied into each project unchanged.
import { createElement as h } from "react";
import { useDelta, useDeltaClient } from "deltalink/react";

export function Contacts() {
  const { items, ready } = useDelta(useDeltaClient()?.orgContacts(), { orderBy: "displayName" });
  if (!ready) return h("p", null, "Loading…");
  return h(
    "ul",
    null,
    items.map(({ id, displayName }) => h("li", { key: id }, displayName)),
  );
}
