// Types of globals that every host has: those of the DOM library, of Node or of Workers, whichever
// the project loads. Without any of these, a type has only the properties that deltalink needs.

type Global<Name extends string, Else> = typeof globalThis extends { [N in Name]: { prototype: infer Type } }
  ? Type
  : Else;

export type AbortSignal = Global<
  "AbortSignal",
  { readonly aborted: boolean; readonly reason: unknown; throwIfAborted(): void }
>;
export type Request = Global<"Request", { readonly method: string; readonly url: string }>;
export type URL = Global<"URL", { readonly href: string }>;
export type Response = Global<"Response", { readonly ok: boolean; arrayBuffer(): Promise<ArrayBuffer> }>;
export type BufferSource = ArrayBufferView | ArrayBuffer;
export type WebAssemblyModule = typeof globalThis extends {
  WebAssembly: { Module: { prototype: infer Type } };
}
  ? Type
  : object;
export const fetch: typeof globalThis extends { fetch: infer Type }
  ? Type
  : (url: string, init?: object) => Promise<object>;
