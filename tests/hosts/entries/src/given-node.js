import process from "node:process";
import { readFileSync } from "node:fs";
import { given } from "./given.js";

const wasm = readFileSync(new URL("../node_modules/deltalink/deltalink.wasm", import.meta.url));
const [endpoint, token] = process.argv.slice(2);
given(new WebAssembly.Module(wasm), { endpoint, token }).then((result) =>
  console.log(JSON.stringify(result)),
);
