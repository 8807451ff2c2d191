// The control API of the fake Graph that the origin of the page serves.
import type { Reader } from "./session";

/** The control API of the fake Graph for one world. */
export class World {
  readonly id: string;
  readonly user: string | undefined;
  readonly #tokens = new Map<Reader, Promise<string>>();
  #ensured: Promise<void> | undefined;

  constructor(id: string, user: string | undefined) {
    this.id = id;
    this.user = user;
  }

  get root(): string {
    return `${location.origin}/w/${this.id}/v1.0`;
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

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`/control/worlds${path}`, {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    });
    if (!response.ok)
      throw new Error(
        `The demo's server returned ${response.status} for ${method} ${path}: ${(await response.text()).slice(0, 200)}`,
      );
    return (response.headers.get("content-type") ?? "").includes("json")
      ? ((await response.json()) as T)
      : (undefined as T);
  }

  request<T>(method: string, path: string, body?: unknown): Promise<T> {
    return this.call(method, `/${this.id}${path}`, body);
  }

  /**
   * Creates the world if it does not exist. Keeps an existing one, so that stored links stay valid.
   */
  ensure(): Promise<void> {
    this.#ensured ??= this.#create().catch((error: unknown) => {
      this.#ensured = undefined;
      throw error;
    });
    return this.#ensured;
  }

  /** Makes `ensure()` check again whether the world exists: the server may have been restarted. */
  checkAgain(): void {
    this.#ensured = undefined;
  }

  async #create(): Promise<void> {
    const existing = await this.call<string[]>("GET", "");
    if (existing.includes(this.id)) return;
    this.#tokens.clear();
    sessionStorage.removeItem(this.#storageKey("delegated"));
    sessionStorage.removeItem(this.#storageKey("app"));
    await this.call("POST", "", {
      id: this.id,
      seed: 1,
      options: { latency_ms: 120 },
      populate: { events: 60, contacts: 140, recordings: 18 },
    });
  }

  /** Returns a token, which is stored for this tab, so that a reload needs no new one. */
  async token(kind: Reader, mustRenew: boolean): Promise<string> {
    let failure: unknown;
    await this.ensure().catch((error: unknown) => (failure = error));
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

  async #requestToken(kind: Reader): Promise<string> {
    const hasUser = this.user !== undefined;
    // The first delegated token creates the account, so it is requested before an app-only token.
    if (kind === "app" && hasUser) await this.token("delegated", false);
    const { token } = await this.request<{ token: string }>("POST", "/token", {
      kind,
      ...(hasUser && kind === "delegated" && { user: this.user }),
    });
    sessionStorage.setItem(this.#storageKey(kind), token);
    return token;
  }

  #storageKey(kind: Reader): string {
    return `deltalink.token ${this.id} ${this.user ?? ""} ${kind}`;
  }
}
