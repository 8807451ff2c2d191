// Helpers of the tests of the packed package: a client of one world, and a wait for its status.
import { openDelta } from "deltalink";

/** Short back-offs, so that a test with retries is quick. */
export const quick = { base: 5, cap: 20 };

/** A client with a token and the store in memory. `options` add to these or replace them. */
export function open(world, options) {
  return openDelta({
    endpoint: world.root,
    token: () => world.tokens.delegated,
    store: "memory",
    retry: quick,
    ...options,
  });
}

/** Resolves to the first status of a query for which `holds` is true. */
export function statusUntil(query, holds) {
  return new Promise((resolve) => {
    const stop = query.status.subscribe((status) => {
      if (!holds(status)) return;
      resolve(status);
      queueMicrotask(() => stop());
    });
  });
}

/** Replaces `navigator` and the events of the window: the network of this host can be lost. */
export function fakeNetwork(context, isOnline) {
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  const events = new EventTarget();
  const navigator = { onLine: isOnline };
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: navigator });
  globalThis.addEventListener = events.addEventListener.bind(events);
  globalThis.removeEventListener = events.removeEventListener.bind(events);
  context.after(() => {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
    if (before) Object.defineProperty(globalThis, "navigator", before);
    else delete globalThis.navigator;
  });
  return {
    get isOnline() {
      return navigator.onLine;
    },
    set(value) {
      navigator.onLine = value;
      events.dispatchEvent(new Event(value ? "online" : "offline"));
    },
    /** Removes `onLine`, which some hosts lack. */
    hide() {
      delete navigator.onLine;
    },
  };
}
