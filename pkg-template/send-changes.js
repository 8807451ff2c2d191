// @ts-check
// Sends changes to a Cloudflare Queue, within its limits (Cloudflare's page "Limits" of Queues).
// See send-changes.d.ts.
import { badRequest, typeOf } from "./error.js";
import { checkNames, readCount, readNumber } from "./option-checks.js";

// A little less than the limits: 128 KB per message, of which metadata uses about 100 bytes, and
// 100 messages and 256 KB per batch.
const [MAX_MESSAGE_BYTES, MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, OVERHEAD] = [120_000, 240_000, 100, 200];
const encoder = new TextEncoder();
const sizeOf = (body) => encoder.encode(JSON.stringify(body)).length + OVERHEAD;

/** @type {typeof import("./send-changes.js").sendChanges} */
export async function sendChanges(queue, changes, options) {
  if (typeof queue?.sendBatch !== "function")
    throw badRequest(
      `the queue of sendChanges() must be a binding of a queue, such as env.CHANGES, got ${typeOf(queue)}`,
    );
  checkNames(options ?? undefined, ["properties", "attempts", "firstWait"], "sendChanges()");
  const attempts = readCount(options, "attempts", "sendChanges()", 4);
  const firstWait = readNumber(options, "firstWait", "sendChanges()", 100);
  for (const batch of batchesOf(changes, options?.properties, "sendChanges()")) {
    for (let attempt = 1; ; attempt++) {
      try {
        await queue.sendBatch(batch.map((body) => ({ body, contentType: "json" })));
        break;
      } catch (error) {
        if (attempt >= attempts) throw error;
        await new Promise((resolve) => setTimeout(resolve, firstWait * 2 ** (attempt - 1)));
      }
    }
  }
}

/** @type {typeof import("./send-changes.js").changeBatches} */
export const changeBatches = (changes, properties) => batchesOf(changes, properties, "changeBatches()");

/** The properties that a message has from its change, or instead of an item that is left out. */
const RESERVED = ["id", "type", "item", "partial", "reference", "reason"];

function batchesOf(changes, properties = {}, owner) {
  if (!Array.isArray(changes))
    throw badRequest(
      `the changes of ${owner} must be an array, such as page.changes, got ${typeOf(changes)}`,
    );
  if (properties === null || typeof properties !== "object" || Array.isArray(properties))
    throw badRequest(`the properties of ${owner} must be an object, got ${typeOf(properties)}`);
  const reserved = RESERVED.find((name) => name in properties);
  if (reserved)
    throw badRequest(
      `the properties of ${owner} must not contain ${reserved}: a message has that from its change`,
    );
  /** @type {any[][]} */
  const batches = [];
  let bytes = Infinity;
  for (const change of changes) {
    const { body, size } = messageOf(change, properties, owner);
    if (bytes + size > MAX_BATCH_BYTES || batches.at(-1)?.length === MAX_BATCH_MESSAGES) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1).push(body);
    bytes += size;
  }
  return batches;
}

/** Returns the message of a change, and its size in bytes. Leaves out an item that is too large. */
function messageOf(change, properties, owner) {
  const { type, id } = change ?? {};
  if (typeof id !== "string" || (type !== "upsert" && type !== "remove"))
    throw badRequest(`the changes of ${owner} must be those of a page, with a type and an id`);
  const base = { ...properties, id, type };
  const bodies =
    type === "remove"
      ? [{ ...base, reason: change.reason }]
      : [
          { ...base, item: change.item, ...(change.partial && { partial: true }) },
          { ...base, reference: true },
        ];
  for (const body of bodies) {
    const size = sizeOf(body);
    if (size <= MAX_MESSAGE_BYTES) return { body, size };
  }
  throw badRequest(
    `a message of ${owner} is larger than ${MAX_MESSAGE_BYTES} bytes without its item; make its properties smaller`,
  );
}
