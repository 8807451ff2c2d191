import { DurableObject } from "cloudflare:workers";
import type { Env } from "./env";
import type { MailboxStatus } from "./mailbox";

/** Mailboxes at a time. */
const SLICE = 25;
/** The longest wait for a mailbox that can't be reached. */
const LONGEST = 600_000;

/**
 * The list of mailboxes. A tick marks all of them as due; the alarm then wakes them slice by slice. What is due is in the storage: after
 * an eviction the alarm goes on where it was.
 */
export class Registry extends DurableObject<Env> {
  #sql;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    // `due`: when to wake it, or null. `failures`: how often that has failed.
    this.#sql.exec("create table if not exists mailboxes (mailbox text primary key, due integer, failures integer not null default 0)");
    this.#sql.exec("create index if not exists dues on mailboxes (due) where due is not null");
  }

  async add(mailbox: string): Promise<void> {
    this.#sql.exec("insert into mailboxes (mailbox, due) values (?, 0) on conflict do update set due = 0", mailbox);
    await this.#plan();
  }

  /** Whether it was on the list. */
  async remove(mailbox: string): Promise<boolean> {
    // Off the list first: else a tick could wake it again.
    const { rowsWritten } = this.#sql.exec("delete from mailboxes where mailbox = ?", mailbox);
    // One that is on no list may still have to forget something: an earlier try can have been cut off.
    await this.env.MAILBOXES.getByName(mailbox).remove();
    return rowsWritten > 0;
  }

  /** Every mailbox is to have a round. */
  async tick(): Promise<void> {
    this.#sql.exec("update mailboxes set due = 0 where due is null");
    await this.#plan();
  }

  count(): number {
    return this.#sql.exec<{ n: number }>("select count(*) as n from mailboxes").one().n;
  }

  /** Some mailboxes in order, and how they are. */
  async statuses(after: string, limit: number): Promise<(Partial<MailboxStatus> & { mailbox: string })[]> {
    const rows = this.#sql.exec<{ mailbox: string }>("select mailbox from mailboxes where mailbox > ? order by mailbox limit ?", after, limit).toArray();
    return Promise.all(
      rows.map(async ({ mailbox }) => {
        const status = await this.env.MAILBOXES.getByName(mailbox)
          .status()
          .catch((error: Error) => ({ phase: "failed" as const, lastError: { code: "object", message: error.message, at: Date.now() } }));
        return { ...status, mailbox };
      }),
    );
  }

  override async alarm(): Promise<void> {
    for (;;) {
      const due = this.#sql.exec<{ mailbox: string; failures: number }>("select mailbox, failures from mailboxes where due <= ? order by due limit ?", Date.now(), SLICE).toArray();
      if (!due.length) break;
      await Promise.all(
        due.map(async ({ mailbox, failures }) => {
          try {
            await this.env.MAILBOXES.getByName(mailbox).watch(mailbox);
            // Removed while it was woken.
            const { n } = this.#sql.exec<{ n: number }>("select count(*) as n from mailboxes where mailbox = ?", mailbox).one();
            if (!n) await this.env.MAILBOXES.getByName(mailbox).remove();
            this.#sql.exec("update mailboxes set due = null, failures = 0 where mailbox = ?", mailbox);
          } catch {
            const wait = Math.min(Number(this.env.BACKOFF_MS || 5000) * 2 ** failures, LONGEST) * (0.5 + Math.random() / 2);
            this.#sql.exec("update mailboxes set due = ?, failures = failures + 1 where mailbox = ?", Math.ceil(Date.now() + wait), mailbox);
          }
        }),
      );
    }
    await this.#plan();
  }

  async #plan(): Promise<void> {
    const { due } = this.#sql.exec<{ due: number | null }>("select min(due) as due from mailboxes").one();
    if (due !== null) await this.ctx.storage.setAlarm(Math.max(due, Date.now()));
  }
}
