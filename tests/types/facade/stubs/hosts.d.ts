// Declarations of some hosts that the DOM library does not have.
declare module "node:fs/promises" {
  export function readFile(path: URL): Promise<Uint8Array<ArrayBuffer>>;
}
declare module "*.wasm?module" {
  const wasm: WebAssembly.Module;
  export default wasm;
}
declare module "*.wasm" {
  const wasm: WebAssembly.Module;
  export default wasm;
}
declare module "cloudflare:workers" {
  export class DurableObject {
    constructor(ctx: unknown, env: unknown);
    protected ctx: {
      storage: import("../../../../pkg-template/stores/durable-object.js").ObjectStorage & {
        kv: { get(key: string): unknown; put(key: string, value: unknown): void };
        getAlarm(): Promise<number | null>;
        setAlarm(at: number): Promise<void>;
        deleteAlarm(): Promise<void>;
        deleteAll(): Promise<void>;
      };
      id: { name?: string };
      waitUntil(promise: Promise<unknown>): void;
    };
  }
}
