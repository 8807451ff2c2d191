// Writes a wasm file, gzipped and in base64, into a JavaScript module for hosts that cannot load
// the file: node scripts/inline.mjs WASM MODULE
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const [wasm, module] = process.argv.slice(2);
const source = readFileSync(module, "utf8");
const placeholder = 'const GZIPPED = "";';
if (!source.includes(placeholder))
  throw new Error(`inline: ${module} does not contain ${placeholder}; pass a new copy of the template`);
writeFileSync(
  module,
  source.replace(
    placeholder,
    `const GZIPPED = "${gzipSync(readFileSync(wasm), { level: 9 }).toString("base64")}";`,
  ),
);
