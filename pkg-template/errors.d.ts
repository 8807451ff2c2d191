import type { RoundReport } from "./rounds.js";

/**
 * The class of all errors of this package. After an abort, calls reject with the signal's reason
 * instead.
 */
export class DeltaError extends Error {
  constructor(message: string, fields: DeltaErrorFields);
  readonly code: DeltaErrorCode;
  /** The HTTP status of the response. */
  readonly status?: number;
  /** The innermost error code in Graph's response; with `resync-loop` that of the reset. */
  readonly graphCode?: string;
  /** Graph's id of the request, for Microsoft's support. */
  readonly requestId?: string;
  /** The id that the client gave to the last request of the round, for Microsoft's support. */
  readonly clientRequestId?: string;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** With `throttled`: the earliest time for another attempt. */
  readonly retryAt?: Date;
  /** With `interaction` and `claims`: the claims for the sign-in. Pass them to MSAL unchanged. */
  readonly claims?: string;
  /**
   * With `not-found`: the collection, such as a folder, was deleted. Its mirror is kept until
   * `clear()`.
   */
  readonly gone?: boolean;
  /** The report of the round that failed. */
  readonly report?: RoundReport;
  /** Returns the name, the message and the fields, for a log: no token, link or item. */
  toJSON(): { name: string; message: string } & Omit<DeltaErrorFields, "cause">;
}

/** The fields of a new `DeltaError`. `retryable` is `false` by default. */
export interface DeltaErrorFields {
  code: DeltaErrorCode;
  status?: number;
  graphCode?: string;
  requestId?: string;
  clientRequestId?: string;
  retryable?: boolean;
  retryAt?: Date;
  claims?: string;
  gone?: boolean;
  report?: RoundReport;
  cause?: unknown;
}

/** The codes of all errors. Minor versions may add codes: give a `switch` a `default`. */
export type DeltaErrorCode =
  | "aborted"
  | "network"
  | "offline"
  | "throttled"
  | "unauthorized"
  | "claims"
  | "interaction"
  | "forbidden"
  | "not-found"
  | "bad-request"
  | "not-supported"
  | "resync-loop"
  | "livelock"
  | "protocol"
  | "foreign-link"
  | "store"
  | "quota"
  | "conflict"
  | "account"
  | "closed"
  | "wasm"
  | "internal";
