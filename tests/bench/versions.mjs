// Describes the machine, and lists the versions of the packages that the benchmarks use.
import { cpus, release, totalmem, type } from "node:os";
import { versionOf } from "./packages.mjs";

export function describeMachine() {
  const [{ model }] = cpus();
  return `${cpus().length} × ${model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, ${type()} ${release().split("-")[0]}`;
}

export function packageVersions() {
  const names = [
    "dexie",
    "idb",
    "@microsoft/microsoft-graph-client",
    "@pnp/graph",
    "miniflare",
    "workerd",
    "playwright-core",
  ];
  return {
    Node: process.version.slice(1),
    ...Object.fromEntries(names.map((name) => [name, versionOf(name)])),
  };
}
