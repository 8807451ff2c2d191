import type { Change } from "deltalink";

/**
 * A message of `sendChanges()`. Queues deliver at least once and in any order: a consumer that
 * needs the newest state of an item reads it from the mirror.
 */
export type ChangeMessage<T = object, Properties extends object = object> = Properties & { id: string } & (
    | { type: "upsert"; item: T; partial?: undefined; reference?: undefined }
    /** Only of a feed with `minimal`: a property that is absent has not changed. */
    | { type: "upsert"; item: Partial<T>; partial: true; reference?: undefined }
    /**
     * The item is too large for a message: read it from the mirror, by `item(id)` of its object.
     */
    | { type: "upsert"; reference: true; item?: undefined }
    | { type: "remove"; reason: "deleted" | "changed" | "ghost" | "left-window" }
  );

/** The part of a queue's binding that `sendChanges()` uses. */
export interface ChangeQueue<Body> {
  sendBatch(messages: Iterable<{ body: Body; contentType?: "json" }>): Promise<unknown>;
}

/** The options of `sendChanges()`. */
export interface SendOptions<Properties extends object> {
  /** Properties of each message, such as the mailbox. */
  properties?: Properties;
  /** How often to send a batch that the queue refuses, before the call rejects. Default 4. */
  attempts?: number;
  /** The wait after the first refusal, in milliseconds. It doubles. Default 100. */
  firstWait?: number;
}

/**
 * Sends changes to a Cloudflare Queue, in batches within its limits: 100 messages and 240,000
 * bytes. An item that makes its message larger than 120,000 bytes is replaced by `reference: true`.
 *
 * Resolves when the queue has accepted all changes: then acknowledge the page. Rejects with the
 * queue's error if it keeps refusing a batch; the next round delivers the page again, also the
 * changes that the queue has accepted. Rejects with `bad-request` for wrong arguments, and if
 * `properties` alone are too large; then nothing was sent.
 *
 * @example
 *   for await (const page of events.round({ ack: "manual" })) {
 *     await sendChanges(env.CHANGES, page.changes, { properties: { user } });
 *     await page.ack();
 *   }
 */
export function sendChanges<T extends object, Properties extends object = object>(
  queue: ChangeQueue<ChangeMessage<T, Properties>>,
  changes: readonly Change<T>[],
  options?: SendOptions<Properties>,
): Promise<void>;

/**
 * Returns the batches of messages that `sendChanges()` sends, in the order of the changes. For a
 * queue that is not Cloudflare's.
 */
export function changeBatches<T extends object, Properties extends object = object>(
  changes: readonly Change<T>[],
  properties?: Properties,
): ChangeMessage<T, Properties>[][];
