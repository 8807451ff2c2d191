import "fake-indexeddb/auto";

await import("./program.js");
