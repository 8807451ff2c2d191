import { DurableObject } from "cloudflare:workers";
import { alarmTime, type Env, homeOf, registryOf, type RegistryObject, settingsOf, shardsOf } from "./env";
import { backOff, dueAt, shardOf } from "./plan";

/** The number of mailboxes that an alarm wakes at the same time. */
const WAKES_AT_ONCE = 50;

/**
 * Lists the mailboxes whose names have its hash, and wakes each after a run of the cron trigger.
 * The list is stored, so that it survives an eviction. `due`: when to wake the mailbox, or null.
 * `failures`: how many calls to wake it failed.
 */
export class Registry extends DurableObject<Env> implements RegistryObject {
  #sql;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(
      "create table if not exists mailboxes (mailbox text primary key, due integer, failures integer not null default 0)",
    );
    this.#sql.exec("create index if not exists mailboxes_by_due on mailboxes (due) where due is not null");
  }

  /** Adds mailboxes, and wakes them within `spread` milliseconds. */
  async add(mailboxes: string[], spread = 0): Promise<void> {
    for (const mailbox of mailboxes)
      this.#sql.exec(
        "insert into mailboxes (mailbox, due) values (?1, ?2) on conflict do update set due = ?2",
        mailbox,
        dueAt(mailbox, Date.now(), spread),
      );
    await this.#setAlarm();
  }

  has(mailbox: string): boolean {
    return this.#names("where mailbox = ?", mailbox).length > 0;
  }

  /** Removes a mailbox. Resolves to whether it was on the list. */
  async remove(mailbox: string): Promise<boolean> {
    return this.#sql.exec("delete from mailboxes where mailbox = ?", mailbox).rowsWritten > 0;
  }

  /** Marks every mailbox as due. Moves those that have another home because `SHARDS` has grown. */
  async tick(shard: number): Promise<void> {
    const now = Date.now();
    const spread = Number(this.env.SPREAD_MS || 600_000);
    const moved = new Map<number, string[]>();
    for (const mailbox of this.#names("where due is null")) {
      const home = shardOf(mailbox, shardsOf(this.env));
      if (home !== shard) moved.set(home, moved.get(home) ?? []);
      moved.get(home)?.push(mailbox);
      this.#sql.exec("update mailboxes set due = ? where mailbox = ?", dueAt(mailbox, now, spread), mailbox);
    }
    await this.#setAlarm();
    for (const [home, mailboxes] of moved) {
      const registry = registryOf(this.env, home);
      await registry.add(mailboxes, spread);
      for (const mailbox of mailboxes)
        // A mailbox that was removed meanwhile must not come back.
        if (!(await this.remove(mailbox))) await registry.remove(mailbox);
    }
  }

  async list(after: string, limit: number): Promise<{ count: number; mailboxes: string[] }> {
    const { count } = this.#sql.exec<{ count: number }>("select count(*) as count from mailboxes").one();
    return { count, mailboxes: this.#names("where mailbox > ? order by mailbox limit ?", after, limit) };
  }

  override async alarm(): Promise<void> {
    for (;;) {
      const due = this.#sql
        .exec<Due>(
          "select mailbox, due, failures from mailboxes where due <= ? order by due limit ?",
          Date.now(),
          WAKES_AT_ONCE,
        )
        .toArray();
      if (!due.length) break;
      await Promise.all(due.map((one) => this.#wake(one)));
    }
    await this.#setAlarm();
  }

  async #wake({ mailbox, due, failures }: Due): Promise<void> {
    const object = this.env.MAILBOXES.getByName(mailbox);
    try {
      await object.wake(mailbox);
      // It stays due until the call has woken it, in case this object is evicted before.
      this.#sql.exec(
        "update mailboxes set due = iif(due = ?, null, due), failures = 0 where mailbox = ?",
        due,
        mailbox,
      );
      // The mailbox may have been removed meanwhile, or moved to another registry.
      if (!this.has(mailbox) && !(await homeOf(this.env, mailbox).has(mailbox))) await object.remove();
    } catch (error) {
      const { at } = backOff(error, failures + 1, Date.now(), Math.random(), settingsOf(this.env));
      this.#sql.exec("update mailboxes set due = ?, failures = failures + 1 where mailbox = ?", at, mailbox);
    }
  }

  #names(condition: string, ...values: (string | number)[]): string[] {
    const rows = this.#sql.exec<{ mailbox: string }>(`select mailbox from mailboxes ${condition}`, ...values);
    return rows.toArray().map(({ mailbox }) => mailbox);
  }

  async #setAlarm(): Promise<void> {
    const { at } = this.#sql.exec<{ at: number | null }>("select min(due) as at from mailboxes").one();
    if (at !== null) await this.ctx.storage.setAlarm(alarmTime(at));
  }
}

interface Due extends Record<string, SqlStorageValue> {
  mailbox: string;
  due: number;
  failures: number;
}
