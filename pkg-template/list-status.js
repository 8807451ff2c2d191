// @ts-check
/** @import { QueryStatus } from "./query-status.js" */

/**
 * Returns the status of a list for users: `failed` if the list has an error, because its mirror
 * cannot be read, or its filter or order has thrown.
 *
 * @param {QueryStatus} status
 * @param {import("./errors.js").DeltaError | undefined} error
 * @returns {QueryStatus}
 */
export const listStatus = (status, error) =>
  error && status.phase !== "closed" ? Object.freeze({ ...status, phase: "failed", error }) : status;
