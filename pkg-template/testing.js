import { createFake } from "./fake-graph.js";

export { storeContract } from "./contract.js";
// The wasm is loaded by the first fakeGraph(). Tests can wait for what bundles can't: here the copy
// in JavaScript, which works everywhere.
export const fakeGraph = /* @__PURE__ */ createFake(async () =>
  (await import("./fake-graph-inline.js")).default(),
);
