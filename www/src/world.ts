// A world of the fake Graph, as the demo uses it. It is in a server in the ordinary build
// (http-world.ts), and in the web page in the static build (local-world.ts).
import type { FakeFaults } from "deltalink/testing";
import type { ViewId } from "./rounds";
import type { TokenKind } from "./session";

export interface User {
  id: string;
  address: string;
}

/** The names of the three collections in the fake Graph. */
export const TABLES = { calendar: "events", contacts: "contacts", recordings: "recordings" } as const;

/** The content and the latency of a new world. */
export const SEED = 1;
export const CONTENT = { events: 60, contacts: 140, recordings: 18 };
export const LATENCY = 120;

/** A change of a collection. `random` makes some additions, changes and removals. */
export type Edit =
  | { op: "add" }
  | { op: "edit"; id: string; patch: { subject?: string; jobTitle?: string } }
  | { op: "remove"; id: string }
  | { op: "random"; count: number };

/** A fault that stays on. It applies to requests of all collections. */
export interface LastingFault {
  fault: FakeFaults;
  /** Default: every request. `delta`: the first request of an incremental round. */
  kind?: "any" | "delta";
}

/** The state of the connection to the fake Graph. */
export interface Conditions {
  /** The delay of each response, in milliseconds. */
  latency: number;
  /** The bytes of a body that arrive per second; null for no limit. */
  bandwidth: number | null;
  /** The ids of the faults that stay on. */
  faults: readonly string[];
}

export interface World {
  readonly id: string;
  /** The root of Graph for `openDelta()`. */
  readonly root: string;
  /** The function that sends requests to the world, if it is not the one of the browser. */
  readonly fetch?: typeof fetch;
  /** The user of the world. */
  user(): Promise<User>;
  token(kind: TokenKind, mustRenew: boolean): Promise<string>;
  /** Returns the ids of the items that have changed. */
  edit(view: ViewId, edit: Edit): Promise<string[]>;
  /** Makes the next request of a collection fail. */
  fault(view: ViewId, fault: FakeFaults): Promise<void>;
  expireLinks(view: ViewId): Promise<void>;
  revokeTokens(): Promise<void>;
  conditions(): Promise<Conditions>;
  setLatency(ms: number): Promise<void>;
  setBandwidth(bytesPerSecond: number | null): Promise<void>;
  keepFault(id: string, fault: LastingFault): Promise<void>;
  endFault(id: string): Promise<void>;
  /** Makes the next call check whether the world still exists: its server may have restarted. */
  checkAgain(): void;
}
