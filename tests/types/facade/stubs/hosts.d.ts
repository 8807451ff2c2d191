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
