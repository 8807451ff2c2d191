// A checksum that does not depend on the order of the rows. The page, Node and the server compute
// it alike.

/** FNV-1a of a row's id and of the property that tells its version. */
export function hashRow(item) {
  const text = `${item.id}|${item.changeKey ?? item.jobTitle}`;
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** The number of the rows, and the sum of their hashes. */
export function summarize(items) {
  let sum = 0;
  for (const item of items) sum = (sum + hashRow(item)) % 2 ** 32;
  return { count: items.length, sum };
}
