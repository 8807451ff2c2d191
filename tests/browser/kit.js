// What the browser tests use of the package's own JavaScript, and a little of their own, bundled into `dist/kit.js`: one file,
// because wasm-bindgen's test server may leave one of several parallel requests without an answer.
export { Changes } from "../../pkg-template/changes.js";
export { Drive } from "../../pkg-template/drive.js";
export { DeltaError, closed } from "../../pkg-template/error.js";
export { IndexedDb } from "../../pkg-template/indexed-db.js";
export { Mirror } from "../../pkg-template/mirror.js";
export { Store } from "../../pkg-template/store.js";
export { storeContract } from "../../pkg-template/contract.js";
export { turn } from "../wait.mjs";

export async function call(url, method, body) {
  const response = await fetch(url, { method, body: body || undefined });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return text;
}

export function eval_js(source, ...values) {
  return new Function("a", "b", source)(...values);
}
