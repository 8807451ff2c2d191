// The stores accept the storage objects of Cloudflare's own types.
import type { DeltaStore } from "deltalink";
import { D1Store } from "deltalink/stores/d1";
import { DurableObjectStore } from "deltalink/stores/durable-object";

declare const ctx: DurableObjectState;
declare const env: { DB: D1Database; KV: KVNamespace };

export const stores: DeltaStore[] = [
  new DurableObjectStore(ctx.storage),
  new D1Store(env.DB),
  new D1Store(env.DB.withSession()),
];

// @ts-expect-error There is no store on Workers KV.
export const none = new D1Store(env.KV);
