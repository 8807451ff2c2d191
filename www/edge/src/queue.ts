import type { Change } from "deltalink";
import type { ChangeMessage, Env } from "./env";

// A little less than the limits of Cloudflare Queues: 128 KB per message, of which metadata uses
// about 100 bytes, and 100 messages and 256 KB per batch.
const MAX_MESSAGE_BYTES = 120_000;
const MAX_BATCH_BYTES = 240_000;
const MAX_BATCH_MESSAGES = 100;
const MESSAGE_OVERHEAD = 200;

/** The number of attempts for a batch, and the wait after the first one, in milliseconds. */
const [MAX_ATTEMPTS, FIRST_WAIT] = [4, 100];

/**
 * Sends changes to the queue. Resolves when it has accepted all of them. Rejects if it keeps
 * refusing a batch; the caller then sends all changes again, also those of accepted batches.
 */
export async function send(queue: Env["CHANGES"], mailbox: string, changes: Change<object>[]): Promise<void> {
  for (const batch of batches(mailbox, changes)) {
    for (let attempt = 1; ; attempt++) {
      try {
        await queue.sendBatch(batch.map((body) => ({ body, contentType: "json" })));
        break;
      } catch (error) {
        if (attempt === MAX_ATTEMPTS) throw error;
        await scheduler.wait(FIRST_WAIT * 2 ** (attempt - 1));
      }
    }
  }
}

/** Groups changes into batches that the queue accepts. */
export function batches(mailbox: string, changes: Change<object>[]): ChangeMessage[][] {
  const found: ChangeMessage[][] = [];
  let bytes = Infinity;
  for (const change of changes) {
    let message: ChangeMessage =
      change.type === "remove"
        ? { mailbox, id: change.id, type: "remove", reason: change.reason }
        : { mailbox, id: change.id, type: "upsert", item: change.item };
    let size = sizeOf(message);
    if (size > MAX_MESSAGE_BYTES) {
      message = { mailbox, id: change.id, type: "upsert", reference: true };
      size = sizeOf(message);
    }
    if (bytes + size > MAX_BATCH_BYTES || found.at(-1)?.length === MAX_BATCH_MESSAGES) {
      found.push([]);
      bytes = 0;
    }
    found.at(-1)?.push(message);
    bytes += size;
  }
  return found;
}

const encoder = new TextEncoder();

function sizeOf(message: ChangeMessage): number {
  return encoder.encode(JSON.stringify(message)).length + MESSAGE_OVERHEAD;
}
