// What was committed, told to listeners: in order, one commit at a time, in this page and, by a
// channel, in other tabs.
import { bad, report } from "./error.js";

export class Changes {
  #key;
  #shared;
  #read;
  #onUse;
  #channel;
  #closed = false;
  #listeners = new Set();
  #rounds = 0;
  #last = Promise.resolve();
  /** While listeners run: lets those go on who wait for them. */
  #gate;
  /** Whether a listener is being called right now. */
  #calling = false;

  /**
   * `shared`: other tabs see the same store. `read` gives the items of ids, as they are stored by
   * now. `onUse` is called when a listener comes or goes.
   */
  constructor(key, shared, read, onUse) {
    this.#key = key;
    this.#shared = shared;
    this.#read = read;
    this.#onUse = onUse;
  }

  on(listener) {
    // Each call is its own listener. What it throws at once comes with its promise.
    const entry = async (changes, info) => listener(changes, info);
    this.#listeners.add(entry);
    this.#open();
    this.#onUse();
    return () => {
      this.#listeners.delete(entry);
      this.#shut();
      this.#onUse();
    };
  }

  /** Whether anybody could hear. */
  get heard() {
    return this.#shared || this.#listeners.size > 0;
  }

  /** Whether anybody in this page listens. */
  get hasListeners() {
    return this.#listeners.size > 0;
  }

  /** A round begins: its commits go through one channel. */
  enter() {
    this.#rounds += 1;
    this.#gate?.open();
  }

  /** The round is over. */
  leave() {
    this.#rounds -= 1;
    this.#shut();
  }

  /**
   * Somebody calls for a round. A listener of this query is refused: it would wait for a round that
   * waits for the listener. Rounds that wait for listeners go on: one that runs may be what waits
   * for a round.
   */
  called(call) {
    if (this.#calling)
      throw bad(
        `a ${call}() of the same query called while its listener runs would wait for itself; call it when the listener has returned`,
      );
    this.#gate?.open();
  }

  /**
   * What is to be told of a page, taken before its consumer can change it. Returns the function
   * that tells it, after the commit.
   */
  take({ kind, generation, index, last, changes, unchanged }, hasConsumer) {
    const same = new Set(unchanged);
    const differing = changes.filter((_, at) => !same.has(at));
    const bare = differing.map(({ item: _item, old: _old, ...bare }) => bare);
    const info = { kind, generation, index, last };
    const full = !hasConsumer ? differing : this.#listeners.size ? structuredClone(differing) : undefined;
    return () => {
      if (this.#closed || !bare.length) return undefined;
      this.#open();
      this.#channel?.postMessage({ changes: bare, info });
      // A commit may end after its round.
      this.#shut();
      return this.#tell(bare, { ...info, remote: false }, full);
    };
  }

  close() {
    this.#closed = true;
    this.#channel?.close();
  }

  /** Closes the channel when the last listener and the last round are gone. */
  #shut() {
    if (this.#listeners.size || this.#rounds) return;
    this.#channel?.close();
    this.#channel = undefined;
  }

  #open() {
    if (this.#channel || this.#closed || !this.#shared || typeof BroadcastChannel !== "function") return;
    this.#channel = new BroadcastChannel(`deltalink | ${this.#key}`);
    this.#channel.onmessage = ({ data }) =>
      Array.isArray(data?.changes) && this.#tell(data.changes, { ...data.info, remote: true });
    // It must not keep a process alive.
    this.#channel.unref?.();
  }

  /** Ends when all who listen now have been told, or when somebody waits for a round meanwhile. */
  #tell(bare, info, full) {
    const entries = [...this.#listeners];
    if (!entries.length) return undefined;
    const gate = (this.#gate ??= makeGate());
    const told = (this.#last = this.#last.then(async () => {
      try {
        const changes = full ?? (await this.#complete(bare));
        if (this.#closed || !changes.length) return;
        await Promise.all(
          entries.map(
            (entry) => this.#listeners.has(entry) && this.#call(entry, structuredClone(changes), { ...info }),
          ),
        );
      } catch (error) {
        if (!this.#closed) report(error);
      } finally {
        if (this.#last === told) this.#gate = undefined;
      }
    }));
    return Promise.race([told, gate.opened]);
  }

  /**
   * With the items as they are stored by now. A row that is gone is left out: its removal follows.
   */
  async #complete(bare) {
    const items = await this.#read(bare.map(({ id }) => id));
    return bare.flatMap((change, at) =>
      change.type === "remove" ? change : items[at] ? { ...change, item: items[at] } : [],
    );
  }

  /** A listener's error is the listener's: it must not end a round, nor a process. */
  async #call(entry, changes, info) {
    this.#calling = true;
    const told = entry(changes, info);
    this.#calling = false;
    try {
      await told;
    } catch (error) {
      report(error);
    }
  }
}

function makeGate() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { open, opened };
}
