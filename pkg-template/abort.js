// @ts-check
/** The functions to call when a signal fires, by signal. */
const calls = new WeakMap();

/**
 * Calls a function when the signal fires. Returns the function that prevents it. Any number of
 * functions are one listener of the signal: Node warns of more than ten as of a leak.
 */
export function onAbort(signal, call) {
  let known = calls.get(signal);
  if (!known) {
    known = { all: new Set(), fire: () => [...known.all].forEach((each) => each()) };
    calls.set(signal, known);
    signal.addEventListener("abort", known.fire, { once: true });
  }
  // Wrapped, so that a function which is given twice is called twice.
  const entry = () => call();
  known.all.add(entry);
  return () => {
    known.all.delete(entry);
    if (known.all.size || calls.get(signal) !== known) return;
    calls.delete(signal);
    signal.removeEventListener("abort", known.fire);
  };
}
