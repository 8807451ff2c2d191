// Code of Workers with deltalink/workers, which is only compiled. tests/edge/ compiles the Durable
// Objects, with Cloudflare's types.
import type { Change, Event, WithId } from "deltalink";
import {
  alarmDueAt,
  alarmTime,
  beginRound,
  changeBatches,
  type ChangeMessage,
  type ChangeQueue,
  dueAt,
  endRound,
  failRound,
  mailboxList,
  type MailboxListOptions,
  type MailboxStatus,
  maySubscribe,
  NO_ROUNDS,
  PermitBudget,
  receiveNotifications,
  requestRound,
  type RoundState,
  sendChanges,
  shardOf,
} from "deltalink/workers";

type Message = ChangeMessage<WithId<Event>, { user: string }>;
declare const queue: ChangeQueue<Message>;
declare const changes: Change<WithId<Event>>[];
declare const bindings: MailboxListOptions;

export async function send(): Promise<void> {
  await sendChanges(queue, changes, { properties: { user: "ann" }, attempts: 2, firstWait: 50 });
  for (const [message] of changeBatches(changes, { user: "ann" })) {
    if (!message) continue;
    const name: string = message.user + message.id;
    if (message.type === "remove") void message.reason;
    else if (message.reference) void name;
    else void message.item.subject;
  }
  // @ts-expect-error the messages of this queue have a user
  await sendChanges(queue, changes, { properties: { mailbox: "ann" } });
  // @ts-expect-error a queue sends batches
  await sendChanges({ send: async () => {} }, changes);
}

export function plan(error: unknown): number {
  const stored: RoundState & { mailbox: string } = { ...NO_ROUNDS, mailbox: "ann" };
  const begun = beginRound(requestRound(stored), { now: 0, random: 0.5, backOff: 1000 });
  const ended = endRound(begun, { running: begun.requestedRounds, complete: true, pause: 100 });
  const { mailbox } = failRound(ended, error);
  const subscription = { subscribeAt: 0, subscribeFailures: 0 };
  void maySubscribe(subscription, { waitsForPermit: true });
  const budget = new PermitBudget(10, { stored: [{ mailbox, until: null }], throttledUntil: 0 });
  if (budget.acquire(mailbox) === null) void budget.nextAt();
  budget.release(mailbox, { retryAt: 5, jitter: 1 });
  for (const { until } of budget.grant()) void until.toFixed();
  // @ts-expect-error the state of a mailbox has all numbers
  requestRound({ requestedRounds: 1 });
  // @ts-expect-error how the round ended is required
  endRound(begun, { running: 1 });
  return (
    alarmTime(alarmDueAt(ended, subscription)) + shardOf(mailbox, 16) + dueAt(mailbox, { spread: 60_000 })
  );
}

export async function list(request: Request, secret: string): Promise<Response> {
  const all = mailboxList({ ...bindings, shards: 4 });
  await all.add("ann");
  const wasListed: boolean = await all.remove("ann");
  await all.tick();
  const { count, mailboxes } = await all.statuses({ after: "a", limit: 10 });
  const phases: (MailboxStatus["phase"] | undefined)[] = mailboxes.map(({ phase }) => phase);
  void [wasListed, count, phases];
  // @ts-expect-error the registries are required
  mailboxList({ mailboxes: bindings.mailboxes });
  return receiveNotifications(request, { mailbox: "ann", secret, mailboxes: bindings.mailboxes });
}
