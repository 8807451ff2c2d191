// Creates and renews subscriptions to recordings. See Microsoft's pages "Get change notifications
// for meeting transcripts and recordings using Microsoft Graph" and "subscription resource type".
import { type Env, graphRoot, plausibleTime } from "./env";
import { clientState, hex } from "./notifications";
import type { Subscription } from "./objects";

/** Thrown if Graph refuses a subscription. */
export class SubscriptionRefused extends Error {
  /** The earliest time for a retry, in milliseconds since 1970, or 0. */
  readonly retryAt: number;

  constructor(message: string, retryAt: number) {
    super(message);
    this.retryAt = retryAt;
  }
}

const MINUTE = 60_000;
/**
 * The duration of a subscription. Graph allows 4320 minutes for recordings; ten minutes are left
 * for clocks that differ.
 */
const DURATION = 4310 * MINUTE;
/**
 * A subscription is renewed when this time is left, so that it does not expire if renewing fails
 * for a day.
 */
const RENEWAL_MARGIN = DURATION / 3;

/** Returns the time at which to renew a subscription. */
export const renewalTime = ({ expires }: Subscription) => expires - RENEWAL_MARGIN;

/**
 * Returns a hash of the notification URL and the `clientState`. A renewal cannot change these, so a
 * subscription with another hash has to be replaced.
 */
export async function settingsHash(env: Env, mailbox: string): Promise<string> {
  const made = new TextEncoder().encode(`${urlOf(env, mailbox)}\n${await clientState(env, mailbox)}`);
  return hex(await crypto.subtle.digest("SHA-256", made));
}

/**
 * Renews the subscription, or creates one if there is none or its settings have changed. `PATCH`
 * also reauthorizes it. After `signal` fires, this starts no further request, but waits for a
 * pending one, whose response may be a new subscription.
 */
export async function subscribe(
  env: Env,
  token: string,
  mailbox: string,
  current: Subscription | undefined,
  signal: AbortSignal,
): Promise<Subscription> {
  const hash = await settingsHash(env, mailbox);
  signal.throwIfAborted();
  const expirationDateTime = new Date(Date.now() + DURATION).toISOString();
  if (current?.settingsHash === hash) {
    const renewed = await request(env, token, "PATCH", current.id, { expirationDateTime });
    if (renewed.ok) return readSubscription(renewed, hash);
    if (renewed.status !== 404) throw await readRefusal(renewed);
  } else if (current) {
    const ended = await request(env, token, "DELETE", current.id);
    // After any other error the old subscription may remain. Its notifications are ignored.
    if (ended.status === 429 || ended.status >= 500) throw await readRefusal(ended);
  }
  const url = urlOf(env, mailbox);
  const state = await clientState(env, mailbox);
  signal.throwIfAborted();
  const made = await request(env, token, "POST", undefined, {
    changeType: "created",
    notificationUrl: url,
    // Required for subscriptions longer than an hour.
    lifecycleNotificationUrl: url,
    resource: `users/${encodeURIComponent(mailbox)}/onlineMeetings/getAllRecordings`,
    expirationDateTime,
    clientState: state,
  });
  if (!made.ok) throw await readRefusal(made);
  return readSubscription(made, hash);
}

const urlOf = (env: Env, mailbox: string) =>
  `${env.PUBLIC_URL?.replace(/\/$/, "")}/notifications/${encodeURIComponent(mailbox)}`;

export async function unsubscribe(env: Env, token: string, { id }: Subscription): Promise<void> {
  await request(env, token, "DELETE", id);
}

function request(env: Env, token: string, method: string, id?: string, body?: object): Promise<Response> {
  const url = `${graphRoot(env)}/subscriptions${id === undefined ? "" : `/${encodeURIComponent(id)}`}`;
  return fetch(url, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
    redirect: "manual",
    signal: AbortSignal.timeout(30_000),
  });
}

async function readSubscription(response: Response, hash: string): Promise<Subscription> {
  const { id, expirationDateTime } = (await response.json()) as {
    id?: unknown;
    expirationDateTime?: unknown;
  };
  const expires = Date.parse(String(expirationDateTime));
  if (typeof id !== "string" || !Number.isFinite(expires))
    throw new Error("Graph's response is not a subscription");
  // Graph never grants more time than requested, so a later end is wrong.
  return { id, expires: Math.min(expires, Date.now() + DURATION), settingsHash: hash };
}

async function readRefusal(response: Response): Promise<SubscriptionRefused> {
  const { error } = (await response.json().catch(() => ({}))) as {
    error?: { code?: string; message?: string };
  };
  const words =
    `Graph refused the subscription: ${response.status} ${error?.code ?? ""} ${error?.message ?? ""}`
      .trim()
      // A word this long may be a token.
      .replaceAll(/\S{40,}/g, "…")
      .slice(0, 300);
  // Retry-After has seconds or a date.
  const after = response.headers.get("retry-after") ?? "";
  const at = (/^\d+$/.test(after) ? Date.now() + Number(after) * 1000 : Date.parse(after)) || 0;
  // deltalink does not send these requests, so this checks the time.
  return new SubscriptionRefused(words, plausibleTime(at));
}
