// @ts-check
import { createFake } from "./fake-graph.js";

export { storeContract } from "./contract.js";
// The first fakeGraph() loads the wasm, from the copy in JavaScript. That is larger than the file,
// but works in every host and bundler.
export const fakeGraph = /* @__PURE__ */ createFake(async () => {
  const bytes = await (await import("./fake-graph-inline.js")).default();
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw new Error(
      `the wasm of deltalink/testing cannot be compiled (${cause?.message ?? cause}); in workerd, bundle the tests with the export condition "workerd"`,
      { cause },
    );
  }
});
