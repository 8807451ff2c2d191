// What the bench calls in the page, in every browser. One page measures one contestant.
import { summarize } from "./checksum.js";

let mirror;

const elapsed = async (work) => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

window.bench = {
  /** Loads a contestant and opens its mirror; both are outside of the measured time. */
  async open({ module, ...options }) {
    mirror = await (await import(module)).open(options);
  },

  /** One round, in milliseconds. */
  round: () => elapsed(() => mirror.round()),

  /** Reads the whole mirror, in milliseconds. */
  all: () => elapsed(() => mirror.all()),

  reset: () => mirror.reset(),

  /** What the mirror holds, to be compared with the server. */
  check: async () => summarize(await mirror.all()),

  /**
   * From before the import to the first request to the server, in milliseconds; the round is then
   * completed.
   */
  async firstRequest({ module, ...options }) {
    const { fetch } = window;
    let first;
    window.fetch = (input, init) => {
      const url = String(input?.url ?? input);
      if (url.startsWith(options.root)) first ??= performance.now();
      return fetch(input, init);
    };
    const start = performance.now();
    mirror = await (await import(module)).open(options);
    await mirror.round();
    return first - start;
  },
};
