// Writes what tells this wasm from those of other builds into it, as a section of its own, and into
// the JavaScript that loads it.
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
const place = 'const STAMP = "";';
if (!source.includes(place)) throw new Error(`${loader} has no place for the stamp`);
writeFileSync(loader, source.replace(place, `const STAMP = "${stamp}";`));
