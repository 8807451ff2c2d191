// @ts-check
// The Durable Object that mirrors a mailbox. See durable-objects.d.ts.
import { DurableObject } from "cloudflare:workers";
import { badRequest, DeltaError, report, typeOf } from "./error.js";
import { openDelta } from "./workerd.js";
import { clientStateFor, subscriptionLimits, subscriptions } from "./notifications.js";
import { checkSettings, readFunction, readName, readNamespace, readNumber } from "./option-checks.js";
import { DAY, redact } from "./refusal.js";
import * as plan from "./round-plan.js";
import { DurableObjectStore } from "./stores/durable-object.js";
import { rootOf } from "./urls.js";

/**
 * @typedef {import("./mailbox-list.js").MailboxState & {
 *   removing?: import("./durable-objects.js").RemovedSubscriptions;
 * }} State
 */

const OWNER = "MailboxObject";
const OPTIONS =
  "token query deliver subscription secret sharesLimit budget pause backOff cloud endpoint fetch log".split(
    " ",
  );
/** The change of the state when the budget answers after a failure: the back-off has ended. */
const BUDGET_ANSWERS = { lastError: undefined, notBefore: 0 };
const NOT_SUBSCRIBED = { subscribeAt: 0, subscribeFailures: 0, subscribeError: undefined };
/** @type {State} */
const INITIAL_STATE = { ...plan.NO_ROUNDS, sent: 0, ...NOT_SUBSCRIBED };

/** The code of an error that is not a DeltaError, by what has thrown it. */
const CODES = { open: "bad-request", round: "internal", deliver: "deliver" };

/** Options that `subscriptions()` requires and its `delete()` does not use. */
const UNUSED = {
  resource: "users",
  notificationUrl: "https://unused.invalid",
  clientState: "unused by delete",
};

/**
 * Rounds run in the alarm, of which Cloudflare runs one at a time. The other methods only store
 * that a round is requested, and set the alarm.
 */
export class MailboxObject extends DurableObject {
  /** @type {State} */
  #state;
  /**
   * @type {number | undefined} The value of `requestedRounds` at the start of the running round.
   */
  #running;
  /** @type {"held" | "waiting" | undefined} */
  #permit;
  #stop = new AbortController();
  /** @type {import("./durable-objects.js").MailboxOptions} */
  #options;

  constructor(ctx, env, options) {
    super(ctx, env);
    for (const name of ["token", "query", "deliver"]) readFunction(options, name, OWNER);
    for (const name of ["subscription", "log", "fetch"]) readFunction(options, name, OWNER, true);
    readNamespace(options, "budget", OWNER, true);
    checkSettings(options, OPTIONS, OWNER);
    const { cloud, endpoint, secret, subscription, sharesLimit, budget } = options;
    rootOf({ cloud: cloud || undefined, endpoint: endpoint || undefined }, OWNER);
    if (subscription && !(typeof secret === "string" && secret.length >= 32))
      throw badRequest(
        `options.secret of ${OWNER} must be a string of at least 32 random characters, because there is options.subscription, got ${secret && typeof secret === "string" ? "a shorter string" : typeOf(secret)}`,
      );
    if (sharesLimit && !budget)
      throw badRequest(
        `options.sharesLimit of ${OWNER} needs options.budget, which stops the other mailboxes`,
      );
    const pause = readNumber(options, "pause", OWNER, 2000);
    const backOff = readNumber(options, "backOff", OWNER, 5000, 1);
    this.#options = { ...options, pause, backOff };
    this.#state = { ...INITIAL_STATE, ...ctx.storage.kv.get("state") };
    // Another version of the Worker may have stored an implausible time.
    const plausible = (at, longest) => (typeof at === "number" && at - Date.now() <= longest ? at : 0);
    this.#state.notBefore = plausible(this.#state.notBefore, DAY);
    this.#state.subscribeAt = plausible(this.#state.subscribeAt, 30 * DAY);
  }

  async wake(mailbox) {
    readName(mailbox, "wake()");
    const { name } = this.ctx.id;
    // An object that is called by its id has no name.
    if (name !== undefined && name !== mailbox)
      throw badRequest(
        "the mailbox of wake() must be the name of its object: call getByName(mailbox).wake(mailbox)",
      );
    if (this.#state.mailbox === undefined) this.#write({ mailbox });
    await this.#request();
  }

  async usePermit() {
    if (this.#running !== undefined) return false;
    const { requestedRounds, fulfilledRounds } = this.#state;
    // The back-off began when the budget did not answer. Its call shows that it answers again.
    if (this.#isBudgetDown() && requestedRounds > fulfilledRounds) this.#write(BUDGET_ANSWERS);
    if (!plan.isRoundDue(this.#state)) return false;
    this.#permit = "held";
    await this.#setAlarm();
    return true;
  }

  async notify(renew = []) {
    const { mailbox, subscription, subscribeAt, subscribeFailures } = this.#state;
    // Graph sends notifications for a while after a mailbox was removed.
    if (mailbox === undefined) return;
    // A pending retry keeps its time.
    if (subscription && renew.includes(subscription.id) && !subscribeFailures)
      this.#write({ subscribeAt: Math.min(subscribeAt, Date.now()) });
    // Also for a notification that arrives before its subscription is stored.
    await this.#request();
  }

  async remove() {
    const { mailbox, subscription } = this.#state;
    const removing = this.#removingWith(mailbox, subscription);
    this.#state = { ...INITIAL_STATE, ...(removing && { removing }) };
    this.#stop.abort(new Error("this mailbox was removed"));
    this.#stop = new AbortController();
    const isHeld = this.#holdsPermit();
    // A mailbox that is added again must not wait for this round.
    this.#running = this.#permit = undefined;
    await this.ctx.storage.deleteAlarm();
    const deleted = this.ctx.storage.deleteAll();
    // Stored in the same commit, because nothing is awaited before it: the subscription must be
    // known until Graph has deleted it.
    if (removing) this.#store();
    await deleted;
    await this.#setAlarm();
    if (isHeld) await this.#releasePermit(mailbox);
  }

  async item(id) {
    const { mailbox } = this.#state;
    return mailbox === undefined ? undefined : this.#open(mailbox, (query) => query.get?.(id));
  }

  status() {
    const { requestedRounds, fulfilledRounds, lastError, lastSync, notBefore } = this.#state;
    const isRequested = requestedRounds > fulfilledRounds;
    const idle = isRequested ? "waiting" : lastSync ? "current" : "new";
    const phase = this.#running !== undefined ? "syncing" : lastError ? "failed" : idle;
    return { ...this.#state, phase, nextTry: isRequested ? notBefore : undefined };
  }

  async alarm() {
    await this.#deleteSubscriptions();
    const { mailbox } = this.#state;
    if (mailbox === undefined) return this.#setAlarm(true);
    // If the mailbox is removed, and maybe added again, another alarm begins from the start.
    const { signal } = this.#stop;
    const isHeld = plan.isRoundDue(this.#state) && (await this.#acquirePermit(mailbox));
    const waitsForPermit = this.#waitsForPermit();
    // Subscribes before the round, so that a notification reports every change after it.
    if (!signal.aborted && plan.maySubscribe(this.#state, { waitsForPermit })) await this.#subscribe(mailbox);
    const runs = isHeld && !signal.aborted && plan.isRoundDue(this.#state);
    const retryAt = runs ? await this.#round(mailbox) : undefined;
    if (isHeld) await this.#releasePermit(mailbox, this.#options.sharesLimit ? retryAt : undefined);
    await this.#setAlarm(true);
  }

  async #acquirePermit(mailbox) {
    const { budget, backOff } = this.#options;
    if (!budget) return true;
    const { signal } = this.#stop;
    let isAcquired = this.#holdsPermit();
    try {
      if (!isAcquired) isAcquired = await budgetOf(budget).acquire(mailbox);
      if (this.#isBudgetDown()) this.#write(BUDGET_ANSWERS);
    } catch (error) {
      // Meanwhile the mailbox may have been removed, or the budget may have granted the permit.
      if (!signal.aborted && !this.#holdsPermit()) {
        const failures = this.#state.failures + 1;
        const notBefore = plan.backOffTime(error, failures, { backOff });
        const lastError = { code: "budget", message: messageOf(error), at: Date.now() };
        this.#write({ failures, notBefore, lastError });
        this.#logFailure("budget", mailbox, error, notBefore);
      }
    }
    // The budget may have called usePermit() while its answer to acquire() was on the way.
    const isHeld = isAcquired || this.#holdsPermit();
    this.#permit = isHeld ? undefined : "waiting";
    return isHeld;
  }

  #isBudgetDown() {
    return this.#state.lastError?.code === "budget";
  }

  #waitsForPermit() {
    return this.#permit === "waiting" || this.#isBudgetDown();
  }

  #holdsPermit() {
    return this.#permit === "held";
  }

  async #releasePermit(mailbox, retryAt) {
    const { budget } = this.#options;
    // If this call fails, the permit ends when it expires.
    if (budget)
      await budgetOf(budget)
        .release(mailbox, retryAt)
        .catch(() => {});
  }

  async #request() {
    const requested = plan.requestRound(this.#state, this.#running);
    if (requested !== this.#state) this.#write(requested);
    if (this.#running === undefined) await this.#setAlarm();
  }

  /** Sets the alarm for the next due time. With `replaces` also if an earlier one is pending. */
  async #setAlarm(replaces = false) {
    const { mailbox } = this.#state;
    const isPolled = mailbox === undefined || this.#isPolled(mailbox);
    const subscription = isPolled ? { subscribeAt: Infinity, subscribeFailures: 0 } : this.#state;
    const dueAt = plan.alarmDueAt(this.#state, subscription, { waitsForPermit: this.#waitsForPermit() });
    const askAt = this.#isBudgetDown() ? plan.roundDueAt(this.#state) : Infinity;
    const at = Math.min(dueAt, askAt, this.#state.removing?.at ?? Infinity);
    const pending = await this.ctx.storage.getAlarm();
    if (at < (pending ?? Infinity) || (replaces && at < Infinity))
      await this.ctx.storage.setAlarm(plan.alarmTime(at));
    else if (replaces && pending !== null) await this.ctx.storage.deleteAlarm();
  }

  /**
   * Whether the mailbox is polled only, or the function `options.subscription` fails, which
   * `#subscribe()` reports before the next round.
   */
  #isPolled(mailbox) {
    try {
      return !this.#subscriptionOptions(mailbox);
    } catch {
      return true;
    }
  }

  /** Runs a round. Resolves to the end of the throttle if Graph throttled it. */
  async #round(mailbox) {
    const { pause, backOff, deliver } = this.#options;
    const running = (this.#running = this.#state.requestedRounds);
    const { signal } = this.#stop;
    /** What fails, if the round does: a key of `CODES`. */
    let step = /** @type {string} */ ("open");
    /** Ends the calls of `deliver()`. */
    const stop = new AbortController();
    const abort = () => stop.abort(signal.reason);
    signal.addEventListener("abort", abort);
    const late = new Error("the time for the round, five minutes, is over");
    const timer = setTimeout(() => stop.abort(late), plan.MAX_ROUND);
    this.#write({ ...plan.beginRound(this.#state, { backOff }), startedAt: Date.now() });
    try {
      await this.#setAlarm();
      await this.#open(mailbox, async (query) => {
        const round = query.round({ ack: "manual", maxMs: plan.MAX_ROUND, signal });
        step = "round";
        for await (const page of round) {
          step = "deliver";
          await deliver(mailbox, page.changes, { signal: stop.signal });
          step = "round";
          // Acknowledges only after the changes were accepted: a failure before must lead to the
          // same page again.
          await page.ack();
          const sent = this.#state.sent + page.changes.length;
          this.#write({ ...plan.continueRound(this.#state, { backOff }), sent });
        }
        const complete = round.report.outcome === "complete";
        // A feed has no mirror.
        const items = await query.count?.();
        const ended = plan.endRound(this.#state, { running, complete, pause });
        const lastSync = complete ? { lastSync: Date.now() } : {};
        this.#write({ ...ended, ...lastSync, items, lastError: undefined, startedAt: undefined });
      });
    } catch (error) {
      if (signal.aborted) return undefined;
      const known = /** @type {any} */ (error instanceof DeltaError ? error : {});
      const { code = CODES[step], requestId, retryAt } = known;
      const lastError = { code, message: messageOf(error), requestId, at: Date.now() };
      const failed = plan.failRound(this.#state, error, { backOff });
      this.#write({ ...failed, lastError, startedAt: undefined });
      // The client logs the errors of its rounds.
      if (step !== "round") this.#logFailure(step, mailbox, error, failed.notBefore);
      // A `throttled` error of `deliver()` is not a throttle of Graph.
      if (code === "throttled" && step === "round") return retryAt?.getTime();
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      this.#running = undefined;
    }
    return undefined;
  }

  /** Creates, renews or replaces the subscription if that is due. */
  async #subscribe(mailbox) {
    const { subscription, subscribeAt, subscribeFailures } = this.#state;
    const { signal } = this.#stop;
    try {
      const push = await this.#push(mailbox);
      if (!push) {
        // This mailbox is now only polled.
        const removing = this.#removingWith(mailbox, subscription);
        if (subscription || subscribeFailures)
          this.#write({ subscription: undefined, ...NOT_SUBSCRIBED, removing });
        return;
      }
      const made = await push.ensure(subscription, { renew: Date.now() >= subscribeAt, signal });
      // If the mailbox was removed meanwhile, its state does not have this subscription.
      if (signal.aborted) {
        this.#state = { ...this.#state, removing: this.#removingWith(mailbox, made) };
        this.#store();
      } else if (made !== subscription)
        this.#write({
          subscription: made,
          subscribeAt: made.renewAt,
          subscribeFailures: 0,
          subscribeError: undefined,
        });
    } catch (error) {
      if (signal.aborted) return;
      // Without a subscription, each call of `wake()` still leads to a round.
      const failures = subscribeFailures + 1;
      const at = plan.backOffTime(error, failures, { backOff: this.#options.backOff });
      this.#write({ subscribeFailures: failures, subscribeError: messageOf(error), subscribeAt: at });
      this.#logFailure("subscription", mailbox, error, at);
    }
  }

  /** Returns the next value of `removing` in the state: with this subscription, if there is one. */
  #removingWith(mailbox, subscription) {
    const { removing } = this.#state;
    if (!subscription) return removing && { ...removing, at: Date.now() };
    const all = [...(removing?.subscriptions ?? []), subscription];
    return { mailbox, subscriptions: all, failures: 0, at: Date.now() };
  }

  /**
   * Deletes the subscriptions in `removing` at Graph. Then deletes all data if the mailbox was
   * removed.
   */
  async #deleteSubscriptions() {
    const { removing } = this.#state;
    if (!removing || Date.now() < removing.at) return;
    const { mailbox } = removing;
    const ended = [];
    let failure = {};
    for (const subscription of removing.subscriptions) {
      try {
        if (Date.now() < subscription.expiresAt)
          await subscriptions({ ...this.#requestOptions(mailbox), ...UNUSED }).delete(subscription);
        ended.push(subscription);
      } catch (error) {
        const failures = removing.failures + 1;
        const at = plan.backOffTime(error, failures, { backOff: this.#options.backOff });
        failure = { failures, at };
        this.#logFailure("subscription", mailbox, error, at);
      }
    }
    // remove() may have added another one meanwhile.
    const current = this.#state.removing ?? removing;
    const remaining = current.subscriptions.filter((one) => !ended.includes(one));
    const rest = { ...this.#state };
    delete rest.removing;
    this.#state = remaining.length
      ? { ...rest, removing: { ...current, ...failure, subscriptions: remaining } }
      : rest;
    if (remaining.length || rest.mailbox !== undefined) return this.#store();
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  #logFailure(event, mailbox, error, retryAt) {
    const { code, requestId } = /** @type {any} */ (error instanceof DeltaError ? error : {});
    // As the client does: an error of `log` must not end the alarm.
    const log = async (entry) => this.#options.log?.(entry);
    log({
      mailbox,
      time: new Date(),
      level: "warn",
      event,
      message: messageOf(error),
      retryAt: new Date(retryAt),
      ...(code && { code }),
      ...(requestId && { requestId }),
    }).catch(report);
  }

  /** The `Subscriptions` object of this mailbox. Undefined if the mailbox is polled only. */
  async #push(mailbox) {
    const subscription = this.#subscriptionOptions(mailbox);
    if (!subscription) return undefined;
    const clientState = await clientStateFor(this.#options.secret, mailbox);
    return subscriptions({ ...this.#requestOptions(mailbox), ...subscription, clientState });
  }

  /** The options of the subscription. Undefined if the mailbox is polled only. */
  #subscriptionOptions(mailbox) {
    const subscription = this.#options.subscription?.(mailbox);
    if (!subscription) return undefined;
    const { resource, lifetime, changeType } = subscription;
    if (typeof resource !== "string")
      throw badRequest(
        `options.subscription of ${OWNER} must return a resource, such as "users/{id}/events", got ${typeOf(resource)}`,
      );
    return subscriptionLimits(resource) || (lifetime && changeType) ? subscription : undefined;
  }

  /** The options that requests for pages and for subscriptions share. */
  #requestOptions(mailbox) {
    const { token, cloud, endpoint, fetch } = this.#options;
    return {
      token: token(mailbox),
      ...(cloud && { cloud }),
      ...(endpoint && { endpoint }),
      ...(fetch && { fetch }),
    };
  }

  async #open(mailbox, use) {
    const { query, log } = this.#options;
    const client = await openDelta({
      ...this.#requestOptions(mailbox),
      // The storage has no other account. That of the token source is the client id, which may
      // change: the mirror would begin again.
      account: mailbox,
      store: new DurableObjectStore(this.ctx.storage),
      // Short waits only: for longer ones there is the alarm, which does not keep the object in
      // memory.
      retry: { attempts: 3, maxWait: 10_000 },
      ...(log && { log: (entry) => log({ mailbox, ...entry }) }),
    });
    try {
      const made = query(client, mailbox);
      const isPromise = typeof (/** @type {any} */ (made)?.then) === "function";
      if (typeof made?.round !== "function")
        throw badRequest(
          `options.query of ${OWNER} must return a query, such as client.events(…), got ${isPromise ? "a promise" : typeOf(made)}`,
        );
      return await use(made);
    } finally {
      await client.close();
    }
  }

  #store() {
    this.ctx.storage.kv.put("state", this.#state);
  }

  #write(change) {
    // Stores nothing if the mailbox was removed meanwhile.
    if (this.#state.mailbox === undefined && change.mailbox === undefined) return;
    this.#state = { ...this.#state, ...change };
    this.#store();
  }
}

/** The budget. An app has only one. */
const budgetOf = (namespace) => namespace.getByName("budget");

const messageOf = (error) => redact(String(error?.message ?? error)).slice(0, 500);
