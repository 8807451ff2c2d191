// The functions that the benchmarks call in the web page. Each web page measures one contestant.
import { summarize } from "./checksum.js";

let mirror;

const elapsed = async (work) => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

window.bench = {
  /** Loads a contestant and opens its mirror, which is not measured. */
  async open({ module, ...options }) {
    mirror = await (await import(module)).open(options);
  },

  /** The time of one round, in milliseconds. */
  round: () => elapsed(() => mirror.round()),

  /** The time to read the mirror, in milliseconds. */
  all: () => elapsed(() => mirror.all()),

  reset: () => mirror.reset(),

  /** The time of a function of the contestant, in milliseconds. */
  time: (name, ...values) => elapsed(() => mirror[name](...values)),

  /** The result of a function of the contestant. */
  run: (name, ...values) => mirror[name](...values),

  /** The checksum of the mirror, to compare with the server. */
  check: async () => summarize(await mirror.all()),

  /** The time from the import to the first request, in milliseconds. Completes the round too. */
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
