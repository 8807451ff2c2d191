import { DurableObject } from "cloudflare:workers";
import type { Env } from "./env";
import type { MailboxStatus, RegistryObject } from "./objects";

/** A turn that was handed out is free again when nothing has begun in this time. */
const HANDED = 5000;
/** The longest wait for a mailbox that can't be reached. */
const LONGEST = 600_000;

/**
 * The list of mailboxes, and whose turn it is: so many rounds at once and no more, for they share
 * an app's limits. A tick marks all as due, a mailbox that wants a round by itself marks itself;
 * the alarm wakes as many as there are turns. What is due and whose turn it is is in the storage:
 * after an eviction the alarm goes on where it was.
 */
export class Registry extends DurableObject<Env> implements RegistryObject {
  #sql;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    // `due`: when to wake it, or null. `failures`: how often that has failed. `turn`: it has its
    // turn until then.
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

  /** Whether it was on the list. */
  async remove(mailbox: string): Promise<boolean> {
    // Off the list first: else a tick could wake it again.
    const { rowsWritten } = this.#sql.exec("delete from mailboxes where mailbox = ?", mailbox);
    // One that is on no list may still have to forget something: an earlier try can have been cut
    // off.
    await this.env.MAILBOXES.getByName(mailbox).remove();
    return rowsWritten > 0;
  }

  /**
   * Every mailbox is to have a round. Not all in the moment in which every cron trigger of the
   * world fires.
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
   * Whether a mailbox may begin now, and for so many milliseconds. If not, it is woken when it is
   * its turn.
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
    // Its place in the row is that of its first wish.
    else
      this.#sql.exec(
        "update mailboxes set due = ? where mailbox = ?",
        Math.min(row.due ?? now, now),
        mailbox,
      );
    await this.#plan();
    return may;
  }

  /**
   * A mailbox is done with its turn. `retryAt`: Graph has said that the app is to wait, and so do
   * all others.
   */
  async done(mailbox: string, retryAt = 0): Promise<void> {
    this.#sql.exec("update mailboxes set turn = 0 where mailbox = ?", mailbox);
    if (retryAt > this.#held())
      this.ctx.storage.kv.put("held", Math.ceil(retryAt + Math.random() * jitter(this.env)));
    await this.#plan();
  }

  count(): number {
    return this.#sql.exec<{ n: number }>("select count(*) as n from mailboxes").one().n;
  }

  /** Some mailboxes in order, and how they are. */
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
    // It is due until it is awake: this object may be gone before.
    this.#sql.exec("update mailboxes set turn = ? where mailbox = ?", now + HANDED, mailbox);
    try {
      const begins = await this.env.MAILBOXES.getByName(mailbox).watch(mailbox);
      // Removed while it was woken.
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

  /** Not before, says Graph. */
  #held(): number {
    return this.ctx.storage.kv.get<number>("held") ?? 0;
  }

  /** Turns that nobody has. */
  #free(now: number): number {
    if (this.#held() > now) return 0;
    const { n } = this.#sql
      .exec<{ n: number }>("select count(*) as n from mailboxes where turn > ?", now)
      .one();
    return Math.max(Number(this.env.ROUNDS_AT_ONCE || 10) - n, 0);
  }

  /**
   * Sets the alarm for the next that is due, or for when there is a turn for it: `done` may bring
   * it forward.
   */
  async #plan(): Promise<void> {
    const now = Date.now();
    // One that has its turn is woken after it.
    const { due } = this.#sql
      .exec<{ due: number | null }>("select min(max(due, turn)) as due from mailboxes where due is not null")
      .one();
    if (due === null) return;
    const { end } = this.#sql
      .exec<{ end: number | null }>("select min(turn) as end from mailboxes where turn > ?", now)
      .one();
    const free = this.#held() > now ? this.#held() : this.#free(now) ? 0 : (end ?? 0);
    await this.ctx.storage.setAlarm(Math.max(due, free, now + 1));
  }
}

const jitter = (env: Env) => Math.max(Number(env.PAUSE_MS || 2000), 1);
