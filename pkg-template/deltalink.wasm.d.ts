/** The engine, for hosts that import WebAssembly as a module, and for `init()`. */
declare const wasm: WebAssembly.Module;
export default wasm;
