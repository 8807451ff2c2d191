// The code of the documents, to test it.
import { readFileSync } from "node:fs";
import { transformSync } from "esbuild";

/** Returns the code block of a document that contains this text, as JavaScript. */
export function blockOf(name, text) {
  const document = readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
  const blocks = [...document.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code);
  const { code } = transformSync(
    blocks.find((block) => block.includes(text)),
    { loader: "ts" },
  );
  return code;
}

/** Imports the code block of a document that contains this text. */
export const codeOf = (name, text) =>
  import(`data:text/javascript,${encodeURIComponent(blockOf(name, text))}`);

/** The store of docs/storage.md, which keeps everything in a file. */
export const { fileStore } = await codeOf("storage.md", "function fileStore(");
