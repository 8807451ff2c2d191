// Prints THIRD-PARTY-NOTICES: the license texts of the crates that are compiled into the package's
// wasm modules. A crate that offers MIT is taken under MIT.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The packages whose wasm modules the npm package contains. */
const ROOTS = ["deltalink", "fake-graph-wasm"];
const TARGET = "wasm32-unknown-unknown";
/** The MIT license without a copyright line. */
const MIT = readFileSync(new URL("../LICENSE-MIT", import.meta.url), "utf8").replace(
  /^[^]*?(?=Permission is)/,
  "",
);

const cwd = new URL("..", import.meta.url);
const options = { cwd, encoding: "utf8", maxBuffer: 2 ** 28 };
const cargo = (...args) => execFileSync("cargo", [...args, "--locked"], options);

/** `name version` of every crate in the wasm, without build scripts and procedural macros. */
export function cratesOf(roots = ROOTS) {
  const packages = roots.flatMap((name) => ["-p", name]);
  const edges = ["-e", "normal,no-proc-macro", "--target", TARGET, "--prefix", "none", "--format", "{p}"];
  const lines = cargo("tree", ...packages, ...edges).split("\n");
  // cargo prints a path after the crates of this repository.
  const others = lines.filter((line) => line && !/ \((\/|[A-Z]:)/.test(line));
  return [...new Set(others.map((line) => line.replace(/^(\S+) v(\S+).*$/, "$1 $2")))].sort();
}

/** The texts of a crate's license: only MIT if the crate offers it, otherwise all that it ships. */
function textsOf({ name, version, license, authors, manifest_path }) {
  const folder = dirname(manifest_path);
  const files = readdirSync(folder).filter((file) =>
    /^(licen[cs]e|copying|unlicense|notice|copyright)/i.test(file),
  );
  const isMit = /\bMIT\b/.test(license ?? "");
  // `(MIT OR Apache-2.0) AND Unicode-3.0` requires both licenses.
  const chosen = isMit && !/\bAND\b/.test(license) ? files.filter((file) => /mit/i.test(file)) : [];
  const texts = (chosen.length ? chosen : files)
    .sort()
    .map((file) => readFileSync(join(folder, file), "utf8").trim());
  if (texts.length) return texts;
  if (!isMit)
    throw new Error(
      `notices: ${name} ${version} (${license}) ships no license file: add its text to scripts/notices.mjs`,
    );
  return [`Copyright (c) ${authors.length ? authors.join(", ") : `the authors of ${name}`}\n\n${MIT.trim()}`];
}

/** The metadata of cargo for every crate in the wasm. */
export function packagesOf(roots = ROOTS) {
  const { packages } = JSON.parse(cargo("metadata", "--format-version", "1", "--filter-platform", TARGET));
  const byName = new Map(packages.map((one) => [`${one.name} ${one.version}`, one]));
  return cratesOf(roots).map((crate) => byName.get(crate));
}

function notices() {
  // Crates of one project often have the same text, which is printed once.
  const groups = new Map();
  for (const crate of packagesOf()) {
    const text = textsOf(crate).join("\n\n");
    const { name, version, license, repository } = crate;
    const line = `${name} ${version} (${license}) ${repository ?? ""}`.trim();
    groups.set(text, [...(groups.get(text) ?? []), line]);
  }
  const std = `Copyright (c) The Rust Project Contributors\n\n${MIT.trim()}`;
  groups.set(std, [
    ...(groups.get(std) ?? []),
    "the Rust standard library (MIT OR Apache-2.0) https://github.com/rust-lang/rust",
  ]);
  const rule = "-".repeat(80);
  const parts = [...groups].map(([text, crates]) => `${rule}\n${crates.join("\n")}\n\n${text}\n`);
  return `The WebAssembly modules of this package contain code of the projects below.\n\n${parts.join("\n")}`;
}

if (import.meta.url === `file://${process.argv[1]}`) process.stdout.write(notices());
