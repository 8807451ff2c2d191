// @ts-check
import { createFake } from "./fake-graph.js";

export { storeContract } from "./contract.js";
// Workers must not compile at run time. This import is a compiled module.
export const fakeGraph = /* @__PURE__ */ createFake(async () => (await import("./fake-graph.wasm")).default);
