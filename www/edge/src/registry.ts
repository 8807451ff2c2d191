import { DurableObject } from "cloudflare:workers";
import { alarmTime, type Env } from "./env";
import type { MailboxStatus, RegistryObject } from "./objects";

/** A permit for a woken mailbox expires after this time unless it starts a round. */
const HANDED = 5000;
/** The longest back-off for a mailbox that is out of reach. */
const LONGEST = 600_000;

/**
 * The list of mailboxes, and the permits that limit concurrent rounds, because all share the limits
 * of the app. A tick marks every mailbox as due, and a mailbox can mark itself. The alarm wakes as
 * many due mailboxes as there are permits. All of this is stored, so that it survives an eviction.
 */
export class Registry extends DurableObject<Env> implements RegistryObject {
  #sql;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    // `due`: when to wake the mailbox, or null. `failures`: how many calls to wake it failed.
    // `turn`: the time at which its permit expires, or 0.
    this.#sql.exec(
      "create table if not exists mailboxes (mailbox text primary key, due integer, failures integer not null default 0, turn integer not null default 0)",
    );
    this.#sql.exec("create index if not exists dues on mailboxes (due) where due is not null");
  }

  async add(mailbox: string): Promise<void> {
    this.#sql.exec(
      "insert into mailboxes (mailbox, due) values (?, 0) on conflict do update set due = 0",
      mailbox,
    );
    await this.#plan();
  }

  /** Removes a mailbox. Resolves to whether it was on the list. */
  async remove(mailbox: string): Promise<boolean> {
    // Deleted from the list first, because otherwise a tick could wake it again.
    const { rowsWritten } = this.#sql.exec("delete from mailboxes where mailbox = ?", mailbox);
    // Also if it was not on the list, because an earlier removal may have been interrupted.
    await this.env.MAILBOXES.getByName(mailbox).remove();
    return rowsWritten > 0;
  }

  /**
   * Marks every mailbox as due, with jitter, so that not all start at the time of the cron trigger.
   */
  async tick(): Promise<void> {
    this.#sql.exec(
      "update mailboxes set due = ? + abs(random() % ?) where due is null",
      Date.now(),
      jitter(this.env),
    );
    await this.#plan();
  }

  /**
   * Acquires a permit for `length` milliseconds. If it resolves to false, the mailbox is woken
   * later.
   */
  async turn(mailbox: string, length: number): Promise<boolean> {
    const now = Date.now();
    const [row] = this.#sql
      .exec<{ turn: number; due: number | null }>(
        "select turn, due from mailboxes where mailbox = ?",
        mailbox,
      )
      .toArray();
    if (!row) return false;
    const { ahead } = this.#sql
      .exec<{ ahead: number }>("select count(*) as ahead from mailboxes where due <= ?", now)
      .one();
    const may = row.turn > now || (!ahead && this.#free(now) > 0);
    if (may) this.#sql.exec("update mailboxes set turn = ? where mailbox = ?", now + length, mailbox);
    // Its place in the queue is that of its first request.
    else
      this.#sql.exec(
        "update mailboxes set due = ? where mailbox = ?",
        Math.min(row.due ?? now, now),
        mailbox,
      );
    await this.#plan();
    return may;
  }

  /** Releases a permit. If Graph throttled the app, no mailbox starts before `retryAt`. */
  async done(mailbox: string, retryAt = 0): Promise<void> {
    this.#sql.exec("update mailboxes set turn = 0 where mailbox = ?", mailbox);
    if (retryAt > this.#held())
      this.ctx.storage.kv.put("held", Math.ceil(retryAt + Math.random() * jitter(this.env)));
    await this.#plan();
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
          "select mailbox, due, failures from mailboxes where due <= ?1 and turn <= ?1 order by due limit ?2",
          now,
          this.#free(now),
        )
        .toArray();
      if (!due.length) break;
      await Promise.all(due.map((one) => this.#wake(one, now)));
    }
    await this.#plan();
  }

  async #wake(
    { mailbox, due, failures }: { mailbox: string; due: number; failures: number },
    now: number,
  ): Promise<void> {
    // The mailbox stays due until it is awake, in case this object is evicted before.
    this.#sql.exec("update mailboxes set turn = ? where mailbox = ?", now + HANDED, mailbox);
    try {
      const begins = await this.env.MAILBOXES.getByName(mailbox).watch(mailbox);
      // The mailbox may have been removed meanwhile.
      const { n } = this.#sql
        .exec<{ n: number }>("select count(*) as n from mailboxes where mailbox = ?", mailbox)
        .one();
      if (!n) await this.env.MAILBOXES.getByName(mailbox).remove();
      this.#sql.exec(
        "update mailboxes set due = iif(due = ?, null, due), failures = 0, turn = iif(?, turn, 0) where mailbox = ?",
        due,
        begins ? 1 : 0,
        mailbox,
      );
    } catch {
      const wait =
        Math.min(Number(this.env.BACKOFF_MS || 5000) * 2 ** failures, LONGEST) * (0.5 + Math.random() / 2);
      this.#sql.exec(
        "update mailboxes set due = ?, failures = failures + 1, turn = 0 where mailbox = ?",
        Math.ceil(Date.now() + wait),
        mailbox,
      );
    }
  }

  /** The end of the throttle of the app. */
  #held(): number {
    return this.ctx.storage.kv.get<number>("held") ?? 0;
  }

  /** The number of free permits. */
  #free(now: number): number {
    if (this.#held() > now) return 0;
    const { n } = this.#sql
      .exec<{ n: number }>("select count(*) as n from mailboxes where turn > ?", now)
      .one();
    return Math.max(Number(this.env.ROUNDS_AT_ONCE || 10) - n, 0);
  }

  /**
   * Sets the alarm for the next due mailbox, not before a permit is free. `done` may set it
   * earlier.
   */
  async #plan(): Promise<void> {
    const now = Date.now();
    // A mailbox with a permit is woken after it expires.
    const { due } = this.#sql
      .exec<{ due: number | null }>("select min(max(due, turn)) as due from mailboxes where due is not null")
      .one();
    if (due === null) return;
    const { end } = this.#sql
      .exec<{ end: number | null }>("select min(turn) as end from mailboxes where turn > ?", now)
      .one();
    const free = this.#held() > now ? this.#held() : this.#free(now) ? 0 : (end ?? 0);
    await this.ctx.storage.setAlarm(alarmTime(Math.max(due, free)));
  }
}

const jitter = (env: Env) => Math.max(Number(env.PAUSE_MS || 2000), 1);
