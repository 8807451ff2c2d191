/**
 * Returns the number of the registry that lists a mailbox, from 0 to `shards` - 1: a hash of its
 * name. Throws `bad-request` if `shards` is not a whole number of at least 1.
 */
export function shardOf(mailbox: string, shards: number): number;

/**
 * Returns when the round of a mailbox is due after a run of the cron trigger: always at the same
 * offset within `spread` milliseconds (default 600000), so that the load is even and a mailbox is
 * polled at equal intervals. There are 600 different offsets.
 */
export function dueAt(mailbox: string, options?: { now?: number; spread?: number }): number;
