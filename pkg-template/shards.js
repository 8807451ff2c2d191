// @ts-check
// Spreads mailboxes over registries and over time. See shards.d.ts.
import { checkCount, checkSettings, readNumber } from "./option-checks.js";

/** The number of steps of a spread. A registry has one alarm for all mailboxes of a step. */
const STEPS = 600;

/**
 * Returns a hash of 32 bits: FNV-1a, mixed once more because the lowest bits of FNV-1a depend on
 * the lowest bits of the characters only.
 */
function hash(text) {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** @type {typeof import("./shards.js").shardOf} */
export const shardOf = (mailbox, shards) =>
  hash(mailbox) % checkCount(shards, "the number of shards of shardOf()");

/** @type {typeof import("./shards.js").dueAt} */
export function dueAt(mailbox, options) {
  checkSettings(options, ["now", "spread"], "dueAt()");
  const { now = Date.now() } = options ?? {};
  const spread = readNumber(options, "spread", "dueAt()", 600_000);
  return Math.ceil(now + ((hash(`${mailbox} offset`) % STEPS) / STEPS) * spread);
}
