// The API of index.d.ts around the wasm's own exports. What is here is shorter in JavaScript:
// loading, iterating, listening.
import { Instance } from "./engine.js";
import { DeltaError, bad, closed } from "./error.js";
import { RoundLocks } from "./locks.js";
import { signalOf } from "./options.js";
import { Round } from "./round.js";
import { Entries } from "./shared.js";
import { snapshot } from "./snapshot.js";
import { Sync } from "./sync.js";
import { windowAt } from "./window.js";

const makeError = (message, fields) => new DeltaError(message, fields);

/** Rows read at once by `items()`. */
const CHUNK = 500;

/**
 * `source` gives the wasm as a module, and where that comes from: what `init()` was given, else the
 * host's own.
 */
export function createApi(source) {
  let loading;

  function load(wasm) {
    loading ??= (async () => {
      const [module, origin] = await source(wasm);
      // The first client takes this one.
      return { module, origin, first: await new Instance().start(module) };
    })().catch((cause) => {
      loading = undefined;
      throw new DeltaError(
        `the wasm of deltalink cannot be loaded (${cause?.message ?? cause}); under a Content-Security-Policy it needs script-src 'wasm-unsafe-eval'; init(wasm) takes it from elsewhere`,
        { code: "wasm", retryable: true, cause },
      );
    });
    return loading;
  }

  async function init(wasm) {
    return (await load(wasm)).origin;
  }

  async function openDelta(options) {
    const kept = snapshot(options);
    const engine = await load();
    const instance = engine.first ?? (await new Instance().start(engine.module));
    engine.first = undefined;
    const client = new Client(engine.module, instance, kept);
    await client.opened;
    return client;
  }

  return { init, openDelta };
}

class Client {
  #module;
  #options;
  #instance;
  #wasm;
  #locks;
  #ending = new AbortController();
  #entries = new Entries();

  constructor(module, instance, options) {
    this.#module = module;
    this.#options = options;
    this.#begin(instance);
    // A store in memory is this client's alone, and so are its locks.
    this.#locks = new RoundLocks(this.#wasm.store_kind !== "memory");
  }

  events(options) {
    return this.#query("events", undefined, options);
  }
  orgContacts(options) {
    return this.#query("orgContacts", undefined, options);
  }
  callRecordings(options) {
    return this.#query("callRecordings", undefined, options);
  }
  track(path, options) {
    return this.#query("track", path, options);
  }

  resume() {
    this.#current().wasm.resume();
    for (const { status, again } of this.#entries) {
      if (status.get().phase !== "needs-auth") continue;
      status.set({ phase: "idle" });
      again?.();
    }
  }

  async forget() {
    this.#end();
    await this.#run((wasm) => wasm.forget());
  }

  async close() {
    this.#end();
    await this.#run((wasm) => wasm.close());
  }

  #run(call) {
    const { instance, wasm } = this.#current();
    return instance.run(() => call(wasm));
  }

  /**
   * Makes the wasm's client in an instance, from the options as they were when this client was
   * made.
   */
  #begin(instance) {
    this.#instance = instance;
    this.#wasm = instance.run(({ Client: Wasm }) => new Wasm(this.#options, makeError));
    // Another tab has deleted the database, or the browser has taken it away.
    this.opened = instance.run(() => this.#wasm.open(() => this.#end()));
  }

  /** The instance that runs. After a defect has ended one, the next. */
  #current() {
    if (this.#instance.ended) {
      this.#begin(new Instance().startAtOnce(this.#module));
      // Whoever needs the store hears why it does not open.
      this.opened.catch(() => {});
    }
    return { instance: this.#instance, wasm: this.#wasm };
  }

  #query(call, path, options) {
    const { signal } = this.#ending;
    if (signal.aborted) throw signal.reason;
    const kept = snapshot(options);
    const make = () => {
      const { instance, wasm } = this.#current();
      return { instance, wasm: instance.run(() => wasm.query(call, path, kept)) };
    };
    const made = make();
    const { key, has_mirror, window } = made.wasm;
    try {
      if (window) windowAt(window);
    } catch {
      throw bad(
        `options.window.timeZone must be an IANA name that this host knows, such as "Europe/Berlin", got ${JSON.stringify(window.timeZone)}`,
      );
    }
    const known = this.#entries.get(key);
    const read = (ids) => query.call((wasm) => wasm.get_many(ids));
    const parts = {
      key,
      ending: signal,
      locks: this.#locks,
      hasTabs: this.#wasm.store_kind === "indexeddb",
      read,
    };
    const shared = known ?? this.#entries.make(parts);
    const query = new (has_mirror ? Query : Feed)(made, make, shared);
    if (!known) {
      // The status tells of the last time before the first round of this page. Whoever syncs gets
      // the store's errors.
      query
        .call((wasm) => wasm.synced_at())
        .then(
          (ms) => shared.status.remember(ms),
          () => {},
        );
    }
    return query;
  }

  #end() {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(closed());
    for (const { status, changes } of this.#entries) {
      status.set({ phase: "closed" });
      changes.close();
    }
  }
}

class Feed {
  #made;
  #make;

  constructor(made, make, shared) {
    this.#made = made;
    this.#make = make;
    this.key = shared.key;
    const { get, subscribe } = shared.status;
    this.status = { get, subscribe };
    // For round.js, not for users.
    Object.defineProperty(this, "shared", { value: shared });
  }

  round(options) {
    this.shared.changes.called("round");
    // Its consumer begins the next one.
    this.shared.again = undefined;
    return new Round(this, options, true);
  }

  reset() {
    return this.call((wasm) => wasm.reset());
  }

  clear() {
    return this.call((wasm) => wasm.clear());
  }

  /** The wasm's query. After a defect has ended its instance, another one with the same options. */
  current() {
    if (this.#made.instance.ended) {
      const made = this.#make();
      if (made.wasm.key !== this.key)
        throw new DeltaError("a query that was made again has another key", { code: "internal" });
      this.#made = made;
    }
    return this.#made;
  }

  async call(work) {
    const { instance, wasm } = this.current();
    return instance.run(() => work(wasm));
  }
}

class Query extends Feed {
  get mirrored() {
    return true;
  }

  async sync(options) {
    const signal = onlySignal(options);
    const { shared } = this;
    shared.changes.called("sync");
    if (signal?.aborted) throw signal.reason;
    shared.syncing ??= new Sync(this);
    return shared.syncing.join(signal);
  }

  async all(options) {
    const { occurrences } = readOptions(options, "all", ["occurrences"]);
    return this.call((wasm) => wasm.all(occurrences === "complete"));
  }

  async *items(options) {
    const {
      after,
      limit = Infinity,
      occurrences,
    } = readOptions(options, "items", ["after", "limit", "occurrences"]);
    let left = limit;
    const seen = new Set();
    for (let next = after; left > 0;) {
      if (seen.has(next)) throw new DeltaError("scan() of options.store goes in circles", { code: "store" });
      seen.add(next);
      const chunk = await this.call((wasm) =>
        wasm.chunk(next, Math.min(limit, CHUNK), occurrences === "complete"),
      );
      yield* chunk.items.slice(0, left);
      left -= chunk.items.length;
      if ((next = chunk.next) === undefined) return;
    }
  }

  get(id) {
    return this.call((wasm) => wasm.get(String(id)));
  }

  count() {
    return this.call((wasm) => wasm.count());
  }

  on(event, listener) {
    if (event !== "change" || typeof listener !== "function") {
      throw bad('on() takes "change", the only event there is, and a function');
    }
    return this.shared.changes.on(listener);
  }
}

function onlySignal(options) {
  readOptions(options, "sync", ["signal"], "; round() takes more");
  return signalOf(options);
}

function readOptions(options, call, names, more = "") {
  if (options === null || typeof (options ??= {}) !== "object")
    throw bad(`the options of ${call}() must be an object`);
  const other = Object.keys(options).find((name) => !names.includes(name));
  if (other)
    throw bad(`options.${other} is not an option of ${call}(): the options are ${names.join(", ")}${more}`);
  const { after = "", limit = 1, occurrences = "complete" } = options;
  if (typeof after !== "string") throw bad("options.after must be the id of an item");
  if (!Number.isInteger(limit) || limit < 1) throw bad("options.limit must be a whole number of at least 1");
  if (occurrences !== "complete") throw bad('options.occurrences must be "complete"');
  return options;
}
