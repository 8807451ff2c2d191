import type { Change } from "deltalink";
import type { ChangeMessage, Env } from "./env";

// A little less than the limits of Cloudflare Queues: 128 KB per message, of which metadata uses
// about 100 bytes, and 100 messages and 256 KB per batch.
const [MAX_MESSAGE_BYTES, MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, OVERHEAD] = [120_000, 240_000, 100, 200];
/** The number of attempts for a batch, and the wait after the first one, in milliseconds. */
const [MAX_ATTEMPTS, FIRST_WAIT] = [4, 100];
const encoder = new TextEncoder();
const sizeOf = (message: ChangeMessage) => encoder.encode(JSON.stringify(message)).length + OVERHEAD;

/**
 * Sends changes to the queue. Resolves when it has accepted all of them. Rejects if it keeps
 * refusing a batch; the caller then sends all changes again, also those of accepted batches.
 */
export async function send(queue: Env["CHANGES"], mailbox: string, changes: Change<object>[]): Promise<void> {
  for (const batch of batches(changes.map((change) => messageOf(mailbox, change)))) {
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

function messageOf(mailbox: string, change: Change<object>): ChangeMessage {
  const { id } = change;
  if (change.type === "remove") return { mailbox, id, type: "remove", reason: change.reason };
  const message: ChangeMessage = { mailbox, id, type: "upsert", item: change.item };
  return sizeOf(message) > MAX_MESSAGE_BYTES ? { mailbox, id, type: "upsert", reference: true } : message;
}

/** Groups messages into batches that the queue accepts. */
function batches(messages: ChangeMessage[]): ChangeMessage[][] {
  const found: ChangeMessage[][] = [];
  let bytes = Infinity;
  for (const message of messages) {
    const size = sizeOf(message);
    if (bytes + size > MAX_BATCH_BYTES || found.at(-1)?.length === MAX_BATCH_MESSAGES) {
      found.push([]);
      bytes = 0;
    }
    found.at(-1)?.push(message);
    bytes += size;
  }
  return found;
}
