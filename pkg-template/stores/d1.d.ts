import type { DeltaStore, StoreBatch, StoredRow, StoredState } from "deltalink";

/** What is used of a D1 database. */
export interface Database {
  prepare(query: string): { bind(...values: unknown[]): unknown };
  batch(statements: unknown[]): Promise<{ results: unknown[] }[]>;
}

/**
 * A store in a D1 database. Many Workers may use one at a time: of two that commit to the same
 * query one is refused.
 *
 * It makes one table there, `deltalink`, on first use, and leaves all others alone:
 *
 * ```sql
 * create table if not exists deltalink (key text not null, id text not null, part integer not null, value text not null,
 *   revision text, primary key (key, id, part)) without rowid;
 * ```
 *
 * A commit is one `batch()`, which D1 runs as one transaction; every statement in it asks for the
 * revision by itself, the link's is the last. Many rows go in one statement, as a JSON list: some
 * 0.6 MB of them, with three values bound.
 *
 * Limits: those of D1 (10 GB a database, 500 MB on the free plan). An item may have more than the 2
 * MB of a value: it is kept in parts of at most 600 KB. On the free plan an invocation may run 50
 * statements: a page takes 3 to 6, and some more if it is large.
 *
 * Cost: as for a Durable Object, one row written an item that a page brings or removes, and one for
 * its link, some five rows read an item; three round trips to the database a page, two with
 * `mirror: false`: one asks whether Graph throttles.
 *
 * @example const client = await openDelta({ token, store: new D1Store(env.DB) });
 */
export class D1Store implements DeltaStore {
  constructor(database: Database);
  load(key: string): Promise<StoredState | undefined>;
  rows(key: string, ids: string[]): Promise<(StoredRow | undefined)[]>;
  commit(key: string, batch: StoreBatch): Promise<boolean>;
  scan(key: string, range: { after?: string; limit: number }): Promise<[id: string, row: StoredRow][]>;
  clear(prefix: string): Promise<void>;
}
