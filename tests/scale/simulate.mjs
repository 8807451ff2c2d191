// Simulates a day of the edge example: many mailboxes, their registries and the budget, with the
// decisions of deltalink/workers. What the objects store and call is counted as in their code;
// tests/edge/scale.test.mjs compares the counts with those of workerd.
import * as plan from "deltalink/workers";
import FlatQueue from "flatqueue";

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const [CHANGE, NOTIFY, TICK, STEP, ALARM, FETCH, PAGE, FAIL, GRANT] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
/** The windows of Graph's limits, of an app and of a mailbox. */
const [APP_WINDOW, MAILBOX_WINDOW] = [10 * SECOND, 10 * MINUTE];
/** The client's `retry.maxWait` and `retry.attempts`: a round ends beyond these. */
const [MAX_WAIT, ATTEMPTS] = [10 * SECOND, 3];
/** By hour of the day: how often mailboxes change, compared with the mean. */
const BY_HOUR = Array.from({ length: 24 }, (_, hour) => (hour >= 8 && hour < 18 ? 2.2 : 0.15));
const BUSIEST = Math.max(...BY_HOUR);

export const DEFAULTS = {
  mailboxes: 1000,
  /** The settings of wrangler.jsonc. */
  shards: 16,
  roundsAtOnce: 10,
  pause: 2 * SECOND,
  backOff: 5 * SECOND,
  cron: 15 * MINUTE,
  spread: 10 * MINUTE,
  /** Whether there are subscriptions. */
  notifications: true,
  /** The lifetime of a subscription. */
  lifetime: 10_070 * MINUTE,
  /** The mean of the exponentially distributed time from a change to its notification. */
  latency: 30 * SECOND,
  /** The share of the notifications that never arrive. */
  lost: 0.01,
  changesPerDay: 20,
  /**
   * The number of pages of the first round of a mailbox. At the start all mailboxes are new. With 0
   * pages, they are up to date and have subscriptions instead.
   */
  firstPages: 10,
  /** The number of items of a page of a first round. */
  pageItems: 10,
  /** The duration of a request is this time, plus an exponentially distributed one of this mean. */
  requestTime: 200,
  /** The share of the requests that fail three times, which ends their round. */
  failing: 0.002,
  /** Graph's limits: requests of an app in 10 s, and of an app in a mailbox in 10 min. */
  appLimit: 130_000,
  mailboxLimit: 10_000,
  /** Whether all mailboxes wait for the end of a throttle, as with the setting `recordings`. */
  sharesLimit: true,
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
function windowsByMailbox(count, length) {
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
      return counts[id];
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

export function simulate(options) {
  const settings = { ...DEFAULTS, ...options };
  const { mailboxes: count, shards, cron, spread, notifications, start, backOff } = settings;
  const stop = start + settings.duration;
  const random = generator(settings.seed);
  const exponential = (mean) => -mean * Math.log(1 - random());
  /** Each event is a number: its kind, and the index of what it happens to. */
  const events = new FlatQueue();
  const schedule = (time, kind, id) => events.push(id * 16 + kind, time);
  const budget = new plan.PermitBudget(settings.roundsAtOnce);

  const graph = {
    app: windows(APP_WINDOW),
    byMailbox: windowsByMailbox(count, MAILBOX_WINDOW),
    subscriptions: 0,
    throttled: 0,
  };
  const firstRounds = { left: settings.firstPages ? count : 0, end: undefined };
  const objects = {
    mailboxes: 0,
    byMailbox: windowsByMailbox(count, SECOND),
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
    state: { ...plan.NO_ROUNDS },
    running: undefined,
    began: 0,
    isNew: settings.firstPages > 0,
    pagesLeft: settings.firstPages,
    /** Whether a registry has told the object its name. */
    isNamed: !settings.firstPages,
    /** How often Graph has throttled the current request. */
    refusals: 0,
    error: undefined,
    permit: undefined,
    alarm: Infinity,
    subscription: undefined,
    subscribeAt: notifications ? 0 : Infinity,
    subscribeFailures: 0,
    /** The times of changes that no round has delivered, in this order. */
    pending: [],
  }));
  if (notifications && !settings.firstPages)
    for (const one of all) {
      one.subscription = {};
      one.subscribeAt = start + random() * settings.lifetime * (2 / 3);
    }
  const byName = new Map(all.map((one) => [one.name, one]));
  /** By registry: the mailboxes that its alarm wakes together, by their offset. */
  const steps = Array.from({ length: shards }, () => new Map());
  for (const one of all) {
    const offsets = steps[plan.shardOf(one.name, shards)];
    const offset = plan.dueAt(one.name, { now: 0, spread });
    offsets.set(offset, [...(offsets.get(offset) ?? []), one]);
  }
  const stepList = steps.flatMap((offsets, shard) =>
    [...offsets].map(([offset, some]) => ({ shard, offset, some })),
  );

  const countCall = (one, now) => {
    objects.mailboxes += 1;
    objects.byMailbox.add(one.id, now);
  };
  /** Counts a request. Returns when its throttle ends; undefined if Graph does not throttle it. */
  const requestGraph = (one, now) => {
    const endOf = (window) => now + SECOND * Math.ceil((window - (now % window)) / SECOND);
    const [ofMailbox, ofApp] = [graph.byMailbox.add(one.id, now), graph.app.add(now)];
    if (ofMailbox > settings.mailboxLimit) return endOf(MAILBOX_WINDOW);
    return ofApp > settings.appLimit ? endOf(APP_WINDOW) : undefined;
  };
  const write = (one, state) => {
    if (state === one.state) return;
    rows.mailboxes += 1;
    one.state = state;
  };

  /** As MailboxObject.#setAlarm(). */
  function setAlarm(one, now, replaces = false) {
    const at = plan.alarmDueAt(one.state, one, { waitsForPermit: one.permit === "waiting", now });
    if (at < one.alarm || (replaces && at < Infinity)) {
      rows.mailboxes += 1;
      one.alarm = Math.max(at, now + 1);
      schedule(one.alarm, ALARM, one.id);
    } else if (replaces && one.alarm < Infinity) {
      rows.mailboxes += 1;
      one.alarm = Infinity;
    }
  }

  function requestRound(one, now) {
    write(one, plan.requestRound(one.state, one.running));
    if (one.running === undefined) setAlarm(one, now);
  }

  /** As BudgetObject.#setAlarm(). */
  function setGrantAlarm(now) {
    const at = budget.nextAt(now);
    permits.mostWaiting = Math.max(permits.mostWaiting, budget.waiting.size);
    if (at >= grantAt) return;
    rows.budget += 1;
    grantAt = Math.max(at, now + 1);
    schedule(grantAt, GRANT, 0);
  }

  function grant(now) {
    for (const { mailbox } of budget.grant(now)) {
      rows.budget += 1;
      const one = byName.get(mailbox);
      calls.usePermit += 1;
      countCall(one, now);
      if (one.running === undefined && plan.isRoundDue(one.state, now)) {
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
    budget.release(one.name, { now, retryAt, jitter: random() * settings.pause });
    grant(now);
  }

  /** As MailboxObject.alarm(), up to the start of a round. */
  function alarm(one, now) {
    one.alarm = Infinity;
    calls.alarm += 1;
    countCall(one, now);
    let isHeld = false;
    if (plan.isRoundDue(one.state, now)) {
      isHeld = one.permit === "held" || acquire(one, now);
      one.permit = isHeld ? undefined : "waiting";
    }
    if (now >= one.subscribeAt && plan.maySubscribe(one, { waitsForPermit: one.permit === "waiting", now })) {
      requestGraph(one, now);
      graph.subscriptions += 1;
      // Graph validates the address of a new subscription.
      if (!one.subscription) workerRequests += 1;
      rows.mailboxes += 1;
      one.subscription ??= {};
      one.subscribeAt = now + settings.lifetime * (2 / 3);
    }
    if (isHeld) begin(one, now);
    else setAlarm(one, now, true);
  }

  function begin(one, now) {
    calls.rounds += 1;
    one.running = one.state.requestedRounds;
    one.began = now;
    one.refusals = 0;
    if (!one.isNew) one.pagesLeft = 1;
    write(one, plan.beginRound(one.state, { now, random: random(), backOff }));
    setAlarm(one, now);
    fetch(one, now);
  }

  /** Requests a page. Repeats the request after a short throttle, as the client does. */
  function fetch(one, now) {
    const retryAt = requestGraph(one, now);
    const respondedAt = now + settings.requestTime + exponential(settings.requestTime);
    if (retryAt !== undefined) {
      graph.throttled += 1;
      one.refusals += 1;
      one.error = { code: "throttled", retryable: true, retryAt };
      const isRepeated = one.refusals < ATTEMPTS && retryAt - respondedAt <= MAX_WAIT;
      schedule(isRepeated ? Math.max(retryAt, respondedAt) : respondedAt, isRepeated ? FETCH : FAIL, one.id);
    } else if (random() < settings.failing) {
      for (let n = 1; n < ATTEMPTS; n++) requestGraph(one, now);
      one.error = undefined;
      schedule(respondedAt + 3 * SECOND, FAIL, one.id);
    } else schedule(respondedAt, PAGE, one.id);
  }

  /** Delivers a page to the queue and acknowledges it. */
  function acknowledge(one, now) {
    one.refusals = 0;
    one.pagesLeft -= 1;
    // Counts the changes before the round. The pages of a new mailbox contain its changes already.
    let found = 0;
    if (!one.pagesLeft) {
      while (one.pending[found] <= one.began) found += 1;
      if (!one.isNew) for (let n = 0; n < found; n++) staleness.push(now - one.pending[n]);
      if (found) one.pending = one.pending.slice(found);
    }
    const items = one.isNew ? settings.pageItems : found;
    messages += items;
    // Two rows for the link, which replaces a row, and one for each item.
    rows.store += 2 + items;
    write(one, plan.continueRound(one.state, { now, random: random(), backOff }));
    if (!one.pagesLeft || now - one.began >= plan.MAX_ROUND) complete(one, now);
    else fetch(one, now);
  }

  function complete(one, now) {
    const isComplete = !one.pagesLeft;
    const { pause } = settings;
    write(one, plan.endRound(one.state, { running: one.running, complete: isComplete, now, pause }));
    if (isComplete && one.isNew) {
      one.isNew = false;
      // The first commit to a new store writes two more rows.
      rows.store += 2;
      firstRounds.left -= 1;
      if (!firstRounds.left) firstRounds.end = now - start;
    }
    end(one, now);
  }

  function fail(one, now) {
    calls.failed += 1;
    write(one, plan.failRound(one.state, one.error, { now, random: random(), backOff }));
    end(one, now, settings.sharesLimit ? one.error?.retryAt : undefined);
  }

  /** As MailboxObject.alarm(), after a round. */
  function end(one, now, retryAt) {
    objectTime += now - one.began;
    one.running = undefined;
    release(one, now, retryAt);
    setAlarm(one, now, true);
  }

  /** The time of the next change of a mailbox, by the hour of the day. */
  function nextChange(now) {
    for (let at = now; ;) {
      at += exponential(DAY / settings.changesPerDay / BUSIEST);
      if (at > stop || random() < BY_HOUR[Math.floor((at % DAY) / HOUR)] / BUSIEST) return at;
    }
  }

  const handle = {
    [CHANGE](now, id) {
      const one = all[id];
      one.pending.push(now);
      if (notifications && random() >= settings.lost)
        schedule(now + Math.min(exponential(settings.latency), 3 * MINUTE), NOTIFY, id);
      schedule(nextChange(now), CHANGE, id);
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
      stepList.forEach(({ offset, some }, index) => {
        // A row and its entry in the index, now and when the mailbox is woken.
        rows.registries += 4 * some.length;
        schedule(now + offset, STEP, index);
      });
      rows.registries += shards;
      schedule(now + cron, TICK, 0);
    },
    [STEP](now, index) {
      const { shard, some } = stepList[index];
      objects.registries[shard].add(now);
      rows.registries += 1;
      for (const one of some) {
        calls.wake += 1;
        countCall(one, now);
        if (!one.isNamed) rows.mailboxes += 1;
        one.isNamed = true;
        requestRound(one, now);
      }
    },
    [ALARM](now, id) {
      // An alarm that was replaced does nothing. One during a round is set again by that round.
      if (all[id].alarm === now && all[id].running === undefined) alarm(all[id], now);
    },
    [FETCH]: (now, id) => fetch(all[id], now),
    [PAGE]: (now, id) => acknowledge(all[id], now),
    [FAIL]: (now, id) => fail(all[id], now),
    [GRANT](now) {
      if (grantAt !== now) return;
      grantAt = Infinity;
      objects.budget.add(now);
      grant(now);
    },
  };

  if (settings.tick) schedule(start, TICK, 0);
  if (settings.changesPerDay) for (const { id } of all) schedule(nextChange(start), CHANGE, id);
  for (const one of all) if (one.subscription) setAlarm(one, start);
  options.prepare?.({ notify: (time, id) => schedule(time, NOTIFY, id), all, start });
  for (let time; (time = events.peekValue()) < stop;) {
    const event = events.pop();
    handle[event % 16](time, Math.floor(event / 16));
  }

  const sorted = Float64Array.from(staleness).sort();
  const percentile = (share) => sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)];
  return {
    settings,
    calls,
    graph: {
      requests: graph.app.total,
      mostOfApp: graph.app.most,
      mostOfMailbox: graph.byMailbox.most,
      subscriptions: graph.subscriptions,
      throttled: graph.throttled,
    },
    /** The time until every mailbox has had its first round. Undefined if not all have. */
    firstRounds: firstRounds.end,
    objects: {
      requests:
        objects.mailboxes +
        objects.budget.total +
        objects.registries.reduce((sum, { total }) => sum + total, 0),
      mostOfMailbox: objects.byMailbox.most,
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
    left: firstRounds.left,
    staleness: { p50: percentile(0.5), p99: percentile(0.99), most: percentile(1) },
  };
}
