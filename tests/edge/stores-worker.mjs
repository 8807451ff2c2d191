// Serves the stores in a Worker: their methods by HTTP, the rules of the contract, and rounds. Can
// break a store on purpose.
import { DurableObject } from "cloudflare:workers";
import { openDelta } from "deltalink";
import { D1Store } from "deltalink/stores/d1";
import { DurableObjectStore } from "deltalink/stores/durable-object";
import { storeContract } from "deltalink/testing";

/**
 * The SQL of a broken store. `replace` replaces a text, `failing` is the number of the statement
 * that fails.
 */
function altered(fault) {
  let number = 0;
  return (text) => {
    if (number++ === fault?.failing) throw new Error("no room left");
    const [from, to] = fault?.replace ?? ["", ""];
    return fault?.but && text.endsWith(fault.but) ? text : text.replaceAll(from, to);
  };
}

const OPEN = {
  "durable-object"({ storage }, env, fault) {
    if (!fault) return new DurableObjectStore(storage);
    const alter = altered(fault);
    return new DurableObjectStore({
      sql: { exec: (text, ...values) => storage.sql.exec(alter(text), ...values) },
      transactionSync: (run) => (fault.apart ? run() : storage.transactionSync(run)),
    });
  },
  d1(ctx, { DB }, fault) {
    if (!fault) return new D1Store(DB);
    const alter = altered(fault);
    return new D1Store({
      prepare: (text) => ({ bind: (...values) => [text, values] }),
      async batch(statements) {
        const made = statements.map(([text, values]) => {
          try {
            return DB.prepare(alter(text)).bind(...values);
          } catch {
            return DB.prepare("select no such thing");
          }
        });
        if (!fault.apart) return DB.batch(made);
        const results = [];
        for (const statement of made) results.push(await statement.all());
        return results;
      },
    });
  },
};

const TASKS = {
  /** Calls a method of a store. */
  async call({ kind, fault, name, values }, ctx, env) {
    return { result: await OPEN[kind](ctx, env, fault)[name](...values) };
  },

  /** Stores the row of this JSON. Resolves to the properties of its item, with their values. */
  async infinite({ kind, key, text }, ctx, env) {
    const store = OPEN[kind](ctx, env);
    await store.commit(key, { state: { revision: "1" }, put: [["a", JSON.parse(text)]], remove: [] });
    const [row] = await store.rows(key, ["a"]);
    return { numbers: Object.entries(row.item).map(([name, value]) => `${name} ${value}`) };
  },

  /** Checks a store against a rule of the contract. */
  async rule({ kind, fault, name }, ctx, env) {
    const open = () => OPEN[kind](ctx, env, fault);
    const found = storeContract(open, { reopen: open }).find((rule) => rule.name === name);
    await found.run();
    return {};
  },

  /** The statements, rows read and rows written that the platform counts for a call. */
  async cost({ kind, name, values }, { storage } = {}, { DB }) {
    const cost = { statements: 0, read: 0, written: 0 };
    const add = (read, written) => {
      cost.statements += 1;
      cost.read += read;
      cost.written += written;
    };
    const counted = {
      "durable-object": () =>
        new DurableObjectStore({
          sql: {
            exec(...statement) {
              const cursor = storage.sql.exec(...statement);
              const rows = cursor.toArray();
              add(cursor.rowsRead, cursor.rowsWritten);
              return { toArray: () => rows };
            },
          },
          transactionSync: (run) => storage.transactionSync(run),
        }),
      d1: () =>
        new D1Store({
          prepare: (text) => DB.prepare(text),
          async batch(statements) {
            const results = await DB.batch(statements);
            for (const { meta } of results) add(meta.rows_read, meta.rows_written);
            return results;
          },
        }),
    };
    const store = counted[kind]();
    await store.load("nobody");
    Object.assign(cost, { statements: 0, read: 0, written: 0 });
    const result = await store[name](...values);
    return { ...cost, result };
  },

  /** Runs a round of at most `maxPages`. Resolves to the delivered changes and the mirror. */
  async round({ kind, endpoint, token, mirror, maxPages }, ctx, env) {
    const client = await openDelta({
      endpoint,
      token: () => token,
      account: "edge",
      store: OPEN[kind](ctx, env),
      retry: { base: 1, cap: 5 },
    });
    const query = client.orgContacts({ mirror });
    const changes = [];
    const round = query.round({ maxPages });
    for await (const page of round) changes.push(...page.changes);
    const { outcome, requests } = round.report;
    return { changes, outcome, requests, items: mirror ? await query.all() : undefined };
  },
};

async function respond(request, ctx, env) {
  const { task, ...parameters } = await request.json();
  try {
    return Response.json(await TASKS[task](parameters, ctx, env));
  } catch (error) {
    return Response.json({ error: String(error?.message ?? error) });
  }
}

export class Holder extends DurableObject {
  fetch(request) {
    return respond(request, this.ctx, this.env);
  }
}

export default {
  fetch(request, env) {
    if (new URL(request.url).pathname !== "/durable-object") return respond(request, undefined, env);
    return env.HOLDER.get(env.HOLDER.idFromName("one")).fetch(request);
  },
};
