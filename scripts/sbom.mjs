// Prints a software bill of materials of the npm package in the format CycloneDX 1.6: the crates
// that are compiled into its wasm modules. The package has no npm dependencies.
import { readFileSync } from "node:fs";
import { packagesOf } from "./notices.mjs";

const { name, version, license, repository } = JSON.parse(
  readFileSync(new URL("../pkg-template/package.json", import.meta.url), "utf8"),
);

const components = packagesOf().map((crate) => {
  const purl = `pkg:cargo/${crate.name}@${crate.version}`;
  return {
    type: "library",
    "bom-ref": purl,
    name: crate.name,
    version: crate.version,
    licenses: [{ expression: crate.license.replaceAll("/", " OR ") }],
    purl,
    ...(crate.repository && { externalReferences: [{ type: "vcs", url: crate.repository }] }),
  };
});
const purl = `pkg:npm/${name}@${version}`;
const bom = {
  $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  version: 1,
  metadata: {
    component: {
      type: "library",
      "bom-ref": purl,
      name,
      version,
      licenses: [{ expression: license }],
      purl,
      externalReferences: [{ type: "vcs", url: repository.url }],
    },
  },
  components,
  dependencies: [{ ref: purl, dependsOn: components.map((component) => component.purl) }],
};
process.stdout.write(`${JSON.stringify(bom, null, 2)}\n`);
