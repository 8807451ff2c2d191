// A list of calls in IndexedDB that all tabs of a browser share and append to.

/** A call, with its time in milliseconds since 1970. */
export interface Call {
  at: number;
  name: string;
  args: unknown[];
}

/** A call with its number in the journal. Numbers grow, and are never used again. */
export type Entry = Call & { n: number };

const STORE = "calls";

export class Journal {
  readonly #name: string;
  #database: Promise<IDBDatabase | undefined> | undefined;
  /** The end of the last `exclusive()` of this tab. */
  #last: Promise<unknown> = Promise.resolve();
  /** The number of the last call, in a page without IndexedDB. */
  #count = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** Runs `work` while no other call of this function does, in this tab and in others. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    // Only secure pages have locks. Without them, a page is on its own.
    const alone = () => navigator.locks?.request(this.#name, work) ?? work();
    const result = this.#last.then(alone) as Promise<T>;
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Returns the calls after the one with this number. */
  async after(n: number): Promise<Entry[]> {
    const store = await this.#store("readonly");
    return store ? settled<Entry[]>(store.getAll(IDBKeyRange.lowerBound(n, true))) : [];
  }

  /** Returns the number of the call. */
  async append(call: Call): Promise<number> {
    const store = await this.#store("readwrite");
    return store ? Number(await settled(store.add(call))) : (this.#count += 1);
  }

  async clear(): Promise<void> {
    const store = await this.#store("readwrite");
    if (store) await settled(store.clear());
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
