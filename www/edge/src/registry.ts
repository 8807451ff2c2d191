import { DurableObject } from "cloudflare:workers";
import { alarmTime, DAY, type Env, plausibleTime } from "./env";
import type { MailboxStatus, RegistryObject } from "./objects";

/** The time after which the permit of a woken mailbox expires, unless a round begins. */
const UNCLAIMED_PERMIT = 5000;
/** The longest back-off for a mailbox whose object cannot be called. */
const MAX_BACKOFF = 600_000;

/**
 * The list of mailboxes, and the permits that limit the number of concurrent rounds. All mailboxes
 * share the throttling limits of the app. The cron trigger marks every mailbox as due; a mailbox
 * that asks for a permit is due too. The alarm wakes as many due mailboxes as there are free
 * permits. The list and the permits are stored, so that they survive an eviction.
 */
export class Registry extends DurableObject<Env> implements RegistryObject {
  #sql;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    // `due`: when to wake the mailbox, or null. `failures`: how many calls to wake it failed.
    // `permit_until`: the time at which its permit expires, or 0.
    this.#sql.exec(
      "create table if not exists mailboxes (mailbox text primary key, due integer, failures integer not null default 0, permit_until integer not null default 0)",
    );
    this.#sql.exec("create index if not exists mailboxes_by_due on mailboxes (due) where due is not null");
  }

  async add(mailbox: string): Promise<void> {
    this.#sql.exec(
      "insert into mailboxes (mailbox, due) values (?, 0) on conflict do update set due = 0",
      mailbox,
    );
    await this.#setAlarm();
  }

  /** Removes a mailbox. Resolves to whether it was on the list. */
  async remove(mailbox: string): Promise<boolean> {
    // Removed from the list first: otherwise the cron trigger could wake the mailbox again.
    const { rowsWritten } = this.#sql.exec("delete from mailboxes where mailbox = ?", mailbox);
    // Also called if it was not on the list: an earlier removal may have been interrupted.
    await this.env.MAILBOXES.getByName(mailbox).remove();
    return rowsWritten > 0;
  }

  /**
   * Marks every mailbox as due, with jitter, so that they do not all start at the same time.
   */
  async tick(): Promise<void> {
    this.#sql.exec(
      "update mailboxes set due = ? + abs(random() % ?) where due is null",
      Date.now(),
      jitter(this.env),
    );
    await this.#setAlarm();
  }

  /**
   * Acquires a permit for `duration` milliseconds. Resolves to false if none is free; the registry
   * wakes the mailbox later.
   */
  async acquirePermit(mailbox: string, duration: number): Promise<boolean> {
    const now = Date.now();
    const [row] = this.#sql
      .exec<{ permit_until: number; due: number | null }>(
        "select permit_until, due from mailboxes where mailbox = ?",
        mailbox,
      )
      .toArray();
    if (!row) return false;
    const { ahead } = this.#sql
      .exec<{ ahead: number }>("select count(*) as ahead from mailboxes where due <= ?", now)
      .one();
    const isGranted = row.permit_until > now || (!ahead && this.#freePermits(now) > 0);
    if (isGranted)
      this.#sql.exec("update mailboxes set permit_until = ? where mailbox = ?", now + duration, mailbox);
    // A mailbox that asks again keeps its place in the queue.
    else
      this.#sql.exec(
        "update mailboxes set due = ? where mailbox = ?",
        Math.min(row.due ?? now, now),
        mailbox,
      );
    await this.#setAlarm();
    return isGranted;
  }

  /** Releases a permit. If Graph throttled the app, no mailbox starts before `retryAt`. */
  async releasePermit(mailbox: string, retryAt = 0): Promise<void> {
    this.#sql.exec("update mailboxes set permit_until = 0 where mailbox = ?", mailbox);
    const until = plausibleTime(retryAt);
    const jittered = Math.min(until + Math.random() * jitter(this.env), Date.now() + DAY);
    if (until > this.#throttledUntil()) this.ctx.storage.kv.put("throttledUntil", Math.ceil(jittered));
    await this.#setAlarm();
  }

  count(): number {
    return this.#sql.exec<{ n: number }>("select count(*) as n from mailboxes").one().n;
  }

  /** The statuses of up to `limit` mailboxes after `after`, in the order of their names. */
  async statuses(after: string, limit: number): Promise<(Partial<MailboxStatus> & { mailbox: string })[]> {
    const rows = this.#sql
      .exec<{ mailbox: string }>(
        "select mailbox from mailboxes where mailbox > ? order by mailbox limit ?",
        after,
        limit,
      )
      .toArray();
    return Promise.all(
      rows.map(async ({ mailbox }) => {
        const status = await this.env.MAILBOXES.getByName(mailbox)
          .status()
          .catch((error: Error) => ({
            phase: "failed" as const,
            lastError: { code: "object", message: error.message, at: Date.now() },
          }));
        return { ...status, mailbox };
      }),
    );
  }

  override async alarm(): Promise<void> {
    for (;;) {
      const now = Date.now();
      const due = this.#sql
        .exec<{ mailbox: string; due: number; failures: number }>(
          "select mailbox, due, failures from mailboxes where due <= ?1 and permit_until <= ?1 order by due limit ?2",
          now,
          this.#freePermits(now),
        )
        .toArray();
      if (!due.length) break;
      await Promise.all(due.map((one) => this.#wake(one, now)));
    }
    await this.#setAlarm();
  }

  async #wake(
    { mailbox, due, failures }: { mailbox: string; due: number; failures: number },
    now: number,
  ): Promise<void> {
    // The mailbox stays due until the call has woken it, in case this object is evicted before.
    this.#sql.exec(
      "update mailboxes set permit_until = ? where mailbox = ?",
      now + UNCLAIMED_PERMIT,
      mailbox,
    );
    try {
      const usesPermit = await this.env.MAILBOXES.getByName(mailbox).wake(mailbox);
      // The mailbox may have been removed meanwhile.
      const { n } = this.#sql
        .exec<{ n: number }>("select count(*) as n from mailboxes where mailbox = ?", mailbox)
        .one();
      if (!n) await this.env.MAILBOXES.getByName(mailbox).remove();
      this.#sql.exec(
        "update mailboxes set due = iif(due = ?, null, due), failures = 0, permit_until = iif(?, permit_until, 0) where mailbox = ?",
        due,
        usesPermit ? 1 : 0,
        mailbox,
      );
    } catch {
      const wait =
        Math.min(Number(this.env.BACKOFF_MS || 5000) * 2 ** failures, MAX_BACKOFF) *
        (0.5 + Math.random() / 2);
      this.#sql.exec(
        "update mailboxes set due = ?, failures = failures + 1, permit_until = 0 where mailbox = ?",
        Math.ceil(Date.now() + wait),
        mailbox,
      );
    }
  }

  /** The end of the last throttle of the app. */
  #throttledUntil(): number {
    return plausibleTime(this.ctx.storage.kv.get<number>("throttledUntil") ?? 0);
  }

  /** The number of free permits. */
  #freePermits(now: number): number {
    if (this.#throttledUntil() > now) return 0;
    const { n } = this.#sql
      .exec<{ n: number }>("select count(*) as n from mailboxes where permit_until > ?", now)
      .one();
    return Math.max(Number(this.env.ROUNDS_AT_ONCE || 10) - n, 0);
  }

  /**
   * Sets the alarm for the next due mailbox, not before a permit is free. `releasePermit()` may set
   * it earlier.
   */
  async #setAlarm(): Promise<void> {
    const now = Date.now();
    // A mailbox that has a permit is woken after the permit expires.
    const { due } = this.#sql
      .exec<{ due: number | null }>(
        "select min(max(due, permit_until)) as due from mailboxes where due is not null",
      )
      .one();
    if (due === null) return;
    const { end } = this.#sql
      .exec<{ end: number | null }>(
        "select min(permit_until) as end from mailboxes where permit_until > ?",
        now,
      )
      .one();
    const free =
      this.#throttledUntil() > now ? this.#throttledUntil() : this.#freePermits(now) ? 0 : (end ?? 0);
    await this.ctx.storage.setAlarm(alarmTime(Math.max(due, free)));
  }
}

const jitter = (env: Env) => Math.max(Number(env.PAUSE_MS || 2000), 1);
