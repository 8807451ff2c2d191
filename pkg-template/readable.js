// @ts-check
/** @import { Readable } from "./query-status.js" */
import { badRequest, report, typeOf } from "./error.js";

/**
 * A value with subscribers.
 *
 * @template V
 * @implements {Readable<V>}
 */
export class Value {
  #value;
  #subscribers = new Set();
  #onUse;

  /**
   * `onUse` is called when a subscriber is added or removed, and when the value changes.
   *
   * @param {V} value
   * @param {() => void} onUse
   */
  constructor(value, onUse = () => {}) {
    this.#value = value;
    this.#onUse = onUse;
  }

  get hasSubscribers() {
    return this.#subscribers.size > 0;
  }

  get = () => this.#value;

  /** @param {V} value */
  set(value) {
    this.#value = value;
    this.#onUse();
    for (const run of this.#subscribers) this.#call(run);
  }

  /** @param {(value: V) => void} run */
  subscribe = (run) => {
    if (typeof run !== "function") throw badRequest(`subscribe() needs a function, got ${typeOf(run)}`);
    // The same function may subscribe twice.
    const entry = (/** @type {V} */ value) => run(value);
    this.#subscribers.add(entry);
    this.#onUse();
    this.#call(entry);
    return () => {
      this.#subscribers.delete(entry);
      this.#onUse();
    };
  };

  #call(run) {
    try {
      run(this.#value);
    } catch (error) {
      report(error);
    }
  }
}
