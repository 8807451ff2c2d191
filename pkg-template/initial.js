// @ts-check
// The values of a query before anything is known about it.
/** @import { QueryStatus } from "./query-status.js" */
/** @import { ViewState } from "./views.js" */

/** @type {QueryStatus} */
export const NEW = Object.freeze({ phase: "new" });

/** @type {ViewState<any>} */
export const EMPTY = Object.freeze({ items: Object.freeze([]), ready: false, synced: false, total: 0 });
