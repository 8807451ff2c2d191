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
// The whole of it is one function: a trap ends an instance with all that belongs to it, and the next call makes another one. Each
// entry of the package makes a module of whatever there is.
const loading = /^let wasmModule, wasmInstance, wasm;\nfunction __wbg_finalize_init\(instance, module\) \{\n {4}wasmInstance = instance;\n {4}wasm = instance\.exports;\n {4}wasmModule = module;\n {4}cachedDataViewMemory0 = null;\n {4}cachedUint8ArrayMemory0 = null;\n {4}return wasm;\n\}\n[^]*$/m;
const loaded = "let wasm;\nreturn [__wbg_get_imports(), (exports) => {\n    wasm = exports;\n    return Client;\n}];\n}\n";
if (!replace(loading, loaded)) missing.push("the loader");
if (replace(/^export (?=class )/gm, "") !== 3) missing.push("the classes");
source = `export default function glue() {\n${source}`;
// The facade frees rounds alone.
const [, freeing] = /^class RoundHandle \{\n[^]*?^ {4}__destroy_into_raw\(\) \{\n((?: {8}.*\n)*?) {8}return ptr;\n/m.exec(source) ?? [];
const unused = /^ {4}(?:__destroy_into_raw|free)\(\) \{\n(?: {8}.*\n)* {4}\}\n/gm;
if (!freeing || source.match(unused)?.length !== 6) missing.push("free");
const last = source.match(unused)?.at(-1)?.replace(/ {8}const ptr = this\.__destroy_into_raw\(\);\n/, freeing);
source = source.replace(unused, "").replace(/^class RoundHandle \{\n/m, (start) => start + last);
// One way for all texts, without a faster one for ASCII.
const pass = /^function passStringToWasm0\(arg, malloc, realloc\) \{\n(?:(?: .*)?\n)*\}\n/gm;
const passed = `function passStringToWasm0(arg, malloc, realloc) {
    const most = arg.length * 3;
    const ptr = malloc(most, 1) >>> 0;
    WASM_VECTOR_LEN = cachedTextEncoder.encodeInto(arg, getUint8ArrayMemory0().subarray(ptr, ptr + most)).written;
    return most ? realloc(ptr, most, WASM_VECTOR_LEN, 1) >>> 0 : ptr;
}
`;
if (!replace(pass, passed)) missing.push("passStringToWasm0");
// What may throw is wrapped once, not with each call.
const wrapped = source.match(/function\(\) \{ return handleError\(function \(/g)?.length;
if (!wrapped || replace(/(?<=^ {8})\}, arguments\); \}/gm, "})") !== wrapped) missing.push("handleError");
replace(/function\(\) \{ return handleError\(function \(/g, "caught(function (");
const caught = `function caught(run) {
    return (...args) => {
        try {
            return run(...args);
        } catch (e) {
            wasm.$1(addHeapObject(e));
        }
    };
}
`;
source = source.replace(/^function handleError\(f, args\) \{\n[^]*?wasm\.(\w+)\(addHeapObject\(e\)\);\n[^]*?^\}\n/m, caught);
source = source.replace(/const ret = (.*);\n +return addHeapObject\(ret\);/g, "return addHeapObject($1);");
const left = source.match(/\bwasm\.\w{4,}/g);
if (missing.length || left) throw new Error(`names without a place: ${[...missing, ...(left ?? [])].join(", ")}`);
writeFileSync(file, source);
