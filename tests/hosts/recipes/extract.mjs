// Writes each TypeScript block of docs/sign-in.md into a separate file.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

mkdirSync("blocks");
const blocks = [...readFileSync("sign-in.md", "utf8").matchAll(/^```ts\n(.*?)^```$/gms)];
for (const [index, [, code]] of blocks.entries()) writeFileSync(`blocks/${index}.ts`, `${code}export {};\n`);
if (blocks.length < 6)
  throw new Error(
    `extract: docs/sign-in.md has ${blocks.length} TypeScript blocks, expected at least 6; change the number if recipes were removed`,
  );
