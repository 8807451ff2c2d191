import type { DeltaStore } from "deltalink";

/** One rule of {@link DeltaStore}. */
export interface StoreRule {
  /** A sentence. */
  name: string;
  /** Rejects with what was found where the store breaks the rule. */
  run(): Promise<void>;
}

export interface StoreContractOptions<S extends DeltaStore> {
  /** For a store that outlives its opening: opens again what `store` has opened. Adds the rules about two openings. */
  reopen?: (store: S) => S | Promise<S>;
}

/**
 * The rules that a {@link DeltaStore} has to keep, as tests for any framework.
 *
 * Each rule opens a store, works under keys of its own that begin with `contract `, and clears them in the end: `open` may give the same
 * store again, and need not give an empty one.
 *
 * @example
 * for (const { name, run } of storeContract(() => myStore())) test(name, run);
 */
export function storeContract<S extends DeltaStore>(open: () => S | Promise<S>, options?: StoreContractOptions<S>): StoreRule[];
