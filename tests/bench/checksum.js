// A checksum that does not depend on the order of rows, for the web page, Node and the server.

/** FNV-1a of the id of a row and of the property that identifies its version. */
export function hashRow(item) {
  const text = `${item.id}|${item.changeKey ?? item.jobTitle}`;
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/** The number of rows and the sum of their hashes. */
export function summarize(items) {
  let sum = 0;
  for (const item of items) sum = (sum + hashRow(item)) % 2 ** 32;
  return { count: items.length, sum };
}
