// Subscriptions to recordings. Pages: "Get change notifications for meeting transcripts and recordings using Microsoft Graph" and
// "subscription resource type".
import { type Env, graphRoot } from "./env";
import { clientState } from "./notifications";

export interface Subscription {
  id: string;
  /** Milliseconds. */
  expires: number;
}

const MINUTE = 60_000;
/** Graph allows 4320 minutes for recordings; clocks differ. */
const LENGTH = 4310 * MINUTE;
/** It is renewed when a third of its time is left: a day of failures loses nothing. */
const LEFT = LENGTH / 3;

/** When to renew it. */
export const renewal = ({ expires }: Subscription) => expires - LEFT;

/** Renews the subscription, or makes one where there is none (any more). `PATCH` reauthorizes it too. */
export async function subscribe(env: Env, token: string, mailbox: string, current: Subscription | undefined): Promise<Subscription> {
  const expirationDateTime = new Date(Date.now() + LENGTH).toISOString();
  if (current) {
    const renewed = await ask(env, token, "PATCH", current.id, { expirationDateTime });
    if (renewed.ok) return read(renewed);
    if (renewed.status !== 404) throw await refused(renewed);
  }
  const url = `${env.PUBLIC_URL?.replace(/\/$/, "")}/notifications/${encodeURIComponent(mailbox)}`;
  const made = await ask(env, token, "POST", undefined, {
    changeType: "created",
    notificationUrl: url,
    // Required for more than an hour.
    lifecycleNotificationUrl: url,
    resource: `users/${encodeURIComponent(mailbox)}/onlineMeetings/getAllRecordings`,
    expirationDateTime,
    clientState: await clientState(env, mailbox),
  });
  if (!made.ok) throw await refused(made);
  return read(made);
}

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

async function read(response: Response): Promise<Subscription> {
  const { id, expirationDateTime } = (await response.json()) as { id?: unknown; expirationDateTime?: unknown };
  const expires = Date.parse(String(expirationDateTime));
  if (typeof id !== "string" || !Number.isFinite(expires)) throw new Error("Graph's answer is no subscription");
  return { id, expires };
}

async function refused(response: Response): Promise<Error> {
  const { error } = (await response.json().catch(() => ({}))) as { error?: { code?: string; message?: string } };
  return new Error(`Graph refused the subscription: ${response.status} ${error?.code ?? ""} ${error?.message ?? ""}`.trim().slice(0, 300));
}
