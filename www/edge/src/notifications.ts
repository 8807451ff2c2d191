// Graph's change notifications. Pages: "Receive change notifications through webhooks" (validation,
// answers, slow endpoints) and "Reduce missing subscriptions and change notifications" (lifecycle).
import type { Env } from "./env";

/** Of Graph's batches the largest are far below. */
const LARGEST = 4 << 20;
const encoder = new TextEncoder();

/**
 * A mailbox's `clientState`: its HMAC, so that nothing has to be looked up to tell a forged
 * notification, and one mailbox's is no good for another. Graph takes 128 letters (page
 * "subscription resource type"); these are 64.
 */
export async function clientState(env: Env, mailbox: string): Promise<string> {
  const signature = await crypto.subtle.sign("HMAC", await keyOf(env), encoder.encode(mailbox));
  return hex(signature);
}

export const hex = (bytes: ArrayBuffer) =>
  [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * Answers Graph, whose patience is short: 3 seconds are good, 10 are too long. What there is to do
 * is only noted down here.
 */
export async function receive(request: Request, env: Env, mailbox: string): Promise<Response> {
  // The parameter is decoded once, which is what searchParams does, and sent back as plain text: it
  // may hold anything, HTML too.
  const token = new URL(request.url).searchParams.get("validationToken");
  if (token !== null)
    return new Response(token, {
      headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
    });

  const text = await textOf(request);
  if (text === undefined) return new Response(null, { status: 413 });
  let sent: unknown;
  try {
    sent = JSON.parse(text);
  } catch {
    return new Response(null, { status: 400 });
  }
  const list = (sent as { value?: unknown } | null)?.value;
  if (!Array.isArray(list)) return new Response(null, { status: 400 });
  const expected = await clientState(env, mailbox);
  const genuine = list.filter(
    (one) => same(one?.clientState, expected) && typeof one.subscriptionId === "string",
  );
  // Nobody learns from the answer whether he was believed.
  if (genuine.length) {
    try {
      await env.MAILBOXES.getByName(mailbox).notify(
        genuine.map(({ subscriptionId, lifecycleEvent }) => ({ subscriptionId, lifecycleEvent })),
      );
    } catch {
      // Graph then sends it again, for up to four hours.
      return new Response(null, { status: 503 });
    }
  }
  return new Response(null, { status: 202 });
}

/**
 * A body, and no more of it than is allowed: its length need not be said beforehand, nor be true.
 */
async function textOf(request: Request): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    // Leaving the loop ends the stream.
    if (size > LARGEST) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** In a time that tells nothing of where two texts differ. */
export function same(given: unknown, expected: string): boolean {
  const [one, other] = [encoder.encode(typeof given === "string" ? given : ""), encoder.encode(expected)];
  // Lengths are no secret; the call wants them equal.
  return one.length === other.length && crypto.subtle.timingSafeEqual(one, other);
}

function keyOf(env: Env): Promise<CryptoKey> {
  if (!(env.NOTIFICATION_SECRET?.length >= 32))
    throw new Error("the secret NOTIFICATION_SECRET must have at least 32 letters");
  return crypto.subtle.importKey(
    "raw",
    encoder.encode(env.NOTIFICATION_SECRET),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
}
