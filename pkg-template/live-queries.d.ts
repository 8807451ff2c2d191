import type { AbortSignal } from "./host.js";
import type { RoundReport } from "./rounds.js";

/** The options of `live()`. */
export interface LiveOptions {
  /**
   * The time between two rounds in milliseconds, at least 5000. Default 60000. It varies by ±10 %,
   * and doubles with each round without changes, up to 8 times this value.
   */
  every?: number;
  /**
   * While all tabs with this query are hidden: `"slow"` (default) runs a round every 10 × `every`,
   * `"pause"` runs none. If tabs differ, `"slow"` applies.
   */
  hidden?: "slow" | "pause";
  /** Stops the handle, as `stop()` does. */
  signal?: AbortSignal;
}

/** The type of `Symbol.dispose`, if the `lib` of this project has it. */
type Dispose = SymbolConstructor extends { readonly dispose: infer S extends symbol } ? S : never;

/** A handle that keeps the mirror of a query fresh. `using` stops it at the end of its block. */
export interface Live extends Record<Dispose, () => void> {
  /**
   * Runs a round now, in the tab that leads. Resolves to its report, or to undefined if another tab
   * has run it. Rejects with the `DeltaError` that ended a round of this tab. Starts a round even
   * without network and while the user has to sign in.
   */
  syncNow(): Promise<RoundReport | undefined>;
  /** Stops this handle. One second after its last handle was stopped, a query is no longer live. */
  stop(): void;
}
