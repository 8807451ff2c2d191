// @ts-check
// Lists that follow the mirror of a query: read once, then updated by the ids of each commit.
/** @import { View as ViewType, ViewState } from "./views.js" */
import { onAbort } from "./abort.js";
import { DeltaError, badRequest, report, typeOf } from "./error.js";
import { EMPTY } from "./initial.js";
import { readOptions } from "./options.js";

/** How long rows are kept after the last subscriber of their views has left, in milliseconds. */
const GRACE = 1000;
/** The time between two updates while the tab is hidden, in milliseconds. */
const PAUSE = 250;
/** The same in a host without tabs, such as Node. */
const FRAME = 16;
/** The time before a failed read is repeated, in milliseconds. It doubles with each failure. */
const RETRY = 1000;
const LONGEST_RETRY = 60_000;
/** A list is sorted completely if more than this share of its rows has changed. */
const RESORT_SHARE = 0.25;

/**
 * The rows of a query in memory, shared by its views. Reads them when the first view is subscribed,
 * and then the rows of each commit.
 */
export class Rows {
  /** The items by id. An item that does not change stays the same object. */
  items = new Map();
  isReady = false;
  /** Whether all items of a complete round have been read. */
  isSynced = false;
  /** Counts the changes of `items`. */
  version = 0;
  /** The error of the last read. */
  error;
  #query;
  #completes;
  #views = new Set();
  #stopObserving;
  #timer;
  #cancelUpdate;
  /** The ids and series to be read; undefined if everything is to be read. */
  #pending = emptyBatch();
  #isReading = false;
  /** The number of successive failed reads. */
  #failures = 0;

  constructor(query, completes) {
    this.#query = query;
    this.#completes = completes;
  }

  add(view) {
    clearTimeout(this.#timer);
    this.#views.add(view);
    if (this.#stopObserving) return;
    const { changes, ending, status } = this.#query.state;
    if (ending.aborted) return void this.#end(ending.reason);
    // Observes commits before the first read, so that none is missed.
    const stops = [
      changes.observe((batch) => this.#onCommit(batch)),
      status.subscribe(() => this.#isSyncedLater && this.#onFirstSync()),
      onAbort(ending, () => this.#end(ending.reason)),
    ];
    this.#stopObserving = () => stops.forEach((stop) => stop());
    this.#pending = undefined;
    void this.#read();
  }

  /** Whether the first complete round has ended after the last read. */
  get #isSyncedLater() {
    return !this.isSynced && Boolean(this.#query.state.status.get().lastSyncedAt);
  }

  /**
   * Reads everything: if another tab ran the round, its status may arrive before its last commit.
   */
  #onFirstSync() {
    this.#pending = undefined;
    this.#schedule();
  }

  remove(view) {
    this.#views.delete(view);
    if (this.#views.size) return;
    this.#timer = setTimeout(() => this.#close(), GRACE);
    this.#timer.unref?.();
  }

  #close() {
    if (!this.#views.size) this.#drop(undefined);
  }

  /** Drops all rows, and cancels pending reads and updates. */
  #drop(error) {
    this.#stopObserving?.();
    this.#stopObserving = undefined;
    this.#cancelUpdate?.();
    this.#cancelUpdate = undefined;
    this.items = new Map();
    this.version += 1;
    this.isReady = false;
    this.isSynced = false;
    this.error = error;
  }

  /** Called when the client has ended: the views show no row of an account that has signed out. */
  #end(reason) {
    const before = this.items;
    this.#drop(reason);
    for (const view of this.#views) view.update(before);
  }

  #onCommit(batch) {
    if (!batch) this.#pending = undefined;
    else if (this.#pending) {
      for (const id of batch.ids) this.#pending.ids.add(id);
      for (const id of batch.series) this.#pending.series.add(id);
    }
    if (this.error) {
      // A commit repeats a failed read at once.
      this.#cancelUpdate?.();
      this.#cancelUpdate = undefined;
    }
    this.#schedule();
  }

  /** Schedules one update for all commits before the next frame, or before the end of a delay. */
  #schedule(delay = 0) {
    if (this.#cancelUpdate || this.#isReading || !this.#stopObserving) return;
    const update = () => {
      this.#cancelUpdate?.();
      this.#cancelUpdate = undefined;
      void this.#read();
    };
    const { document, requestAnimationFrame, cancelAnimationFrame } = globalThis;
    const hasFrames = !delay && document?.visibilityState === "visible" && requestAnimationFrame;
    // A tab that is hidden before its next frame gets none, so a timer runs too.
    const frame = hasFrames ? requestAnimationFrame(update) : undefined;
    /** @type {any} */
    const timer = setTimeout(update, delay || (document ? PAUSE : FRAME));
    // In Node an update keeps the process alive, but the repetition of a failed read does not.
    if (delay) timer.unref?.();
    this.#cancelUpdate = () => {
      if (hasFrames) cancelAnimationFrame(frame);
      clearTimeout(timer);
    };
  }

  async #read() {
    const batch = this.#pending;
    this.#pending = emptyBatch();
    this.#isReading = true;
    const isSynced = Boolean(this.#query.state.status.get().lastSyncedAt);
    const observed = this.#stopObserving;
    const [result] = await Promise.allSettled([this.#readBatch(batch)]);
    // The rows were dropped meanwhile. Another read may be running.
    if (this.#stopObserving !== observed) return;
    this.#isReading = false;
    if (result.status === "rejected") {
      this.error = result.reason;
      // The next commit reads this batch too, or the next attempt after a delay.
      this.#pending = batch && this.#pending ? mergeBatches(batch, this.#pending) : undefined;
      this.#apply(new Map());
      this.#schedule(Math.min(RETRY * 2 ** this.#failures++, LONGEST_RETRY));
    } else {
      this.error = undefined;
      this.#failures = 0;
      this.isSynced = isSynced;
      this.#apply(result.value);
      if (this.#isSyncedLater) this.#onFirstSync();
      else if (!this.#pending || this.#pending.ids.size || this.#pending.series.size) this.#schedule();
    }
  }

  /** Reads the items of a batch. Resolves to the items by id; undefined for each missing item. */
  async #readBatch(batch) {
    const completes = this.#completes;
    if (!batch) {
      const items = await this.#query.call((wasm) => wasm.all(completes));
      const gone = [...this.items.keys()].map((id) => [id, undefined]);
      return new Map([...gone, ...items.map((item) => [item.id, item])]);
    }
    const ids = [...batch.ids];
    const { items, others } = await this.#query.call((wasm) =>
      wasm.changed(ids, [...batch.series], completes),
    );
    return new Map([...ids.map((id, at) => [id, items[at]]), ...others.map((item) => [item.id, item])]);
  }

  #apply(changes) {
    const before = new Map();
    for (const [id, item] of changes) {
      const old = this.items.get(id);
      if (old === item || (old && item && isEqual(old, item))) continue;
      before.set(id, old);
      if (item) this.items.set(id, item);
      else this.items.delete(id);
    }
    if (!this.error) this.isReady = true;
    this.version += 1;
    for (const view of this.#views) view.update(before);
  }
}

const emptyBatch = () => ({ ids: new Set(), series: new Set() });

const mergeBatches = (one, other) => ({
  ids: new Set([...one.ids, ...other.ids]),
  series: new Set([...one.series, ...other.series]),
});

/** Deep equality of values that came from JSON. */
function isEqual(one, other) {
  if (one === other) return true;
  if (!one || !other || typeof one !== "object" || typeof other !== "object") return false;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => isEqual(one[name], other[name]));
}

/**
 * A filtered, sorted and limited list of items.
 *
 * @implements {ViewType<any>}
 */
export class View {
  #rows;
  #where;
  #compare;
  #limit;
  /**
   * A separate object for each view: if all hooks of a render have the values of the last one,
   * React discards the render, and subscribes to no new view.
   *
   * @type {ViewState<any>}
   */
  #state = Object.freeze({ ...EMPTY });
  /** All items that `where` accepts, in order. */
  #sorted = [];
  /** The same items by id. */
  #byId = new Map();
  #subscribers = new Set();
  #isClosed = false;
  /** Whether `where` or `orderBy` has thrown, so that the list lacks changes. */
  #isIncomplete = false;
  /** The version of the rows that the list shows. */
  #version = 0;

  /** `rows(completes)` returns the shared rows. `isEvents`: the default order is by start. */
  constructor(rows, isEvents, options) {
    const {
      completes,
      limit,
      where,
      orderBy,
      descending = false,
    } = readOptions(options, "view", ["where", "orderBy", "descending", "limit", "occurrences"]);
    if (where !== undefined && typeof where !== "function")
      throw badRequest(`options.where must be a function, got ${typeOf(where)}`);
    if (!["undefined", "string", "function"].includes(typeof orderBy))
      throw badRequest(
        `options.orderBy must be a property such as "displayName" or "start.dateTime", or a function, got ${typeOf(orderBy)}`,
      );
    if (typeof orderBy === "string" && /\s(asc|desc)$/i.test(orderBy))
      throw badRequest("options.orderBy is the property alone; for the other order, set options.descending");
    if (typeof descending !== "boolean")
      throw badRequest(`options.descending must be true or false, got ${typeOf(descending)}`);
    if (descending && typeof orderBy === "function")
      throw badRequest("options.descending is only for a property: the function in options.orderBy decides");
    this.#rows = rows(completes);
    this.#where = where ? named(where, "where") : () => true;
    const byDefault = isEvents ? byStart : byId;
    let compare = descending ? (one, other) => byDefault(other, one) : byDefault;
    if (typeof orderBy === "string") compare = byPath(orderBy, descending);
    // A sort throws if a result is not a number, but has a value: a BigInt.
    if (typeof orderBy === "function") compare = (one, other) => Number(orderBy(one, other));
    this.#compare = named((one, other) => compare(one, other) || byId(one, other), "orderBy");
    this.#limit = limit;
  }

  get = () => {
    // Commits do not update a list without subscribers, and a component renders before it
    // subscribes.
    if (!this.#subscribers.size && this.#rows.isReady && this.#version !== this.#rows.version)
      this.#attempt(() => this.#build());
    return this.#state;
  };

  subscribe = (run) => {
    if (typeof run !== "function") throw badRequest(`subscribe() needs a function, got ${typeOf(run)}`);
    if (this.#isClosed)
      throw new DeltaError("this view is closed; make a new one with view()", { code: "closed" });
    const entry = (state) => run(state);
    if (!this.#subscribers.size) {
      this.#rows.add(this);
      if (this.#rows.isReady) this.#attempt(() => this.#build());
    }
    this.#subscribers.add(entry);
    this.#call(entry);
    return () => {
      if (!this.#subscribers.delete(entry) || this.#subscribers.size) return;
      this.#rows.remove(this);
    };
  };

  close = () => {
    this.#isClosed = true;
    if (this.#subscribers.size) this.#rows.remove(this);
    this.#subscribers.clear();
  };

  /** Updates the list after a read. `before`: the previous items of the ids that have changed. */
  update(before) {
    this.#attempt(() => {
      // A view may have missed changes while it had no subscriber.
      const isNext = this.#version === this.#rows.version - 1;
      if (!this.#rows.isReady || !this.#state.ready || this.#isIncomplete || !isNext) this.#build();
      else this.#change(before);
    });
  }

  /** Runs `work`. If `where` or `orderBy` throws, the list stays the same until the next update. */
  #attempt(work) {
    try {
      work();
    } catch (error) {
      report(error.cause ?? error);
      this.#version = this.#rows.version;
      this.#isIncomplete = true;
      this.#set({ ...this.#state, ready: this.#rows.isReady, error });
    }
  }

  /** Filters and sorts all rows. */
  #build() {
    const items = [...this.#rows.items.values()].filter((item) => this.#where(item));
    this.#sorted = items.sort(this.#compare);
    this.#byId = new Map(items.map((item) => [item.id, item]));
    this.#isIncomplete = false;
    this.#publish(true);
  }

  #change(before) {
    const removed = [];
    const added = [];
    for (const id of before.keys()) {
      const item = this.#rows.items.get(id);
      if (this.#byId.has(id)) removed.push(this.#byId.get(id));
      if (item && this.#where(item)) added.push(item);
    }
    if (removed.length || added.length) {
      if (removed.length + added.length > this.#sorted.length * RESORT_SHARE) {
        const gone = new Set(removed);
        this.#sorted = [...this.#sorted.filter((item) => !gone.has(item)), ...added].sort(this.#compare);
      } else {
        this.#sorted = [...this.#sorted];
        for (const item of removed) this.#sorted.splice(this.#indexFor(item), 1);
        for (const item of added) this.#sorted.splice(this.#indexFor(item), 0, item);
      }
      for (const { id } of removed) this.#byId.delete(id);
      for (const item of added) this.#byId.set(item.id, item);
    }
    this.#publish(removed.length + added.length > 0);
  }

  /** The index of an item, or the index at which to insert it. */
  #indexFor(item) {
    let [from, to] = [0, this.#sorted.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#compare(this.#sorted[middle], item) < 0) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  #publish(hasChanged) {
    this.#version = this.#rows.version;
    const { error, isReady, isSynced } = this.#rows;
    const { items, ready, synced, error: before } = this.#state;
    if (!hasChanged && ready === isReady && synced === isSynced && before === error) return;
    const limited = this.#sorted.length > this.#limit ? this.#sorted.slice(0, this.#limit) : this.#sorted;
    const isSame = items.length === limited.length && items.every((item, at) => item === limited[at]);
    this.#set({
      items: isSame ? items : limited,
      ready: isReady,
      synced: isSynced,
      total: this.#sorted.length,
      ...(error && { error }),
    });
  }

  #set(state) {
    const names = /** @type {const} */ (["items", "ready", "synced", "total", "error"]);
    if (names.every((name) => this.#state[name] === state[name])) return;
    this.#state = Object.freeze(state);
    for (const entry of [...this.#subscribers]) this.#call(entry);
  }

  #call(run) {
    try {
      run(this.#state);
    } catch (error) {
      report(error);
    }
  }
}

/** Returns a function whose errors name the option that it belongs to. */
const named =
  (call, name) =>
  (...values) => {
    try {
      return call(...values);
    } catch (cause) {
      throw new DeltaError(`options.${name} has thrown: see cause`, { code: "bad-request", cause });
    }
  };

/** Compares events by start. The events of a mirror have one time zone, so strings are compared. */
function byStart(one, other) {
  const [a, b] = [one.start?.dateTime ?? "", other.start?.dateTime ?? ""];
  return a < b ? -1 : Number(a > b);
}

function byId(one, other) {
  return one.id < other.id ? -1 : Number(one.id > other.id);
}

/**
 * Compares by a property, such as `displayName` or `start.dateTime`. Missing values come last in
 * both directions.
 */
function byPath(path, descending) {
  const names = path.split(/[./]/);
  const { compare } = new Intl.Collator();
  const value = (item) => names.reduce((object, name) => object?.[name], item) ?? undefined;
  return (one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
    const [first, second] = descending ? [b, a] : [a, b];
    if (typeof first === "string" && typeof second === "string") return compare(first, second);
    return first < second ? -1 : Number(first > second);
  };
}
