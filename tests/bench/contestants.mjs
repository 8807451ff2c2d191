// The contestants: deltalink and the alternatives to it.

/**
 * The alternatives; the first one is the reference. `key` names the bundle and the results,
 * `source` a file of contestants/.
 */
const OTHERS = [
  { key: "reference", label: "fetch + dexie bulkPut", source: "fetch-dexie.js" },
  { key: "graph-client", label: "microsoft-graph-client + idb", source: "graph-client-idb.js" },
  { key: "pnp", label: "@pnp/graph + dexie", source: "pnp-dexie.js" },
  { key: "by-hand", label: "by hand: look-ahead, raw IndexedDB", source: "by-hand.js" },
];

/** A contestant for each way to use each package: the measured one, and the base if it is given. */
export function deltalinks(packages, ways) {
  return packages.flatMap((deltalink) =>
    ways.map((way) => ({
      key: `${way}${deltalink.role === "base" ? "-base" : ""}`,
      label: `deltalink ${way}()${deltalink.role === "base" ? ` of the base, ${deltalink.version}` : ""}`,
      source: "deltalink.js",
      way,
      deltalink,
    })),
  );
}

/** The contestants in browsers; with `check` only the reference and the two packages. */
export function browserContestants(packages, check) {
  return [
    ...OTHERS.filter(({ key }) => !check || key === "reference"),
    ...deltalinks(packages, ["sync", "round"]),
  ];
}
