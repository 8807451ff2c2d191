import type { DeltaStore, StoreBatch, StoredRow, StoredState } from "deltalink";

/** The part of a Durable Object's `ctx.storage` that `DurableObjectStore` uses. */
export interface ObjectStorage {
  sql: { exec(query: string, ...bindings: unknown[]): { toArray(): object[] } };
  transactionSync<T>(closure: () => T): T;
}

/**
 * A store in the storage of a Durable Object, which must be a SQLite-backed one
 * (`new_sqlite_classes` in wrangler's configuration).
 *
 * Creates the table `deltalink` on first use, and uses no other table. A commit is one synchronous
 * transaction: if the object is evicted or aborted, all of it is stored or nothing. After
 * `storage.deleteAll()`, make a new store.
 *
 * Limits: those of the storage (10 GB per object). An item may be larger than 2 MB, the limit of a
 * value: it is stored in parts of at most 600 KB.
 *
 * Cost: a commit writes one row for each item that the page adds, changes or removes, one for its
 * link, and one for each further part. With `mirror: false` it writes the row of the link only. It
 * reads about five rows per item.
 *
 * @example
 *   const client = await openDelta({ token, store: new DurableObjectStore(this.ctx.storage) });
 */
export class DurableObjectStore implements DeltaStore {
  constructor(storage: ObjectStorage);
  load(key: string): Promise<StoredState | undefined>;
  rows(key: string, ids: string[]): Promise<(StoredRow | undefined)[]>;
  commit(key: string, batch: StoreBatch): Promise<boolean>;
  scan(key: string, range: { after?: string; limit: number }): Promise<[id: string, row: StoredRow][]>;
  clear(prefix: string): Promise<void>;
}
