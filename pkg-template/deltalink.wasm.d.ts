import type { WebAssemblyModule } from "./host.js";

/** The wasm, for hosts that import WebAssembly as a compiled module, and for `init()`. */
declare const wasm: WebAssemblyModule;
export default wasm;
