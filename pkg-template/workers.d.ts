/**
 * Parts of a Worker that mirrors many mailboxes: the planning of rounds and permits, batches for a
 * queue, and the list of mailboxes. They run in every host; `deltalink/durable-objects` has the
 * Durable Objects that are made of them.
 */
export * from "./mailbox-list.js";
export * from "./permit-budget.js";
export * from "./round-plan.js";
export * from "./send-changes.js";
export * from "./shards.js";
