// @ts-check
/** By signal: the functions to call when it fires, and its listener. */
const registered = new WeakMap();

/**
 * Calls a function when the signal fires. Returns a function that cancels this. Adds only one
 * listener to a signal, however many functions there are: Node reports more than ten as a leak.
 */
export function onAbort(signal, call) {
  let listener = registered.get(signal);
  if (!listener) {
    listener = { calls: new Set(), fire: () => [...listener.calls].forEach((each) => each()) };
    registered.set(signal, listener);
    signal.addEventListener("abort", listener.fire, { once: true });
  }
  // Wrapped, so that a function that is passed twice is called twice.
  const entry = () => call();
  listener.calls.add(entry);
  return () => {
    listener.calls.delete(entry);
    if (listener.calls.size || registered.get(signal) !== listener) return;
    registered.delete(signal);
    signal.removeEventListener("abort", listener.fire);
  };
}
