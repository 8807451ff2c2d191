// The only file of the tests in Node that may set timers (tests/no-sleeps.mjs checks it). A test
// waits for a state (`until`) or an event (`event`), never for a time to pass.

/** Resolves in the next macrotask: whatever was ready to run has run by then. */
export const turn = () => new Promise((resolve) => setTimeout(resolve));

/**
 * Simulates a network, store or user that takes `ms`. Never evidence that something has happened.
 */
export const delayed = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));

/** Polls a state until `holds()` gives true. Fails after `seconds` with what it gave instead. */
export async function until(holds, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await holds();
    if (answer === true) return;
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${holds}, which gives ${answer}`);
    await delayed(20);
  }
}

/** Guards against a hang: calls `act` after `ms` unless the returned function is called before. */
export function guard(ms, act) {
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
}

/** An event: a hook calls `fire(value)`, the test awaits `fired`. */
export function event() {
  let fire;
  const fired = new Promise((resolve) => (fire = resolve));
  return { fire, fired };
}
