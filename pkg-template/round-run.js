// @ts-check
// A running round: its lock, its signal and its status.
import { onAbort } from "./abort.js";
import { DeltaError, report } from "./error.js";
import { signalOf } from "./options.js";
import { RUNNING } from "./status.js";
import { windowAt } from "./window.js";

/** The time, in milliseconds, that a round waits for the lock before its status is `following`. */
const FOLLOWING_DELAY = 50;

/**
 * Connects the iterator of a round with the wasm. The iterator calls the wasm's handle of the round
 * through it, and the wasm calls its methods, which src/web/round_run.rs declares. It never refers
 * to the iterator, which could not be collected as garbage otherwise.
 */
export class RoundRun {
  #state;
  #changes;
  #hasConsumer;
  #onRelease;
  #stealsLock;
  #signals;
  #instance;
  #handle;
  /**
   * Stops the wasm's task: when the caller's signal or the client's fires, when the lock is lost,
   * and when the round ends.
   */
  #stop = new AbortController();
  /** The functions that remove the listeners of this round. */
  #removers = [];
  #hasBegun = false;
  #unlock;
  #isReleased = false;
  /** The report at the start, then the final one. In between, the getter reads it from the wasm. */
  #report;
  #hasEnded = false;

  constructor(query, options, { hasConsumer, onRelease, stealsLock }) {
    const { state } = query;
    if (state.ending.aborted) throw state.ending.reason;
    this.#state = state;
    this.#changes = query.hasMirror ? state.changes : undefined;
    this.#hasConsumer = hasConsumer;
    this.#onRelease = onRelease;
    this.#stealsLock = stealsLock;
    this.#signals = [signalOf(options), state.ending];
    const { instance, wasm } = query.current();
    const window = wasm.window && windowAt(wasm.window);
    this.#instance = instance;
    this.#handle = instance.run(() => wasm.round(options, this.#stop.signal, this, hasConsumer, window));
    this.#report = instance.run(() => this.#handle.report());
  }

  get report() {
    const isFinal = this.#hasEnded || this.#instance.ended;
    return isFinal ? this.#report : this.#instance.run(() => this.#handle.report());
  }

  async next() {
    return this.#instance.run(() => this.#handle.next());
  }

  async ack(number) {
    return this.#instance.run(() => this.#handle.ack(number));
  }

  async leave() {
    try {
      await this.#instance.run(() => this.#handle.leave());
    } catch {
      // A defect has ended the instance, and the round with it.
    }
  }

  /** Waits for the lock, with the status `following` while a round of another tab runs. */
  async begin() {
    const { signal } = this.#stop;
    for (const other of this.#signals) {
      if (!other) continue;
      const stop = () => this.#stop.abort(other.reason);
      if (other.aborted) stop();
      else this.#removers.push(onAbort(other, stop));
    }
    const { changes, locks, lock, status } = this.#state;
    changes.onRoundBegin();
    this.#hasBegun = true;
    this.#removers.push(onAbort(this.#instance.signal, () => this.#lose(this.#instance.ended)));
    // A stopped round is not a failure.
    const loseLock = () => (signal.aborted ? this.release() : this.#lose(lockLost()));
    const { document } = globalThis;
    // Other tabs would wait for a frozen tab as long as it holds the lock.
    document?.addEventListener("freeze", loseLock);
    this.#removers.push(() => document?.removeEventListener("freeze", loseLock));
    const before = status.base;
    // If another round of this client runs, its status stays.
    const follow = () => RUNNING.includes(status.base.phase) || status.set({ phase: "following" });
    const timer = setTimeout(follow, FOLLOWING_DELAY);
    try {
      const unlock = await locks.acquire(lock, signal, loseLock, this.#stealsLock);
      if (signal.aborted) {
        unlock();
        throw signal.reason;
      }
      this.#unlock = unlock;
    } finally {
      clearTimeout(timer);
      if (status.base.phase === "following") status.set(before);
    }
  }

  setStatus(status) {
    if (this.#unlock && !this.#isReleased) this.#state.status.set(status);
  }

  hasListeners() {
    return Boolean(this.#changes?.mayHaveListeners);
  }

  announcer(page) {
    const announce = this.#changes?.announcer(page, this.#hasConsumer);
    delete page.forListeners;
    return announce;
  }

  /** Calls `options.log`. Its error is reported: it must end neither the round nor the process. */
  async log(log, entry) {
    try {
      await log(entry);
    } catch (error) {
      report(error);
    }
  }

  takeSlot(name, count) {
    return this.#state.locks.takeSlot(name, count);
  }

  /** Releases the lock: the next round may begin, though listeners of this one may still run. */
  release() {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#unlock?.();
    if (this.#hasBegun) this.#state.changes.onRoundEnd();
    this.#onRelease?.();
  }

  end() {
    this.#report = this.#instance.run(() => this.#handle.report());
    this.#hasEnded = true;
    this.#stop.abort();
    this.#stopListening();
    this.release();
  }

  /** Ends the round at once, because its lock or its wasm instance is lost. */
  #lose(error) {
    if (this.#isReleased) return;
    this.#state.status.set({ phase: "failed", error });
    this.release();
    this.#stop.abort(error);
    this.#stopListening();
  }

  #stopListening() {
    for (const remove of this.#removers.splice(0)) remove();
  }
}

const lockLost = () =>
  new DeltaError(
    "this round lost its lock: its tab was frozen, or another tab took it; the next round continues from the stored state",
    { code: "conflict", retryable: true },
  );
