import type { Change } from "deltalink";
import type { ChangeMessage, Env } from "./env";

// Limits of Cloudflare Queues: 128 KB per message, of which metadata uses about 100 bytes, and 100
// messages and 256 KB per batch.
const MESSAGE = 120_000;
const BATCH = 240_000;
const MESSAGES = 100;
const OWN = 200;

/** The number of attempts for a batch, and the first wait between two, in milliseconds. */
const [TRIES, WAIT] = [4, 100];

/**
 * Resolves when the queue has accepted every change. Rejects if it keeps refusing a batch. The
 * caller then sends all changes again, also those of accepted batches.
 */
export async function send(queue: Env["CHANGES"], mailbox: string, changes: Change<object>[]): Promise<void> {
  for (const batch of batches(mailbox, changes)) {
    for (let tried = 1; ; tried++) {
      try {
        await queue.sendBatch(batch.map((body) => ({ body, contentType: "json" })));
        break;
      } catch (error) {
        if (tried === TRIES) throw error;
        await scheduler.wait(WAIT * 2 ** (tried - 1));
      }
    }
  }
}

export function batches(mailbox: string, changes: Change<object>[]): ChangeMessage[][] {
  const found: ChangeMessage[][] = [];
  let bytes = Infinity;
  for (const change of changes) {
    let message: ChangeMessage =
      change.type === "remove"
        ? { mailbox, id: change.id, type: "remove", reason: change.reason }
        : { mailbox, id: change.id, type: "upsert", item: change.item };
    let size = sizeOf(message);
    if (size > MESSAGE) {
      message = { mailbox, id: change.id, type: "upsert", reference: true };
      size = sizeOf(message);
    }
    if (bytes + size > BATCH || found.at(-1)?.length === MESSAGES) {
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
  return encoder.encode(JSON.stringify(message)).length + OWN;
}
