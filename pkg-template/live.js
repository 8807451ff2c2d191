// @ts-check
// Keeps queries fresh: executes the actions of the schedule in src/protocol/schedule.rs.
/** @import { Live } from "./live-queries.js" */
import { onAbort } from "./abort.js";
import { DeltaError, closed } from "./error.js";
import { listen, onLifecycle } from "./lifecycle.js";
import { liveOptions } from "./options.js";

/** The longest delay of a timer. Hosts fire a timer at once if its delay exceeds 2³¹ ms. */
const LONGEST_DELAY = 86_400_000;

/** `Symbol.dispose`, which older hosts lack. */
const DISPOSE = /** @type {any} */ (Symbol).dispose ?? Symbol.for("Symbol.dispose");

/** The phases of a leader that its followers show. */
const FOLLOWED = ["new", "idle", "syncing", "resyncing", "waiting", "following", "needs-auth", "failed"];

/** The live queries of one client. */
export class LiveQueries {
  #makeSchedule;
  #schedule;
  #hasPeers;
  #id = crypto.randomUUID();
  /** The live queries by key. */
  #queries = new Map();
  #handleCount = 0;
  #inputs = [];
  #isStepping = false;
  #timer;
  #removers = [];

  /**
   * `makeSchedule(id, hasPeers)` makes the wasm's schedule. `hasTabs`: other tabs see the same
   * store.
   */
  constructor({ makeSchedule, hasTabs }) {
    this.#makeSchedule = makeSchedule;
    this.#hasPeers =
      hasTabs && Boolean(globalThis.navigator?.locks) && typeof globalThis.BroadcastChannel === "function";
  }

  /**
   * Starts a handle of a query.
   *
   * @returns {Live}
   */
  start(query, options) {
    const { every, hidden, signal } = liveOptions(options);
    if (globalThis.navigator?.userAgent === "Cloudflare-Workers")
      throw new DeltaError(
        "live() is not supported in Cloudflare Workers: a Worker does not run between requests; call sync() in an alarm of a Durable Object or in scheduled()",
        { code: "not-supported" },
      );
    const { key, state } = query;
    if (state.ending.aborted) throw state.ending.reason;
    if (signal?.aborted) throw signal.reason;
    this.#startSchedule();
    let entry = this.#queries.get(key);
    if (!entry) {
      entry = new LiveQuery(query, this.#id, (input) => this.#step({ key, ...input }));
      this.#queries.set(key, entry);
    }
    const handle = (this.#handleCount += 1);
    const timing = { every, hidden };
    entry.handles.set(handle, timing);
    // The restored status says when the last round ended: a mirror that was just synced needs none.
    void state.restored.then(() => this.#startHandle(entry, handle, timing));
    const stop = () => {
      removeAbort?.();
      if (!entry.handles.delete(handle)) return;
      this.#step({ type: "stop", key, handle });
      // For a query that the schedule does not know, no `leave` action follows.
      if (!entry.isStarted && !entry.handles.size) this.#remove(entry);
    };
    const removeAbort = signal && onAbort(signal, stop);
    return {
      syncNow: async () => {
        state.changes.onRoundCall("syncNow");
        await state.restored;
        if (state.ending.aborted) throw state.ending.reason;
        if (!entry.handles.has(handle))
          throw new DeltaError("this handle of live() was stopped; call live() again", { code: "closed" });
        return entry.syncNow();
      },
      stop,
      [DISPOSE]: stop,
    };
  }

  /** Called when the mirror of a query was emptied. A live query fills it again with a round. */
  onClear(key) {
    this.#step({ type: "syncNow", key });
  }

  /** Called when the user has signed in, in any tab. */
  onSignIn() {
    this.#step({ type: "signedIn" });
  }

  /** Ends all live queries: the client is closed, or its wasm instance has ended. */
  end() {
    for (const entry of this.#queries.values()) entry.close();
    this.#queries.clear();
    this.#stopSchedule();
  }

  /**
   * Continues with a new schedule after a defect has ended the wasm instance of the previous one.
   */
  restart() {
    this.#stopSchedule();
    for (const entry of this.#queries.values()) entry.leave();
    if (!this.#queries.size) return;
    this.#startSchedule();
    for (const entry of this.#queries.values())
      for (const [handle, timing] of entry.handles) this.#startHandle(entry, handle, timing);
  }

  #startHandle(entry, handle, timing) {
    if (!entry.handles.has(handle) || this.#queries.get(entry.key) !== entry) return;
    entry.isStarted = true;
    const syncedAt = entry.syncedAt;
    this.#step({ type: "start", key: entry.key, handle, options: timing, syncedAt });
  }

  #startSchedule() {
    if (this.#schedule) return;
    this.#schedule = this.#makeSchedule(this.#id, this.#hasPeers);
    const { document, navigator } = globalThis;
    const visibility = () => ({ type: "visibility", isVisible: document?.visibilityState !== "hidden" });
    const on = (target, event, input) => listen(target, event, () => this.#step(input()));
    this.#removers.push(
      onLifecycle(
        () => this.#step({ type: "freeze" }),
        () => this.#step({ type: "thaw" }),
      ),
      on(document, "visibilitychange", visibility),
      on(globalThis, "focus", () => ({ type: "focus" })),
      on(globalThis, "online", () => ({ type: "network", isOnline: true })),
      on(globalThis, "offline", () => ({ type: "network", isOnline: false })),
    );
    this.#step(visibility());
    this.#step({ type: "network", isOnline: navigator?.onLine !== false });
  }

  #stopSchedule() {
    clearTimeout(this.#timer);
    for (const remove of this.#removers.splice(0)) remove();
    this.#schedule = undefined;
  }

  /** Processes inputs one after the other: the execution of an action may add an input. */
  #step(input) {
    this.#inputs.push(input);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      while (this.#inputs.length && this.#schedule)
        for (const action of this.#schedule.step(this.#inputs.shift())) this.#execute(action);
    } finally {
      this.#inputs.length = 0;
      this.#isStepping = false;
    }
  }

  #execute(action) {
    if (action.type === "setTimer") return this.#setTimer(action.at);
    const entry = this.#queries.get(action.key);
    entry?.execute(action);
    if (action.type === "leave" && entry && !entry.handles.size) this.#remove(entry);
    return undefined;
  }

  #remove(entry) {
    if (this.#queries.get(entry.key) !== entry) return;
    entry.close();
    this.#queries.delete(entry.key);
    if (this.#queries.size === 0) this.#stopSchedule();
  }

  #setTimer(at) {
    clearTimeout(this.#timer);
    if (at === undefined || at === null) return;
    const delay = Math.min(Math.max(at - Date.now(), 0), LONGEST_DELAY);
    this.#timer = setTimeout(() => this.#step({ type: "timer" }), delay);
    // In Node the timer does not keep the process alive.
    this.#timer.unref?.();
  }
}

/** One live query of this tab: its lock, its channel, its round. */
class LiveQuery {
  /** The interval of each handle, and its rule for hidden tabs. */
  handles = new Map();
  /** Whether the schedule knows the query. */
  isStarted = false;
  #query;
  #tab;
  #step;
  #channel;
  /** Releases the lock, or ends the wait for it. */
  #release = () => {};
  #leads = false;
  /** The running round. */
  #round;
  /** The calls of `syncNow()` that wait. */
  #waiting = [];
  /** The result of the last round of this tab. */
  #result = { report: undefined, error: undefined };
  #unsubscribe;

  constructor(query, tab, step) {
    this.#query = query;
    this.#tab = tab;
    this.#step = step;
    // Followers show the leader's status.
    this.#unsubscribe = query.state.status.subscribe(() => this.#postStatus());
  }

  get key() {
    return this.#query.key;
  }

  /** The end of the last complete round, in milliseconds since 1970. */
  get syncedAt() {
    return this.#query.state.status.get().lastSyncedAt?.getTime();
  }

  syncNow() {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#step({ type: "syncNow" });
    });
  }

  execute(action) {
    switch (action.type) {
      case "join":
        this.#openChannel();
        return this.#requestLock(false);
      case "requestLock":
        return this.#requestLock(false);
      case "stealLock":
        return this.#requestLock(true);
      case "leave":
        return this.leave();
      case "post":
        return this.#post({ message: action.message });
      case "startRound":
        return void this.#runRound(action.steals);
      case "stopRound":
        return this.#round?.stop(action.finishesPage);
      case "synced":
        return this.#settle(action.isLocal);
      case "show":
        return this.#query.state.status.showPlan(action);
    }
    return undefined;
  }

  close() {
    this.leave();
    this.#unsubscribe();
    this.#round?.stop(false);
    this.#query.state.status.showPlan({ isFollowing: false, isOffline: false });
    for (const { reject } of this.#waiting.splice(0)) reject(closed());
  }

  /** Releases the lock and closes the channel. */
  leave() {
    this.#release();
    this.#channel?.close();
    this.#channel = undefined;
  }

  #openChannel() {
    this.#channel ??= new BroadcastChannel(`deltalink live | ${this.#query.key}`);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    this.#channel.unref?.();
  }

  /** Sends the status without the plan, which each tab shows by itself. */
  #postStatus() {
    if (this.#leads) this.#post({ status: toMessage(this.#query.state.status.base) });
  }

  #post(data) {
    this.#channel?.postMessage({ ...data, from: this.#tab });
  }

  /** Handles a message of another tab. Ignores messages of any other form. */
  #receive(data) {
    const { from, message, status } = data ?? {};
    if (FOLLOWED.includes(status?.phase) && !this.#leads)
      this.#query.state.status.follow(fromMessage(status));
    if (typeof message?.type !== "string") return;
    // A tab that has just joined does not know the status yet.
    if (message.type === "ping") this.#postStatus();
    this.#step({ type: "received", from, message });
  }

  /** Waits in the queue for the lock, or steals it. Replaces the previous request. */
  #requestLock(steal) {
    this.#release();
    const request = new AbortController();
    const onLost = () => {
      if (request.signal.aborted) return;
      this.#release();
      this.#step({ type: "lockLost" });
    };
    const onGranted = () => {
      if (request.signal.aborted) return undefined;
      this.#leads = true;
      this.#step({ type: "lockGranted" });
      return new Promise((release) => request.signal.addEventListener("abort", () => release(undefined)));
    };
    this.#release = () => {
      this.#leads = false;
      request.abort();
    };
    const options = steal ? { steal } : { signal: request.signal };
    globalThis.navigator.locks
      .request(`deltalink live | ${this.#query.key}`, options, onGranted)
      .catch((error) => {
        // Some frames, such as sandboxed ones, must not use Web Locks. This tab leads alone then.
        if (error.name === "SecurityError") onGranted();
        else onLost();
      });
  }

  async #runRound(steals) {
    const round = new LiveRound(this.#query.state);
    this.#round = round;
    const end = { hasChanges: false };
    try {
      const report = await this.#query.join(round.signal, steals);
      const { added, changed, removed, ghosts, leftWindow } = report;
      end.hasChanges = added + changed + removed + ghosts + leftWindow > 0;
      this.#result = { report, error: undefined };
    } catch (error) {
      end.error = round.isStopped ? "aborted" : (error?.code ?? "internal");
      end.retryAt = error?.retryAt?.getTime();
      this.#result = { report: undefined, error };
    }
    this.#round = undefined;
    this.#step({ type: "roundEnded", end });
  }

  /** Ends the calls of `syncNow()`. `isLocal`: this tab has run the round that they waited for. */
  #settle(isLocal) {
    const { report, error } = this.#result;
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (isLocal && error) reject(error);
      else resolve(isLocal ? report : undefined);
    }
  }
}

/** A round that the schedule has started. */
class LiveRound {
  isStopped = false;
  #state;
  #stop = new AbortController();

  constructor(state) {
    this.#state = state;
  }

  get signal() {
    return this.#stop.signal;
  }

  stop(finishesPage) {
    this.isStopped = true;
    // A waiting round has no page to finish.
    const isWaiting = this.#state.status.get().phase === "waiting";
    if (!finishesPage || isWaiting || !this.#state.syncing?.stopAfterPage()) this.#stop.abort();
  }
}

/** Converts a status to a message. Its error becomes a plain object. */
function toMessage({ error, ...status }) {
  return error ? { ...status, error: error.toJSON?.() ?? { message: String(error) } } : status;
}

function fromMessage({ error, ...status }) {
  if (!error) return status;
  const fields = { code: "internal", ...error };
  delete fields.name;
  delete fields.message;
  return { ...status, error: new DeltaError(error.message, fields) };
}
