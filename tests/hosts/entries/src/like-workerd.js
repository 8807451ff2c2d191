// Loaded before a program of Node: gives it the environment of a server that OpenNext runs in
// workerd.
import files from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { readFile } from "./no-files.js";

// Node reads modules by the same function.
const real = files.readFile;
files.readFile = (path, ...more) => (String(path).endsWith(".wasm") ? readFile() : real(path, ...more));
syncBuiltinESMExports();
// Node's fetch compiles its parser, which is smaller.
const { compile } = WebAssembly;
WebAssembly.compile = async (bytes) => {
  if (bytes.byteLength < 100_000) return compile(bytes);
  throw new WebAssembly.CompileError("WebAssembly.compile(): Wasm code generation disallowed by embedder");
};
