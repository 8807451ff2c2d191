// Runs the turns of a scenario in a Durable Object, with a mirror in its storage or in D1, and a
// consumer that stores its own copy. Aborts the object at a given step, also between two statements
// of a transaction.
import { DurableObject } from "cloudflare:workers";
import { openDelta } from "deltalink";
import { D1Store } from "deltalink/stores/d1";
import { DurableObjectStore } from "deltalink/stores/durable-object";

const json = (method, body) => ({
  method,
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

/** The events as Graph sent them. */
const RAW = { occurrences: "raw" };

export class Holder extends DurableObject {
  #token;

  /** Opens a client that reports each statement and each request as a step. */
  async #open({ control, root, kind, account, store: named, broken }, step) {
    const { storage } = this.ctx;
    const store =
      named === "d1"
        ? this.#shared(step)
        : new DurableObjectStore({
            sql: {
              exec: (text, ...values) => {
                step("statement");
                return storage.sql.exec(broken ? text.replace("part >= ?4", "part > ?4") : text, ...values);
              },
            },
            transactionSync: (run) => storage.transactionSync(run),
          });
    const signIn = async () =>
      (this.#token = (await (await fetch(`${control}/token`, json("POST", { kind }))).json()).token);
    const client = await openDelta({
      endpoint: root,
      account,
      store,
      token: ({ reason }) => (reason === "unauthorized" || !this.#token ? signIn() : this.#token),
      retry: { base: 0, cap: 0, attempts: 4 },
      fetch: async (...request) => {
        await step("request");
        return fetch(...request);
      },
    });
    return client;
  }

  #shared(step) {
    const { DB } = this.env;
    return new D1Store({
      prepare: (text) => DB.prepare(text),
      async batch(statements) {
        step("statement");
        const results = await DB.batch(statements);
        // May abort after the statement, before the client knows its result.
        step("statement");
        return results;
      },
    });
  }

  #query(client, { call, path, query }) {
    return call === "track" ? client.track(path, query) : client[call](query);
  }

  /** Runs one round. Resolves to its outcome. */
  async turn(scenario, { crash, rival, midRoundEdits, hasConsumer, maxPages, copied }) {
    const { storage } = this.ctx;
    storage.sql.exec("create table if not exists copy (id text primary key, item text)");
    const edit = (body) => fetch(`${scenario.control}/edits`, json("POST", [body]));
    let steps = 0;
    let requests = 0;
    let other;
    const step = async (what) => {
      steps += 1;
      // abort() ends the object at once: no line after this one runs.
      if (steps - 1 === crash) this.ctx.abort("by the scenario");
      if (what !== "request") return;
      const number = requests++;
      for (const [index, one] of midRoundEdits) if (index === number) await edit(one);
      // Another client runs a round at the same time.
      if (rival !== null && rival !== undefined && !other && steps >= rival) {
        other = await this.#open(scenario, () => {});
        await this.#query(other, scenario)
          .sync()
          .catch(() => {});
      }
    };
    const client = await this.#open(scenario, step);
    try {
      const query = this.#query(client, scenario);
      if (!hasConsumer) return { outcome: (await query.sync()).outcome };
      const round = query.round({ ...(maxPages && { maxPages }) });
      for await (const page of round) {
        for (const change of copied ? page.changes : []) {
          if (change.type === "upsert")
            storage.sql.exec(
              "insert or replace into copy values (?, ?)",
              change.id,
              JSON.stringify(change.item),
            );
          else storage.sql.exec("delete from copy where id = ?", change.id);
        }
      }
      return { outcome: round.report.outcome };
    } catch (error) {
      return { code: error.code ?? String(error), message: error.message };
    } finally {
      await client.close();
      await other?.close();
    }
  }

  async reset(scenario) {
    const client = await this.#open(scenario, () => {});
    await this.#query(client, scenario).reset();
    await client.close();
  }

  async mirror(scenario) {
    const client = await this.#open(scenario, () => {});
    const query = this.#query(client, scenario);
    const [items, count] = [await query.all(RAW), await query.count(RAW)];
    await client.close();
    const copy = this.ctx.storage.sql
      .exec("select item from copy")
      .toArray()
      .map(({ item }) => JSON.parse(item));
    return { items, count, copy };
  }
}

export default {
  async fetch(request, env) {
    const { task, scenario, turn } = await request.json();
    try {
      return Response.json((await env.HOLDER.getByName(scenario.account)[task](scenario, turn)) ?? {});
    } catch (error) {
      return Response.json({ code: "crash", message: String(error) });
    }
  },
};
