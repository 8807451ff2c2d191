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
  /** The wasm's side of the round, and what has ended its instance, if a trap has. */
  handle;
  fate = {};
  /** By scope of limits: the rounds whose requests are under way, and those that wait for room. */
  #lanes;
  #room;

  #signals;

  /** `lanes` is shared by the rounds of a client. */
  constructor(lanes, ...signals) {
    this.#lanes = lanes;
    this.#signals = signals;
  }

  /** Ends with any of its signals from now on: a round that nobody begins leaves nothing with them. */
  follow() {
    const { signal } = this;
    for (const one of this.#signals.splice(0)) {
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
      this.follow();
      for (;;) {
        // Of a commit that is cut off here nothing is known; if it was stored, the next round goes on behind it.
        if (signal.aborted) throw signal.reason;
        if (this.fate.ended) throw this.fate.ended;
        const turn = this.handle.turn(...what);
        if (!(turn instanceof Promise)) return turn;
        const came = settled(turn);
        what = await until((resolve) => came.then(resolve), signal);
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

  /** Waits for room among the `limit` requests that a scope may have under way. */
  enter(scope, limit) {
    this.#room = new Room(this.#lanes, scope, limit);
    return this.#room.entered;
  }

  /** Makes room, or waits no more. */
  exit(limit) {
    this.#room?.leave(limit);
    this.#room = undefined;
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
    let response = null;
    let late = false;
    let reader;
    let text;
    const stop = () => {
      cut.abort(signal.reason);
      // A fetch of the caller's own may not listen to its signal.
      reader?.cancel().catch(() => {});
    };
    const moving = (work) => this.#timely(work, timeout, () => stop((late = true)));
    signal.addEventListener("abort", stop);
    try {
      response = (await moving(fetch.call(globalThis, url, { ...init, headers: new Headers(init.headers), signal: cut.signal }))) ?? undefined;
      reader = response.body?.getReader?.();
      text = reader ? await read(reader, moving) : await moving(response.text());
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
    const wake = (resolve) => offline && globalThis.addEventListener?.("online", resolve, { once: true, signal: this.signal });
    return this.#during(offline && !this.offline ? 0 : ms, wake);
  }

  /** What the call of a function comes to, if that is within `ms`. */
  within([call, self, ...values], ms) {
    return this.#timely((async () => call.call(self, ...values))(), ms, () => new Error(`it gave no answer for ${Math.round(ms / 1000)} s`));
  }

  /** What `work` comes to; if that takes longer than `ms`, an end with what `late` gives. */
  async #timely(work, ms, late) {
    const came = settled(work);
    const [how, value] = (await this.#during(ms, (resolve) => came.then(resolve))) ?? [FAILED, late()];
    if (how === FAILED) throw value;
    return value;
  }

  /** Until `start` calls back, or `ms` have passed. */
  #during(ms, start) {
    let timer;
    return until((resolve) => {
      timer = setTimeout(resolve, Math.min(ms, LONGEST));
      start(resolve);
    }, this.signal).finally(() => clearTimeout(timer));
  }
}

/** What a promise comes to, as the wasm is told of it. */
const settled = (work) => Promise.resolve(work).then((value) => [CAME, value], (error) => [FAILED, error]);

/** A place among so many of a lane, in the order of asking. */
export class Room {
  #lane;
  /** Resolves when it is free. */
  entered;

  constructor(lanes, name, limit) {
    const lane = (this.#lane = lanes[name] ??= { inside: new Set(), waiting: new Map() });
    this.entered = new Promise((resolve) => lane.waiting.set(this, resolve));
    this.#serve(limit);
  }

  leave(limit = this.#lane.limit) {
    this.#lane.inside.delete(this);
    this.#lane.waiting.delete(this);
    this.#serve(limit);
  }

  #serve(limit) {
    const { inside, waiting } = Object.assign(this.#lane, { limit });
    for (const [room, enter] of waiting) {
      if (inside.size >= limit) return;
      waiting.delete(room);
      inside.add(room);
      enter();
    }
  }
}

/** A body piece by piece. What is no UTF-8 is no JSON either, and not guessed at. */
async function read(reader, moving) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (let text = ""; ; ) {
    const { done, value } = await moving(reader.read());
    try {
      text += decoder.decode(value, { stream: !done });
    } catch {
      return "\ufffd";
    }
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
