// A store, ours or a caller's, as the wasm and the mirror see it: what it throws and whatever nonsense it answers becomes a
// DeltaError. One that it rejects with itself goes on as it is.
import { DeltaError, closed } from "./error.js";

export class Store {
  #inner;
  #prefix;
  #own;
  #closed = false;
  /** The last commit of each query: a round that is cut off in the middle of one still has to tell what it did. */
  commits = {};

  /** `prefix` begins the keys of its account. `own`: a store of ours, which knows more than `DeltaStore` asks for. */
  constructor(inner, prefix, own) {
    this.#inner = inner;
    this.#prefix = prefix;
    this.#own = own;
  }

  load(key) {
    return this.#ask("load", [key]);
  }

  rows(key, ids) {
    return this.#ask("rows", [key, ids], "a list with one place an id", (rows) => Array.isArray(rows) && rows.length === ids.length);
  }

  commit(key, batch) {
    return this.commits[key] = this.#ask("commit", [key, batch], "true or false", (done) => typeof done === "boolean");
  }

  async scan(key, range) {
    const rows = await this.#ask("scan", [key, range], "a list of [id, row]", (rows) => Array.isArray(rows) && rows.every((pair) => Array.isArray(pair) && typeof pair[0] === "string"));
    // A scan that does not move would never end.
    if (rows.length && rows.at(-1)[0] === range.after) throw broken("scan", "rows after the id it was given", rows);
    return rows;
  }

  /** Every row with its id, of one moment. Only our own stores can tell. */
  async all(key) {
    return this.#own ? this.#ask("all", [key]) : undefined;
  }

  /** A query of this key is in use. */
  touch(key) {
    if (this.#own) this.#inner.touch?.(key);
  }

  /** Calls back when it is taken away. */
  onclosed(run) {
    if (this.#own) this.#inner.onclosed = run;
  }

  /** Wipes what is stored of its account, and lets nobody in again. */
  forget() {
    this.#closed = true;
    return this.#call("clear", [this.#prefix]);
  }

  close() {
    this.#closed = true;
    if (this.#own) this.#inner.close?.();
  }

  async #ask(...question) {
    if (this.#closed) throw closed();
    return this.#call(...question);
  }

  async #call(name, values, must, holds) {
    let answer;
    try {
      const inner = this.#inner;
      if (typeof inner[name] !== "function") {
        throw new DeltaError(`options.store must be "indexeddb", "memory" or a DeltaStore; this one has no ${name}()`, { code: "store" });
      }
      answer = await inner[name](...values);
    } catch (thrown) {
      if (thrown instanceof DeltaError) throw thrown;
      throw new DeltaError(`${name}() of options.store failed (${said(thrown)}); what it committed last is intact`, { code: "store", retryable: true, cause: thrown });
    }
    let good = false;
    try {
      good = !must || holds(answer);
    } catch {
      // No list, or one that can't be read.
    }
    if (!good) throw broken(name, must, answer);
    return answer;
  }
}

function broken(name, must, got) {
  return new DeltaError(`${name}() of options.store must give ${must}, got ${typeof got === "string" ? "a text" : said(got)}`, { code: "store" });
}

/** Anything can be thrown or given: circles, getters of their own. */
function said(value) {
  let text = "something else";
  try {
    text = String(value?.message ?? JSON.stringify(value) ?? value);
  } catch {
    // That is what it is.
  }
  return text.slice(0, 200);
}
