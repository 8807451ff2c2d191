// A segment: the rows of a page, or of a range of ids, as one value of IndexedDB.

/** Compares ids as IndexedDB does. */
export const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

/** The position of the first element that is not before `value`. */
export function lowerBound(sorted, value) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** FNV-1a of an id. */
export function hashOf(id) {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index++) hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/** The sorted hashes of the ids of a page. */
export const hashesOf = (ids) => Uint32Array.from(ids, hashOf).sort();

/**
 * Segments with one JSON text for all rows: one row is read without the others, and the text is
 * copied and not cloned. An entry is `[id, text]`.
 */
const json = {
  entry: ([id, row]) => [id, JSON.stringify(row)],
  row: (text) => JSON.parse(text),
  pack(entries) {
    const starts = new Uint32Array(entries.length + 1);
    let offset = 1;
    entries.forEach(([, text], number) => {
      starts[number] = offset;
      offset += text.length + 1;
    });
    starts[entries.length] = offset;
    return { ids: entries.map(([id]) => id), text: `[${entries.map(([, text]) => text).join(",")}]`, starts };
  },
  at: ({ text, starts }, number) => text.slice(starts[number], starts[number + 1] - 1),
  rows: ({ text }) => JSON.parse(text),
  size: ({ text }) => text.length,
};

/**
 * Segments with the rows as an array of objects. A read clones all of them. `size` estimates 2,500
 * characters for each row.
 */
const objects = {
  entry: (entry) => entry,
  row: (row) => structuredClone(row),
  pack: (entries) => ({ ids: entries.map(([id]) => id), list: entries.map(([, row]) => row) }),
  at: ({ list }, number) => list[number],
  rows: ({ list }) => list,
  size: ({ list }) => list.length * 2500,
};

export const FORMATS = { json, objects };
