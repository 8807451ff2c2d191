// @ts-check
// The life cycle of a page: frozen, in the back/forward cache, and running again.

/**
 * Calls `frozen` before the page stops running, and `thawed` when it runs again. Returns the
 * function that ends this.
 */
export function onLifecycle(frozen, thawed) {
  const removers = [
    listen(globalThis.document, "freeze", frozen),
    listen(globalThis.document, "resume", thawed),
    listen(globalThis, "pagehide", frozen),
    listen(globalThis, "pageshow", thawed),
  ];
  return () => removers.forEach((remove) => remove());
}

/** Adds a listener, if the host has events. Returns the function that removes it. */
export function listen(target, event, listener) {
  const call = () => listener();
  target?.addEventListener?.(event, call);
  return () => target?.removeEventListener?.(event, call);
}
