// @ts-check
// The Durable Object that gives out the permits for rounds. See durable-objects.d.ts.
import { DurableObject } from "cloudflare:workers";
import { checkSettings, readNamespace, readNumber } from "./option-checks.js";
import { PermitBudget } from "./permit-budget.js";
import { alarmTime } from "./round-plan.js";

const OWNER = "BudgetObject";

export class BudgetObject extends DurableObject {
  #budget;
  #sql;
  #mailboxes;
  #pause;
  /** The time of the pending alarm. Infinity if there is none, or after an eviction. */
  #alarmAt = Infinity;

  constructor(ctx, env, options) {
    super(ctx, env);
    checkSettings(options, ["mailboxes", "pause", "roundsAtOnce"], OWNER);
    this.#mailboxes = readNamespace(options, "mailboxes", OWNER);
    this.#pause = readNumber(options, "pause", OWNER, 2000);
    const limit = readNumber(options, "roundsAtOnce", OWNER, 10, 1);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(
      "create table if not exists permits (mailbox text primary key, until integer, since integer not null) without rowid",
    );
    const stored = this.#sql.exec("select mailbox, until from permits order by until, since").toArray();
    const throttledUntil = ctx.storage.kv.get("throttledUntil");
    this.#budget = new PermitBudget(limit, { stored, throttledUntil });
  }

  async acquire(mailbox) {
    const until = this.#budget.acquire(mailbox);
    this.#put(mailbox, until);
    await this.#setAlarm();
    return until !== null;
  }

  async release(mailbox, retryAt) {
    const { throttledUntil } = this.#budget;
    this.#budget.release(mailbox, { retryAt, jitter: Math.random() * this.#pause });
    this.#sql.exec("delete from permits where mailbox = ?", mailbox);
    if (this.#budget.throttledUntil !== throttledUntil)
      this.ctx.storage.kv.put("throttledUntil", this.#budget.throttledUntil);
    await this.#grant();
  }

  async alarm() {
    this.#alarmAt = Infinity;
    await this.#grant();
  }

  async #grant() {
    for (const { mailbox, until } of this.#budget.grant()) {
      this.#put(mailbox, until);
      this.ctx.waitUntil(this.#wake(mailbox));
    }
    await this.#setAlarm();
  }

  async #wake(mailbox) {
    // Its object may be overloaded, or the mailbox may have been removed.
    const object = this.#mailboxes.getByName(mailbox);
    const isUsed = await object.usePermit().catch(() => false);
    if (!isUsed) await this.release(mailbox);
  }

  #put(mailbox, until) {
    this.#sql.exec(
      "insert into permits values (?, ?, ?) on conflict do update set until = excluded.until",
      mailbox,
      until,
      Date.now(),
    );
  }

  /** Sets the alarm, unless an earlier one is pending, which may find nothing to do. */
  async #setAlarm() {
    const at = this.#budget.nextAt();
    if (at >= this.#alarmAt) return;
    this.#alarmAt = at;
    await this.ctx.storage.setAlarm(alarmTime(at));
  }
}
