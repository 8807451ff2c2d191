// A DeltaStore on disk, for the test of one page per process: one file, replaced as a whole, so that a commit is everything or nothing.
import { readFile, rename, writeFile } from "node:fs/promises";

export function diskStore(file) {
  const read = async () => {
    try {
      return JSON.parse(await readFile(file, "utf8"));
    } catch {
      return {};
    }
  };
  const write = async (all) => {
    await writeFile(`${file}.new`, JSON.stringify(all));
    await rename(`${file}.new`, file);
  };
  return {
    load: async (key) => (await read())[key]?.state,
    async rows(key, ids) {
      const rows = (await read())[key]?.rows ?? {};
      return ids.map((id) => rows[id]);
    },
    async commit(key, { expect, state, put, remove }) {
      const all = await read();
      const entry = all[key] ?? { rows: {} };
      if (entry.state?.revision !== expect) return false;
      for (const [id, row] of put) entry.rows[id] = row;
      for (const id of remove) delete entry.rows[id];
      await write({ ...all, [key]: { ...entry, state } });
      return true;
    },
    async scan(key, { after, limit }) {
      const rows = Object.entries((await read())[key]?.rows ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));
      return rows.filter(([id]) => after === undefined || id > after).slice(0, limit);
    },
    async clear(prefix) {
      const all = await read();
      await write(Object.fromEntries(Object.entries(all).filter(([key]) => !key.startsWith(prefix))));
    },
  };
}
