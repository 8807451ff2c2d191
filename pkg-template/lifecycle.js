// @ts-check
// The life cycle of a web page: running, frozen or in the back/forward cache, and running again.

/**
 * Calls `onFreeze` before the web page stops running, and `onThaw` when it runs again. Returns the
 * function that removes both listeners.
 */
export function onLifecycle(onFreeze, onThaw) {
  const removers = [
    listen(globalThis.document, "freeze", onFreeze),
    listen(globalThis.document, "resume", onThaw),
    listen(globalThis, "pagehide", onFreeze),
    listen(globalThis, "pageshow", onThaw),
  ];
  return () => removers.forEach((remove) => remove());
}

/** Adds a listener, if the host has events. Returns the function that removes it. */
export function listen(target, event, listener) {
  const call = () => listener();
  target?.addEventListener?.(event, call);
  return () => target?.removeEventListener?.(event, call);
}
