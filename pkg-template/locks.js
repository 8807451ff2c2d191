// One round of a query at a time. Web Locks guard the tabs of a browser; where there are none
// (Node, Workers, insecure pages, a store in memory) each client guards itself, and nothing waits
// across clients: in a Worker a request that was cut off would hold up all later ones. Commits
// compare the stored revision in any case.

/** The round locks of one client. */
export class RoundLocks {
  /** By name, the end of the last round that holds or awaits the lock. */
  #last = new Map();
  #shared;

  /** `shared`: other tabs see the same store. */
  constructor(shared) {
    this.#shared = shared;
  }

  /**
   * Resolves to the function that releases the lock. Rejects when the signal fires first. `lost` is
   * called when the lock is taken away.
   */
  async acquire(name, signal, lost) {
    const locks = this.#shared && globalThis.navigator?.locks;
    if (locks) {
      try {
        return await acquireShared(locks, name, signal, lost);
      } catch (error) {
        // A page that may not use locks, such as a sandboxed frame, is as one without them.
        if (signal.aborted) throw error;
      }
    }
    return this.#acquireOwn(name, signal);
  }

  async #acquireOwn(name, signal) {
    const before = this.#last.get(name);
    let release;
    const released = new Promise((resolve) => (release = resolve));
    const end = Promise.all([before, released]).then(() => {
      if (this.#last.get(name) === end) this.#last.delete(name);
    });
    this.#last.set(name, end);
    try {
      if (before) await orAborted(before, signal);
    } catch (reason) {
      release();
      throw reason;
    }
    return release;
  }
}

/** Waits for a promise that does not reject. Rejects when the signal fires first. */
function orAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    });
  });
}

function acquireShared(locks, name, signal, lost) {
  return new Promise((resolve, reject) => {
    let failed = reject;
    const hold = () => {
      failed = lost;
      return new Promise(resolve);
    };
    locks.request(name, { signal }, hold).catch((error) => failed(error));
  });
}
