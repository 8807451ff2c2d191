import type { DeltaStore, StoreBatch, StoredRow, StoredState } from "deltalink";

/** The part of a D1 database that `D1Store` uses. */
export interface Database {
  prepare(query: string): { bind(...values: unknown[]): unknown };
  batch(statements: unknown[]): Promise<{ results: unknown[] }[]>;
}

/**
 * A store in a D1 database, which many Workers may use at the same time: if two of them commit to
 * the same query, one commit is refused.
 *
 * Creates the table `deltalink` on first use, and uses no other table:
 *
 * ```sql
 * create table if not exists deltalink (
 *   key text not null, id text not null, part integer not null, value text not null, revision text,
 *   primary key (key, id, part)
 * ) without rowid;
 * ```
 *
 * A commit is one `batch()`, which D1 runs as one transaction. Each of its statements compares the
 * revision, and the last one writes the link. A statement writes many rows, as a JSON array of
 * about 600,000 characters at most.
 *
 * Limits: those of D1 (10 GB per database, 500 MB on the free plan). An item may be larger than 2
 * MB, the limit of a value: it is stored in parts of at most 600 KB. On the free plan, an
 * invocation may run 50 statements: a page needs 3 to 6, a large one more.
 *
 * Cost: as with a Durable Object, one written row for each item that a page adds, changes or
 * removes, one for its link, and about five read rows per item. Three round trips to the database
 * per page, one of them for the throttle time; two with `mirror: false`.
 *
 * @example
 *   const client = await openDelta({ token, store: new D1Store(env.DB) });
 */
export class D1Store implements DeltaStore {
  constructor(database: Database);
  load(key: string): Promise<StoredState | undefined>;
  rows(key: string, ids: string[]): Promise<(StoredRow | undefined)[]>;
  commit(key: string, batch: StoreBatch): Promise<boolean>;
  scan(key: string, range: { after?: string; limit: number }): Promise<[id: string, row: StoredRow][]>;
  clear(prefix: string): Promise<void>;
}
