/**
 * deltalink keeps a local copy of a Microsoft Graph collection. After the first round it fetches
 * only changes.
 *
 * Unions that this package returns may get new members in minor versions: error codes, phases of
 * the status, outcomes of a round, reasons of waits and removals. A `switch` over them needs a
 * `default`.
 *
 * @example
 *   const client = await openDelta({ token: () => getToken(), account: "alex@contoso.example" });
 *   const week = client.events({ start: "2026-11-23", end: "2026-11-30" });
 *   await week.sync();
 *   for (const event of await week.all()) console.log(event.subject);
 */
import type { DeltaClient, DeltaOptions, WasmOrigin, WasmSource } from "./client.js";

export type * from "./client.js";
export { DeltaError } from "./errors.js";
export type { DeltaErrorCode, DeltaErrorFields } from "./errors.js";
export type * from "./queries.js";
export type * from "./query-options.js";
export type * from "./items.js";
export type * from "./live-queries.js";
export type * from "./log.js";
export type * from "./query-status.js";
export type * from "./rounds.js";
export type * from "./store.js";
export type * from "./tokens.js";
export type * from "./views.js";
export type { Entity, Narrowed, PropertyName, Selected, Tracked } from "./tracked.js";

/**
 * Opens a client for one account. The first call loads the wasm.
 *
 * Rejects with a {@link DeltaError}: `bad-request` for a missing or wrong option, `account` if
 * `options.account` is required and missing, `store` if the store cannot be opened, `wasm` if the
 * wasm cannot be loaded.
 */
export function openDelta(options: DeltaOptions): Promise<DeltaClient>;

/**
 * Loads the wasm before the first `openDelta()`. Optional. After a failure it may be called again.
 *
 * @param wasm Used instead of the package's own wasm. Ignored if a wasm has been loaded.
 * @returns The origin of the loaded wasm. Rejects with the code `wasm` if it cannot be loaded.
 */
export function init(wasm?: WasmSource | Promise<WasmSource>): Promise<WasmOrigin>;
