// Completes the links in dist/package/ with the address of the repository, which a maintainer fills
// in only once, in pkg-template/package.json. Adds `homepage` and `bugs` to package.json, and makes
// the relative links of README and CHANGELOG absolute, because npm shows both without other files.
import { readFileSync, writeFileSync } from "node:fs";

const folder = new URL("../dist/package/", import.meta.url);
const edit = (name, change) => {
  const path = new URL(name, folder);
  writeFileSync(path, change(readFileSync(path, "utf8")));
};

const { repository } = JSON.parse(readFileSync(new URL("package.json", folder), "utf8"));
const address = repository.url.replace(/^git\+/, "").replace(/\.git$/, "");
edit("package.json", (text) => {
  const fields = JSON.parse(text);
  return `${JSON.stringify({ ...fields, homepage: `${address}#readme`, bugs: `${address}/issues` }, null, 2)}\n`;
});
for (const name of ["README.md", "CHANGELOG.md"])
  edit(name, (text) =>
    text
      .replaceAll(/(!\[[^\]]*)\]\((?!https?:)([^)]+)\)/g, `$1](${address}/raw/main/$2)`)
      .replaceAll(/\]\((?!https?:|#)([^)]+)\)/g, `](${address}/blob/main/$1)`),
  );
