// @ts-check
// Announces commits to the listeners of a query: in order, one commit at a time, in this page and,
// by a BroadcastChannel, in other tabs.
import { bad, report } from "./error.js";

export class Changes {
  #key;
  #hasTabs;
  #readItems;
  #onUse;
  #channel;
  #isClosed = false;
  #listeners = new Set();
  #runningRounds = 0;
  #lastAnnouncement = Promise.resolve();
  /** Exists while listeners run. Opening it ends the wait of rounds for their listeners. */
  #gate;
  /** Whether a listener is being called, and has not returned its promise yet. */
  #isCallingListener = false;

  /**
   * `hasTabs`: other tabs see the same store. `readItems` reads the stored items of some ids.
   * `onUse` is called when a listener is added or removed.
   */
  constructor(key, hasTabs, readItems, onUse) {
    this.#key = key;
    this.#hasTabs = hasTabs;
    this.#readItems = readItems;
    this.#onUse = onUse;
  }

  /** Adds a listener. Returns the function that removes it. */
  on(listener) {
    // The same function may be added twice. As an async function it cannot throw synchronously.
    const entry = async (changes, info) => listener(changes, info);
    this.#listeners.add(entry);
    this.#openChannel();
    this.#onUse();
    return () => {
      this.#listeners.delete(entry);
      this.#closeUnusedChannel();
      this.#onUse();
    };
  }

  /** Whether there may be listeners, in this page or in another tab. */
  get mayHaveListeners() {
    return this.#hasTabs || this.#listeners.size > 0;
  }

  /** Whether there are listeners in this page. */
  get hasListeners() {
    return this.#listeners.size > 0;
  }

  /** Called when a round begins. The channel stays open until the round ends. */
  roundBegins() {
    this.#runningRounds += 1;
    this.#gate?.open();
  }

  roundEnds() {
    this.#runningRounds -= 1;
    this.#closeUnusedChannel();
  }

  /**
   * Called by `round()` and `sync()`. Throws if a listener of this query calls them synchronously:
   * the listener would wait for a round that waits for the listener. Otherwise running rounds no
   * longer wait for their listeners, since one of these may wait for the new round.
   */
  roundCalled(call) {
    if (this.#isCallingListener)
      throw bad(
        `a listener must not call ${call}() of its own query: the round would wait for the listener; call it after the listener has returned`,
      );
    this.#gate?.open();
  }

  /**
   * Copies the changes of a page for the listeners, before its consumer can modify them. Returns
   * the function that announces the page after its commit.
   */
  announcer({ kind, generation, index, last, changes, unchanged }, hasConsumer) {
    const positions = new Set(unchanged);
    const withItems = changes.filter((_, position) => !positions.has(position));
    const withoutItems = withItems.map(({ item: _item, old: _old, ...change }) => change);
    const info = { kind, generation, index, last };
    let copies;
    if (!hasConsumer) copies = withItems;
    else if (this.#listeners.size) copies = structuredClone(withItems);
    return () => {
      if (this.#isClosed || !withoutItems.length) return undefined;
      this.#openChannel();
      this.#channel?.postMessage({ changes: withoutItems, info });
      // The round of this commit may have ended.
      this.#closeUnusedChannel();
      return this.#announce(withoutItems, { ...info, remote: false }, copies);
    };
  }

  close() {
    this.#isClosed = true;
    this.#channel?.close();
  }

  #closeUnusedChannel() {
    if (this.#listeners.size || this.#runningRounds) return;
    this.#channel?.close();
    this.#channel = undefined;
  }

  #openChannel() {
    if (this.#channel || this.#isClosed || !this.#hasTabs || typeof BroadcastChannel !== "function") return;
    this.#channel = new BroadcastChannel(`deltalink | ${this.#key}`);
    this.#channel.onmessage = ({ data }) =>
      Array.isArray(data?.changes) && this.#announce(data.changes, { ...data.info, remote: true });
    // In Node an open channel would keep the process alive.
    this.#channel.unref?.();
  }

  /**
   * Calls the listeners, after those of the previous commit have returned. Resolves when they have
   * returned, or earlier if `round()` or `sync()` is called. Without `withItems`, the items are
   * read from the store.
   */
  #announce(withoutItems, info, withItems) {
    const entries = [...this.#listeners];
    if (!entries.length) return undefined;
    const gate = (this.#gate ??= makeGate());
    const announcement = (this.#lastAnnouncement = this.#lastAnnouncement.then(async () => {
      try {
        const changes = withItems ?? (await this.#addItems(withoutItems));
        if (this.#isClosed || !changes.length) return;
        await Promise.all(
          entries.map(
            (entry) => this.#listeners.has(entry) && this.#call(entry, structuredClone(changes), { ...info }),
          ),
        );
      } catch (error) {
        if (!this.#isClosed) report(error);
      } finally {
        if (this.#lastAnnouncement === announcement) this.#gate = undefined;
      }
    }));
    return Promise.race([announcement, gate.opened]);
  }

  /**
   * Adds the stored items to changes. An item that is no longer stored is left out: its removal
   * follows.
   */
  async #addItems(changes) {
    const items = await this.#readItems(changes.map(({ id }) => id));
    return changes.flatMap((change, position) => {
      if (change.type === "remove") return change;
      const item = items[position];
      return item ? { ...change, item } : [];
    });
  }

  /** Calls a listener. Its error is reported: it must end neither the round nor the process. */
  async #call(entry, changes, info) {
    this.#isCallingListener = true;
    const returned = entry(changes, info);
    this.#isCallingListener = false;
    try {
      await returned;
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
