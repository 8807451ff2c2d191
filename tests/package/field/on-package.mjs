// Runs the cases of this folder on another package, and prints each test that fails on it with the
// first line of its error. By hand:
//
//   node tests/package/field/on-package.mjs deltalink-0.1.0.tgz
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const [tarball] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "field-"));
const installed = join(folder, "node_modules", "deltalink");
mkdirSync(installed, { recursive: true });
execFileSync("tar", ["xzf", resolve(tarball), "-C", installed, "--strip-components=1"]);
const copy = join(folder, "package", "field");
cpSync(import.meta.dirname, copy, { recursive: true });
cpSync(join(import.meta.dirname, "..", "..", "wait.mjs"), join(folder, "wait.mjs"));

const tests = readdirSync(copy).filter((name) => name.endsWith(".test.mjs"));
let failed = 0;
for (const name of tests) {
  const { stdout } = spawnSync("node", ["--test-reporter=tap", name], { cwd: copy, encoding: "utf8" });
  for (const [, test, diagnostics] of stdout.matchAll(/^not ok \d+ - (.*)\n([^]*?)^ {2}\.\.\.$/gm)) {
    failed += 1;
    const place = /\/(\w+\.test\.mjs:\d+):\d+/.exec(diagnostics.replaceAll(copy, ""))?.[1];
    const error = /^ {2}error: (?:\|-\n {4}(.*)|'(.*)'|(.*))$/m.exec(diagnostics);
    const message = error?.slice(1).find((text) => text) ?? "no message";
    console.log(`${test}\n    ${place ?? name}: ${message}`);
  }
}
console.log(`${failed} tests fail on ${tarball}`);
rmSync(folder, { recursive: true });
