// @ts-check
// The fake Graph of testing.d.ts. Its wasm has no clock and no I/O: this file adds a clock and a
// simulated connection.
/** @import { FakeGraph as FakeGraphType } from "./testing.js" */
import { typeOf } from "./error.js";
import { ADDED, LISTED, PLACE, SETTINGS, check, checkFault } from "./fake-checks.js";
import load, { Fake } from "./fake-graph-glue.js";

const ROOT = "https://graph.microsoft.com/v1.0";
/** Milliseconds between two pieces of a slow body. */
const TICK = 50;

/** Returns `fakeGraph()`. `source` resolves to the wasm, as a module or as bytes. */
export function createFake(source) {
  let loading;
  /** @type {typeof import("./testing.js").fakeGraph} */
  const fakeGraph = async (options = {}) => {
    const { seed = 1, populate, settings, now = () => Date.now(), endpoint = ROOT, ...other } = options;
    for (const name in other) throw new TypeError(`fakeGraph() has no option ${name}`);
    loading ??= source().then((module_or_path) => load({ module_or_path }));
    await loading.catch((error) => {
      loading = undefined;
      throw error;
    });
    const graph = new FakeGraph(new Fake(seed, endpoint), endpoint, now);
    if (settings) graph.set(settings);
    if (populate) graph.populate(populate);
    return graph;
  };
  return fakeGraph;
}

/** The wasm has names in snake case: `page_size` for `pageSize`. */
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const renamed = (object, rename) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [rename(name), value]));

function checkId(call, id) {
  if (typeof id !== "string" || !id)
    throw new TypeError(`${call}() needs the id of an item, got ${typeOf(id)}`);
}

/** @implements {FakeGraphType} */
class FakeGraph {
  #fake;
  #clock;
  #ahead = 0;
  #tokens = {};
  /** The names of faults, by the ids of their rules. */
  #faultNames = new Map();

  constructor(fake, endpoint, clock) {
    this.#fake = fake;
    this.#clock = clock;
    this.endpoint = endpoint;
    this.user = this.#request("GET", "").user;
    // Callers pass these on as functions, without their object.
    this.fetch = (input, init) => this.#fetch(new Request(input, init));
    const account = { account: this.user.id };
    this.token = Object.assign((request) => this.#token("delegated", request), account);
    this.appToken = Object.assign((request) => this.#token("app", request), account);
  }

  get now() {
    return new Date(this.#time());
  }

  advance(ms) {
    this.#ahead += ms;
  }

  populate(what) {
    const { around, ...counts } = what ?? {};
    this.#request("POST", "populate", {
      ...counts,
      ...(around && { around: new Date(around).toISOString() }),
    });
  }

  add(collection, item, where) {
    check(where, "the third argument of add()", ADDED);
    return this.#edit("add", collection, {
      ...(item && { item }),
      ...(item?.id && { id: item.id }),
      ...where,
    })[0];
  }

  edit(collection, id, patch) {
    checkId("edit", id);
    this.#edit("edit", collection, { id, ...(patch && { patch }) });
  }

  remove(collection, id, { soft = false } = {}) {
    checkId("remove", id);
    this.#edit(soft ? "soft-remove" : "remove", collection, { id });
  }

  restore(collection, id) {
    checkId("restore", id);
    this.#edit("restore", collection, { id });
  }

  churn(collection, count, where) {
    check(where, "the third argument of churn()", PLACE);
    return this.#edit("random", collection, { count, ...where });
  }

  /**
   * @param {string} collection
   * @param {{ start?: Date | string, end?: Date | string, [name: string]: any }} where
   */
  items(collection, { start, end, ...where } = {}) {
    check({ start, end, ...where }, "the second argument of items()", LISTED);
    const iso = (date) => new Date(date).toISOString();
    const query = new URLSearchParams({
      ...where,
      ...(start && { start: iso(start) }),
      ...(end && { end: iso(end) }),
    });
    return this.#request("GET", `tables/${collection}?${query}`);
  }

  set(settings = {}) {
    check(settings, "settings", SETTINGS, "option");
    this.#request("PATCH", "options", renamed(settings, snake));
  }

  fault(fault, when = {}) {
    checkFault(fault, when);
    const { times = 1, ...match } = when;
    const { name, ...more } = typeof fault === "string" ? { name: fault } : fault;
    const rule = { name: snake(name), ...renamed(more, snake) };
    if (name === "throttle") {
      const { retry_after: after } = rule;
      Object.assign(rule, {
        name: "status",
        status: 429,
        code: "TooManyRequests",
        ...(after !== undefined && { headers: { "Retry-After": String(after) } }),
      });
      delete rule.retry_after;
    }
    const [id] = this.#request("POST", "faults", [
      { match: renamed(match, snake), times: times === Infinity ? null : times, fault: rule },
    ]).ids;
    this.#faultNames.set(id, name);
    return () => {
      // The fault may be gone: removed before, or by clearFaults().
      if (this.#request("GET", "faults").rules.some((other) => other.id === id))
        this.#request("DELETE", `faults/${id}`);
    };
  }

  clearFaults() {
    this.#request("DELETE", "faults");
  }

  expireLinks(collection) {
    this.#request("POST", "expire", { collection });
  }

  revokeTokens() {
    this.#request("POST", "revoke");
  }

  subscriptions() {
    return this.#request("GET", "subscriptions");
  }

  requests() {
    return this.#request("GET", "log").map(({ rule, ...entry }) => ({
      ...renamed(entry, camel),
      fault: this.#faultNames.get(rule) ?? null,
    }));
  }

  clearRequests() {
    this.#request("DELETE", "log");
  }

  #time() {
    return Number(this.#clock()) + this.#ahead;
  }

  #request(method, path, body = {}) {
    return JSON.parse(this.#fake.control(method, path, JSON.stringify(body), this.#time()));
  }

  #edit(op, collection, more) {
    return this.#request("POST", "edits", [{ op, collection, ...renamed(more, snake) }]).ids;
  }

  #token(kind, request) {
    const mustRenew = request && request.reason !== "start";
    if (mustRenew || !this.#tokens[kind]) this.#tokens[kind] = this.#request("POST", "token", { kind }).token;
    return this.#tokens[kind];
  }

  async #fetch(request) {
    const { signal } = request;
    signal.throwIfAborted();
    const { origin } = new URL(this.endpoint);
    if (!request.url.startsWith(`${origin}/`))
      throw new TypeError(`the fake Graph is at ${origin}, the request was for ${request.url}`);
    const sent = request.body ? await request.text() : "";
    const text = this.#fake.handle(
      request.method,
      request.url.slice(origin.length),
      JSON.stringify([...request.headers]),
      sent,
      this.#time(),
    );
    const end = text.indexOf("\n");
    const { status, headers, delay, cut, hang, rate } = JSON.parse(text.slice(0, end));
    if (hang) await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    await wait(delay, signal);
    if (status === 0) throw new TypeError("the fake Graph broke the connection");
    const body =
      status === 204 ? null : stream(new TextEncoder().encode(text.slice(end + 1)), cut, rate, signal);
    const response = new Response(body, { status, headers });
    Object.defineProperty(response, "url", { value: request.url });
    return response;
  }
}

/** Returns a body that arrives at `rate` bytes per second and breaks off after `cut` bytes. */
function stream(bytes, cut, rate, signal) {
  let position = 0;
  return new ReadableStream({
    async pull(controller) {
      const last = Math.min(bytes.length, cut ?? Infinity);
      const next = rate ? Math.min(last, position + Math.ceil((rate * TICK) / 1000)) : last;
      if (rate) await wait(TICK, signal);
      if (next > position) controller.enqueue(bytes.subarray(position, next));
      position = next;
      if (position < last) return;
      if (last < bytes.length) controller.error(new TypeError("the fake Graph broke the connection"));
      else controller.close();
    },
  });
}

function wait(ms, signal) {
  if (!ms) return undefined;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
