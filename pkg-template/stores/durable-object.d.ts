import type { DeltaStore, StoreBatch, StoredRow, StoredState } from "deltalink";

/** What is used of a Durable Object's `ctx.storage`. */
export interface ObjectStorage {
  sql: { exec(query: string, ...bindings: unknown[]): { toArray(): object[] } };
  transactionSync<T>(closure: () => T): T;
}

/**
 * A store in the storage of a Durable Object, which must be a SQLite-backed one
 * (`new_sqlite_classes` in wrangler's configuration).
 *
 * It makes one table there, `deltalink`, on first use, and leaves all others alone. A commit is one
 * synchronous transaction: when the object is evicted or aborted, all of it is there or nothing.
 * After `storage.deleteAll()` open another one.
 *
 * Limits: those of the storage (10 GB an object). An item may have more than the 2 MB of a value:
 * it is kept in parts of at most 600 KB.
 *
 * Cost: a commit writes one row an item that the page brings or removes, and one for its link; a
 * row more for each further part. With `mirror: false` it is that one row a page. It reads some
 * five rows an item.
 *
 * @example const client = await openDelta({ token, store: new DurableObjectStore(this.ctx.storage)
 * });
 */
export class DurableObjectStore implements DeltaStore {
  constructor(storage: ObjectStorage);
  load(key: string): Promise<StoredState | undefined>;
  rows(key: string, ids: string[]): Promise<(StoredRow | undefined)[]>;
  commit(key: string, batch: StoreBatch): Promise<boolean>;
  scan(key: string, range: { after?: string; limit: number }): Promise<[id: string, row: StoredRow][]>;
  clear(prefix: string): Promise<void>;
}
