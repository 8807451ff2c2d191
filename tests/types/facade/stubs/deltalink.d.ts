// The JavaScript that wasm-bindgen writes, as scripts/build.sh wraps it: a function that returns
// the exports of one instance. Its classes are those of src/web/client.rs and src/web/live.rs.
import type { DeltaErrorFields, Page, RoundReport } from "deltalink";
import type { RoundRun } from "../../../../pkg-template/round-run.js";

export interface Api {
  default(input: { module_or_path: WebAssembly.Module }): Promise<unknown>;
  initSync(input: { module: WebAssembly.Module }): unknown;
  Client: new (options: unknown, makeError: (message: string, fields: DeltaErrorFields) => Error) => Client;
  Schedule: new (id: string, hasPeers: boolean) => Schedule;
}

export interface Schedule {
  step(input: object): object[];
}

export interface Client {
  readonly store_kind: "indexeddb" | "memory" | "custom";
  readonly account: string;
  open(onClosed: () => void): Promise<[key: string, syncedAt: number][] | undefined>;
  query(call: string, path: unknown, options: unknown): Query;
  resume(): void;
  close(): Promise<void>;
  forget(): Promise<void>;
}

export interface Query {
  readonly key: string;
  readonly key_hash: string;
  readonly has_mirror: boolean;
  readonly has_series: boolean;
  readonly window: { daysBack: number; daysAhead: number; timeZone: string } | undefined;
  round(
    options: unknown,
    signal: AbortSignal,
    run: RoundRun,
    hasConsumer: boolean,
    window: string | undefined,
  ): RoundHandle;
  reset(): Promise<void>;
  clear(): Promise<void>;
  synced_at(): Promise<number | undefined>;
  get(id: string, completes: boolean): Promise<object | undefined>;
  changed(
    ids: string[],
    series: string[],
    completes: boolean,
  ): Promise<{ items: (object | undefined)[]; others: object[] }>;
  completed(items: object[]): Promise<object[]>;
  count(completes: boolean): Promise<number>;
  all(completes: boolean): Promise<object[]>;
  chunk(
    after: string | undefined,
    limit: number,
    completes: boolean,
  ): Promise<{ items: object[]; next?: string }>;
}

export interface RoundHandle {
  next(): Promise<Page<object> | undefined>;
  ack(page: number): Promise<void>;
  leave(): Promise<void>;
  report(): RoundReport;
}

export default function glue(
  webAssembly: object,
  startTimer: (run: () => void, ms: number) => unknown,
  stopTimer: (timer: unknown) => void,
  controller: typeof AbortController,
): Api;
