import { openDelta } from "deltalink";
import { delayed } from "./wait.mjs";

const WEEKS = [
  ["2026-11-01", "2026-12-20"],
  ["2026-11-10", "2026-12-01"],
  ["2026-11-21", "2026-11-28"],
];

/**
 * Thirty queries, each with the table that it is compared with. Every fifth is a feed, whose
 * consumer stores the items (`Copy`).
 */
const PLANS = Array.from({ length: 30 }, (_, index) => {
  const own = { name: `q${index}`, mirror: index % 5 !== 4 };
  const kind = ["events", "contacts", "users", "groups", "drive", "messages", "recordings"][index % 7];
  const [start, end] = WEEKS[index % WEEKS.length];
  switch (kind) {
    case "events":
      return {
        kind,
        own,
        table: `events?start=${start}&end=${end}`,
        make: (client) => client.events({ start, end, pageSize: [10, 60, 200][index % 3], ...own }),
      };
    case "contacts":
      return { kind, own, table: "contacts", make: (client) => client.orgContacts(own) };
    case "users":
      return {
        kind,
        own,
        table: kind,
        make: (client) =>
          client.track("/users/delta", { select: ["displayName", "mail", "jobTitle", "manager"], ...own }),
      };
    case "groups":
      return { kind, own, table: kind, make: (client) => client.track("/groups/delta", own) };
    case "drive":
      return { kind, own, table: kind, make: (client) => client.track("/me/drive/root/delta", own) };
    case "messages":
      return {
        kind,
        own,
        table: kind,
        make: (client) => client.track("/me/mailFolders/inbox/messages/delta", own),
      };
    default:
      return {
        kind,
        own,
        table: kind,
        app: true,
        make: (client, user) => client.callRecordings({ organizer: user, ...own }),
      };
  }
});

const loops = [];
const counts = { rounds: {}, requests: 0, tokens: 0 };
let isStopped = false;

const count = (name) => (counts.rounds[name] = (counts.rounds[name] ?? 0) + 1);

/** The copy that a consumer of a feed makes. */
class Copy {
  rows = new Map();
  #generation = 0;
  #seen = new Set();

  apply({ changes, kind, generation, index, last }) {
    if (generation !== this.#generation || (kind === "full" && index === 0)) this.#seen.clear();
    this.#generation = generation;
    for (const change of changes) {
      if (change.type === "remove") this.rows.delete(change.id);
      else this.rows.set(change.id, change.item);
      this.#seen.add(change.id);
    }
    // A feed has no mirror, so the consumer finds the ids that a full round no longer lists.
    if (last && kind === "full")
      for (const id of this.rows.keys()) if (!this.#seen.has(id)) this.rows.delete(id);
  }
}

class QueryLoop {
  constructor(plan, client, user) {
    this.plan = plan;
    this.query = plan.make(client, user);
    if (!plan.own.mirror) this.copy = new Copy();
  }

  async round() {
    if (!this.copy) return this.query.sync();
    const round = this.query.round();
    for await (const page of round) this.copy.apply(page);
    return round.report;
  }

  async run() {
    while (!isStopped) {
      try {
        count((await this.round()).outcome);
      } catch (error) {
        count(error.code ?? String(error));
        // The messages of these errors advise reset().
        if (error.code === "resync-loop" || error.code === "livelock")
          await this.query.reset().catch(() => {});
        if (error.retryAt) await delayed(Math.min(error.retryAt - Date.now(), 5000));
      }
      await delayed(100 + Math.random() * 400);
    }
  }

  /**
   * Runs rounds without faults until two in a row complete: Graph may list a change one round late.
   */
  async settle() {
    for (let complete = 0, rounds = 0; complete < 2; rounds++) {
      if (rounds > 12) throw new Error(`${this.query.key} does not settle`);
      try {
        complete = (await this.round()).outcome === "complete" ? complete + 1 : 0;
      } catch (error) {
        if (error.code === "resync-loop" || error.code === "livelock") await this.query.reset();
        if (rounds > 10) throw error;
        await delayed(1000);
      }
    }
    return this.copy ? [...this.copy.rows.values()] : this.query.all({ occurrences: "raw" });
  }
}

window.begin = async ({ root, control, user }) => {
  const token = (kind) => async () => {
    counts.tokens += 1;
    const response = await fetch(`${control}/token`, {
      method: "POST",
      body: JSON.stringify({ kind, lifetime_ms: 20_000 }),
    });
    return { accessToken: (await response.json()).token, expiresOn: new Date(Date.now() + 20_000) };
  };
  const counted = (url, init) => ((counts.requests += 1), fetch(url, init));
  const retry = { base: 50, cap: 400, attempts: 8, maxWait: 4000, timeout: 1500 };
  const open = (kind) =>
    openDelta({ endpoint: root, account: kind, token: token(kind), retry, fetch: counted });
  const [delegated, app] = await Promise.all([open("delegated"), open("app")]);
  for (const plan of PLANS) loops.push(new QueryLoop(plan, plan.app ? app : delegated, user));
  window.running = Promise.all(loops.map((loop) => loop.run()));
};

window.counts = () => counts;

window.end = async () => {
  isStopped = true;
  await window.running;
};

window.settle = () =>
  Promise.all(
    loops.map(async (loop) => ({
      key: loop.query.key,
      kind: loop.plan.kind,
      table: loop.plan.table,
      feed: !!loop.copy,
      items: await loop.settle(),
    })),
  );
