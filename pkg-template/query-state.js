// @ts-check
// The state in memory that all query objects with the same key share.
/** @import { DeltaError } from "./errors.js" */
/** @import { Readable } from "./query-status.js" */
import { Changes } from "./changes.js";
import { Value } from "./readable.js";
import { Status } from "./status.js";
import { Rows } from "./view.js";

/** The status of a query, its listeners, and the round that `sync()` joins. */
export class QueryState {
  /** The round that `sync()` joins. */
  syncing;
  /** Repeats the `sync()` that ended because the user had to sign in. */
  syncAgain;
  /** Resolves when the status shows the stored end of the last complete round. */
  restored = Promise.resolve();
  #states;
  /** The rows of views, with and without completed occurrences. */
  #rows = new Map();

  /**
   * `ending` fires when the client ends. `hasTabs`: other tabs see the same store. `reader`
   * reads the stored items.
   */
  constructor({ key, ending, locks, live, hasTabs, reader }, states) {
    this.key = key;
    this.ending = ending;
    this.locks = locks;
    this.live = live;
    this.lock = `deltalink | ${key}`;
    this.hasSeries = reader.hasSeries;
    this.#states = states;
    const onUse = () => this.#keepWhileUsed();
    this.status = new Status(onUse);
    this.changes = new Changes(key, hasTabs, reader, onUse);
  }

  /** The rows that the views of this query share. */
  rowsOf(query, completes) {
    let rows = this.#rows.get(completes);
    if (!rows) this.#rows.set(completes, (rows = new Rows(query, completes)));
    return rows;
  }

  /** Whether the user has to sign in. */
  get needsSignIn() {
    return this.status.get().phase === "needs-auth";
  }

  #keepWhileUsed() {
    const { status, changes, syncAgain } = this;
    const waitsForSignIn = syncAgain && this.needsSignIn;
    this.#states.setUsed(this, changes.hasListeners || status.hasSubscribers || waitsForSignIn);
  }
}

/**
 * The `QueryState` objects of one client, by key. One is kept while a query object, a round, a
 * listener, a subscriber or a sync that waits for a sign-in needs it. All others are collected as
 * garbage: a user who pages through a calendar makes a query with another key for each window.
 */
export class QueryStates {
  /**
   * The readable of the error because of which the user has to sign in, one with claims if there is
   * one. Its subscribers run when the round has ended: they may call `resume()`.
   *
   * @type {Readable<DeltaError | undefined>}
   */
  signInError = {
    get: () => this.#findSignInError(),
    subscribe: (run) => {
      this.#showSignInError();
      return this.#shownSignInError.subscribe(run);
    },
  };
  /** @type {Value<DeltaError | undefined>} */
  #shownSignInError = new Value(undefined);
  #timer;
  #byKey = new Map();
  #used = new Set();
  #collected = new FinalizationRegistry((key) => {
    // A new object may have the key by now.
    if (!this.get(key)) this.#byKey.delete(key);
    this.#showSignInErrorLater();
  });

  get(key) {
    return this.#byKey.get(key)?.deref();
  }

  make(parts) {
    const state = new QueryState(parts, this);
    this.#byKey.set(state.key, new WeakRef(state));
    this.#collected.register(state, state.key);
    return state;
  }

  /** Keeps an object alive while it is used. Called when its use or its status has changed. */
  setUsed(state, isUsed) {
    if (isUsed) this.#used.add(state);
    else this.#used.delete(state);
    if (state.needsSignIn || this.#shownSignInError.get()) this.#showSignInErrorLater();
  }

  /** Tells the subscribers of `signInError` that the client has ended. */
  end() {
    clearTimeout(this.#timer);
    this.#shownSignInError.set(undefined);
  }

  /** Several statuses may change at once: subscribers get the last error only. */
  #showSignInErrorLater() {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#showSignInError();
    });
  }

  #showSignInError() {
    const error = this.#findSignInError();
    if (error !== this.#shownSignInError.get()) this.#shownSignInError.set(error);
  }

  #findSignInError() {
    const errors = [...this].filter((state) => state.needsSignIn).map(({ status }) => status.get().error);
    return errors.find((error) => error?.claims) ?? errors[0];
  }

  *[Symbol.iterator]() {
    for (const reference of this.#byKey.values()) {
      const state = reference.deref();
      if (state) yield state;
    }
  }
}
