import type { WebAssemblyModule } from "./host.js";

/** The engine, for hosts that import WebAssembly as a module, and for `init()`. */
declare const wasm: WebAssemblyModule;
export default wasm;
