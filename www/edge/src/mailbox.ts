import { DurableObject } from "cloudflare:workers";
import { type CallRecording, type DeltaClient, DeltaError, type DeltaQuery, openDelta } from "deltalink";
import { DurableObjectStore } from "deltalink/stores/durable-object";
import { alarmTime, DAY, type Env, graphRoot, plausibleTime, registryOf } from "./env";
import type { MailboxObject, MailboxState, MailboxStatus, Notification } from "./objects";
import { send } from "./queue";
import { renewalTime, settingsHash, subscribe, SubscriptionRefused, unsubscribe } from "./subscription";
import { tokenSource } from "./token";

const MINUTE = 60_000;
/**
 * The time after which an alarm stops its round. The next alarm continues the round. Cloudflare
 * ends an alarm after 15 minutes.
 */
const MAX_ROUND = 5 * MINUTE;
/** The time after which a permit expires if the mailbox does not release it. */
const PERMIT_DURATION = MAX_ROUND + 2 * MINUTE;
/**
 * Whether all mailboxes share one throttling limit, so that a 429 for one of them stops all. Set it
 * to false for Outlook (mail, events), where each mailbox has its own limit.
 */
const HAS_SHARED_LIMIT = true;
/** The longest back-off. Jitter shortens it by at most half. */
const MAX_BACKOFF = 30 * MINUTE;

const INITIAL_STATE: MailboxState = {
  requestedRounds: 0,
  fulfilledRounds: 0,
  notBefore: 0,
  failures: 0,
  sent: 0,
  subscribeAt: 0,
  subscribeFailures: 0,
};

/**
 * Mirrors the recordings of one organizer. Rounds run in the alarm, of which Cloudflare runs one at
 * a time. The other methods only store that a round is requested, and set the alarm.
 */
export class Mailbox extends DurableObject<Env> implements MailboxObject {
  #state: MailboxState;
  /**
   * The value of `requestedRounds` at the start of the running round; undefined if no round runs.
   */
  #runningRequest: number | undefined;
  /** Whether this mailbox waits for a permit. The registry wakes it. */
  #waitsForPermit = false;
  #stop = new AbortController();
  #token;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#state = { ...INITIAL_STATE, ...ctx.storage.kv.get<MailboxState>("state") };
    const { notBefore, subscribeAt } = this.#state;
    this.#state.notBefore = plausibleTime(notBefore);
    // Infinity means without notifications. A subscription is renewed after less than three days.
    if (subscribeAt !== Infinity) this.#state.subscribeAt = plausibleTime(subscribeAt, 3 * DAY);
    this.#token = tokenSource(env);
  }

  /**
   * Requests a round. The registry calls this when a round is due and a permit is free. Returns
   * whether the mailbox uses the permit.
   */
  async wake(mailbox: string): Promise<boolean> {
    // If the settings have changed, the subscription is replaced now, or at the time of the next
    // retry.
    const hash = await settingsHash(this.env, mailbox).catch(() => undefined);
    const { subscription, subscribeAt, subscribeFailures } = this.#state;
    const isOutdated = subscription && subscription.settingsHash !== hash && !subscribeFailures;
    const at = !this.env.PUBLIC_URL ? Infinity : subscribeAt === Infinity || isOutdated ? 0 : subscribeAt;
    if (this.#state.mailbox === undefined || at !== subscribeAt) this.#write({ mailbox, subscribeAt: at });
    this.#waitsForPermit = false;
    await this.#requestRound();
    return this.#runningRequest === undefined && this.#isDue();
  }

  /**
   * Handles genuine notifications of Graph. A replayed notification only leads to another round.
   */
  async notify(notifications: Notification[]): Promise<void> {
    const { mailbox, subscription, subscribeAt, subscribeFailures } = this.#state;
    // Graph sends notifications for a while after a mailbox was removed.
    if (mailbox === undefined) return;
    const endsSubscription = notifications.some(
      ({ subscriptionId, lifecycleEvent }) =>
        subscriptionId === subscription?.id &&
        (lifecycleEvent === "subscriptionRemoved" || lifecycleEvent === "reauthorizationRequired"),
    );
    // Renewing the subscription shows whether it still exists. A pending retry keeps its time.
    if (endsSubscription && !subscribeFailures)
      this.#write({ subscribeAt: Math.min(subscribeAt, Date.now()) });
    // Every notification leads to a round, also `missed`, which names no change, and one that
    // arrives before its subscription is stored.
    await this.#requestRound();
  }

  /** Stops a running round and deletes everything that is stored. */
  async remove(): Promise<void> {
    const { mailbox, subscription } = this.#state;
    this.#state = { ...INITIAL_STATE };
    this.#stop.abort(new Error("this mailbox was removed"));
    this.#stop = new AbortController();
    // A mailbox that is added again must not wait for this round.
    this.#runningRequest = undefined;
    this.#waitsForPermit = false;
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    if (mailbox === undefined || !subscription) return;
    try {
      await unsubscribe(this.env, await this.#bearer(), subscription);
    } catch {
      // If Graph keeps the subscription, its notifications are ignored until it expires.
    }
  }

  /** Returns an item of the mirror, for a consumer whose message does not contain it. */
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
    const isDue = state.requestedRounds > state.fulfilledRounds;
    const phase =
      this.#runningRequest !== undefined
        ? "syncing"
        : state.lastError
          ? "failed"
          : isDue
            ? "waiting"
            : state.lastSync
              ? "current"
              : "new";
    return { ...state, phase, nextTry: isDue ? state.notBefore : undefined };
  }

  override async alarm(): Promise<void> {
    const { mailbox } = this.#state;
    if (mailbox === undefined) return;
    const isDue = this.#isDue();
    this.#waitsForPermit = isDue && !(await this.#acquirePermit(mailbox));
    if (!this.#waitsForPermit) {
      // Subscribes before the round, so that a notification reports every change after it. This
      // needs no permit.
      if (Date.now() >= this.#state.subscribeAt) await this.#subscribe(mailbox);
      const retryAt = isDue && this.#isDue() ? await this.#round(mailbox) : undefined;
      // If this call fails, the permit ends when it expires.
      if (isDue)
        await registryOf(this.env)
          .releasePermit(mailbox, HAS_SHARED_LIMIT ? retryAt : undefined)
          .catch(() => {});
    }
    await this.#setAlarm(true);
  }

  #isDue(): boolean {
    const { requestedRounds, fulfilledRounds, notBefore } = this.#state;
    return requestedRounds > fulfilledRounds && Date.now() >= notBefore;
  }

  async #acquirePermit(mailbox: string): Promise<boolean> {
    try {
      return await registryOf(this.env).acquirePermit(mailbox, PERMIT_DURATION);
    } catch {
      // The alarm tries again after a minute.
      return false;
    }
  }

  /** Requests a round, unless one is requested that has not begun. */
  async #requestRound(): Promise<void> {
    const { requestedRounds, fulfilledRounds } = this.#state;
    if (requestedRounds === (this.#runningRequest ?? fulfilledRounds))
      this.#write({ requestedRounds: requestedRounds + 1 });
    if (this.#runningRequest === undefined) await this.#setAlarm();
  }

  /** Sets the alarm for the next due time. With `replaces` also if an earlier alarm is set. */
  async #setAlarm(replaces = false): Promise<void> {
    const { mailbox, requestedRounds, fulfilledRounds, notBefore, subscribeAt } = this.#state;
    // The registry wakes a mailbox that waits for a permit. In case that call is lost, the mailbox
    // asks for a permit again after a minute.
    const at =
      mailbox === undefined
        ? Infinity
        : this.#waitsForPermit
          ? Date.now() + MINUTE
          : Math.min(requestedRounds > fulfilledRounds ? notBefore : Infinity, subscribeAt);
    const set = await this.ctx.storage.getAlarm();
    // alarmTime() is after now: the end of a running alarm deletes an alarm with the same time.
    if (at < (set ?? Infinity) || (replaces && at < Infinity)) await this.ctx.storage.setAlarm(alarmTime(at));
    else if (replaces && set !== null) await this.ctx.storage.deleteAlarm();
  }

  /** Runs a round. Resolves to the end of the throttle if Graph throttled it. */
  async #round(mailbox: string): Promise<number | undefined> {
    const requestNumber = (this.#runningRequest = this.#state.requestedRounds);
    const failures = this.#state.failures + 1;
    const { signal } = this.#stop;
    // Stored as failed in advance: if the object is aborted during the round, the back-off applies.
    this.#write({ startedAt: Date.now(), failures, notBefore: Date.now() + backoff(this.env, failures) });
    await this.#setAlarm();
    let client: DeltaClient | undefined;
    try {
      const opened = await this.#open(mailbox);
      client = opened.client;
      const round = opened.recordings.round({ ack: "manual", maxMs: MAX_ROUND, signal });
      for await (const page of round) {
        await send(this.env.CHANGES, mailbox, page.changes);
        // Only now that the queue has accepted the changes: until then, a failure must lead to the
        // same page again.
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
        ...(complete
          ? { fulfilledRounds: requestNumber, lastSync: now, notBefore: now + pause(this.env) }
          : { notBefore: now }),
      });
    } catch (error) {
      if (signal.aborted) return undefined;
      const deltaError = error instanceof DeltaError ? error : undefined;
      const lastError = {
        code: deltaError?.code ?? "queue",
        message: String((error as Error)?.message ?? error).slice(0, 500),
        requestId: deltaError?.requestId,
        at: Date.now(),
      };
      // An administrator has to resolve an error that is not retryable.
      const wait =
        deltaError && !deltaError.retryable ? MAX_BACKOFF : backoff(this.env, this.#state.failures);
      this.#write({
        lastError,
        startedAt: undefined,
        notBefore: Math.max(Date.now() + wait, deltaError?.retryAt?.getTime() ?? 0),
      });
      if (deltaError?.code === "throttled") return deltaError.retryAt?.getTime();
    } finally {
      this.#runningRequest = undefined;
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
        // The mailbox was removed meanwhile, and its state does not have this subscription.
        await unsubscribe(this.env, token, subscription);
        return;
      }
      this.#write({
        subscription,
        subscribeAt: Math.max(renewalTime(subscription), Date.now() + MINUTE),
        subscribeFailures: 0,
        subscribeError: undefined,
      });
    } catch (error) {
      // The mailbox was removed. If there is a state, the mailbox was added again.
      if (signal.aborted) return;
      const subscribeFailures = this.#state.subscribeFailures + 1;
      // The earliest time for a retry, from Graph or from the token endpoint.
      const retryAt =
        error instanceof SubscriptionRefused
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
      // Short waits only: for longer ones there is the alarm, which does not keep the object in
      // memory.
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
  const longest = Math.min(Number(env.BACKOFF_MS || 5000) * 2 ** (failures - 1), MAX_BACKOFF);
  return Math.ceil(longest / 2 + (Math.random() * longest) / 2);
}
