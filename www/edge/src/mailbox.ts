import { DurableObject } from "cloudflare:workers";
import { type CallRecording, type DeltaClient, DeltaError, type DeltaQuery, openDelta } from "deltalink";
import { DurableObjectStore } from "deltalink/stores/durable-object";
import { alarmTime, type Env, graphRoot, registryOf } from "./env";
import type { MailboxObject, MailboxState, MailboxStatus, Notification } from "./objects";
import { send } from "./queue";
import { keyOf, Refused, renewal, subscribe, unsubscribe } from "./subscription";
import { tokensOf } from "./token";

const MINUTE = 60_000;
/**
 * The longest round in one alarm, which may run for 15 minutes. The next alarm continues the round.
 */
const ROUND = 5 * MINUTE;
/** A permit expires after this time if the mailbox does not release it. */
const TURN = ROUND + 2 * MINUTE;
/**
 * Whether the throttling limit applies to the app, so that a 429 of one mailbox stops all. Set it
 * to false for Outlook (mail, events), whose limits apply to each mailbox.
 */
const SHARED = true;
/** The longest wait after failures. Jitter shortens it by at most half. */
const LONGEST = 30 * MINUTE;

const FRESH: MailboxState = {
  wanted: 0,
  met: 0,
  notBefore: 0,
  failures: 0,
  sent: 0,
  subscribeAt: 0,
  subscribeFailures: 0,
};

/**
 * Mirrors the recordings of one organizer. Rounds run in the alarm, so one at a time. The other
 * methods only store that a round is wanted, and set the alarm.
 */
export class Mailbox extends DurableObject<Env> implements MailboxObject {
  #state: MailboxState;
  /** The request number that the running round will fulfil; undefined if no round runs. */
  #aim: number | undefined;
  /** Whether it waits for a permit. The registry wakes it. */
  #queued = false;
  #stop = new AbortController();
  #token;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#state = { ...FRESH, ...ctx.storage.kv.get<MailboxState>("state") };
    this.#token = tokensOf(env);
  }

  /**
   * Called by the registry when a round is due and a permit is free. Returns whether the mailbox
   * uses the permit.
   */
  async watch(mailbox: string): Promise<boolean> {
    // If the settings have changed, the subscription is replaced now, or at the time of the next
    // retry.
    const key = await keyOf(this.env, mailbox).catch(() => undefined);
    const { subscription, subscribeAt, subscribeFailures } = this.#state;
    const old = subscription && subscription.key !== key && !subscribeFailures;
    const at = !this.env.PUBLIC_URL ? Infinity : subscribeAt === Infinity || old ? 0 : subscribeAt;
    if (this.#state.mailbox === undefined || at !== subscribeAt) this.#write({ mailbox, subscribeAt: at });
    this.#queued = false;
    await this.#want();
    return this.#aim === undefined && this.#due();
  }

  /**
   * Handles genuine notifications of Graph. A replayed notification only leads to another round.
   */
  async notify(notifications: Notification[]): Promise<void> {
    const { mailbox, subscription, subscribeAt, subscribeFailures } = this.#state;
    // Graph sends notifications for a while after a mailbox was removed.
    if (mailbox === undefined) return;
    const ends = notifications.some(
      ({ subscriptionId, lifecycleEvent }) =>
        subscriptionId === subscription?.id &&
        (lifecycleEvent === "subscriptionRemoved" || lifecycleEvent === "reauthorizationRequired"),
    );
    // Renewing the subscription finds out whether it still exists. A pending retry keeps its time.
    if (ends && !subscribeFailures) this.#write({ subscribeAt: Math.min(subscribeAt, Date.now()) });
    // Every notification leads to a round, also `missed`, which names no change, and one that
    // arrives before its subscription is stored.
    await this.#want();
  }

  /** Stops a running round and deletes everything that is stored. */
  async remove(): Promise<void> {
    const { mailbox, subscription } = this.#state;
    this.#state = { ...FRESH };
    this.#stop.abort(new Error("this mailbox was removed"));
    this.#stop = new AbortController();
    // A mailbox that is added again must not wait for this round.
    this.#aim = undefined;
    this.#queued = false;
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    if (mailbox === undefined || !subscription) return;
    try {
      await unsubscribe(this.env, await this.#bearer(), subscription);
    } catch {
      // If Graph keeps the subscription, its notifications are ignored until it expires.
    }
  }

  /** An item of the mirror, for consumers of a message without it. */
  async item(id: string): Promise<object | undefined> {
    if (this.#state.mailbox === undefined) return undefined;
    const { client, recordings } = await this.#open(this.#state.mailbox);
    try {
      return await recordings.get(id);
    } finally {
      await client.close();
    }
  }

  status(): MailboxStatus {
    const state = this.#state;
    const due = state.wanted > state.met;
    const phase =
      this.#aim !== undefined
        ? "syncing"
        : state.lastError
          ? "failed"
          : due
            ? "waiting"
            : state.lastSync
              ? "current"
              : "new";
    return { ...state, phase, nextTry: due ? state.notBefore : undefined };
  }

  override async alarm(): Promise<void> {
    const { mailbox } = this.#state;
    if (mailbox === undefined) return;
    const due = this.#due();
    this.#queued = due && !(await this.#turn(mailbox));
    if (!this.#queued) {
      // Subscribes before the round, so that a notification reports every change after it. This
      // needs no permit.
      if (Date.now() >= this.#state.subscribeAt) await this.#subscribe(mailbox);
      const retryAt = due && this.#due() ? await this.#round(mailbox) : undefined;
      // If this call fails, the permit expires.
      if (due)
        await registryOf(this.env)
          .done(mailbox, SHARED ? retryAt : undefined)
          .catch(() => {});
    }
    await this.#plan(true);
  }

  #due(): boolean {
    const { wanted, met, notBefore } = this.#state;
    return wanted > met && Date.now() >= notBefore;
  }

  async #turn(mailbox: string): Promise<boolean> {
    try {
      return await registryOf(this.env).turn(mailbox, TURN);
    } catch {
      // The alarm tries again after a minute.
      return false;
    }
  }

  /** Requests a round. Requests while one is pending are stored once. */
  async #want(): Promise<void> {
    const { wanted, met } = this.#state;
    if (wanted === (this.#aim ?? met)) this.#write({ wanted: wanted + 1 });
    if (this.#aim === undefined) await this.#plan();
  }

  /** Sets the alarm for the next due time. With `exactly` it may replace an earlier alarm. */
  async #plan(exactly = false): Promise<void> {
    const { mailbox, wanted, met, notBefore, subscribeAt } = this.#state;
    // The registry wakes a mailbox that waits for a permit. It asks again in case that call is
    // lost.
    const at =
      mailbox === undefined
        ? Infinity
        : this.#queued
          ? Date.now() + MINUTE
          : Math.min(wanted > met ? notBefore : Infinity, subscribeAt);
    const set = await this.ctx.storage.getAlarm();
    // Not the time of the running alarm, because its end would delete the new one.
    if (at < (set ?? Infinity) || (exactly && at < Infinity)) await this.ctx.storage.setAlarm(alarmTime(at));
    else if (exactly && set !== null) await this.ctx.storage.deleteAlarm();
  }

  /** Runs a round. Resolves to the end of the throttle if Graph throttled it. */
  async #round(mailbox: string): Promise<number | undefined> {
    const aim = (this.#aim = this.#state.wanted);
    const failures = this.#state.failures + 1;
    const { signal } = this.#stop;
    // Stored as failed in advance, in case this object is aborted during the round.
    this.#write({ startedAt: Date.now(), failures, notBefore: Date.now() + backoff(this.env, failures) });
    await this.#plan();
    let client: DeltaClient | undefined;
    try {
      const opened = await this.#open(mailbox);
      client = opened.client;
      const round = opened.recordings.round({ ack: "manual", maxMs: ROUND, signal });
      for await (const page of round) {
        await send(this.env.CHANGES, mailbox, page.changes);
        // After the queue has accepted the changes, because an unacknowledged page is delivered
        // again.
        await page.ack();
        // The round made progress, so the next failure counts as the first.
        this.#write({
          sent: this.#state.sent + page.changes.length,
          failures: 1,
          notBefore: Date.now() + backoff(this.env, 1),
        });
      }
      const now = Date.now();
      const complete = round.report.outcome === "complete";
      const items = await opened.recordings.count();
      this.#write({
        failures: 0,
        lastError: undefined,
        startedAt: undefined,
        items,
        ...(complete ? { met: aim, lastSync: now, notBefore: now + pause(this.env) } : { notBefore: now }),
      });
    } catch (error) {
      if (signal.aborted) return undefined;
      const known = error instanceof DeltaError ? error : undefined;
      const lastError = {
        code: known?.code ?? "queue",
        message: String((error as Error)?.message ?? error).slice(0, 500),
        requestId: known?.requestId,
        at: Date.now(),
      };
      // An error that is not retryable needs an administrator.
      const wait = known && !known.retryable ? LONGEST : backoff(this.env, this.#state.failures);
      this.#write({
        lastError,
        startedAt: undefined,
        notBefore: Math.max(Date.now() + wait, known?.retryAt?.getTime() ?? 0),
      });
      if (known?.code === "throttled") return known.retryAt?.getTime();
    } finally {
      this.#aim = undefined;
      await client?.close();
    }
    return undefined;
  }

  async #subscribe(mailbox: string): Promise<void> {
    const { signal } = this.#stop;
    try {
      const token = await this.#bearer();
      const subscription = await subscribe(this.env, token, mailbox, this.#state.subscription, signal);
      if (signal.aborted) {
        // The mailbox was removed meanwhile, so nobody else knows this subscription.
        await unsubscribe(this.env, token, subscription);
        return;
      }
      this.#write({
        subscription,
        subscribeAt: Math.max(renewal(subscription), Date.now() + MINUTE),
        subscribeFailures: 0,
        subscribeError: undefined,
      });
    } catch (error) {
      // The state, if there is one, is that of a mailbox that was added again.
      if (signal.aborted) return;
      const subscribeFailures = this.#state.subscribeFailures + 1;
      // The earliest time for a retry, from Graph or from the token endpoint.
      const retryAt =
        error instanceof Refused
          ? error.retryAt
          : (error instanceof DeltaError && error.retryAt?.getTime()) || 0;
      const subscribeAt = Math.max(Date.now() + backoff(this.env, subscribeFailures), retryAt);
      // Without a subscription the cron trigger still leads to rounds.
      this.#write({
        subscribeFailures,
        subscribeError: String((error as Error)?.message ?? error).slice(0, 500),
        subscribeAt,
      });
    }
  }

  async #open(mailbox: string): Promise<{ client: DeltaClient; recordings: DeltaQuery<CallRecording> }> {
    const client = await openDelta({
      token: this.#token,
      store: new DurableObjectStore(this.ctx.storage),
      ...(this.env.GRAPH_ENDPOINT && { endpoint: this.env.GRAPH_ENDPOINT }),
      // Short waits: the alarm waits longer, without keeping the object in memory.
      retry: { attempts: 3, maxWait: 10_000 },
    });
    return { client, recordings: client.callRecordings({ organizer: mailbox }) };
  }

  async #bearer(): Promise<string> {
    const scopes = [`${new URL(graphRoot(this.env)).origin}/.default`];
    const token = await this.#token({ reason: "start", scopes, signal: AbortSignal.timeout(30_000) });
    return typeof token === "string" ? token : "token" in token ? token.token : token.accessToken;
  }

  #write(change: Partial<MailboxState>): void {
    // The mailbox was removed meanwhile.
    if (this.#state.mailbox === undefined && change.mailbox === undefined) return;
    this.#state = { ...this.#state, ...change };
    this.ctx.storage.kv.put("state", this.#state);
  }
}

const pause = (env: Env) => Number(env.PAUSE_MS || 2000);

/** Exponential back-off with jitter, in milliseconds. */
function backoff(env: Env, failures: number): number {
  const longest = Math.min(Number(env.BACKOFF_MS || 5000) * 2 ** (failures - 1), LONGEST);
  return Math.ceil(longest / 2 + (Math.random() * longest) / 2);
}
