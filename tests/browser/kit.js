// JavaScript for the tests in browsers. One file without imports, because wasm-bindgen copies it
// unchanged, and its server may not respond to one of several parallel requests.

/** Runs statements with two values and returns their result. */
export function evaluate(source, a, b) {
  return new Function("a", "b", source)(a, b);
}

/** Runs statements that await. `done` awaits a request of IndexedDB. */
export function evaluateAsync(source, a) {
  return new AsyncFunction("a", "done", source)(a, done);
}

const AsyncFunction = (async () => {}).constructor;

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Resolves in the next macrotask. */
export const turn = () => delayed(0);

/** Simulates a network that takes `ms`. */
const delayed = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A request to the control API of a server. */
export async function call(url, method, body) {
  const response = await fetch(url, { method, body: body || undefined });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return text;
}

/** Makes an error with the fields of a DeltaError. */
export function makeError(message, { cause, ...fields }) {
  const error = new Error(message, cause === undefined ? undefined : { cause });
  return Object.assign(error, { name: "DeltaError", retryable: false }, fields);
}

/** A controller that aborts with the reason of the first of these signals that fires. */
export function following(first, second) {
  const controller = new AbortController();
  for (const signal of [first, second]) {
    const stop = () => controller.abort(signal.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { signal: controller.signal });
  }
  return controller;
}

/** Makes a `Response` from one of the fake Graph's core: with the delays and faults of a server. */
export async function respond({ status, headers, delay, cut, hang, rate }, bytes, signal) {
  signal.throwIfAborted();
  const aborted = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  aborted.catch(() => {});
  if (hang) await aborted;
  if (delay) await Promise.race([delayed(delay), aborted]);
  if (status === 0) throw new TypeError("the fake Graph broke the connection");
  const body = status === 204 ? null : stream(bytes, cut, rate, aborted);
  return new Response(body, { status, headers });
}

/** A body with `rate` bytes per second that breaks after `cut` bytes. */
function stream(bytes, cut, rate, aborted) {
  const tick = 50;
  const last = Math.min(bytes.length, cut ?? Infinity);
  let position = 0;
  return new ReadableStream({
    async pull(controller) {
      if (rate) await Promise.race([delayed(tick), aborted]);
      const next = rate ? Math.min(last, position + Math.ceil((rate * tick) / 1000)) : last;
      if (next > position) controller.enqueue(bytes.subarray(position, next));
      position = next;
      if (position < last) return;
      if (last < bytes.length) controller.error(new TypeError("the fake Graph broke the connection"));
      else controller.close();
    },
  });
}

/** A replacement for the `RoundRun` of the facade, without locks, slots and listeners. */
export function roundRun(onStatus) {
  return {
    begin: async () => {},
    setStatus: onStatus,
    hasListeners: () => false,
    announcer: () => undefined,
    log() {},
    takeSlot: () => ({ granted: Promise.resolve(), release() {} }),
    release() {},
    end() {},
  };
}
