// The world of the ordinary build: uses the control API of the fake Graph on the origin of the
// dashboard.
import type { FakeFaults } from "deltalink/testing";
import type { ViewId } from "./rounds";
import type { TokenKind } from "./session";
import { type Conditions, CONTENT, type Edit, type LastingFault, LATENCY, SEED } from "./world";
import { TABLES, type User, type World } from "./world";

/** A rule of the control API. `label` is the id of the fault whose switch made the rule. */
interface Rule {
  id: number;
  times: number | null;
  fault: { label?: string };
}

export class HttpWorld implements World {
  readonly id: string;
  readonly #user: string | undefined;
  readonly #tokens = new Map<TokenKind, Promise<string>>();
  #ensured: Promise<void> | undefined;

  /** `user`: the address of the user, by default the one of the world. */
  constructor(id: string, user: string | undefined) {
    this.id = id;
    this.#user = user;
  }

  /** Whether this origin has a fake Graph. */
  static async isAvailable(): Promise<boolean> {
    try {
      const response = await fetch("/control/worlds");
      return response.ok && (response.headers.get("content-type") ?? "").includes("json");
    } catch {
      return false;
    }
  }

  get root(): string {
    return `${location.origin}/w/${this.id}/v1.0`;
  }

  async user(): Promise<User> {
    if (this.#user !== undefined) return { id: this.#user, address: this.#user };
    const { user } = await this.#request<{ user: User }>("GET", "");
    return user;
  }

  async edit(view: ViewId, edit: Edit): Promise<string[]> {
    const owner = this.#user === undefined ? {} : { user: this.#user };
    const edits = [{ collection: TABLES[view], ...owner, ...edit }];
    const { ids } = await this.#request<{ ids: string[] }>("POST", "/edits", edits);
    return ids;
  }

  async fault(view: ViewId, fault: FakeFaults): Promise<void> {
    const match = { collection: TABLES[view], kind: "any" };
    await this.#request("POST", "/faults", [{ match, times: 1, fault: inSnakeCase(fault) }]);
  }

  async expireLinks(view: ViewId): Promise<void> {
    await this.#request("POST", "/expire", { collection: TABLES[view] });
  }

  async revokeTokens(): Promise<void> {
    await this.#request("POST", "/revoke");
  }

  async conditions(): Promise<Conditions> {
    const [options, rules] = await Promise.all([
      this.#request<{ latency_ms: number; bytes_per_second: number | null }>("GET", "/options"),
      this.#lastingRules(),
    ]);
    return {
      latency: options.latency_ms,
      bandwidth: options.bytes_per_second,
      faults: rules.flatMap(({ fault }) => fault.label ?? []),
    };
  }

  async setLatency(ms: number): Promise<void> {
    await this.#request("PATCH", "/options", { latency_ms: ms });
  }

  async setBandwidth(bytesPerSecond: number | null): Promise<void> {
    await this.#request("PATCH", "/options", { bytes_per_second: bytesPerSecond });
  }

  async keepFault(id: string, { fault, kind = "any" }: LastingFault): Promise<void> {
    // Another tab may have switched it on as well.
    await this.endFault(id);
    const rule = { match: { kind }, times: null, fault: { ...inSnakeCase(fault), label: id } };
    await this.#request("POST", "/faults", [rule]);
  }

  async endFault(id: string): Promise<void> {
    const rules = (await this.#lastingRules()).filter(({ fault }) => fault.label === id);
    await Promise.all(rules.map((rule) => this.#request("DELETE", `/faults/${rule.id}`)));
  }

  async #lastingRules(): Promise<Rule[]> {
    const { rules } = await this.#request<{ rules: Rule[] }>("GET", "/faults");
    return rules.filter(({ times, fault }) => times === null && fault.label !== undefined);
  }

  checkAgain(): void {
    this.#ensured = undefined;
  }

  /** Returns a token, which is stored for this tab, so that a reload needs no new one. */
  async token(kind: TokenKind, mustRenew: boolean): Promise<string> {
    let failure: unknown;
    await this.#ensure().catch((error: unknown) => (failure = error));
    const stored = mustRenew ? null : sessionStorage.getItem(this.#storageKey(kind));
    if (stored !== null) return stored;
    if (failure !== undefined) throw failure;
    let pending = this.#tokens.get(kind);
    if (!pending) {
      pending = this.#requestToken(kind).finally(() => this.#tokens.delete(kind));
      this.#tokens.set(kind, pending);
    }
    return pending;
  }

  async #requestToken(kind: TokenKind): Promise<string> {
    const hasUser = this.#user !== undefined;
    // The first delegated token creates the account, so it is requested before an app-only token.
    if (kind === "app" && hasUser) await this.token("delegated", false);
    const { token } = await this.#request<{ token: string }>("POST", "/token", {
      kind,
      ...(hasUser && kind === "delegated" && { user: this.#user }),
    });
    sessionStorage.setItem(this.#storageKey(kind), token);
    return token;
  }

  #storageKey(kind: TokenKind): string {
    return `deltalink.token ${this.id} ${this.#user ?? ""} ${kind}`;
  }

  /**
   * Creates the world if it does not exist. Keeps an existing one, so that stored links stay valid.
   */
  #ensure(): Promise<void> {
    this.#ensured ??= this.#create().catch((error: unknown) => {
      this.#ensured = undefined;
      throw error;
    });
    return this.#ensured;
  }

  async #create(): Promise<void> {
    const existing = await this.#call<string[]>("GET", "");
    if (existing.includes(this.id)) return;
    this.#tokens.clear();
    sessionStorage.removeItem(this.#storageKey("delegated"));
    sessionStorage.removeItem(this.#storageKey("app"));
    await this.#call("POST", "", {
      id: this.id,
      seed: SEED,
      options: { latency_ms: LATENCY },
      populate: CONTENT,
    });
  }

  async #request<T>(method: string, path: string, body?: unknown): Promise<T> {
    await this.#ensure();
    return this.#call(method, `/${this.id}${path}`, body);
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`/control/worlds${path}`, {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    });
    // Another tab may have deleted it already.
    const isGone = method === "DELETE" && response.status === 404;
    if (!response.ok && !isGone)
      throw new Error(
        `The demo's server returned ${response.status} for ${method} ${path}: ${(await response.text()).slice(0, 200)}`,
      );
    return (response.headers.get("content-type") ?? "").includes("json")
      ? ((await response.json()) as T)
      : (undefined as T);
  }
}

/** The control API has its names in snake case: `not_json` for `notJson`. */
const inSnakeCase = ({ name, ...more }: FakeFaults) => ({
  name: name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  ...more,
});
