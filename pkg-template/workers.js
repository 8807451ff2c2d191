// @ts-check
export { mailboxList, receiveNotifications } from "./mailbox-list.js";
export { PermitBudget } from "./permit-budget.js";
export {
  alarmDueAt,
  alarmTime,
  ASK_AGAIN,
  backOffTime,
  beginRound,
  continueRound,
  endRound,
  failRound,
  isRoundDue,
  MAX_ROUND,
  maySubscribe,
  NO_ROUNDS,
  requestRound,
  roundDueAt,
} from "./round-plan.js";
export { changeBatches, sendChanges } from "./send-changes.js";
export { dueAt, shardOf } from "./shards.js";
