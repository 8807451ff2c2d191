// Writes the component and its test from the docs into files, so that Vitest runs them as they are
// printed.
import { readFileSync, writeFileSync } from "node:fs";

/** Writes the TSX block of a page that contains `text`, without its indentation. */
function extract(page, text, file) {
  const blocks = [...readFileSync(`docs/${page}`, "utf8").matchAll(/^( *)```tsx\n(.*?)^ *```$/gms)];
  const [, indent, code] = blocks.find(([, , code]) => code.includes(text)) ?? [];
  if (code === undefined) throw new Error(`extract: docs/${page} has no block with ${text}`);
  writeFileSync(`docs/${file}`, code.replaceAll(new RegExp(`^${indent}`, "gm"), ""));
}

extract("react.md", "export function People", "people.tsx");
extract("testing.md", 'from "vitest"', "people.test.tsx");
