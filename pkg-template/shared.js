// What the queries of one key share: their status, their listeners and the round that sync() joins.
import { Changes } from "./changes.js";
import { Status } from "./status.js";

/** What all queries of one key share. */
export class Shared {
  /** The round that `sync()` joins. */
  syncing;
  /** Goes on after a sign-in. */
  again;
  #entries;

  /**
   * `ending` fires when the client ends. `hasTabs`: other tabs see its store. `read` gives items by
   * ids.
   */
  constructor({ key, ending, locks, hasTabs, read }, entries) {
    this.key = key;
    this.ending = ending;
    this.locks = locks;
    this.lock = `deltalink | ${key}`;
    this.#entries = entries;
    const onUse = () => this.#used();
    this.status = new Status(onUse);
    this.changes = new Changes(key, hasTabs, read, onUse);
  }

  #used() {
    const { status, changes, again } = this;
    this.#entries.hold(
      this,
      changes.hasListeners || status.hasSubscribers || (again && status.get().phase === "needs-auth"),
    );
  }
}

/**
 * What the queries of one client share, by key. An entry lives as long as a query object, a round,
 * a listener, a subscriber, or a sync that waits for a sign-in: a calendar that is paged through
 * has a new key for each window.
 */
export class Entries {
  #all = new Map();
  #held = new Set();
  #collected = new FinalizationRegistry((key) => {
    // A new one may have the key by now.
    if (!this.get(key)) this.#all.delete(key);
  });

  get(key) {
    return this.#all.get(key)?.deref();
  }

  /** Makes the one of a key. */
  make(parts) {
    const shared = new Shared(parts, this);
    this.#all.set(shared.key, new WeakRef(shared));
    this.#collected.register(shared, shared.key);
    return shared;
  }

  /** Keeps one alive that somebody uses. */
  hold(shared, isUsed) {
    if (isUsed) this.#held.add(shared);
    else this.#held.delete(shared);
  }

  *[Symbol.iterator]() {
    for (const reference of this.#all.values()) {
      const shared = reference.deref();
      if (shared) yield shared;
    }
  }
}
