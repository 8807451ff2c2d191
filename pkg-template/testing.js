// @ts-check
import { createFake } from "./fake-graph.js";

export { storeContract } from "./contract.js";
// The first fakeGraph() loads the wasm. It takes the copy in JavaScript, which is larger than the
// file and works in every host and bundler.
export const fakeGraph = /* @__PURE__ */ createFake(async () =>
  (await import("./fake-graph-inline.js")).default(),
);
