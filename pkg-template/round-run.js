// @ts-check
// A round that runs: its lock, its signal and its status.
import { onAbort } from "./abort.js";
import { DeltaError } from "./error.js";
import { signalOf } from "./options.js";
import { windowAt } from "./window.js";

/** Milliseconds after which a round that waits for the lock shows the status `following`. */
const FOLLOWING = 50;

/** The phases of a round that has the lock. */
const RUNNING = ["syncing", "resyncing", "waiting"];

/**
 * The wasm's handle of a round, which the iterator calls, and what the wasm calls: the `RoundHost`
 * of src/web/host.rs. Never refers to the iterator, which could not be collected otherwise.
 */
export class RoundRun {
  #shared;
  #changes;
  #hasConsumer;
  #onOver;
  #signals;
  #instance;
  #handle;
  /**
   * Stops the wasm's task: with the caller's signal, with the client's, or when the lock is lost.
   */
  #stop = new AbortController();
  /** Each removes a listener of this round. */
  #listening = [];
  #hasBegun = false;
  #unlock;
  #isOver = false;
  /** The last report of the wasm: the first one, until the round has ended. */
  #report;
  #hasEnded = false;

  constructor(query, options, hasConsumer, onOver) {
    const { shared } = query;
    if (shared.ending.aborted) throw shared.ending.reason;
    this.#shared = shared;
    this.#changes = query.mirrored ? shared.changes : undefined;
    this.#hasConsumer = hasConsumer;
    this.#onOver = onOver;
    this.#signals = [signalOf(options), shared.ending];
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

  /** Waits for the lock, with the status `following` as long as a round of another tab runs. */
  async begin() {
    const { signal } = this.#stop;
    for (const other of this.#signals) {
      if (!other) continue;
      const stop = () => this.#stop.abort(other.reason);
      if (other.aborted) stop();
      else this.#listening.push(onAbort(other, stop));
    }
    const { changes, locks, lock, status } = this.#shared;
    changes.roundBegins();
    this.#hasBegun = true;
    this.#listening.push(onAbort(this.#instance.signal, () => this.#lose(this.#instance.ended)));
    const loseLock = () => this.#lose(lockLost());
    const { document } = globalThis;
    // All other tabs would wait for a frozen page.
    document?.addEventListener("freeze", loseLock);
    this.#listening.push(() => document?.removeEventListener("freeze", loseLock));
    const before = status.get();
    // A round of this tab that runs keeps its status.
    const follow = () => RUNNING.includes(status.get().phase) || status.set({ phase: "following" });
    const timer = setTimeout(follow, FOLLOWING);
    try {
      const unlock = await locks.acquire(lock, signal, loseLock);
      if (signal.aborted) {
        unlock();
        throw signal.reason;
      }
      this.#unlock = unlock;
    } finally {
      clearTimeout(timer);
      if (status.get().phase === "following") status.set(before);
    }
  }

  setStatus(status) {
    if (this.#unlock && !this.#isOver) this.#shared.status.set(status);
  }

  hasListeners() {
    return Boolean(this.#changes?.mayHaveListeners);
  }

  announcer(page) {
    const announce = this.#changes?.announcer(page, this.#hasConsumer);
    delete page.unchanged;
    return announce;
  }

  /** Releases the lock: the next round may begin, though listeners of this one may still run. */
  release() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unlock?.();
    if (this.#hasBegun) this.#shared.changes.roundEnds();
    this.#onOver?.();
  }

  end() {
    this.#report = this.#instance.run(() => this.#handle.report());
    this.#hasEnded = true;
    this.#stop.abort();
    this.#stopListening();
    this.release();
  }

  /** Ends the round at once: its lock, or the instance of its wasm, is lost. */
  #lose(error) {
    if (this.#isOver) return;
    this.#shared.status.set({ phase: "failed", error });
    this.release();
    this.#stop.abort(error);
    this.#stopListening();
  }

  #stopListening() {
    for (const remove of this.#listening.splice(0)) remove();
  }
}

const lockLost = () =>
  new DeltaError(
    "this round lost its lock: its page was frozen, or another one took it; the next round continues from the stored state",
    { code: "conflict", retryable: true },
  );
