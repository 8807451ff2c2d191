// Long names can't be compressed away: the wasm's imports and exports get the short ones that wasm-opt chose (its list comes on
// standard input), in the JavaScript of wasm-bindgen too.
import { readFileSync, writeFileSync } from "node:fs";

const file = process.argv[2];
const { imports, exports } = JSON.parse(readFileSync(0, "utf8"));
let source = readFileSync(file, "utf8");

function replace(pattern, name) {
  let count = 0;
  source = source.replace(pattern, () => (count++, name));
  return count;
}

const plain = (text) => text.replace(/[.$]/g, "\\$&");
const missing = [];
// wasm-opt calls the only module "a".
for (const long of new Set(imports.map(([module]) => module))) if (!replace(new RegExp(`"${plain(long)}"`, "g"), '"a"')) missing.push(long);
for (const [, long, short] of imports) if (!replace(new RegExp(`\\b${plain(long)}(?=: function)`, "g"), short)) missing.push(long);
// What only the host or the tools know has no place in the JavaScript.
for (const [long, short] of exports) replace(new RegExp(`(?<=\\bwasm\\.)${plain(long)}\\b`, "g"), short);
// What wasm-bindgen has for hosts without FinalizationRegistry or encodeInto, and for a call that it never makes: every host that
// reads private fields, as the facade has them, has both.
const needless = [
  /\(typeof FinalizationRegistry === 'undefined'\)\s*\? \{ register: \(\) => \{\}, unregister: \(\) => \{\} \}\s*: (?=new FinalizationRegistry)/g,
  /if \(!\('encodeInto' in cachedTextEncoder\)\) \{\n(?: .*\n)*\}\n/g,
  / {4}if \(realloc === undefined\) \{\n(?: {8}.*\n)* {4}\}\n/g,
];
for (const pattern of needless) if (!replace(pattern, "")) missing.push(pattern);
// A buffer that was detached is none of the memory's either.
const detached = /cachedDataViewMemory0 === null \|\| cachedDataViewMemory0\.buffer\.detached === true \|\| \(cachedDataViewMemory0\.buffer\.detached === undefined && cachedDataViewMemory0\.buffer !== (wasm\.\w+)\.buffer\)/g;
if (!source.match(detached)) missing.push("getDataViewMemory0");
source = source.replace(detached, "cachedDataViewMemory0?.buffer !== $1.buffer");
// Each entry of the package makes a module of whatever there is, and loads it once.
const loading = /^let wasmModule, wasmInstance, wasm;\nfunction __wbg_finalize_init\(instance, module\) \{\n {4}wasmInstance = instance;\n {4}wasm = instance\.exports;\n {4}wasmModule = module;\n {4}cachedDataViewMemory0 = null;\n {4}cachedUint8ArrayMemory0 = null;\n {4}return wasm;\n\}\n[^]*$/m;
const loaded = "let wasm;\nexport default async function load(module) {\n    wasm ??= (await WebAssembly.instantiate(module, __wbg_get_imports())).exports;\n}\n";
if (!replace(loading, loaded)) missing.push("the loader");
const left = source.match(/\bwasm\.\w{4,}/g);
if (missing.length || left) throw new Error(`names without a place: ${[...missing, ...(left ?? [])].join(", ")}`);
writeFileSync(file, source);
