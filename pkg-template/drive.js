// What a round waits for is waited for here: the wasm begins each thing, and goes on with what came of it.

// The turns of a round, as the wasm numbers them.
const NEXT = 0;
const ACK = 1;
const CAME = 2;
const FAILED = 3;
/** The longest that a host's timers can count. */
const LONGEST = 2 ** 31 - 1;

/** Drives one round, and is what the wasm asks of its host meanwhile. All of it ends with the round's signal. */
export class Drive {
  #stop = new AbortController();
  /** Fires with any of the signals that were given, and at the round's end. */
  signal = this.#stop.signal;
  /** The wasm's side of the round. */
  handle;
  /** By scope of limits: the rounds whose requests are under way, and those that wait for room. */
  #lanes;
  #lane;

  /** `lanes` is shared by the rounds of a client. */
  constructor(lanes, ...signals) {
    this.#lanes = lanes;
    const { signal } = this;
    for (const one of signals) {
      const follow = () => this.stop(one.reason);
      if (one?.aborted) follow();
      one?.addEventListener("abort", follow, { signal });
    }
  }

  stop(reason) {
    this.#stop.abort(reason);
  }

  /** The next page, or undefined at the end. `heard` says that somebody could hear of its changes, though nobody sees the page. */
  next(heard) {
    return this.#run(NEXT, heard);
  }

  /** Commits the page that was delivered last; without one, does nothing. */
  ack() {
    return this.#run(ACK);
  }

  async #run(...what) {
    const { signal } = this;
    try {
      for (;;) {
        // Of a commit that is cut off here nothing is known; if it was stored, the next round goes on behind it.
        if (signal.aborted) throw signal.reason;
        const turn = this.handle.turn(...what);
        if (!(turn instanceof Promise)) return turn;
        what = await until((resolve) => turn.then((value) => resolve([CAME, value]), (error) => resolve([FAILED, error])), signal);
      }
    } catch (error) {
      this.exit();
      this.handle?.leave();
      // A trap has ended the wasm that would tell it.
      if (error?.code === "internal") this.tell({ phase: "failed", error });
      throw error;
    }
  }

  /** Ends the round where it is. */
  end() {
    this.exit();
    this.handle?.leave();
    this.handle?.free();
    this.handle = undefined;
    // For whatever listens on its account.
    this.stop();
  }

  /** Where a host can't tell it is not said. */
  get offline() {
    return globalThis.navigator?.onLine === false;
  }

  /** Waits for room among the `limit` requests that a scope may have under way, in the order of asking. */
  enter(scope, limit) {
    const lane = (this.#lane = this.#lanes[scope] ??= { inside: new Set(), waiting: new Map() });
    return new Promise((resolve) => {
      lane.waiting.set(this, resolve);
      serve(lane, limit);
    });
  }

  /** Makes room, or waits no more. */
  exit(limit) {
    const lane = this.#lane;
    this.#lane = undefined;
    lane?.inside.delete(this);
    lane?.waiting.delete(this);
    if (lane) serve(lane, limit);
  }

  /**
   * One request: `[response, text of the body, whether it stood still]`. The response is null where there was none, the text undefined
   * where it was cut short. A request of which nothing comes for `timeout` ms is cut; a slow one is not.
   */
  async get(url, { fetch = globalThis.fetch, timeout, ...init }) {
    const { signal } = this;
    // Whoever heard that the round is at work may have ended it.
    if (signal.aborted) throw signal.reason;
    const cut = new AbortController();
    const stop = () => cut.abort(signal.reason);
    let response = null;
    let text;
    let late = false;
    const moving = (work) => timely(work, timeout, () => cut.abort((late = true)));
    signal.addEventListener("abort", stop);
    try {
      response = (await moving(fetch.call(globalThis, url, { ...init, signal: cut.signal }))) ?? undefined;
      text = await read(response, moving);
    } catch {
      // No answer, or a part of one.
    }
    signal.removeEventListener("abort", stop);
    return [response, text, late];
  }

  /**
   * By a timer alone: the clock may be set back meanwhile. With `offline`, no longer than there is no network. Longer waits than a timer
   * can count are waited for again.
   */
  sleep(ms, offline) {
    const { signal } = this;
    let timer;
    const sleeping = until((resolve) => {
      timer = setTimeout(resolve, offline && !this.offline ? 0 : Math.min(ms, LONGEST));
      if (offline) globalThis.addEventListener?.("online", resolve, { once: true, signal });
    }, signal);
    return sleeping.finally(() => clearTimeout(timer));
  }

  /** What the call of a function comes to, if that is within `ms`. */
  within([call, self, ...values], ms) {
    return timely((async () => call.call(self, ...values))(), ms, () => new Error(`it gave no answer for ${Math.round(ms / 1000)} s`));
  }
}

/** What `work` comes to; if that takes longer than `ms`, an end with what `late` gives. */
function timely(work, ms, late) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), Math.min(ms, LONGEST));
    // It must not keep a process alive.
    timer.unref?.();
    Promise.resolve(work).then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function serve(lane, limit = lane.limit) {
  lane.limit = limit;
  for (const [drive, enter] of lane.waiting) {
    if (lane.inside.size >= limit) return;
    lane.waiting.delete(drive);
    lane.inside.add(drive);
    enter();
  }
}

async function read(response, moving) {
  const reader = response.body?.getReader?.();
  if (!reader) return moving(response.text());
  const decoder = new TextDecoder();
  for (let text = ""; ; ) {
    const { done, value } = await moving(reader.read());
    text += decoder.decode(value, { stream: !done });
    if (done) return text;
  }
}

/** Waits until `start`'s callback is called, or rejects when the signal fires. */
export function until(start, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    start((value) => {
      signal.removeEventListener("abort", stop);
      resolve(value);
    });
  });
}
