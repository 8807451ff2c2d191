// Creates and renews subscriptions to recordings. See Microsoft's pages "Get change notifications
// for meeting transcripts and recordings using Microsoft Graph" and "subscription resource type".
import { type Env, graphRoot } from "./env";
import { clientState, hex } from "./notifications";
import type { Subscription } from "./objects";

/** Thrown if Graph refuses a subscription. */
export class Refused extends Error {
  /** The earliest time for a retry, in milliseconds since 1970, or 0. */
  readonly retryAt: number;

  constructor(message: string, retryAt: number) {
    super(message);
    this.retryAt = retryAt;
  }
}

const MINUTE = 60_000;
/**
 * The longest Retry-After that is believed, as in the library, whose errors have no later
 * `retryAt`. It does not see these answers.
 */
const BELIEVED = 24 * 60 * MINUTE;
/** The duration of a subscription. Graph allows 4320 minutes for recordings, and clocks differ. */
const LENGTH = 4310 * MINUTE;
/** A subscription is renewed when this time is left, so that a day of failures does no harm. */
const LEFT = LENGTH / 3;

/** The time at which to renew a subscription. */
export const renewal = ({ expires }: Subscription) => expires - LEFT;

/**
 * A hash of the address and the `clientState`. A renewal cannot change these, so a subscription
 * with another key has to be replaced.
 */
export async function keyOf(env: Env, mailbox: string): Promise<string> {
  const made = new TextEncoder().encode(`${urlOf(env, mailbox)}\n${await clientState(env, mailbox)}`);
  return hex(await crypto.subtle.digest("SHA-256", made));
}

/**
 * Renews the subscription. Creates one if it does not exist, no longer exists, or has other
 * settings. `PATCH` also reauthorizes it. Sends nothing more after `signal`, but waits for an
 * answer that may be a new subscription.
 */
export async function subscribe(
  env: Env,
  token: string,
  mailbox: string,
  current: Subscription | undefined,
  signal: AbortSignal,
): Promise<Subscription> {
  const key = await keyOf(env, mailbox);
  signal.throwIfAborted();
  const expirationDateTime = new Date(Date.now() + LENGTH).toISOString();
  if (current?.key === key) {
    const renewed = await ask(env, token, "PATCH", current.id, { expirationDateTime });
    if (renewed.ok) return read(renewed, key);
    if (renewed.status !== 404) throw await refused(renewed);
  } else if (current) {
    const ended = await ask(env, token, "DELETE", current.id);
    // Other errors do no harm: notifications with the old key are ignored until it expires.
    if (ended.status === 429 || ended.status >= 500) throw await refused(ended);
  }
  const url = urlOf(env, mailbox);
  const state = await clientState(env, mailbox);
  signal.throwIfAborted();
  const made = await ask(env, token, "POST", undefined, {
    changeType: "created",
    notificationUrl: url,
    // Required for subscriptions longer than an hour.
    lifecycleNotificationUrl: url,
    resource: `users/${encodeURIComponent(mailbox)}/onlineMeetings/getAllRecordings`,
    expirationDateTime,
    clientState: state,
  });
  if (!made.ok) throw await refused(made);
  return read(made, key);
}

const urlOf = (env: Env, mailbox: string) =>
  `${env.PUBLIC_URL?.replace(/\/$/, "")}/notifications/${encodeURIComponent(mailbox)}`;

export async function unsubscribe(env: Env, token: string, { id }: Subscription): Promise<void> {
  await ask(env, token, "DELETE", id);
}

function ask(env: Env, token: string, method: string, id?: string, body?: object): Promise<Response> {
  const url = `${graphRoot(env)}/subscriptions${id === undefined ? "" : `/${encodeURIComponent(id)}`}`;
  return fetch(url, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
    redirect: "manual",
    signal: AbortSignal.timeout(30_000),
  });
}

async function read(response: Response, key: string): Promise<Subscription> {
  const { id, expirationDateTime } = (await response.json()) as {
    id?: unknown;
    expirationDateTime?: unknown;
  };
  const expires = Date.parse(String(expirationDateTime));
  if (typeof id !== "string" || !Number.isFinite(expires))
    throw new Error("Graph's answer is not a subscription");
  // Graph grants no longer time than the requested one.
  return { id, expires: Math.min(expires, Date.now() + LENGTH), key };
}

async function refused(response: Response): Promise<Refused> {
  const { error } = (await response.json().catch(() => ({}))) as {
    error?: { code?: string; message?: string };
  };
  const words =
    `Graph refused the subscription: ${response.status} ${error?.code ?? ""} ${error?.message ?? ""}`
      .trim()
      // Longer words may be tokens.
      .replaceAll(/\S{40,}/g, "…")
      .slice(0, 300);
  // Retry-After has seconds or a date.
  const after = response.headers.get("retry-after") ?? "";
  const now = Date.now();
  const at = (/^\d+$/.test(after) ? now + Number(after) * 1000 : Date.parse(after)) || 0;
  return new Refused(words, at - now > BELIEVED ? 0 : at);
}
