// @ts-check
// Announces commits to the listeners of a query: in order, one commit at a time, in this tab and,
// by a BroadcastChannel, in other tabs.
import { badRequest, report } from "./error.js";

export class Changes {
  #key;
  #hasTabs;
  #reader;
  #onUse;
  #channel;
  #isClosed = false;
  /** The listeners, each with a boolean: whether it gets completed occurrences. */
  #listeners = new Map();
  #observers = new Set();
  #runningRounds = 0;
  #lastAnnouncement = Promise.resolve();
  /** Exists while listeners run. Rounds that wait for them continue once it is opened. */
  #gate;
  /** Whether a listener is being called, and has not returned its promise yet. */
  #isCallingListener = false;

  /**
   * `hasTabs`: other tabs see the same store. `reader` reads and completes stored items, and knows
   * whether they are events. `onUse` is called when a listener or an observer is added or removed.
   */
  constructor(key, hasTabs, reader, onUse) {
    this.#key = key;
    this.#hasTabs = hasTabs;
    this.#reader = reader;
    this.#onUse = onUse;
  }

  /**
   * Adds a listener. Returns the function that removes it. `completes`: the listener gets completed
   * occurrences, and no series masters.
   */
  on(listener, completes) {
    // A new function for each call, because a listener may be added twice. It is async, so that an
    // error of the listener is a rejection.
    const entry = async (changes, info) => listener(changes, info);
    this.#listeners.set(entry, completes && this.#reader.hasSeries);
    return this.#activate(() => this.#listeners.delete(entry));
  }

  /**
   * Adds an observer. It is called at once after each commit, with the ids and the series that the
   * commit has changed, or with undefined if anything may have changed.
   */
  observe(observer) {
    this.#observers.add(observer);
    return this.#activate(() => this.#observers.delete(observer));
  }

  /** Opens the channel for a new listener or observer. Returns the function that removes it. */
  #activate(remove) {
    this.#openChannel();
    this.#onUse();
    return () => {
      remove();
      this.#closeUnusedChannel();
      this.#onUse();
    };
  }

  /** Makes observers read everything: the mirror was emptied, or commits may have been missed. */
  reload() {
    for (const observe of this.#observers) observe(undefined);
  }

  /** Does the same as `reload()`, in all tabs. */
  reloadAll() {
    this.#openChannel();
    this.#channel?.postMessage({ reload: true });
    this.#closeUnusedChannel();
    this.reload();
  }

  /** Closes the channel, because the browser is about to freeze this tab. */
  pause() {
    this.#channel?.close();
    this.#channel = undefined;
  }

  /** Opens the channel again, and reloads, because commits of other tabs may have been missed. */
  resume() {
    if (this.hasListeners || this.#runningRounds) this.#openChannel();
    this.reload();
  }

  /** Whether there may be listeners, in this tab or in another one. */
  get mayHaveListeners() {
    return this.#hasTabs || this.hasListeners;
  }

  /** Whether there are listeners in this tab. */
  get hasListeners() {
    return this.#listeners.size + this.#observers.size > 0;
  }

  /** Called when a round begins. The channel stays open until the round ends. */
  onRoundBegin() {
    this.#runningRounds += 1;
    this.#gate?.open();
  }

  /** Called when a round ends. */
  onRoundEnd() {
    this.#runningRounds -= 1;
    this.#closeUnusedChannel();
  }

  /**
   * Called by `round()` and `sync()`. Throws if a listener of this query calls them synchronously:
   * the listener would wait for a round that waits for the listener. Otherwise running rounds no
   * longer wait for their listeners, because a listener may wait for the new round.
   */
  onRoundCall(call) {
    if (this.#isCallingListener)
      throw badRequest(
        `a listener must not call ${call}() of its own query: the round would wait for the listener; call it after the listener has returned`,
      );
    this.#gate?.open();
  }

  /**
   * Copies the changes of a page for the listeners, before its consumer can modify them. Returns
   * the function that announces the page after its commit.
   *
   * `forListeners` is `ForListeners` of src/web/output.rs. A change of an event gets a `seenAs`:
   * how it looks to listeners that get completed occurrences, and therefore no series masters.
   */
  announcer({ kind, generation, index, last, changes, forListeners }, hasConsumer) {
    const { unchanged, seenAs, series } = forListeners;
    const omitted = new Set(unchanged);
    const withItems = changes
      .map((change, position) => (seenAs[position] ? { ...change, seenAs: seenAs[position] } : change))
      .filter((_, position) => !omitted.has(position));
    const withoutItems = withItems.map(({ item: _item, old: _old, ...change }) => change);
    const info = { kind, generation, index, last };
    let copies;
    if (!hasConsumer) copies = withItems;
    else if (this.#listeners.size) copies = structuredClone(withItems);
    const oldItems = this.#completeOldItems(copies);
    return () => {
      if (this.#isClosed || !(withoutItems.length || series.length)) return undefined;
      this.#openChannel();
      this.#channel?.postMessage({ changes: withoutItems, series, info });
      // The round of this commit may have ended.
      this.#closeUnusedChannel();
      return this.#announce(withoutItems, series, { ...info, remote: false }, copies, oldItems);
    };
  }

  close() {
    this.#isClosed = true;
    this.#channel?.close();
  }

  #closeUnusedChannel() {
    if (this.hasListeners || this.#runningRounds) return;
    this.#channel?.close();
    this.#channel = undefined;
  }

  #openChannel() {
    if (this.#channel || this.#isClosed || !this.#hasTabs || typeof BroadcastChannel !== "function") return;
    this.#channel = new BroadcastChannel(`deltalink | ${this.#key}`);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    // In Node an open channel would keep the process alive.
    this.#channel.unref?.();
  }

  /** Handles a message of another tab. Ignores messages of any other form. */
  #receive(data) {
    if (data?.reload) return this.reload();
    if (!Array.isArray(data?.changes) || !data.changes.every((change) => typeof change?.id === "string"))
      return undefined;
    // A tab with an older version sends no series.
    return void this.#announce(data.changes, data.series ?? [], { ...data.info, remote: true });
  }

  /**
   * Calls the listeners, after those of the previous commit have returned. Resolves when they have
   * returned, or earlier if `round()` or `sync()` is called. Without `withItems`, the items are
   * read from the store. `oldItems` resolves to the completed `old` items of `withItems`, by id.
   */
  #announce(withoutItems, series, info, withItems, oldItems) {
    const ids = withoutItems.map(({ id }) => id);
    for (const observe of this.#observers) observe({ ids, series });
    const entries = [...this.#listeners];
    if (!entries.length) return undefined;
    const gate = (this.#gate ??= makeGate());
    const announcement = (this.#lastAnnouncement = this.#lastAnnouncement.then(async () => {
      try {
        const read = (completes) =>
          completes
            ? this.#completeItems(withItems ?? withoutItems, series, oldItems)
            : withoutSeenAs(withItems ?? this.#addItems(withoutItems));
        // Raw and completed changes are read at most once, and only if a listener needs them.
        const reads = new Map();
        for (const [, completes] of entries) if (!reads.has(completes)) reads.set(completes, read(completes));
        await Promise.all(
          entries.map(async ([entry, completes]) => {
            const changes = await reads.get(completes);
            if (this.#isClosed || !changes.length || !this.#listeners.has(entry)) return;
            await this.#call(entry, structuredClone(changes), { ...info });
          }),
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
    const { items } = await this.#reader.readChanged(
      changes.map(({ id }) => id),
      [],
      false,
    );
    return changes.flatMap((change, position) => {
      if (change.type === "remove") return change;
      const item = items[position];
      return item ? { ...change, item } : [];
    });
  }

  /**
   * Completes the `old` items of a page from their series masters. Resolves to the completed items
   * by id. Called before the page is committed, so that the masters are the old ones too: a store
   * serves reads and writes in the order of the calls.
   */
  #completeOldItems(changes) {
    if (!changes || ![...this.#listeners.values()].includes(true)) return undefined;
    const withOld = changes.filter(({ old }) => old);
    if (!withOld.length) return undefined;
    const oldItems = this.#reader
      .complete(withOld.map(({ old }) => old))
      .then((items) => new Map(withOld.map(({ id }, position) => [id, items[position]])));
    // The announcement reports the error.
    oldItems.catch(() => {});
    return oldItems;
  }

  /**
   * Adds completed items to changes, without series masters. If a master has changed, the other
   * occurrences of its series count as changed.
   */
  async #completeItems(changes, series, oldItems) {
    const events = changes.flatMap(({ seenAs, ...event }) => {
      if (seenAs === "nothing") return [];
      if (seenAs === "removal") return { type: "remove", id: event.id, reason: "deleted", old: event.old };
      return seenAs === "addition" ? { ...event, old: undefined, isNew: true } : event;
    });
    const [{ items, others }, oldById] = await Promise.all([
      this.#reader.readChanged(
        events.map(({ id }) => id),
        series,
        true,
      ),
      // A listener that was added after the page was delivered gets what the store has now.
      oldItems ?? this.#completeOldItems(changes),
    ]);
    const listed = events.flatMap((change, position) => {
      const completed = change.old && oldById?.get(change.id);
      const old = completed && { old: completed };
      if (change.type === "remove") return { ...change, ...old };
      const item = items[position];
      return item ? { ...change, item, ...old } : [];
    });
    return [...listed, ...others.map((item) => ({ type: "upsert", id: item.id, item, isNew: false }))];
  }

  /** Calls a listener. Reports its error, which must end neither the round nor the process. */
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

/** Returns the changes without `seenAs`, for listeners that get the events as Graph sent them. */
async function withoutSeenAs(changes) {
  return (await changes).map((change) => {
    const copy = { ...change };
    delete copy.seenAs;
    return copy;
  });
}

function makeGate() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { open, opened };
}
