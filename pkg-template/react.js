// @ts-check
"use client";
// Hooks for React. While React renders, they create nothing that needs a clean-up.
/** @import { QueryStatus, ViewState } from "deltalink" */
import { createContext, createElement, useContext, useEffect, useMemo, useSyncExternalStore } from "react";

/** @type {QueryStatus} */
const NEW = Object.freeze({ phase: "new" });
/** @type {ViewState<any>} */
const EMPTY = Object.freeze({ items: Object.freeze([]), ready: false, synced: false, total: 0 });
const noop = () => {};
const neverChanges = () => noop;

/** Makes a value of the context. `status` is the status in components without a query. */
const contextOf = (client, status, onClosed = noop) => ({ client, status: Object.freeze(status), onClosed });
const PENDING = contextOf(undefined, NEW);
const Context = createContext(PENDING);

/** Makes a store for the value of the context, which has the client until the client is closed. */
function storeOf(client) {
  const subscribers = new Set();
  const set = (next) => {
    value = next;
    for (const run of subscribers) run();
  };
  const onClosed = () => {
    try {
      // Throws if the current client is closed. The closed query may belong to a previous client.
      value.client?.orgContacts();
    } catch {
      set(contextOf(undefined, { phase: "closed" }));
    }
  };
  const isPromise = typeof client?.then === "function";
  let value = client && !isPromise ? contextOf(client, NEW, onClosed) : PENDING;
  if (isPromise)
    client.then(
      (opened) => set(contextOf(opened, NEW, onClosed)),
      (error) => set(contextOf(undefined, { phase: "failed", error })),
    );
  return { get: () => value, subscribe: (run) => (subscribers.add(run), () => subscribers.delete(run)) };
}

/** @type {typeof import("./react.js").DeltaProvider} */
export function DeltaProvider({ client, children }) {
  const { get, subscribe } = useMemo(() => storeOf(client), [client]);
  const value = useSyncExternalStore(subscribe, get, () => PENDING);
  return createElement(Context.Provider, { value }, children);
}

/** @type {typeof import("./react.js").useDeltaClient} */
export const useDeltaClient = () => useContext(Context).client;

/** @type {typeof import("./react.js").useDeltaStatus} */
export function useDeltaStatus(query) {
  const { status, onClosed } = useContext(Context);
  const { get = () => status, subscribe = neverChanges } = query?.status ?? {};
  const watch = (run) =>
    subscribe(({ phase }) => {
      // The provider renders first, so that no component calls a closed client.
      if (phase === "closed") onClosed();
      run();
    });
  // The same function in each render: React subscribes again whenever it changes.
  const stableWatch = useMemo(() => watch, [subscribe, onClosed]);
  return useSyncExternalStore(stableWatch, get, () => NEW);
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
  // Query objects with the same options may differ between renders, but share `subscribe`.
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
  const error = state.error ?? status.error;
  return useMemo(() => ({ ...state, status, error, syncNow: rounds.syncNow }), [state, status, rounds]);
}
