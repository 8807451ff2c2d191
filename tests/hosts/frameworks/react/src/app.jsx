import { StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { DeltaProvider, useDelta, useDeltaClient } from "deltalink/react";
import { open, show } from "./open.js";

const opened = open();

function Contacts() {
  const { items } = useDelta(useDeltaClient()?.orgContacts(), { orderBy: "displayName" });
  useEffect(() => show(items.length), [items]);
  return (
    <ul>
      {items.map(({ id, displayName }) => (
        <li key={id}>{displayName}</li>
      ))}
    </ul>
  );
}

createRoot(document.getElementById("app")).render(
  <StrictMode>
    <DeltaProvider client={opened}>
      <Contacts />
    </DeltaProvider>
  </StrictMode>,
);
