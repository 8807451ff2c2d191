import { DurableObject } from "cloudflare:workers";
import { type DeltaClient, DeltaError, type DeltaQuery, openDelta } from "deltalink";
import { clientCredentials } from "deltalink/auth";
import { clientStateFor, subscriptionLimits, subscriptions } from "deltalink/notifications";
import { DurableObjectStore } from "deltalink/stores/durable-object";
import { alarmTime, budgetOf, type Env, type MailboxObject, resourceOf, settingsOf } from "./env";
import type { MailboxState, MailboxStatus } from "./env";
import { alarmAt, backOff, begin, DAY, end, fail, INITIAL, isDue, MAX_ROUND } from "./plan";
import { maySubscribe, progress, request } from "./plan";
import { send } from "./queue";

const INITIAL_STATE: MailboxState = { ...INITIAL, sent: 0, subscribeAt: 0, subscribeFailures: 0 };

/** The tokens of all mailboxes in this isolate. */
const cache = new Map();

/**
 * Mirrors one mailbox. Rounds run in the alarm, of which Cloudflare runs one at a time. The other
 * methods only store that a round is requested, and set the alarm.
 */
export class Mailbox extends DurableObject<Env> implements MailboxObject {
  #state: MailboxState;
  /** The value of `requestedRounds` at the start of the running round. */
  #running: number | undefined;
  #permit: "held" | "waiting" | undefined;
  #stop = new AbortController();
  #settings;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#settings = settingsOf(env);
    this.#state = { ...INITIAL_STATE, ...ctx.storage.kv.get<MailboxState>("state") };
    // Another version of this Worker may have stored an implausible time.
    const plausible = (at: number, longest: number) => (at - Date.now() <= longest ? at : 0);
    this.#state.notBefore = plausible(this.#state.notBefore, DAY);
    this.#state.subscribeAt = plausible(this.#state.subscribeAt, 30 * DAY);
  }

  /** Requests a round. The registry calls this when one is due. */
  async wake(mailbox: string): Promise<void> {
    if (this.#state.mailbox === undefined) this.#write({ mailbox });
    await this.#request();
  }

  /** Takes the permit for which this mailbox has waited. Returns whether it needs it. */
  async usePermit(): Promise<boolean> {
    if (this.#running !== undefined || !isDue(this.#state, Date.now())) return false;
    this.#permit = "held";
    await this.#setAlarm();
    return true;
  }

  /**
   * Handles genuine notifications of Graph. Every one leads to a round, also one that arrives
   * before its subscription is stored. A replayed one only leads to another round.
   */
  async notify(renew: string[]): Promise<void> {
    const { mailbox, subscription, subscribeAt, subscribeFailures } = this.#state;
    // Graph sends notifications for a while after a mailbox was removed.
    if (mailbox === undefined) return;
    // A pending retry keeps its time.
    if (subscription && renew.includes(subscription.id) && !subscribeFailures)
      this.#write({ subscribeAt: Math.min(subscribeAt, Date.now()) });
    await this.#request();
  }

  /** Stops a running round and deletes everything that is stored. */
  async remove(): Promise<void> {
    const { mailbox, subscription } = this.#state;
    this.#state = { ...INITIAL_STATE };
    this.#stop.abort(new Error("this mailbox was removed"));
    this.#stop = new AbortController();
    const isHeld = this.#permit === "held";
    // A mailbox that is added again must not wait for this round.
    this.#running = this.#permit = undefined;
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    if (mailbox === undefined) return;
    if (isHeld) await this.#releasePermit(mailbox);
    // If Graph keeps the subscription, its notifications are ignored until it expires.
    if (subscription)
      await this.#push(mailbox)
        .then((push) => push?.delete(subscription))
        .catch(() => {});
  }

  /** Returns an item of the mirror, for a consumer whose message does not contain it. */
  async item(id: string): Promise<object | undefined> {
    const { mailbox } = this.#state;
    return mailbox === undefined ? undefined : this.#open(mailbox, (query) => query.get(id));
  }

  status(): MailboxStatus {
    const { requestedRounds, fulfilledRounds, lastError, lastSync, notBefore } = this.#state;
    const isRequested = requestedRounds > fulfilledRounds;
    const idle = isRequested ? "waiting" : lastSync ? "current" : "new";
    const phase = this.#running !== undefined ? "syncing" : lastError ? "failed" : idle;
    return { ...this.#state, phase, nextTry: isRequested ? notBefore : undefined };
  }

  override async alarm(): Promise<void> {
    const { mailbox } = this.#state;
    if (mailbox === undefined) return;
    // If the mailbox is removed, and maybe added again, another alarm begins from the start.
    const { signal } = this.#stop;
    const isHeld = isDue(this.#state, Date.now()) && (await this.#acquirePermit(mailbox));
    // Subscribes before the round, so that a notification reports every change after it.
    if (!signal.aborted && maySubscribe(this.#state, this.#permit === "waiting", Date.now()))
      await this.#subscribe(mailbox);
    const runs = isHeld && !signal.aborted && isDue(this.#state, Date.now());
    const retryAt = runs ? await this.#round(mailbox) : undefined;
    if (isHeld) await this.#releasePermit(mailbox, resourceOf(this.env).sharesLimit ? retryAt : undefined);
    await this.#setAlarm(true);
  }

  async #acquirePermit(mailbox: string): Promise<boolean> {
    // Without an answer, the alarm asks again.
    let isHeld =
      this.#permit === "held" ||
      (await budgetOf(this.env)
        .acquire(mailbox)
        .catch(() => false));
    // The budget may have granted it while its answer was on the way.
    isHeld ||= (this.#permit as string | undefined) === "held";
    this.#permit = isHeld ? undefined : "waiting";
    return isHeld;
  }

  async #releasePermit(mailbox: string, retryAt?: number): Promise<void> {
    // If this call fails, the permit ends when it expires.
    await budgetOf(this.env)
      .release(mailbox, retryAt)
      .catch(() => {});
  }

  async #request(): Promise<void> {
    const requested = request(this.#state, this.#running);
    if (requested !== this.#state) this.#write(requested);
    if (this.#running === undefined) await this.#setAlarm();
  }

  /** Sets the alarm for the next due time. With `replaces` also if an earlier one is pending. */
  async #setAlarm(replaces = false): Promise<void> {
    const { mailbox } = this.#state;
    const isPolled = mailbox === undefined || this.#notificationResource(mailbox) === undefined;
    const subscription = isPolled ? { subscribeAt: Infinity, subscribeFailures: 0 } : this.#state;
    const at = alarmAt(this.#state, subscription, this.#permit === "waiting", Date.now());
    const pending = await this.ctx.storage.getAlarm();
    if (at < (pending ?? Infinity) || (replaces && at < Infinity))
      await this.ctx.storage.setAlarm(alarmTime(at));
    else if (replaces && pending !== null) await this.ctx.storage.deleteAlarm();
  }

  /** Runs a round. Resolves to the end of the throttle if Graph throttled it. */
  async #round(mailbox: string): Promise<number | undefined> {
    const running = (this.#running = this.#state.requestedRounds);
    const { signal } = this.#stop;
    this.#write({ ...begin(this.#state, Date.now(), Math.random(), this.#settings), startedAt: Date.now() });
    await this.#setAlarm();
    try {
      await this.#open(mailbox, async (query) => {
        const round = query.round({ ack: "manual", maxMs: MAX_ROUND, signal });
        for await (const page of round) {
          await send(this.env.CHANGES, mailbox, page.changes);
          // Acknowledges only after the queue has accepted the changes: a failure before must lead
          // to the same page again.
          await page.ack();
          const sent = this.#state.sent + page.changes.length;
          this.#write({ ...progress(this.#state, Date.now(), Math.random(), this.#settings), sent });
        }
        const complete = round.report.outcome === "complete";
        const items = await query.count();
        const ended = end(this.#state, { running, complete }, Date.now(), this.#settings);
        const lastSync = complete ? { lastSync: Date.now() } : {};
        this.#write({ ...ended, ...lastSync, items, lastError: undefined, startedAt: undefined });
      });
    } catch (error) {
      if (signal.aborted) return undefined;
      const known: Partial<DeltaError> = error instanceof DeltaError ? error : {};
      const { code = "queue", requestId, retryAt } = known;
      const lastError = { code, message: messageOf(error), requestId, at: Date.now() };
      const failed = fail(this.#state, error, Date.now(), Math.random(), this.#settings);
      this.#write({ ...failed, lastError, startedAt: undefined });
      if (code === "throttled") return retryAt?.getTime();
    } finally {
      this.#running = undefined;
    }
    return undefined;
  }

  /** Creates, renews or replaces the subscription if that is due. */
  async #subscribe(mailbox: string): Promise<void> {
    const { subscription, subscribeAt, subscribeFailures } = this.#state;
    const { signal } = this.#stop;
    try {
      const push = await this.#push(mailbox);
      if (!push) return;
      const made = await push.ensure(subscription, { renew: Date.now() >= subscribeAt, signal });
      // If the mailbox was removed meanwhile, its state does not have this subscription.
      if (signal.aborted) await push.delete(made);
      else if (made !== subscription)
        this.#write({
          subscription: made,
          subscribeAt: made.renewAt,
          subscribeFailures: 0,
          subscribeError: undefined,
        });
    } catch (error) {
      if (signal.aborted) return;
      // Without a subscription the cron trigger still leads to rounds.
      const failures = subscribeFailures + 1;
      const { at } = backOff(error, failures, Date.now(), Math.random(), this.#settings);
      this.#write({ subscribeFailures: failures, subscribeError: messageOf(error), subscribeAt: at });
    }
  }

  /** The subscriptions of this mailbox. Undefined if the mailbox is polled only. */
  async #push(mailbox: string) {
    const resource = this.#notificationResource(mailbox);
    if (resource === undefined) return undefined;
    const clientState = await clientStateFor(this.env.NOTIFICATION_SECRET, mailbox);
    const root = this.env.PUBLIC_URL?.replace(/\/$/, "");
    const notificationUrl = `${root}/notifications/${encodeURIComponent(mailbox)}`;
    return subscriptions({ ...this.#graph(mailbox), resource, clientState, notificationUrl });
  }

  #notificationResource(mailbox: string): string | undefined {
    const resource = this.env.PUBLIC_URL ? resourceOf(this.env).notificationResource(mailbox) : undefined;
    return resource && subscriptionLimits(resource) ? resource : undefined;
  }

  #graph(mailbox: string) {
    const { CLIENT: clientId, CLIENT_SECRET: secret, AUTHORITY, GRAPH_ENDPOINT } = this.env;
    const tenant = resourceOf(this.env).isTenant ? mailbox : this.env.TENANT;
    const authority = AUTHORITY ? { authority: AUTHORITY } : {};
    const token = clientCredentials({ tenant, clientId, secret, cache, ...authority });
    return { token, ...(GRAPH_ENDPOINT && { endpoint: GRAPH_ENDPOINT }) };
  }

  async #open<T>(mailbox: string, use: (query: DeltaQuery<{ id: string }>) => Promise<T>): Promise<T> {
    const client: DeltaClient = await openDelta({
      ...this.#graph(mailbox),
      store: new DurableObjectStore(this.ctx.storage),
      // Short waits only: for longer ones there is the alarm, which does not keep the object in
      // memory.
      retry: { attempts: 3, maxWait: 10_000 },
      log: (entry) => entry.event === "round" && console.log({ mailbox, ...entry }),
    });
    try {
      return await use(resourceOf(this.env).open(client, mailbox));
    } finally {
      await client.close();
    }
  }

  #write(change: Partial<MailboxState>): void {
    // Stores nothing if the mailbox was removed meanwhile.
    if (this.#state.mailbox === undefined && change.mailbox === undefined) return;
    this.#state = { ...this.#state, ...change };
    this.ctx.storage.kv.put("state", this.#state);
  }
}

const messageOf = (error: unknown) => String((error as Error)?.message ?? error).slice(0, 500);
