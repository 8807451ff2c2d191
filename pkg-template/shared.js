// @ts-check
// What the queries with one key share: their status, their listeners and the round that sync()
// joins.
import { Changes } from "./changes.js";
import { Status } from "./status.js";

/** What all queries with one key share. */
export class Shared {
  /** The round that `sync()` joins. */
  syncing;
  /** Begins the sync again that ended because the user had to sign in. */
  syncAgain;
  #entries;

  /**
   * `ending` fires when the client ends. `hasTabs`: other tabs see the same store. `readItems`
   * reads the stored items of some ids.
   */
  constructor({ key, ending, locks, hasTabs, readItems }, entries) {
    this.key = key;
    this.ending = ending;
    this.locks = locks;
    this.lock = `deltalink | ${key}`;
    this.#entries = entries;
    const onUse = () => this.#keepWhileUsed();
    this.status = new Status(onUse);
    this.changes = new Changes(key, hasTabs, readItems, onUse);
  }

  #keepWhileUsed() {
    const { status, changes, syncAgain } = this;
    const waitsForSignIn = syncAgain && status.get().phase === "needs-auth";
    this.#entries.setUsed(this, changes.hasListeners || status.hasSubscribers || waitsForSignIn);
  }
}

/**
 * The `Shared` objects of one client, by key. One lives as long as a query object, a round, a
 * listener, a subscriber, or a sync that waits for a sign-in. All others are collected as garbage,
 * since a calendar that is paged through has another key for each window.
 */
export class Entries {
  #byKey = new Map();
  #used = new Set();
  #collected = new FinalizationRegistry((key) => {
    // Another object may have got the key meanwhile.
    if (!this.get(key)) this.#byKey.delete(key);
  });

  get(key) {
    return this.#byKey.get(key)?.deref();
  }

  make(parts) {
    const shared = new Shared(parts, this);
    this.#byKey.set(shared.key, new WeakRef(shared));
    this.#collected.register(shared, shared.key);
    return shared;
  }

  /** Keeps an object alive while it is used. */
  setUsed(shared, isUsed) {
    if (isUsed) this.#used.add(shared);
    else this.#used.delete(shared);
  }

  *[Symbol.iterator]() {
    for (const reference of this.#byKey.values()) {
      const shared = reference.deref();
      if (shared) yield shared;
    }
  }
}
