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
// A stand-in for TextEncoder.encodeInto, which every host with these features of WebAssembly has.
if (!replace(/^if \(!\('encodeInto' in cachedTextEncoder\)\) \{.*?^\}$/ms, "")) missing.push("encodeInto");
// wasm-opt calls the only module "a".
for (const long of new Set(imports.map(([module]) => module))) if (!replace(new RegExp(`"${plain(long)}"`, "g"), '"a"')) missing.push(long);
for (const [, long, short] of imports) if (!replace(new RegExp(`\\b${plain(long)}(?=: function)`, "g"), short)) missing.push(long);
// What only the host or the tools know has no place in the JavaScript.
for (const [long, short] of exports) replace(new RegExp(`(?<=\\bwasm\\.)${plain(long)}\\b`, "g"), short);
const left = source.match(/\bwasm\.\w{4,}/g);
if (missing.length || left) throw new Error(`names without a place: ${[...missing, ...(left ?? [])].join(", ")}`);
writeFileSync(file, source);
