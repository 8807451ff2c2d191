// @ts-check
// The `clientState` by which a notification proves that it is Graph's.
import { badRequest, typeOf } from "./error.js";
import { toHex } from "./subscriptions.js";

const encoder = new TextEncoder();

/** Returns the `clientState` of a mailbox. `owner` is the function that got the secret. */
export async function clientStateOf(secret, name, owner) {
  if (typeof secret !== "string" || secret.length < 32)
    throw badRequest(
      `the secret of ${owner} must be a string of at least 32 random characters, got ${typeOf(secret)}${typeof secret === "string" && secret ? " that is shorter" : ""}`,
    );
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), hmac, false, ["sign"]);
  return toHex(await crypto.subtle.sign("HMAC", key, encoder.encode(name)));
}
