// Puts a wasm, gzipped, into the module that is its copy in JavaScript.
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const [wasm, copy] = process.argv.slice(2);
const source = readFileSync(copy, "utf8");
const place = 'const GZIPPED = "";';
if (!source.includes(place)) throw new Error(`${copy} has no place for the wasm`);
writeFileSync(
  copy,
  source.replace(
    place,
    `const GZIPPED = "${gzipSync(readFileSync(wasm), { level: 9 }).toString("base64")}";`,
  ),
);
