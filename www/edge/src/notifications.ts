// Receives Graph's change notifications. See Microsoft's pages "Receive change notifications
// through webhooks" (validation, responses, slow endpoints) and "Reduce missing subscriptions and
// change notifications" (lifecycle).
import type { Env } from "./env";

/** The limits of an accepted body: its bytes and its notifications. Graph sends far less. */
const MAX_BYTES = 1 << 20;
const MAX_NOTIFICATIONS = 1000;
const encoder = new TextEncoder();

/**
 * Returns the `clientState` of a mailbox: the HMAC of its name, 64 characters. It proves without a
 * lookup that a notification is genuine, and is not valid for another mailbox. Graph allows 128
 * characters (page "subscription resource type").
 */
export async function clientState(env: Env, mailbox: string): Promise<string> {
  const signature = await crypto.subtle.sign("HMAC", await hmacKey(env), encoder.encode(mailbox));
  return hex(signature);
}

export const hex = (bytes: ArrayBuffer) =>
  [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * Handles a request that Graph sends. Graph expects a response within 3 seconds, so this only
 * stores that a round is requested. Anybody can send such a request: its size is checked before it
 * is read or parsed.
 */
export async function receiveNotifications(request: Request, env: Env, mailbox: string): Promise<Response> {
  // The validation token is decoded once, by searchParams, and returned as plain text, because it
  // can contain HTML.
  const token = new URL(request.url).searchParams.get("validationToken");
  if (token !== null)
    return new Response(token, {
      headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
    });

  const text = await readBody(request);
  if (text === undefined) return new Response(null, { status: 413 });
  let sent: unknown;
  try {
    sent = JSON.parse(text);
  } catch {
    return new Response(null, { status: 400 });
  }
  const list = (sent as { value?: unknown } | null)?.value;
  if (!Array.isArray(list)) return new Response(null, { status: 400 });
  if (list.length > MAX_NOTIFICATIONS) return new Response(null, { status: 413 });
  const expected = await clientState(env, mailbox);
  const genuine = list.filter(
    (one) => equalsSecret(one?.clientState, expected) && typeof one.subscriptionId === "string",
  );
  // Forged notifications get the same response as genuine ones.
  if (genuine.length) {
    try {
      await env.MAILBOXES.getByName(mailbox).notify(
        genuine.map(({ subscriptionId, lifecycleEvent }) => ({ subscriptionId, lifecycleEvent })),
      );
    } catch {
      // Graph repeats the notification for up to four hours.
      return new Response(null, { status: 503 });
    }
  }
  return new Response(null, { status: 202 });
}

/**
 * Reads a body up to the limit. Returns undefined if its Content-Length, or what has arrived, is
 * larger.
 */
async function readBody(request: Request): Promise<string | undefined> {
  if (Number(request.headers.get("content-length")) > MAX_BYTES) return undefined;
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    // Leaving the loop ends the stream.
    if (size > MAX_BYTES) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Compares a string with a secret in constant time. */
export function equalsSecret(given: unknown, expected: string): boolean {
  // The type and the lengths are not secret, and cheap to compare.
  if (typeof given !== "string" || given.length !== expected.length) return false;
  const [one, other] = [encoder.encode(given), encoder.encode(expected)];
  // timingSafeEqual requires equal numbers of bytes.
  return one.length === other.length && crypto.subtle.timingSafeEqual(one, other);
}

function hmacKey(env: Env): Promise<CryptoKey> {
  if (!(env.NOTIFICATION_SECRET?.length >= 32))
    throw new Error("the secret NOTIFICATION_SECRET must have at least 32 characters");
  return crypto.subtle.importKey(
    "raw",
    encoder.encode(env.NOTIFICATION_SECRET),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
}
