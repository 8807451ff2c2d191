import type { DeltaErrorCode, QueryStatus, Readable, WaitReason } from "deltalink";

/** The options of `describe()`. */
export interface DescribeOptions {
  /** The time to which spans such as "5 minutes ago" refer. Default: the current time. */
  now?: Date | number;
  /** Sentences that replace those of {@link english}. */
  sentences?: Partial<Sentences>;
  /** The language of spans and numbers, as for `Intl`. Default `"en"`. */
  locale?: string | string[];
}

/**
 * Returns the status of a query in words that a user understands, for example "Updated 5 minutes
 * ago." or "The server cannot be reached. Trying again in 30 seconds."
 *
 * The text depends on the phase, on times and counts, and on the code of an error. It never
 * contains a message, an id, a link or a token.
 *
 * Spans such as "5 minutes ago" refer to the moment of the call: see {@link description}.
 *
 * @example describe(error ? { phase: "failed", error } : query.status.get());
 */
export function describe(status: QueryStatus, options?: DescribeOptions): string;

/**
 * Returns the description as a value that changes with the status, and as time passes: "Updated
 * now." becomes "Updated 1 minute ago." It has a timer only while it is subscribed.
 *
 * @example
 *   const stop = description(query.status).subscribe((text) => (line.textContent = text));
 */
export function description(
  status: Readable<QueryStatus>,
  options?: Omit<DescribeOptions, "now">,
): Readable<string>;

/** The English sentences. A `Sentences` object of another language replaces them all. */
export const english: Sentences;

/** A sentence for each state. */
export type Sentences = Record<SentenceName, Sentence>;

/**
 * A text or a function that returns one. In a text, `{since}` and the other names of
 * {@link SentenceValues} are replaced, and a part in square brackets is left out if one of its
 * values is missing. A function may return `""` to omit the sentence.
 */
export type Sentence = string | ((values: SentenceValues) => string);

/** The values in a sentence, as text. Missing where the status has none. */
export interface SentenceValues {
  /** When the last complete round ended: "5 minutes ago". */
  since?: string | undefined;
  /**
   * When the wait ends: "in 30 seconds". After a failure, when another attempt is allowed; missing
   * if `next` says when it comes.
   */
  until?: string | undefined;
  /** When the next round of a live query is due: "in 2 minutes". */
  next?: string | undefined;
  /** The number of items that a running round has received: "1,200". */
  items?: string | undefined;
}

/**
 * The names of the sentences. With claims, that of `needs-auth` is `failed-claims`. `last` and
 * `next` are added to the sentences of failures, of `needs-auth` and of `waiting-offline`, if their
 * time is known. `waiting` and `failed` are for reasons and codes of later minor versions.
 */
export type SentenceName =
  QueryStatus["phase"] | `waiting-${WaitReason}` | `failed-${DeltaErrorCode}` | "last" | "next";
