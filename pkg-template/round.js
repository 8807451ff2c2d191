// @ts-check
// The async iterator of a round. The wasm decides when a page is acknowledged:
// src/protocol/acknowledge.rs.
/** @import { Page, Round as RoundType } from "./rounds.js" */
import { RoundRun } from "./round-run.js";

/**
 * A round: the object that `round()` returns.
 *
 * @implements {RoundType<any>}
 */
export class Round {
  #run;
  #pages;

  /**
   * `hasConsumer` is false if the pages are only applied to the mirror. `onRelease` is called when
   * the round has released its lock. The listeners of its last page may still be running.
   * `stealsLock`: take the lock from a tab that does not respond.
   */
  constructor(query, options, hasConsumer, onRelease, stealsLock = false) {
    this.#run = new RoundRun(query, options, { hasConsumer, onRelease, stealsLock });
    this.#pages = new Pages(this.#run);
  }

  get report() {
    return this.#run.report;
  }

  [Symbol.asyncIterator]() {
    return this.#pages;
  }
}

/** Ends a round whose iterator was collected as garbage: nothing can call its `next()` any more. */
const abandoned = new FinalizationRegistry((run) => run.leave());

/**
 * The iterator of a round. Unlike an async generator's, its `return()` ends a `next()` that waits.
 *
 * @implements {AsyncGenerator<Page<any>, void, undefined>}
 */
class Pages {
  #run;
  #delivered = 0;

  constructor(run) {
    this.#run = run;
    abandoned.register(this, run);
  }

  /** @returns {Promise<IteratorResult<Page<any>, void>>} */
  async next() {
    const page = await this.#run.next();
    if (!page) return { value: undefined, done: true };
    const number = this.#delivered++;
    let acknowledged;
    page.ack = () => (acknowledged ??= this.#ack(number));
    return { value: page, done: false };
  }

  /** @returns {Promise<IteratorResult<Page<any>, any>>} */
  async return(value) {
    await this.#run.leave();
    return { value: await value, done: true };
  }

  /** @returns {Promise<IteratorResult<Page<any>, void>>} */
  async throw(error) {
    await this.#run.leave();
    throw error;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #ack(number) {
    const acknowledged = this.#run.ack(number);
    // A consumer that does not wait for it gets the error from `next()`.
    acknowledged.catch(() => {});
    return acknowledged;
  }
}

/**
 * The prototype of all async iterators of the host. Newer hosts have `Symbol.asyncDispose` there.
 */
const AsyncIteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}.prototype));
Object.setPrototypeOf(Pages.prototype, AsyncIteratorPrototype);
