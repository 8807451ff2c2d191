import type { DeltaErrorCode } from "./errors.js";
import type { RoundReport } from "./rounds.js";

/**
 * An entry of `options.log`. It contains no token and no item, and only a `message` may contain a
 * part of a link. Minor versions may add events.
 */
export type LogEntry = RoundLogEntry | RequestLogEntry;

/** The properties of all entries. */
interface LogBase {
  /** The end of the round or of the request. */
  time: Date;
  /** The time from the start to the end, in milliseconds. */
  ms: number;
  /** The same value as `query.keyHash`: a hash of the key, because the key contains the account. */
  keyHash: string;
}

/** The end of a round. */
export interface RoundLogEntry extends LogBase {
  event: "round";
  /**
   * `info`: complete or ended early. `warn`: failed, but a later round may succeed, maybe after a
   * sign-in. `error`: failed in a way that another attempt does not resolve.
   */
  level: "info" | "warn" | "error";
  report: RoundReport;
  /** The code of the error that ended the round. */
  code?: DeltaErrorCode;
  /**
   * The message of this error: what was wrong, and what to do. It may quote what Graph or the token
   * source says, with names and ids, without words of 40 or more characters.
   */
  message?: string;
}

/** A request without a usable response. The round repeats it, or ends and logs a `round` entry. */
export interface RequestLogEntry extends LogBase {
  event: "request";
  level: "warn";
  /**
   * The innermost error code in Graph's response; `malformed` for a response that is not a page;
   * `network`, `timeout` or `offline` if there was no complete response.
   */
  code?: string;
  /** The HTTP status. */
  status?: number;
  /** Graph's id of the request, for Microsoft's support. */
  requestId?: string;
  /** The id that the client gave to the request. */
  clientRequestId: string;
}
