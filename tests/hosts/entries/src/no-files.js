// Replaces node:fs/promises in bundles of servers that run in workerd, as unenv does.
export const readFile = async () => {
  throw new Error("[unenv] fs.readFile is not implemented yet!");
};
