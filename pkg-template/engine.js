// The wasm, in instances: a trap ends one, with all that was made of it, and the next call begins another.
import glue from "./deltalink.js";
import { DeltaError } from "./error.js";

export class Engine {
  #module;
  #Client;
  /** Of the instance that runs: what has ended it, once a trap has. No signal: Durable Objects of one isolate may share nothing that acts. */
  fate;

  /** The first instance. Browsers may refuse to make it at once; later ones are of a module that has run already. */
  async load(module) {
    this.#module = module;
    const [imports, start] = glue();
    this.#start(start, await WebAssembly.instantiate(module, imports));
  }

  /** The class of the instance that runs. */
  get Client() {
    const [imports, start] = this.#Client ? [] : glue();
    if (start) this.#start(start, new WebAssembly.Instance(this.#module, imports));
    return this.#Client;
  }

  #start(start, { exports }) {
    const fate = (this.fate = {});
    const guard = (run) => (...values) => {
      try {
        // What is left of it may still be told to end.
        return fate.ended ? undefined : run(...values);
      } catch (cause) {
        if (!(cause instanceof WebAssembly.RuntimeError)) throw cause;
        this.#Client = undefined;
        throw (fate.ended = new DeltaError("a defect of deltalink ended this call; what was committed is intact; call again", { code: "internal", retryable: true, cause }));
      }
    };
    this.#Client = start(Object.fromEntries(Object.entries(exports).map(([name, value]) => [name, typeof value === "function" ? guard(value) : value])));
  }

  /** What `make` gives, and again when it was of an instance that has ended. */
  keep(make) {
    let of;
    let made;
    return () => {
      if (of !== this.Client) made = make((of = this.Client));
      return made;
    };
  }
}
