// A process that looks like Electron: it has Electron's version, and an IndexedDB.
import process from "node:process";
import "fake-indexeddb/auto";

Object.defineProperty(process.versions, "electron", { value: "41.0.0", enumerable: true });
await import("./program.js");
