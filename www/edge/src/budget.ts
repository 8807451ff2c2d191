import { DurableObject } from "cloudflare:workers";
import { alarmTime, type BudgetObject, type Env, settingsOf } from "./env";
import { Budget, type Permit } from "./plan";

/**
 * Gives out the permits for rounds: one object for the whole app. Permits, and the mailboxes that
 * wait for one, are stored, so that they survive an eviction.
 */
export class AppBudget extends DurableObject<Env> implements BudgetObject {
  #budget;
  #sql;
  /** The time of the pending alarm. Infinity if there is none, or after an eviction. */
  #alarmAt = Infinity;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(
      "create table if not exists permits (mailbox text primary key, until integer, since integer not null) without rowid",
    );
    const stored = this.#sql
      .exec<Permit & Record<string, SqlStorageValue>>(
        "select mailbox, until from permits order by until, since",
      )
      .toArray();
    const throttledUntil = ctx.storage.kv.get<number>("throttledUntil");
    this.#budget = new Budget(Number(env.ROUNDS_AT_ONCE || 10), stored, throttledUntil);
  }

  async acquire(mailbox: string): Promise<boolean> {
    const until = this.#budget.acquire(mailbox, Date.now());
    this.#put(mailbox, until);
    await this.#setAlarm();
    return until !== null;
  }

  async release(mailbox: string, retryAt?: number): Promise<void> {
    const { throttledUntil } = this.#budget;
    this.#budget.release(mailbox, Date.now(), retryAt, Math.random() * settingsOf(this.env).pause);
    this.#sql.exec("delete from permits where mailbox = ?", mailbox);
    if (this.#budget.throttledUntil !== throttledUntil)
      this.ctx.storage.kv.put("throttledUntil", this.#budget.throttledUntil);
    await this.#grant();
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = Infinity;
    await this.#grant();
  }

  async #grant(): Promise<void> {
    for (const { mailbox, until } of this.#budget.grant(Date.now())) {
      this.#put(mailbox, until);
      this.ctx.waitUntil(this.#wake(mailbox));
    }
    await this.#setAlarm();
  }

  async #wake(mailbox: string): Promise<void> {
    // Its object may be overloaded, or the mailbox may have been removed.
    const object = this.env.MAILBOXES.getByName(mailbox);
    const isUsed = await object.usePermit().catch(() => false);
    if (!isUsed) await this.release(mailbox);
  }

  #put(mailbox: string, until: number | null): void {
    this.#sql.exec(
      "insert into permits values (?, ?, ?) on conflict do update set until = excluded.until",
      mailbox,
      until,
      Date.now(),
    );
  }

  /** Sets the alarm, unless an earlier one is pending, which may find nothing to do. */
  async #setAlarm(): Promise<void> {
    const at = this.#budget.nextAt(Date.now());
    if (at >= this.#alarmAt) return;
    this.#alarmAt = at;
    await this.ctx.storage.setAlarm(alarmTime(at));
  }
}
