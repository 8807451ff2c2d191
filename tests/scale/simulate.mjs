// Simulates a day of the edge example: many mailboxes, their registries and the budget, with the
// decisions of its planning module. What the objects store and call is counted as in their code;
// tests/edge/scale.test.mjs compares the counts with those of workerd.
import { Events } from "./heap.mjs";

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const [CHANGE, NOTIFY, TICK, STEP, ALARM, END, GRANT] = [0, 1, 2, 3, 4, 5, 6];
/** The share of the changes of a day in each hour: most of them from 8 to 18 h. */
const BY_HOUR = Array.from({ length: 24 }, (_, hour) => (hour >= 8 && hour < 18 ? 2.2 : 0.15));

export const DEFAULTS = {
  mailboxes: 1000,
  /** The settings of wrangler.jsonc. */
  shards: 16,
  roundsAtOnce: 10,
  pause: 2 * SECOND,
  backOff: 5 * SECOND,
  cron: 15 * MINUTE,
  spread: 10 * MINUTE,
  /** Whether there are subscriptions, and their lifetime. */
  notifications: true,
  lifetime: 10_070 * MINUTE,
  /** From a change to its notification: exponential with this mean, at most three minutes. */
  latency: 30 * SECOND,
  /** The share of the notifications that never arrive. */
  lost: 0.01,
  changesPerDay: 20,
  /** The time of a round of one page: this, and an exponential part with the same mean. */
  roundTime: 200,
  /** The share of the rounds that fail after three attempts. */
  failing: 0.002,
  /** Graph's limit of an app in 10 s. */
  appLimit: 130_000,
  duration: DAY,
  start: Date.UTC(2026, 0, 5),
  seed: 1,
  /** Whether the cron trigger runs. */
  tick: true,
};

/** A seeded generator of numbers from 0 to 1. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Counts per window of time and mailbox, and keeps the largest count. */
function windowsOfEach(count, length) {
  const [windows, counts] = [new Float64Array(count).fill(-1), new Uint32Array(count)];
  const counter = {
    most: 0,
    add(id, now) {
      const index = Math.floor(now / length);
      if (windows[id] !== index) {
        windows[id] = index;
        counts[id] = 0;
      }
      counts[id] += 1;
      if (counts[id] > counter.most) counter.most = counts[id];
    },
  };
  return counter;
}

/** Counts per window of time, and keeps the largest count. */
function windows(length) {
  let [current, count] = [-1, 0];
  const counter = {
    most: 0,
    total: 0,
    add(now) {
      const index = Math.floor(now / length);
      if (index !== current) [current, count] = [index, 0];
      count += 1;
      counter.total += 1;
      if (count > counter.most) counter.most = count;
      return count;
    },
  };
  return counter;
}

export function simulate(plan, options) {
  const settings = { ...DEFAULTS, ...options };
  const { mailboxes: count, shards, cron, spread, notifications, start } = settings;
  const stop = start + settings.duration;
  const random = generator(settings.seed);
  const exponential = (mean) => -mean * Math.log(1 - random());
  const events = new Events();
  const budget = new plan.Budget(settings.roundsAtOnce);

  const graph = { app: windows(10 * SECOND), each: windowsOfEach(count, 10 * MINUTE), subscriptions: 0 };
  const objects = {
    mailboxes: 0,
    each: windowsOfEach(count, SECOND),
    budget: windows(SECOND),
    registries: [],
  };
  for (let shard = 0; shard < shards; shard++) objects.registries.push(windows(SECOND));
  const calls = { wake: 0, notify: 0, usePermit: 0, alarm: 0, acquire: 0, release: 0, rounds: 0, failed: 0 };
  const rows = { mailboxes: 0, store: 0, budget: 0, registries: 0 };
  const permits = { most: 0, mostWaiting: 0 };
  let [workerRequests, messages, objectTime, grantAt] = [0, 0, 0, Infinity];
  const staleness = [];

  const all = Array.from({ length: count }, (_, id) => ({
    id,
    name: `user${id}@contoso.example`,
    state: { ...plan.INITIAL },
    running: undefined,
    began: 0,
    fails: false,
    throttled: false,
    permit: undefined,
    alarm: Infinity,
    subscription: notifications ? {} : undefined,
    subscribeFailures: 0,
    subscribeAt: notifications ? start + random() * settings.lifetime * (2 / 3) : Infinity,
    /** The times of changes that no round has delivered. */
    pending: [],
  }));
  const byName = new Map(all.map((one) => [one.name, one]));
  /** By registry: the mailboxes that its alarm wakes together, by their offset. */
  const steps = Array.from({ length: shards }, () => new Map());
  for (const one of all) {
    const offsets = steps[plan.shardOf(one.name, shards)];
    const offset = plan.dueAt(one.name, 0, spread);
    offsets.set(offset, [...(offsets.get(offset) ?? []), one]);
  }
  const stepList = steps.flatMap((offsets, shard) =>
    [...offsets].map(([offset, some]) => ({ shard, offset, some })),
  );

  const countCall = (one, now) => {
    objects.mailboxes += 1;
    objects.each.add(one.id, now);
  };
  const requestGraph = (one, now) => {
    graph.each.add(one.id, now);
    return graph.app.add(now);
  };
  const write = (one, state) => {
    if (state === one.state) return;
    rows.mailboxes += 1;
    one.state = state;
  };

  /** As Mailbox.#setAlarm(). */
  function setAlarm(one, now, replaces = false) {
    const at = plan.alarmAt(one.state, one, one.permit === "waiting", now);
    if (at < one.alarm || (replaces && at < Infinity)) {
      rows.mailboxes += 1;
      one.alarm = Math.max(at, now + 1);
      events.push(one.alarm, ALARM, one.id);
    } else if (replaces && one.alarm < Infinity) {
      rows.mailboxes += 1;
      one.alarm = Infinity;
    }
  }

  function requestRound(one, now) {
    write(one, plan.request(one.state, one.running));
    if (one.running === undefined) setAlarm(one, now);
  }

  /** As AppBudget.#setAlarm(). */
  function setGrantAlarm(now) {
    const at = budget.nextAt(now);
    permits.mostWaiting = Math.max(permits.mostWaiting, budget.waiting.size);
    if (at >= grantAt) return;
    rows.budget += 1;
    grantAt = Math.max(at, now + 1);
    events.push(grantAt, GRANT, 0);
  }

  function grant(now) {
    for (const { mailbox } of budget.grant(now)) {
      rows.budget += 1;
      const one = byName.get(mailbox);
      calls.usePermit += 1;
      countCall(one, now);
      if (one.running === undefined && plan.isDue(one.state, now)) {
        one.permit = "held";
        setAlarm(one, now);
      } else release(one, now);
    }
    setGrantAlarm(now);
  }

  function acquire(one, now) {
    calls.acquire += 1;
    objects.budget.add(now);
    rows.budget += 1;
    const until = budget.acquire(one.name, now);
    setGrantAlarm(now);
    permits.most = Math.max(permits.most, budget.permits.size);
    return until !== null;
  }

  function release(one, now, retryAt) {
    calls.release += 1;
    objects.budget.add(now);
    rows.budget += 1;
    budget.release(one.name, now, retryAt, random() * settings.pause);
    grant(now);
  }

  /** As Mailbox.alarm(), up to the start of a round. */
  function alarm(one, now) {
    one.alarm = Infinity;
    calls.alarm += 1;
    countCall(one, now);
    let isHeld = false;
    if (plan.isDue(one.state, now)) {
      isHeld = one.permit === "held" || acquire(one, now);
      one.permit = isHeld ? undefined : "waiting";
    }
    if (now >= one.subscribeAt && plan.maySubscribe(one, one.permit === "waiting", now)) {
      requestGraph(one, now);
      graph.subscriptions += 1;
      rows.mailboxes += 1;
      one.subscribeAt = now + settings.lifetime * (2 / 3);
    }
    if (isHeld) begin(one, now);
    else setAlarm(one, now, true);
  }

  function begin(one, now) {
    calls.rounds += 1;
    one.running = one.state.requestedRounds;
    one.began = now;
    write(one, plan.begin(one.state, now, random(), settings));
    setAlarm(one, now);
    one.throttled = requestGraph(one, now) > settings.appLimit;
    one.fails = one.throttled || random() < settings.failing;
    // The two other attempts of a round that fails.
    if (one.fails && !one.throttled) for (let n = 0; n < 2; n++) requestGraph(one, now);
    const time = settings.roundTime + exponential(settings.roundTime) + (one.fails ? 3 * SECOND : 0);
    events.push(now + time, END, one.id);
  }

  function end(one, now) {
    objectTime += now - one.began;
    let retryAt;
    if (one.fails) {
      calls.failed += 1;
      retryAt = one.throttled ? now + 10 * SECOND : undefined;
      const error = retryAt && { code: "throttled", retryable: true, retryAt };
      write(one, plan.fail(one.state, error, now, random(), settings));
    } else {
      const found = one.pending.filter((at) => at <= one.began);
      one.pending = one.pending.filter((at) => at > one.began);
      for (const at of found) staleness.push(now - at);
      messages += found.length;
      // Two rows for the link, which replaces a row, and one for each item. Two more rows, in
      // write(), are the state after the acknowledgement and after the end.
      rows.store += 2 + found.length;
      write(one, plan.progress(one.state, now, random(), settings));
      write(one, plan.end(one.state, { running: one.running, complete: true }, now, settings));
    }
    one.running = undefined;
    release(one, now, retryAt);
    setAlarm(one, now, true);
  }

  /** The time of the next change of a mailbox, by the hour of the day. */
  function nextChange(now) {
    const most = Math.max(...BY_HOUR);
    for (let at = now; ;) {
      at += exponential(DAY / settings.changesPerDay / most);
      if (at > stop || random() < BY_HOUR[Math.floor((at % DAY) / HOUR)] / most) return at;
    }
  }

  const handle = {
    [CHANGE](now, id) {
      const one = all[id];
      one.pending.push(now);
      if (notifications && random() >= settings.lost)
        events.push(now + Math.min(exponential(settings.latency), 3 * MINUTE), NOTIFY, id);
      events.push(nextChange(now), CHANGE, id);
    },
    [NOTIFY](now, id) {
      workerRequests += 1;
      calls.notify += 1;
      countCall(all[id], now);
      requestRound(all[id], now);
    },
    [TICK](now) {
      workerRequests += 1;
      for (const registry of objects.registries) registry.add(now);
      stepList.forEach(({ offset, some }, at) => {
        // A row and its entry in the index, now and when the mailbox is woken.
        rows.registries += 4 * some.length;
        events.push(now + offset, STEP, at);
      });
      rows.registries += shards;
      events.push(now + cron, TICK, 0);
    },
    [STEP](now, at) {
      const { shard, some } = stepList[at];
      objects.registries[shard].add(now);
      rows.registries += 1;
      for (const one of some) {
        calls.wake += 1;
        countCall(one, now);
        requestRound(one, now);
      }
    },
    [ALARM](now, id) {
      // An alarm that was replaced does nothing. One during a round is set again by that round.
      if (all[id].alarm === now && all[id].running === undefined) alarm(all[id], now);
    },
    [END]: (now, id) => end(all[id], now),
    [GRANT](now) {
      if (grantAt !== now) return;
      grantAt = Infinity;
      objects.budget.add(now);
      grant(now);
    },
  };

  if (settings.tick) events.push(start, TICK, 0);
  if (settings.changesPerDay) for (const { id } of all) events.push(nextChange(start), CHANGE, id);
  for (const one of all) if (one.subscribeAt < Infinity) setAlarm(one, start);
  options.prepare?.({ events, kinds: { NOTIFY }, all, start });
  while (events.next() && events.time < stop) handle[events.kind](events.time, events.id);

  const sorted = Float64Array.from(staleness).sort();
  const percentile = (share) => sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)];
  return {
    settings,
    calls,
    graph: {
      requests: graph.app.total,
      mostOfApp: graph.app.most,
      mostOfMailbox: graph.each.most,
      subscriptions: graph.subscriptions,
    },
    objects: {
      requests:
        objects.mailboxes +
        objects.budget.total +
        objects.registries.reduce((sum, { total }) => sum + total, 0),
      mostOfMailbox: objects.each.most,
      mostOfBudget: objects.budget.most,
      mostOfRegistry: Math.max(...objects.registries.map(({ most }) => most)),
      /** In GB-seconds: the rounds, at 128 MB. */
      duration: (objectTime / SECOND) * 0.125,
    },
    rows,
    permits,
    workerRequests,
    queueOperations: 3 * messages,
    messages,
    undelivered: all.reduce((sum, { pending }) => sum + pending.length, 0),
    staleness: { p50: percentile(0.5), p99: percentile(0.99), most: percentile(1) },
  };
}
