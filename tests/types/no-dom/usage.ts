// Compiles against declarations of the package without the DOM library and types of hosts.
import { DeltaError, init, openDelta } from "deltalink";
import type { DeltaStore, TokenRequest } from "deltalink";
import { clientCredentials } from "deltalink/auth";
import { startOf } from "deltalink/calendar";
import { describe } from "deltalink/describe";
import wasm from "deltalink/deltalink.wasm";
import { fromMsal } from "deltalink/msal";
import { handleNotification, nextAlarm } from "deltalink/notifications";
import { fakeGraph, storeContract } from "deltalink/testing";
import { receiveNotifications, sendChanges } from "deltalink/workers";

declare const store: DeltaStore;

export async function worker(): Promise<void> {
  await init(wasm);
  await init("/deltalink.wasm");
  const token = clientCredentials({ tenant: "t", clientId: "c", secret: "s" });
  const client = await openDelta({ token, store, fetch: async (url: string) => ({ url }) });
  const events = client.events({ start: "2026-11-01", end: "2026-12-01" });
  for await (const page of events.round()) void page.changes.length;
  for (const event of await events.all()) void event.subject;
  await openDelta({ token: ({ signal }: TokenRequest) => String(signal.aborted), account: "a" });
  const graph = await fakeGraph();
  await openDelta({ token: graph.token, fetch: graph.fetch, store: "memory" });
  for (const { name, run } of storeContract(() => store)) await run().then(() => name);
  const request = { method: "POST", url: "https://worker.example/" };
  const { response, wake } = await handleNotification(request, { clientState: "c" });
  void [response.ok, wake.length, nextAlarm(undefined, 1).at];
  // @ts-expect-error a token source is required
  await openDelta({});
}

export const all = [DeltaError, fromMsal, startOf, describe, receiveNotifications, sendChanges];
