// Derives the other links of dist/package/ from the address of the repository, which a maintainer
// fills in once, in pkg-template/package.json: the links to the home page and to bugs there, and
// the relative links of README and CHANGELOG, because npm shows both without the other files.
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
