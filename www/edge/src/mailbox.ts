import { DurableObject } from "cloudflare:workers";
import { type CallRecording, type DeltaClient, DeltaError, type DeltaQuery, openDelta } from "deltalink";
import { DurableObjectStore } from "deltalink/stores/durable-object";
import { type Env, graphRoot, registryOf } from "./env";
import type { MailboxObject, MailboxState, MailboxStatus, Notification } from "./objects";
import { send } from "./queue";
import { keyOf, Refused, renewal, subscribe, unsubscribe } from "./subscription";
import { tokensOf } from "./token";

const MINUTE = 60_000;
/**
 * A round that takes longer goes on in the next alarm, at the same page: an alarm may run for 15
 * minutes.
 */
const ROUND = 5 * MINUTE;
/** A turn that is not given back ends by itself: after a round and what is around it. */
const TURN = ROUND + 2 * MINUTE;
/**
 * Whether Graph's limit for this resource is the app's, so that one mailbox's 429 slows all.
 * Outlook's (mail, events) are each mailbox's: false.
 */
const SHARED = true;
/** The longest wait after failures; half of it at least is waited for. */
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
 * The recordings of one organizer. All its work is done by its alarm, of which one runs at a time:
 * so does a round. Everything else only writes down what is wanted and sets the alarm.
 */
export class Mailbox extends DurableObject<Env> implements MailboxObject {
  #state: MailboxState;
  /** The wish that the round that runs will have met. */
  #aim: number | undefined;
  /** It waits for its turn: the registry wakes it. */
  #queued = false;
  #stop = new AbortController();
  #token;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#state = { ...FRESH, ...ctx.storage.kv.get<MailboxState>("state") };
    this.#token = tokensOf(env);
  }

  /**
   * From the registry: this mailbox is to be watched, a round is due, and it is its turn. Whether
   * it takes it.
   */
  async watch(mailbox: string): Promise<boolean> {
    // The settings may have changed since. A try that has failed waits for its time all the same,
    // and then takes the new ones.
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
   * From Graph, and genuine. Sent twice, or by someone who has listened, they only lead to another
   * round.
   */
  async notify(notifications: Notification[]): Promise<void> {
    const { mailbox, subscription, subscribeAt, subscribeFailures } = this.#state;
    // Graph knows a mailbox for a while after it was removed.
    if (mailbox === undefined) return;
    const ends = notifications.some(
      ({ subscriptionId, lifecycleEvent }) =>
        subscriptionId === subscription?.id &&
        (lifecycleEvent === "subscriptionRemoved" || lifecycleEvent === "reauthorizationRequired"),
    );
    // Asking Graph to renew it tells whether it is still there. A try that has failed comes again
    // at its own time.
    if (ends && !subscribeFailures) this.#write({ subscribeAt: Math.min(subscribeAt, Date.now()) });
    // `missed` names no change, and an object may have been created before its subscription was
    // noted down here.
    await this.#want();
  }

  /** Ends what runs and leaves nothing behind. */
  async remove(): Promise<void> {
    const { mailbox, subscription } = this.#state;
    this.#state = { ...FRESH };
    this.#stop.abort(new Error("this mailbox was removed"));
    this.#stop = new AbortController();
    // What this round was to meet is no wish of a mailbox that is added again.
    this.#aim = undefined;
    this.#queued = false;
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    if (mailbox === undefined || !subscription) return;
    try {
      await unsubscribe(this.env, await this.#bearer(), subscription);
    } catch {
      // If Graph keeps it, its notifications find nobody, and it ends by itself.
    }
  }

  /** An item as the mirror has it: for what was too large for a message. */
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
      // First, so that what changes after the round is told by a notification. By itself it waits
      // for no turn.
      if (Date.now() >= this.#state.subscribeAt) await this.#subscribe(mailbox);
      const retryAt = due && this.#due() ? await this.#round(mailbox) : undefined;
      // Else the turn ends by itself.
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
      // It asks again after a while.
      return false;
    }
  }

  /** A round is wanted from here on. A thousand wishes while one waits are written down once. */
  async #want(): Promise<void> {
    const { wanted, met } = this.#state;
    if (wanted === (this.#aim ?? met)) this.#write({ wanted: wanted + 1 });
    if (this.#aim === undefined) await this.#plan();
  }

  /** Sets the alarm for what is due next; `exactly` puts off an earlier one too. */
  async #plan(exactly = false): Promise<void> {
    const { mailbox, wanted, met, notBefore, subscribeAt } = this.#state;
    // Who waits for his turn is woken; should that be lost, he asks again.
    const at =
      mailbox === undefined
        ? Infinity
        : this.#queued
          ? Date.now() + MINUTE
          : Math.min(wanted > met ? notBefore : Infinity, subscribeAt);
    const set = await this.ctx.storage.getAlarm();
    // Never the time of the alarm that runs: its end would take the new one along.
    if (at < (set ?? Infinity) || (exactly && at < Infinity))
      await this.ctx.storage.setAlarm(Math.max(at, Date.now() + 1));
    else if (exactly && set !== null) await this.ctx.storage.deleteAlarm();
  }

  /** When Graph has throttled it: not before. */
  async #round(mailbox: string): Promise<number | undefined> {
    const aim = (this.#aim = this.#state.wanted);
    const failures = this.#state.failures + 1;
    const { signal } = this.#stop;
    // Written down as failed beforehand: if this object is cut off, nobody else will do it.
    this.#write({ startedAt: Date.now(), failures, notBefore: Date.now() + backoff(this.env, failures) });
    await this.#plan();
    let client: DeltaClient | undefined;
    try {
      const opened = await this.#open(mailbox);
      client = opened.client;
      const round = opened.recordings.round({ ack: "manual", maxMs: ROUND, signal });
      for await (const page of round) {
        await send(this.env.CHANGES, mailbox, page.changes);
        // Not before the queue has taken them: what is not acknowledged is delivered again.
        await page.ack();
        // It has got further: the next failure is the first again.
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
      // What is not retryable needs a person, who may take a while.
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
    try {
      const subscription = await subscribe(this.env, await this.#bearer(), mailbox, this.#state.subscription);
      this.#write({
        subscription,
        subscribeAt: Math.max(renewal(subscription), Date.now() + MINUTE),
        subscribeFailures: 0,
        subscribeError: undefined,
      });
    } catch (error) {
      const subscribeFailures = this.#state.subscribeFailures + 1;
      // A floor, whether it is Graph's or that of whom tokens come from.
      const retryAt =
        error instanceof Refused
          ? error.retryAt
          : (error instanceof DeltaError && error.retryAt?.getTime()) || 0;
      const subscribeAt = Math.max(Date.now() + backoff(this.env, subscribeFailures), retryAt);
      // Without it the cron trigger still leads to rounds.
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
      // An alarm waits without an object in memory.
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
    // Removed meanwhile.
    if (this.#state.mailbox === undefined && change.mailbox === undefined) return;
    this.#state = { ...this.#state, ...change };
    this.ctx.storage.kv.put("state", this.#state);
  }
}

const pause = (env: Env) => Number(env.PAUSE_MS || 2000);

/** Twice as long each time, and no two alike. */
function backoff(env: Env, failures: number): number {
  const longest = Math.min(Number(env.BACKOFF_MS || 5000) * 2 ** (failures - 1), LONGEST);
  return Math.ceil(longest / 2 + (Math.random() * longest) / 2);
}
