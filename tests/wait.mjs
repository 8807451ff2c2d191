// The only file of the tests in Node that may set timers (tests/no-sleeps.mjs checks it). A test
// waits for a state (`until`) or an event (`event`), never for a time to pass.

/** Resolves in the next macrotask, after everything that is ready to run now. */
export const turn = () => new Promise((resolve) => setTimeout(resolve));

/** Simulates a network, store or user that takes `ms`. Not a way to wait for another event. */
export const delayed = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));

/** Polls until `holds()` returns true. Fails after `seconds` with the last value. */
export async function until(holds, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const result = await holds();
    if (result === true) return;
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${holds}, which gives ${result}`);
    await delayed(20);
  }
}

/** Calls `act` after `ms` unless the returned function is called before. For hangs only. */
export function guard(ms, act) {
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
}

/** Lets timers of exactly `longest` ms end after `ms`: for deadlines. Returns how to undo it. */
export function shortenTimers(longest, ms) {
  const { setTimeout } = globalThis;
  const shortened = (act, after, ...values) => setTimeout(act, after === longest ? ms : after, ...values);
  globalThis.setTimeout = /** @type {any} */ (shortened);
  return () => void (globalThis.setTimeout = setTimeout);
}

/** An event that a hook fires with `fire(value)` and a test awaits as `fired`. */
export function event() {
  let fire;
  const fired = new Promise((resolve) => (fire = resolve));
  return { fire, fired };
}

/**
 * Mocks timers until the end of the test, and with `now` also the clock. They advance only by
 * `tick(ms)` of the result.
 */
export function fakeTimers(context, now) {
  /** @type {("setTimeout" | "setInterval")[]} */
  const apis = ["setTimeout", "setInterval"];
  context.mock.timers.enable(now === undefined ? { apis } : { apis: [...apis, "Date"], now });
  return context.mock.timers;
}
