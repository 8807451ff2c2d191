"use client";

import { useEffect, useState } from "react";
import { init, openDelta } from "deltalink";
import { DeltaProvider, useDelta, useDeltaClient } from "deltalink/react";

/** The errors of React and the browser, including those before hydration. */
const complaints = [];
if (typeof window !== "undefined") {
  const { error } = console;
  console.error = (...values) => {
    complaints.push(values.join(" "));
    error(...values);
  };
  window.addEventListener("error", ({ message }) => complaints.push(message));
}

function Rows({ result }) {
  const { items, ready } = useDelta(useDeltaClient()?.orgContacts());
  const count = items.length;
  useEffect(() => {
    if (!ready || !result) return;
    const complaint = complaints.length ? { complaints } : {};
    document.body.dataset.result ??= JSON.stringify({ ...result, count, ...complaint });
  }, [ready, result, count]);
  return <main>{`${count} rows, ${ready}`}</main>;
}

export function Signed() {
  const [opened, setOpened] = useState();
  useEffect(() => {
    const open = async () => {
      const wasmOrigin = await init();
      const { endpoint, token } = Object.fromEntries(new URLSearchParams(location.search));
      const client = await openDelta({ endpoint, token: () => token, store: "memory" });
      const { pages, added } = await client.orgContacts().sync();
      setOpened({ client, result: { wasmOrigin, pages, added } });
    };
    // The development server runs effects twice.
    open();
  }, []);
  return (
    <DeltaProvider client={opened?.client}>
      <Rows result={opened?.result} />
    </DeltaProvider>
  );
}
