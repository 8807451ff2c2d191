// @ts-check
"use client";
// Hooks for React. While React renders, they create nothing that needs a clean-up.
import { createContext, createElement, useContext, useEffect, useMemo, useSyncExternalStore } from "react";
import { badRequest, checkQuery, checkStatus, reportRejection } from "./error.js";
import { EMPTY, NEW } from "./initial.js";
import { listStatus } from "./list-status.js";
import { Value } from "./readable.js";
export { useDescription } from "./use-description.js";

const noop = () => undefined;
const neverChanges = () => noop;

/** Makes a value of the context. `status` is the status in components without a query. */
const contextOf = (client, status, onClosed = noop) => ({ client, status: Object.freeze(status), onClosed });
const PENDING = contextOf(undefined, NEW);
const CLOSED = contextOf(undefined, { phase: "closed" });
const Context = createContext(undefined);

/** Makes a store for the value of the context, which has the client until the client is closed. */
function storeOf(client) {
  const value = new Value(PENDING);
  const onClosed = () => value.get().client?.closed && value.set(CLOSED);
  const onOpened = (opened) => value.set(opened?.closed ? CLOSED : contextOf(opened, NEW, onClosed));
  const onFailed = (error) => {
    reportRejection(client, error);
    value.set(contextOf(undefined, { phase: "failed", error }));
  };
  if (typeof client?.then === "function") client.then(onOpened, onFailed);
  else if (client) onOpened(client);
  return value;
}

/** @type {typeof import("./react.js").DeltaProvider} */
export function DeltaProvider({ client, children }) {
  const { get, subscribe } = useMemo(() => storeOf(client), [client]);
  const value = useSyncExternalStore(subscribe, get, () => PENDING);
  // Its subscribers are called when the client is closed, too.
  useEffect(() => value.client?.signInError.subscribe(value.onClosed), [value]);
  return createElement(Context.Provider, { value }, children);
}

/** @type {typeof import("./react.js").useDeltaClient} */
export const useDeltaClient = () => clientOf(useContext(Context), "useDeltaClient");

function clientOf(context, hook) {
  if (!context) throw badRequest(`${hook}() needs a <DeltaProvider> around its component`);
  return context.client;
}

/** @type {typeof import("./react.js").useDeltaStatus} */
export function useDeltaStatus(query) {
  if (query) checkStatus(query, "useDeltaStatus()");
  const { status } = useContext(Context) ?? PENDING;
  const { get = () => status, subscribe = neverChanges } = query?.status ?? {};
  return useSyncExternalStore(subscribe, get, () => NEW);
}

/** @type {typeof import("./react.js").useSignInError} */
export function useSignInError() {
  const client = clientOf(useContext(Context), "useSignInError");
  const { get = noop, subscribe = neverChanges } = client?.signInError ?? {};
  return useSyncExternalStore(subscribe, get, noop);
}

/** Returns an object that holds the handle of `live()`, and `syncNow()`, which runs a round now. */
function roundsOf(query, signal) {
  const rounds = { handle: undefined, syncNow };
  async function syncNow() {
    const handle = signal?.aborted ? undefined : rounds.handle;
    // `status` shows the error.
    await (handle ? handle.syncNow() : query?.sync())?.catch(noop);
  }
  return rounds;
}

/** @type {typeof import("./react.js").useDelta} */
export function useDelta(query, { live = true, ...options } = {}, deps = []) {
  if (query) checkQuery(query, "useDelta()");
  // Query objects with the same key may differ between renders, but share `subscribe`.
  const first = useMemo(() => query, [query?.status.subscribe]);
  const view = useMemo(() => first?.view(options), [first, JSON.stringify(options), ...deps]);
  const { get = () => EMPTY, subscribe = neverChanges } = view ?? {};
  const state = useSyncExternalStore(subscribe, get, () => EMPTY);
  const status = useDeltaStatus(first);
  const signal = typeof live === "object" ? live.signal : undefined;
  const rounds = useMemo(() => roundsOf(first, signal), [first, signal]);
  useEffect(() => {
    if (!first || !live || signal?.aborted || status.phase === "closed") return undefined;
    const handle = (rounds.handle = first.live(live === true ? {} : live));
    return () => {
      rounds.handle = undefined;
      handle.stop();
    };
  }, [rounds, JSON.stringify(live)]);
  return useMemo(() => {
    const shown = listStatus(status, state);
    return { ...state, status: shown, error: shown.error, syncNow: rounds.syncNow };
  }, [state, status, rounds]);
}
