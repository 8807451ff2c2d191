// @ts-check
// The lock under which the rounds of a query run one at a time, and the slots that limit the
// concurrent requests to a mailbox. In a browser these are Web Locks, which all tabs share. Without
// Web Locks (Node, Workers, origins without HTTPS) and for a store in memory, each client has its
// own locks and no slots. Clients do not share these locks: an invocation of a Worker that ends
// early would keep a lock and block all later invocations. With or without a lock, each commit
// compares the stored revision.
import { onAbort } from "./abort.js";

/** The locks of one client. */
export class Locks {
  /** By name: a promise that resolves when all rounds so far have released the lock. */
  #ends = new Map();
  #hasTabs;

  /** `hasTabs`: whether other tabs may use the same store. */
  constructor(hasTabs) {
    this.#hasTabs = hasTabs;
  }

  /**
   * Resolves to the function that releases the lock. Rejects if the signal fires first. `onLost`
   * is called when another tab steals the lock. `steals`: takes the lock from its holder.
   */
  async acquire(name, signal, onLost, steals) {
    const webLocks = this.#webLocks;
    if (webLocks) {
      try {
        return await acquireWebLock(webLocks, name, signal, onLost, steals);
      } catch (error) {
        // Some frames, such as sandboxed ones, must not use Web Locks.
        if (signal.aborted) throw error;
      }
    }
    return this.#acquireLocal(name, signal);
  }

  /**
   * Takes one of `count` slots with this name. `granted` resolves when one is taken; without Web
   * Locks, at once. `release()` releases the slot, or ends the wait for it.
   */
  takeSlot(name, count) {
    const webLocks = this.#webLocks;
    if (!webLocks) return { granted: Promise.resolve(), release() {} };
    const slot = new AbortController();
    const names = Array.from({ length: count }, (_, index) => `${name} | ${index + 1}`);
    // Some frames, such as sandboxed ones, must not use Web Locks.
    const granted = acquireOne(webLocks, names, slot.signal).catch(() => {});
    return { granted, release: () => slot.abort() };
  }

  get #webLocks() {
    return this.#hasTabs && globalThis.navigator?.locks;
  }

  async #acquireLocal(name, signal) {
    const before = this.#ends.get(name);
    /** @type {(value?: any) => void} */
    let release;
    const released = new Promise((resolve) => (release = resolve));
    const end = Promise.all([before, released]).then(() => {
      if (this.#ends.get(name) === end) this.#ends.delete(name);
    });
    this.#ends.set(name, end);
    try {
      if (before) await orAborted(before, signal);
    } catch (reason) {
      release();
      throw reason;
    }
    return release;
  }
}

/** Waits for a promise that never rejects. Rejects if the signal fires first. */
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

/**
 * Acquires a Web Lock. Resolves to the function that releases it: the browser holds a lock until
 * the promise that the callback returns resolves.
 */
function acquireWebLock(webLocks, name, signal, onLost, steals) {
  return new Promise((resolve, reject) => {
    let onError = reject;
    const hold = () => {
      onError = onLost;
      return new Promise(resolve);
    };
    // A signal and `steal` exclude each other.
    const options = steals ? { steal: true } : { signal };
    webLocks.request(name, options, hold).catch((error) => onError(error));
  });
}

/** Acquires one of these Web Locks. Holds it, or waits for it, until the signal fires. */
async function acquireOne(webLocks, names, signal) {
  const released = new Promise((resolve) => onAbort(signal, resolve));
  for (const name of names) {
    const isFree = await new Promise((resolve, reject) => {
      const hold = (lock) => {
        resolve(Boolean(lock));
        return lock && released;
      };
      webLocks.request(name, { ifAvailable: true }, hold).catch(reject);
    });
    if (isFree) return;
  }
  // Requests all of them, and keeps the first one that is granted.
  const wait = new AbortController();
  void released.then(() => wait.abort());
  await new Promise((resolve, reject) => {
    const hold = () => {
      if (wait.signal.aborted) return undefined;
      wait.abort();
      resolve(undefined);
      return released;
    };
    for (const name of names) webLocks.request(name, { signal: wait.signal }, hold).catch(reject);
  });
}
