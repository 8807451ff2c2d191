/**
 * A store that the caller provides. Its five functions may be called at any time, even
 * concurrently. `commit` must be one transaction: after a crash, all of it is stored or nothing.
 * Keys, states and rows are opaque to the store. `storeContract` of `deltalink/testing` tests these
 * rules.
 *
 * A `DeltaError` that a store rejects with is rethrown unchanged. Any other error becomes the
 * cause of a `DeltaError` with the code `store`.
 */
export interface DeltaStore {
  /** Returns the state stored under this key, or undefined. */
  load(key: string): Promise<StoredState | undefined>;
  /** Returns the rows of these ids, in the same order; undefined for an id without a row. */
  rows(key: string, ids: string[]): Promise<(StoredRow | undefined)[]>;
  /**
   * Writes a page. First compares the stored state's `revision`, or its absence, with
   * `batch.expect`: if they differ, writes nothing and resolves to `false`.
   */
  commit(key: string, batch: StoreBatch): Promise<boolean>;
  /**
   * Returns at most `limit` rows after the id `after`, in any fixed order of the ids: all from
   * before a concurrent commit, or all from after it. Returns fewer than `limit` only at the end.
   * There may no longer be a row with the id `after`.
   */
  scan(key: string, range: { after?: string; limit: number }): Promise<[id: string, row: StoredRow][]>;
  /** Deletes the states and rows of all keys that begin with this prefix. */
  clear(prefix: string): Promise<void>;
}

/** The writes of a commit. An id occurs at most once, in `put` or in `remove`. */
export interface StoreBatch {
  /** The revision that must be stored; undefined if there must be no state under this key. */
  expect: string | undefined;
  /** The new state. */
  state: StoredState;
  /** The rows to write. */
  put: [id: string, row: StoredRow][];
  /** The ids of the rows to delete. */
  remove: string[];
}

/** The stored state of a query: plain data, which survives `structuredClone` and JSON. */
export interface StoredState {
  revision: string;
  [property: string]: unknown;
}

/** A stored item: plain data, which survives `structuredClone` and JSON. */
export interface StoredRow {
  /** The number of the last round that received the item. */
  round: number;
  item: object;
  [property: string]: unknown;
}
