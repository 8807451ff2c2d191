// The async iterator of a round, and the rounds that `sync()` joins.
import { DeltaError, bad } from "./error.js";
import { orStopped, until } from "./locks.js";
import { windowAt } from "./window.js";

/** Milliseconds after which a round that waits for another one of its query says so. */
const FOLLOWING = 50;

/** The caller's signal, checked by its shape: one of another realm is not an instance of ours. */
export function signalOf(options) {
  const signal = options?.signal;
  if (signal !== undefined && typeof signal?.aborted !== "boolean")
    throw bad("options.signal must be an AbortSignal");
  return signal;
}

/** A round whose iterator is garbage stops: its loop can never go on. */
const abandoned = new FinalizationRegistry((run) => run.end());

/** A round as its consumer sees it: an async iterable of pages. */
export class Round {
  #pages;
  #report;
  #leaving = false;
  /** Ends the wait for an acknowledgement. */
  #wake;

  /**
   * `hasConsumer`: somebody sees the pages; else they are applied only. `onOver` is called when the
   * round has released its lock, maybe before the listeners of its last page have returned.
   */
  constructor(query, options, hasConsumer, onOver) {
    const run = new RoundRun(query, options, hasConsumer, onOver);
    this.#report = () => run.report();
    const pages = (this.#pages = this.#iterate(
      run,
      options?.ack === "manual",
      query.mirrored ? query.shared.changes : undefined,
      hasConsumer,
    ));
    const leave = pages.return.bind(pages);
    pages.return = (value) => {
      // A generator would wait for the page that a read-ahead has asked for, which waits for an
      // acknowledgement.
      this.#leaving = true;
      this.#wake?.();
      return leave(value);
    };
  }

  get report() {
    return this.#report();
  }

  [Symbol.asyncIterator]() {
    return this.#pages;
  }

  async *#iterate(run, manual, changes, hasConsumer) {
    let left = false;
    let current;
    /** Ends when the listeners of the last page have returned. */
    let told;
    try {
      await run.begin();
      abandoned.register(this, run, run);
      for (let page; (page = await run.next(!!changes?.heard));) {
        // Of this page alone: a late call for an earlier one must not acknowledge it.
        const acked = (current = {});
        const tell = changes?.take(page, hasConsumer);
        const { last } = page;
        delete page.unchanged;
        const ack = () => {
          if (!acked.done) {
            if (left)
              return Promise.reject(
                new DeltaError(
                  "the round was left before this page was acknowledged; the next round delivers it again",
                  { code: "aborted", retryable: true },
                ),
              );
            acked.done = run.ack();
            // The commit may succeed although the round is stopped meanwhile: it is announced all
            // the same.
            acked.done.then(
              () => (acked.told = tell?.()),
              () => {},
            );
            this.#wake?.();
          }
          return acked.done;
        };
        page.ack = ack;
        yield page;
        if (manual && !acked.done) await until((resolve) => (this.#wake = resolve), run.signal);
        if (this.#leaving && !acked.done) return;
        // A store may hang: stopping the round does not wait for it.
        await orStopped(ack(), run.signal);
        if (last) told = acked.told;
        else if (acked.told) await orStopped(acked.told, run.signal);
      }
      run.release();
      if (told) await orStopped(told, run.signal);
    } finally {
      left = true;
      // An acknowledgement that nobody waited for is still on its way to the store. A round that is
      // stopped leaves it to the client.
      const { done } = current ?? {};
      if (done) await orStopped(done, run.signal).catch(() => {});
      const report = run.end();
      this.#report = () => report;
      abandoned.unregister(run);
    }
  }
}

/**
 * A round that runs: its lock, its signal and the wasm's side of it. It does not know the Round,
 * whose end is noticed by its being garbage: what the wasm and the caller's signal hold is this.
 */
class RoundRun {
  #shared;
  #instance;
  #handle;
  #stop = new AbortController();
  #signals;
  #unlock;
  #onOver;
  #hasBegun = false;
  /** Whether the lock has been released. */
  #isOver = false;
  /** Whether the status is this round's to tell. */
  #speaks = false;
  /** The report of before it began. */
  #before;
  /** Fires when the caller's signal does, when the client ends, and at the round's end. */
  signal = this.#stop.signal;

  constructor(query, options, hasConsumer, onOver) {
    const { shared } = query;
    if (shared.ending.aborted) throw shared.ending.reason;
    this.#shared = shared;
    this.#onOver = onOver;
    this.#signals = [signalOf(options), shared.ending];
    const { instance, wasm } = query.current();
    this.#instance = instance;
    const { window } = wasm;
    this.#handle = instance.run(() =>
      wasm.round(
        options,
        this.signal,
        (status) => this.#tell(status),
        hasConsumer,
        window && windowAt(window),
      ),
    );
    this.#before = this.report();
  }

  report() {
    return this.#instance.ended ? this.#before : this.#instance.run(() => this.#handle.report());
  }

  /** Waits for the lock, with the status `following` as long as another round of the query runs. */
  async begin() {
    this.#follow();
    const { signal } = this;
    const { changes, locks, lock, status } = this.#shared;
    changes.enter();
    this.#hasBegun = true;
    const lose = () => this.#lose(lost());
    // What it waits for may be the consumer, who does not notice.
    this.#instance.signal.addEventListener("abort", () => this.#lose(this.#instance.ended), { signal });
    // A frozen page releases the lock: all others would wait for it.
    globalThis.document?.addEventListener("freeze", lose, { signal });
    const before = status.get();
    const timer = setTimeout(() => status.set({ phase: "following" }), FOLLOWING);
    try {
      this.#unlock = await locks.acquire(lock, signal, lose);
      if (signal.aborted) throw signal.reason;
      this.#speaks = true;
    } finally {
      clearTimeout(timer);
      if (status.get().phase === "following") status.set(before);
    }
  }

  next(hasListeners) {
    return this.#call((handle) => handle.next(hasListeners));
  }

  ack() {
    return this.#call((handle) => handle.ack());
  }

  /** Releases the lock: the next round may begin, though listeners of this one may still run. */
  release() {
    this.#speaks = false;
    this.#unlock?.();
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#hasBegun) this.#shared.changes.leave();
    this.#onOver?.();
  }

  /** Ends the round where it is. Gives its report. */
  end() {
    if (!this.#instance.ended && this.#instance.run(() => this.#handle.leave()))
      this.#tell({ phase: "idle" });
    const report = this.report();
    // For whatever listens on its account.
    this.#stop.abort();
    this.release();
    return report;
  }

  async #call(work) {
    return this.#instance.run(() => work(this.#handle));
  }

  /** From now on it stops with its signals: a round that nobody begins leaves nothing with them. */
  #follow() {
    const { signal } = this;
    for (const other of this.#signals) {
      const stop = () => this.#stop.abort(other.reason);
      if (other?.aborted) stop();
      other?.addEventListener("abort", stop, { signal });
    }
  }

  #tell(status) {
    if (this.#speaks) this.#shared.status.set(status);
  }

  /** Ends it at once, whatever its consumer waits for. */
  #lose(error) {
    if (this.signal.aborted || this.#isOver) return;
    this.#shared.status.set({ phase: "failed", error });
    this.#speaks = false;
    this.#stop.abort(error);
    this.release();
  }
}

const lost = () =>
  new DeltaError(
    "this round lost its lock: its page was frozen, or another one took it; the next round continues from what was stored",
    { code: "conflict", retryable: true },
  );

/**
 * A round that is applied for all who wait for it. It is stopped when the last of them has left.
 */
export class Sync {
  #stop = new AbortController();
  #members = 0;
  #query;
  #done;

  constructor(query) {
    this.#query = query;
    const { shared } = query;
    shared.again = () => (shared.syncing = new Sync(query));
    this.#done = this.#run().finally(() => this.#leave());
    // Those who have left do not hear of its end.
    this.#done.catch(() => {});
  }

  /** Resolves to the report. Leaving the round by the signal stops it for nobody else. */
  join(signal) {
    this.#members += 1;
    if (!signal) return this.#done;
    return new Promise((resolve, reject) => {
      const left = () => {
        reject(signal.reason);
        this.#members -= 1;
        if (this.#members > 0) return;
        this.#leave();
        this.#stop.abort(signal.reason);
      };
      signal.addEventListener("abort", left, { once: true });
      this.#done.then(resolve, reject).finally(() => signal.removeEventListener("abort", left));
    });
  }

  async #run() {
    const round = new Round(this.#query, { signal: this.#stop.signal }, false, () => this.#leave());
    for await (const page of round) void page;
    const { report } = round;
    if (report.outcome === "complete") return report;
    throw new DeltaError("the round ended early, though nobody stopped it; call again", {
      code: "internal",
      retryable: true,
      report,
    });
  }

  /** The next sync begins another round rather than joining one that ends. */
  #leave() {
    const { shared } = this.#query;
    if (shared.syncing === this) shared.syncing = undefined;
  }
}
