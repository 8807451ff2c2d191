// What was committed, told to listeners: in order, one commit at a time, in this page and, by a channel, in other tabs.
import { report } from "./error.js";

export class Changes {
  #key;
  #shared;
  #read;
  #channel;
  #closed = false;
  #listeners = new Set();
  #last = Promise.resolve();

  /** `shared`: other tabs see the same store. `read` gives the items of ids, as they are stored by now. */
  constructor(key, shared, read) {
    this.#key = key;
    this.#shared = shared;
    this.#read = read;
  }

  on(listener) {
    const entry = (changes, info) => listener(changes, info);
    this.#listeners.add(entry);
    this.#open();
    return () => void this.#listeners.delete(entry);
  }

  /** Whether anybody could hear. */
  get heard() {
    return this.#shared || this.#listeners.size > 0;
  }

  /** What is to be told of a page, taken before its consumer can change it. Returns the function that tells it, after the commit. */
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
      return this.#tell(bare, { ...info, remote: false }, full);
    };
  }

  close() {
    this.#closed = true;
    this.#channel?.close();
  }

  #open() {
    if (this.#channel || this.#closed || !this.#shared || typeof BroadcastChannel !== "function") return;
    this.#channel = new BroadcastChannel(`deltalink | ${this.#key}`);
    this.#channel.onmessage = ({ data }) => Array.isArray(data?.changes) && this.#tell(data.changes, { ...data.info, remote: true });
    // It must not keep a process alive.
    this.#channel.unref?.();
  }

  /** Ends when all who listen now have been told. */
  #tell(bare, info, full) {
    const entries = [...this.#listeners];
    if (!entries.length) return undefined;
    return (this.#last = this.#last.then(async () => {
      try {
        const changes = full ?? (await this.#complete(bare));
        if (this.#closed || !changes.length) return;
        await Promise.all(entries.map((entry) => this.#listeners.has(entry) && this.#call(entry, structuredClone(changes), { ...info })));
      } catch (error) {
        if (!this.#closed) report(error);
      }
    }));
  }

  /** With the items as they are stored by now. A row that is gone is left out: its removal follows. */
  async #complete(bare) {
    const items = await this.#read(bare.map(({ id }) => id));
    return bare.flatMap((change, at) => (change.type === "remove" ? change : items[at] ? { ...change, item: items[at] } : []));
  }

  /** A listener's error is the listener's: it must not end a round, nor a process. */
  async #call(entry, changes, info) {
    try {
      await entry(changes, info);
    } catch (error) {
      report(error);
    }
  }
}
