// What some hosts have beyond the DOM library.
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
