import { createFake } from "./fake-graph.js";

export { storeContract } from "./contract.js";
// Nothing may be compiled at run time here.
export const fakeGraph = /* @__PURE__ */ createFake(async () => (await import("./fake-graph.wasm")).default);
