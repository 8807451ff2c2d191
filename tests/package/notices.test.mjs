// THIRD-PARTY-NOTICES and sbom.json of the packed package: every crate of its wasm modules, each
// with a license.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const notices = readFileSync(
  new URL("../node_modules/deltalink/THIRD-PARTY-NOTICES", import.meta.url),
  "utf8",
);
/** The crates and the text of each section. */
const sections = notices
  .split(/^-{80}\n/m)
  .slice(1)
  .map((section) => {
    const end = section.indexOf("\n\n");
    return { crates: section.slice(0, end).split("\n"), text: section.slice(end + 2) };
  });

test("every crate in a wasm module is listed with its version", () => {
  const cargo = [
    "tree",
    "--locked",
    "--offline",
    "-p",
    "deltalink",
    "-p",
    "fake-graph-wasm",
    "-e",
    "normal,no-proc-macro",
  ];
  const tree = execFileSync("cargo", [...cargo, "--target", "wasm32-unknown-unknown", "--prefix", "none"], {
    cwd: new URL("../..", import.meta.url),
    encoding: "utf8",
  });
  const linked = new Set(
    tree
      .split("\n")
      .filter((line) => line && !line.includes("(/"))
      .map((line) => line.split(" ").slice(0, 2).join(" v").replace("vv", "")),
  );
  const listed = new Set(sections.flatMap(({ crates }) => crates.map((crate) => crate.split(" (")[0])));
  assert.ok(linked.size > 5, [...linked].join());
  assert.ok(listed.delete("the Rust standard library"));
  assert.deepEqual([...listed].sort(), [...linked].sort());
});

test("the bill of materials lists the same crates, each with its license", () => {
  const bom = JSON.parse(
    readFileSync(new URL("../node_modules/deltalink/sbom.json", import.meta.url), "utf8"),
  );
  assert.deepEqual([bom.bomFormat, bom.specVersion], ["CycloneDX", "1.6"]);
  const listed = sections.flatMap(({ crates }) => crates.map((crate) => crate.split(" (")[0]));
  assert.deepEqual(
    bom.components.map(({ name, version }) => `${name} ${version}`).sort(),
    listed.filter((crate) => crate !== "the Rust standard library").sort(),
  );
  for (const { licenses, purl } of bom.components) {
    assert.match(licenses[0].expression, /^[A-Za-z0-9.() -]+$/, purl);
    assert.match(purl, /^pkg:cargo\/[\w-]+@\d/);
  }
});

test("each section has a copyright and the complete text of a license", () => {
  for (const { crates, text } of sections) {
    assert.match(text, /copyright|unlicense/i, crates.join());
    assert.match(
      text,
      /Permission is hereby granted|Apache License\s+Version 2\.0|Redistribution and use|free and unencumbered/,
      crates.join(),
    );
    // The end of a license: its disclaimer.
    assert.match(text, /WITHOUT\s+WARRANT(Y|IES)|AS IS/, crates.join());
  }
});

test("no crate is listed twice, and no path of the build machine is listed", () => {
  const all = sections.flatMap(({ crates }) => crates);
  assert.equal(new Set(all).size, all.length);
  assert.doesNotMatch(notices, /\/(home|root|Users)\//);
});
