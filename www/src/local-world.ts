// The world of the static build: the fake Graph of `deltalink/testing` runs in the web page.
//
// All tabs must show the same world, even after a reload. Otherwise a reload would undo each
// change, and the fake would refuse each stored link. Every tab has a copy of the world, whose
// state depends only on the calls and their times. So the tabs share a journal of the calls: before
// a call, a tab repeats the calls of other tabs. A SharedWorker would need the journal as well,
// because it ends with the last tab, and Chrome for Android does not have it.
import { type FakeFaults, type FakeGraph, fakeGraph } from "deltalink/testing";
import { type Call, type Entry, Journal } from "./journal";
import type { ViewId } from "./rounds";
import type { TokenKind } from "./session";
import { type Conditions, CONTENT, type Edit, type LastingFault, LATENCY, SEED } from "./world";
import { TABLES, type User, type World } from "./world";

const ROOT = "https://fake-graph.example/v1.0";
/**
 * The name of this file in the build. It contains a hash of this file and its imports, so that
 * another fake Graph has another name.
 */
const BUILD = import.meta.url.replace(/.*\//, "");
/**
 * A tab that opens begins a new world if the journal has more calls than this, is older, or comes
 * from another build; but never while another tab shows the world.
 */
const MAX_CALLS = 2000;
const MAX_AGE = 6 * 86_400_000;
/** The call that makes a new copy. Its argument is the build. */
const BEGIN = "begin";

/** The copy of the world in this tab. Its methods are the calls of the journal. */
class Copy {
  readonly tokens: Partial<Record<TokenKind, string>> = {};
  readonly faults = new Map<string, () => void>();
  latency = LATENCY;
  bandwidth: number | null = null;
  graph!: FakeGraph;
  #now = 0;

  static async begin(at: number): Promise<Copy> {
    const copy = new Copy();
    copy.#now = at;
    copy.graph = await fakeGraph({
      seed: SEED,
      endpoint: ROOT,
      populate: CONTENT,
      settings: { latencyMs: LATENCY },
      now: () => copy.#now,
    });
    return copy;
  }

  /** Makes a call. Its method gets the signal after its arguments. */
  call({ at, name, args }: Call, signal?: AbortSignal): unknown {
    this.#now = at;
    const method = this[name as CallName] as (...args: unknown[]) => unknown;
    return method.call(this, ...args, signal);
  }

  request(url: string, headers: [string, string][], signal?: AbortSignal): Promise<Response> {
    return this.graph.fetch(url, { headers, ...(signal && { signal }) });
  }

  token(kind: TokenKind): string {
    const source = kind === "app" ? this.graph.appToken : this.graph.token;
    // Any reason but `start` makes a new token.
    const token = source({ reason: "unauthorized" });
    this.tokens[kind] = token;
    return token;
  }

  edit(view: ViewId, edit: Edit): string[] {
    const table = TABLES[view];
    if (edit.op === "add") return [this.graph.add(table)];
    if (edit.op === "random") return this.graph.churn(table, edit.count);
    if (edit.op === "edit") this.graph.edit(table, edit.id, edit.patch);
    else this.graph.remove(table, edit.id);
    return [edit.id];
  }

  fault(view: ViewId, fault: FakeFaults): void {
    this.graph.fault(fault, { collection: TABLES[view] });
  }

  keepFault(id: string, { fault, kind = "any" }: LastingFault): void {
    this.endFault(id);
    this.faults.set(id, this.graph.fault(fault, { kind, times: Infinity }));
  }

  endFault(id: string): void {
    this.faults.get(id)?.();
    this.faults.delete(id);
  }

  expireLinks(view: ViewId): void {
    this.graph.expireLinks(TABLES[view]);
  }

  revokeTokens(): void {
    this.graph.revokeTokens();
  }

  setLatency(ms: number): void {
    this.latency = ms;
    this.graph.set({ latencyMs: ms });
  }

  setBandwidth(bytesPerSecond: number | null): void {
    this.bandwidth = bytesPerSecond;
    this.graph.set({ bytesPerSecond });
  }
}

type CallName =
  | "request"
  | "token"
  | "edit"
  | "fault"
  | "keepFault"
  | "endFault"
  | "expireLinks"
  | "revokeTokens"
  | "setLatency"
  | "setBandwidth";

export class LocalWorld implements World {
  readonly id: string;
  readonly root = ROOT;
  readonly #journal: Journal;
  #copy: Copy | undefined;
  /** The number of the last call of the journal that was made on the copy. */
  #position = 0;

  constructor(id: string) {
    this.id = id;
    this.#journal = new Journal(`fake-graph ${id}`);
  }

  readonly fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const { url, headers, signal } = new Request(input, init);
    signal.throwIfAborted();
    // The latency and the bandwidth of the response run outside of the lock of the journal.
    const { result } = await this.#call("request", [url, [...headers]], signal);
    signal.throwIfAborted();
    return result as Promise<Response>;
  };

  async user(): Promise<User> {
    return (await this.#current()).graph.user;
  }

  async token(kind: TokenKind, mustRenew: boolean): Promise<string> {
    const stored = (await this.#current()).tokens[kind];
    if (stored !== undefined && !mustRenew) return stored;
    return (await this.#call("token", [kind])).result as string;
  }

  async edit(view: ViewId, edit: Edit): Promise<string[]> {
    return (await this.#call("edit", [view, edit])).result as string[];
  }

  async fault(view: ViewId, fault: FakeFaults): Promise<void> {
    await this.#call("fault", [view, fault]);
  }

  async expireLinks(view: ViewId): Promise<void> {
    await this.#call("expireLinks", [view]);
  }

  async revokeTokens(): Promise<void> {
    await this.#call("revokeTokens", []);
  }

  async conditions(): Promise<Conditions> {
    const { latency, bandwidth, faults } = await this.#current();
    return { latency, bandwidth, faults: [...faults.keys()] };
  }

  async setLatency(ms: number): Promise<void> {
    await this.#call("setLatency", [ms]);
  }

  async setBandwidth(bytesPerSecond: number | null): Promise<void> {
    await this.#call("setBandwidth", [bytesPerSecond]);
  }

  async keepFault(id: string, fault: LastingFault): Promise<void> {
    await this.#call("keepFault", [id, fault]);
  }

  async endFault(id: string): Promise<void> {
    await this.#call("endFault", [id]);
  }

  checkAgain(): void {
    // There is no server that could lose the world.
  }

  /** Returns the copy, with all calls of other tabs so far. */
  #current(): Promise<Copy> {
    return this.#journal.exclusive(() => this.#catchUp());
  }

  /**
   * Appends a call to the journal and makes it. Returns the result in an object, so that awaiting
   * this function does not await a result that is a promise.
   */
  #call(name: CallName, args: unknown[], signal?: AbortSignal): Promise<{ result: unknown }> {
    return this.#journal.exclusive(async () => {
      const copy = await this.#catchUp();
      signal?.throwIfAborted();
      const call = { at: Date.now(), name, args };
      // Appends it first, so that no copy has a call that the journal lacks.
      this.#position = await this.#journal.append(call);
      // All other copies will repeat the call, so this one must make it, even if the signal has
      // fired since. An abort only ends the wait for the response.
      const stop = new AbortController();
      const result = copy.call(call, stop.signal);
      // The caller handles a rejection, but only when the lock is released.
      if (result instanceof Promise) result.catch(() => undefined);
      const abort = () => stop.abort(signal?.reason);
      if (signal?.aborted) abort();
      else signal?.addEventListener("abort", abort);
      return { result };
    });
  }

  async #catchUp(): Promise<Copy> {
    let copy = this.#copy;
    const isOpening = !copy;
    const isNew = isOpening && (await this.#mustBegin());
    const calls = isNew ? [await this.#begin()] : await this.#journal.after(this.#position);
    for (const call of calls) {
      if (call.name === BEGIN) copy = await Copy.begin(call.at);
      else if (copy) repeat(copy, call);
      this.#position = call.n;
    }
    if (!copy) throw new Error("the journal of the demo does not begin with a new world");
    this.#copy = copy;
    if (isOpening) await this.#journal.keepOpen();
    return copy;
  }

  /** Whether a tab that opens has to begin a new world. */
  async #mustBegin(): Promise<boolean> {
    const first = await this.#journal.first();
    if (first?.name !== BEGIN) return true;
    const isUsable =
      first.args[0] === BUILD &&
      first.at > Date.now() - MAX_AGE &&
      (await this.#journal.count()) <= MAX_CALLS;
    return !isUsable && !(await this.#journal.isOpenElsewhere());
  }

  /** Replaces the journal by one of a new world. */
  async #begin(): Promise<Entry> {
    await this.#journal.clear();
    const begin = { at: Date.now(), name: BEGIN, args: [BUILD] };
    return { ...begin, n: await this.#journal.append(begin) };
  }
}

/** Repeats a call of another tab, or of this tab before a reload. Its response is not needed. */
function repeat(copy: Copy, call: Call): void {
  const stop = new AbortController();
  try {
    const result = copy.call(call, stop.signal);
    if (result instanceof Promise) result.catch(() => undefined);
  } catch {
    // The call has failed in the other tab too.
  }
  // The fake has handled the request; this ends the wait for its response.
  stop.abort();
}
