// @ts-check
// Instances of the wasm, one for each client: a defect that ends one does not affect the others.
import glue from "./deltalink.js";
import { DeltaError } from "./error.js";

const { Instance: WasmInstance, instantiate } = WebAssembly;
const NOTHING = Object.freeze([]);

/**
 * One instance. Every call into its code is guarded: calls of the facade, tasks, timers and events.
 * An exception that leaves the wasm has skipped the destructors of its frames. It therefore ends
 * the instance, and all pending promises reject with `internal`.
 */
export class Instance {
  /** The error that ended the instance; undefined while it runs. */
  ended;
  #api;
  #pending = new Set();
  #ending = new AbortController();
  /** Its running timers and the controllers of its requests, which would outlive the instance. */
  #resources = new Set();
  /** Whether the facade is calling into the wasm: an exception is then thrown to it. */
  #isCalledByFacade = false;

  /** Fires when the instance ends, with the error as its reason. */
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
      instantiate: async (/** @type {WebAssembly.Module} */ module, imports) => ({
        instance: guarded(await instantiate(module, imports)),
        module,
      }),
    };
    const resources = this.#resources;
    const start = (run, ms) => {
      const timer = setTimeout(() => {
        resources.delete(timer);
        run();
      }, ms);
      resources.add(timer);
      return timer;
    };
    const clear = (timer) => {
      resources.delete(timer);
      clearTimeout(timer);
    };
    // The wasm aborts its controller at the end of each request, even of a successful one.
    const Controller = class extends AbortController {
      constructor() {
        super();
        resources.add(this);
      }
      abort() {
        resources.delete(this);
        super.abort();
      }
    };
    this.#api = glue(webAssembly, start, clear, Controller);
  }

  /** Instantiates the module asynchronously: a browser may refuse to do it synchronously. */
  async start(module) {
    await this.#api.default({ module_or_path: module });
    return this;
  }

  /** Instantiates a module synchronously. It must have been instantiated before. */
  startAtOnce(module) {
    this.#api.initSync({ module });
    return this;
  }

  /**
   * Calls into the wasm. Returns the result of `call`; a promise also rejects when the instance
   * ends.
   */
  run(call) {
    if (this.ended) throw this.ended;
    const before = this.#isCalledByFacade;
    this.#isCalledByFacade = true;
    try {
      const result = call(this.#api);
      return typeof result?.then === "function" ? this.#orEnded(result) : result;
    } finally {
      this.#isCalledByFacade = before;
    }
  }

  #guard(value) {
    if (typeof value !== "function") return value;
    return (...values) => {
      // Timers and events of an instance that has ended do nothing. The result is an array because
      // wasm-bindgen destructures some results.
      if (this.ended) return NOTHING;
      try {
        return value(...values);
      } catch (cause) {
        this.#end(cause);
        if (this.#isCalledByFacade) throw this.ended;
        return NOTHING;
      }
    };
  }

  #orEnded(promise) {
    return new Promise((resolve, reject) => {
      this.#pending.add(reject);
      // The app may have replaced the global Promise. A replacement has `then`, but maybe not
      // `finally`.
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
      "a defect of deltalink ended this call; everything committed is intact; call again",
      { code: "internal", retryable: true, cause },
    );
    for (const reject of this.#pending) reject(this.ended);
    this.#ending.abort(this.ended);
    for (const resource of this.#resources) {
      if (resource.abort) resource.abort();
      else clearTimeout(resource);
    }
  }
}
