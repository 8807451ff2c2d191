// Writes an id of this build into the wasm, as a custom section, and into the JavaScript that loads
// it, so that the loader can detect a wasm of another build: node scripts/stamp.mjs WASM LOADER
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const [file, loader] = process.argv.slice(2);
const wasm = readFileSync(file);
const stamp = createHash("sha256").update(wasm).digest("base64url").slice(0, 12);
const [name, value] = [Buffer.from("deltalink"), Buffer.from(stamp)];
writeFileSync(
  file,
  Buffer.concat([wasm, Buffer.from([0, 1 + name.length + value.length, name.length]), name, value]),
);
const source = readFileSync(loader, "utf8");
const placeholder = 'const STAMP = "";';
if (!source.includes(placeholder)) throw new Error(`stamp: ${loader} does not contain ${placeholder}`);
writeFileSync(loader, source.replace(placeholder, `const STAMP = "${stamp}";`));
