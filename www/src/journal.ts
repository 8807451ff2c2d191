// A list of calls in IndexedDB that all tabs of a browser share and append to.

/** A call, with its time in milliseconds since 1970. */
export interface Call {
  at: number;
  name: string;
  args: unknown[];
}

/**
 * A call with its number in the journal. Numbers grow, and `clear()` does not reset them. They
 * start at 1 again only after the user or the browser has deleted the data of the site.
 */
export type Entry = Call & { n: number };

const STORE = "calls";

export class Journal {
  readonly #name: string;
  #database: Promise<IDBDatabase | undefined> | undefined;
  /** The end of the last `exclusive()` of this tab. */
  #last: Promise<unknown> = Promise.resolve();
  /** The number of the last call, if the browser refuses IndexedDB. */
  #count = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** Runs `work` exclusively: calls of this function run one at a time, in all tabs. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    // Only secure contexts have Web Locks. Without them, tabs do not wait for each other.
    const alone = () => navigator.locks?.request(this.#name, work) ?? work();
    const result = this.#last.then(alone) as Promise<T>;
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Returns whether another tab keeps the journal open. Call it within `exclusive()`. */
  async isOpenElsewhere(): Promise<boolean> {
    const isTaken = await navigator.locks?.request(this.#openLock, { ifAvailable: true }, (lock) => !lock);
    return isTaken ?? false;
  }

  /** Keeps the journal open until the tab is closed. Call it within `exclusive()`. */
  keepOpen(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!navigator.locks) return resolve();
      const hold = () => (resolve(), new Promise<never>(() => undefined));
      navigator.locks.request(this.#openLock, { mode: "shared" }, hold).catch(reject);
    });
  }

  get #openLock(): string {
    return `${this.#name} open`;
  }

  /** Returns the first call. */
  async first(): Promise<Entry | undefined> {
    const store = await this.#store("readonly");
    return store && (await settled<Entry[]>(store.getAll(null, 1)))[0];
  }

  /** Returns the number of calls. */
  async count(): Promise<number> {
    const store = await this.#store("readonly");
    return store ? settled(store.count()) : this.#count;
  }

  /** Returns the calls after the one with this number. */
  async after(n: number): Promise<Entry[]> {
    const store = await this.#store("readonly");
    return store ? settled<Entry[]>(store.getAll(IDBKeyRange.lowerBound(n, true))) : [];
  }

  /** Stores a call. Returns its number. */
  async append(call: Call): Promise<number> {
    const store = await this.#store("readwrite");
    return store ? Number(await stored(store, store.add(call))) : (this.#count += 1);
  }

  async clear(): Promise<void> {
    const store = await this.#store("readwrite");
    if (store) await stored(store, store.clear());
  }

  async #store(mode: IDBTransactionMode): Promise<IDBObjectStore | undefined> {
    this.#database ??= this.#open().catch(() => undefined);
    return (await this.#database)?.transaction(STORE, mode).objectStore(STORE);
  }

  async #open(): Promise<IDBDatabase> {
    const opening = indexedDB.open(this.#name, 1);
    opening.onupgradeneeded = () =>
      opening.result.createObjectStore(STORE, { keyPath: "n", autoIncrement: true });
    const database = await settled(opening);
    // Another tab may delete the database, or the browser may close it. The next call opens it.
    database.onclose = () => (this.#database = undefined);
    database.onversionchange = () => (database.close(), (this.#database = undefined));
    return database;
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB refused a request"));
  });
}

/** Resolves when the transaction is complete. It can fail after each of its requests succeeded. */
function stored<T>({ transaction }: IDBObjectStore, request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB ended a transaction"));
  });
}
