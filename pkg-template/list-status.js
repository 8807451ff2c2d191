// @ts-check
/** @import { QueryStatus } from "./query-status.js" */
/** @import { ViewState } from "./views.js" */
import { NEW } from "./initial.js";

/** The phases that an error of the list does not replace. */
const KEPT = ["needs-auth", "closed"];

/**
 * Returns the status of a list for users. It is `failed` if the list has an error: its mirror
 * cannot be read, or its filter or order has thrown. Instead of `idle`, it is `new` until the
 * mirror has been read, and `syncing` until the list has all items of the first round.
 *
 * @param {QueryStatus} status
 * @param {ViewState<any>} list
 * @returns {QueryStatus}
 */
export function listStatus(status, { error, ready, synced }) {
  const { phase, lastSyncedAt } = status;
  const own = lastSyncedAt ? { lastSyncedAt } : {};
  if (error && !KEPT.includes(phase)) return Object.freeze({ ...own, phase: "failed", error });
  if (phase !== "idle" || synced) return status;
  return ready ? Object.freeze({ ...own, phase: "syncing" }) : NEW;
}
