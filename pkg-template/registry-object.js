// @ts-check
// The Durable Object that lists mailboxes and wakes them. See durable-objects.d.ts.
import { DurableObject } from "cloudflare:workers";
import { report } from "./error.js";
import { checkCount, checkSettings, readFunction, readNamespace, readNumber } from "./option-checks.js";
import { redact } from "./refusal.js";
import { registryOf, SHARDS } from "./registries.js";
import { alarmTime, backOffTime } from "./round-plan.js";
import { dueAt, shardOf } from "./shards.js";

const OWNER = "RegistryObject";
/** The number of mailboxes that an alarm wakes at the same time. */
const WAKES_AT_ONCE = 50;

/**
 * The list is stored, so that it survives an eviction. `due`: when to wake the mailbox, or null.
 * `failures`: how many calls to wake it failed.
 */
export class RegistryObject extends DurableObject {
  #sql;
  #mailboxes;
  #registries;
  #spread;
  #backOff;
  #log;

  constructor(ctx, env, options) {
    super(ctx, env);
    checkSettings(options, ["mailboxes", "registries", "spread", "backOff", "log"], OWNER);
    this.#mailboxes = readNamespace(options, "mailboxes", OWNER);
    this.#registries = readNamespace(options, "registries", OWNER);
    this.#spread = readNumber(options, "spread", OWNER, 600_000);
    this.#backOff = readNumber(options, "backOff", OWNER, 5000, 1);
    this.#log = readFunction(options, "log", OWNER, true);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(
      "create table if not exists mailboxes (mailbox text primary key, due integer, failures integer not null default 0)",
    );
    this.#sql.exec("create index if not exists mailboxes_by_due on mailboxes (due) where due is not null");
  }

  async add(mailboxes, spread = 0) {
    for (const mailbox of mailboxes)
      this.#sql.exec(
        "insert into mailboxes (mailbox, due) values (?1, ?2) on conflict do update set due = ?2",
        mailbox,
        dueAt(mailbox, { spread }),
      );
    await this.#setAlarm();
  }

  has(mailbox) {
    return this.#names("where mailbox = ?", mailbox).length > 0;
  }

  async remove(mailbox) {
    return this.#sql.exec("delete from mailboxes where mailbox = ?", mailbox).rowsWritten > 0;
  }

  async tick(shard, shards) {
    // Stored, because only `mailboxList()` has the option `shards`: an option of this class could
    // have another value.
    this.ctx.storage.kv.put("shards", checkCount(shards, `shards of tick() of ${OWNER}`));
    const now = Date.now();
    const spread = this.#spread;
    /**
     * @type {Map<number, string[]>} The mailboxes that belong to other registries, by registry.
     */
    const moved = new Map();
    for (const mailbox of this.#names("where due is null")) {
      const home = shardOf(mailbox, shards);
      if (home !== shard) moved.set(home, moved.get(home) ?? []);
      moved.get(home)?.push(mailbox);
      const due = dueAt(mailbox, { now, spread });
      this.#sql.exec("update mailboxes set due = ? where mailbox = ?", due, mailbox);
    }
    await this.#setAlarm();
    for (const [home, mailboxes] of moved) {
      const registry = registryOf(this.#registries, home);
      await registry.add(mailboxes, spread);
      for (const mailbox of mailboxes)
        // A mailbox that was removed meanwhile must not come back.
        if (!(await this.remove(mailbox))) await registry.remove(mailbox);
    }
  }

  async list(after, limit) {
    const { count } = this.#sql.exec("select count(*) as count from mailboxes").one();
    return { count, mailboxes: this.#names("where mailbox > ? order by mailbox limit ?", after, limit) };
  }

  async alarm() {
    for (;;) {
      const due = this.#sql
        .exec(
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

  async #wake({ mailbox, due, failures }) {
    const object = this.#mailboxes.getByName(mailbox);
    try {
      await object.wake(mailbox);
      // It stays due until the call has woken it, in case this object is evicted before.
      this.#sql.exec(
        "update mailboxes set due = iif(due = ?, null, due), failures = 0 where mailbox = ?",
        due,
        mailbox,
      );
      // The mailbox may have been removed meanwhile, or moved to another registry.
      const shards = /** @type {number} */ (this.ctx.storage.kv.get("shards") ?? SHARDS);
      const home = registryOf(this.#registries, shardOf(mailbox, shards));
      if (!this.has(mailbox) && !(await home.has(mailbox))) await object.remove();
    } catch (error) {
      const at = backOffTime(error, failures + 1, { backOff: this.#backOff });
      this.#sql.exec("update mailboxes set due = ?, failures = failures + 1 where mailbox = ?", at, mailbox);
      this.#logFailure(mailbox, error, at);
    }
  }

  /** An error of `log` is reported: it must not end the alarm. */
  async #logFailure(mailbox, error, at) {
    const message = redact(String(error?.message ?? error)).slice(0, 500);
    const entry = { event: "wake", level: "warn", time: new Date(), mailbox, message, retryAt: new Date(at) };
    try {
      await this.#log?.(entry);
    } catch (thrown) {
      report(thrown);
    }
  }

  #names(condition, ...values) {
    const rows = this.#sql.exec(`select mailbox from mailboxes ${condition}`, ...values).toArray();
    return rows.map(({ mailbox }) => mailbox);
  }

  async #setAlarm() {
    const { at } = this.#sql.exec("select min(due) as at from mailboxes").one();
    if (at !== null) await this.ctx.storage.setAlarm(alarmTime(at));
  }
}
