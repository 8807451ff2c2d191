// The code of the documents, to test it.
import { readFileSync } from "node:fs";
import { transformSync } from "esbuild";

/** Imports the code block of a document that contains this text. */
export async function codeOf(name, text) {
  const document = readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
  const blocks = [...document.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code);
  const { code } = transformSync(
    blocks.find((block) => block.includes(text)),
    { loader: "ts" },
  );
  return import(`data:text/javascript,${encodeURIComponent(code)}`);
}

/** The store of docs/storage.md, which keeps everything in a file. */
export const { fileStore } = await codeOf("storage.md", "function fileStore(");
