// Instances of the wasm, one for each client: what ends one leaves the others alone.
import glue from "./deltalink.js";
import { DeltaError } from "./error.js";

const { Instance: WasmInstance, instantiate } = WebAssembly;
const NOTHING = Object.freeze([]);

/**
 * One instance. Every entry into its code is guarded: calls of the facade, tasks, timers and
 * events. An exception that leaves the wasm has skipped the clean-up of its frames, so it ends the
 * instance, and what is pending rejects with `internal`.
 */
export class Instance {
  /** The error that ended it, once one has. */
  ended;
  #api;
  #pending = new Set();
  #ending = new AbortController();
  /** Its timers and the controllers of its requests, which outlive it. */
  #left = new Set();
  /** Whether the facade is calling: it then gets the error itself. */
  #called = false;

  /** Fires when it ends, with the error as its reason. */
  get signal() {
    return this.#ending.signal;
  }

  constructor() {
    // wasm-bindgen's code uses these instead of the globals with the same names.
    const guarded = ({ exports }) => ({
      exports: Object.fromEntries(Object.entries(exports).map(([name, value]) => [name, this.#guard(value)])),
    });
    const webAssembly = {
      Module: WebAssembly.Module,
      Instance: function (module, imports) {
        return guarded(new WasmInstance(module, imports));
      },
      instantiate: async (module, imports) => ({
        instance: guarded(await instantiate(module, imports)),
        module,
      }),
    };
    const left = this.#left;
    const start = (run, ms) => {
      const timer = setTimeout(() => {
        left.delete(timer);
        run();
      }, ms);
      left.add(timer);
      return timer;
    };
    const clear = (timer) => {
      left.delete(timer);
      clearTimeout(timer);
    };
    // The wasm aborts each of its controllers when it is done with a request.
    const Controller = class extends AbortController {
      constructor() {
        super();
        left.add(this);
      }
      abort() {
        left.delete(this);
        super.abort();
      }
    };
    this.#api = glue(webAssembly, start, clear, Controller);
  }

  /**
   * Starts it as a host likes it best: browsers may refuse to instantiate a large module at once.
   */
  async start(module) {
    await this.#api.default({ module_or_path: module });
    return this;
  }

  /** Starts it at once, with a module that has been instantiated before. */
  startAtOnce(module) {
    this.#api.initSync({ module });
    return this;
  }

  /**
   * Calls into the wasm. What `call` gives is given; a promise also rejects when the instance ends.
   */
  run(call) {
    if (this.ended) throw this.ended;
    const before = this.#called;
    this.#called = true;
    try {
      const result = call(this.#api);
      return typeof result?.then === "function" ? this.#settles(result) : result;
    } finally {
      this.#called = before;
    }
  }

  #guard(value) {
    if (typeof value !== "function") return value;
    return (...values) => {
      // Timers and events of an instance that has ended come to nothing. wasm-bindgen looks into
      // some results.
      if (this.ended) return NOTHING;
      try {
        return value(...values);
      } catch (cause) {
        this.#end(cause);
        if (this.#called) throw this.ended;
        return NOTHING;
      }
    };
  }

  #settles(promise) {
    return new Promise((resolve, reject) => {
      this.#pending.add(reject);
      // The page may have replaced the Promise that the wasm uses: only `then` is sure to be there.
      const settle = (how) => (value) => {
        this.#pending.delete(reject);
        how(value);
      };
      promise.then(settle(resolve), settle(reject));
    });
  }

  #end(cause) {
    if (this.ended) return;
    this.ended = new DeltaError(
      "a defect of deltalink ended this call; what was committed is intact; call again",
      { code: "internal", retryable: true, cause },
    );
    for (const reject of this.#pending) reject(this.ended);
    this.#ending.abort(this.ended);
    for (const one of this.#left) {
      if (one.abort) one.abort();
      else clearTimeout(one);
    }
  }
}
