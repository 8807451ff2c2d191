// A DeltaStore on disk, for tests that open stored data again. It replaces one file per commit, so
// that commits are atomic.
import { readFile, rename, writeFile } from "node:fs/promises";

/** The last operation of each file. Operations of this process run in sequence. */
const tails = new Map();

export function diskStore(file) {
  const read = async () => {
    try {
      return new Map(
        JSON.parse(await readFile(file, "utf8")).map(([key, { state, rows }]) => [
          key,
          { state, rows: new Map(rows) },
        ]),
      );
    } catch {
      return new Map();
    }
  };
  const write = async (all) => {
    await writeFile(
      `${file}.new`,
      JSON.stringify([...all].map(([key, { state, rows }]) => [key, { state, rows: [...rows] }])),
    );
    await rename(`${file}.new`, file);
  };
  const exclusive = (work) => {
    const done = (tails.get(file) ?? Promise.resolve()).then(work);
    tails.set(
      file,
      done.catch(() => {}),
    );
    return done;
  };
  return {
    load: async (key) => (await read()).get(key)?.state,
    async rows(key, ids) {
      const rows = (await read()).get(key)?.rows;
      return ids.map((id) => rows?.get(id));
    },
    commit: (key, { expect, state, put, remove }) =>
      exclusive(async () => {
        const all = await read();
        const entry = all.get(key) ?? { rows: new Map() };
        if (entry.state?.revision !== expect) return false;
        for (const [id, row] of put) entry.rows.set(id, row);
        for (const id of remove) entry.rows.delete(id);
        await write(all.set(key, { ...entry, state }));
        return true;
      }),
    async scan(key, { after, limit }) {
      const rows = [...((await read()).get(key)?.rows ?? [])].sort(([one], [other]) =>
        one < other ? -1 : 1,
      );
      return rows.filter(([id]) => after === undefined || id > after).slice(0, limit);
    },
    clear: (prefix) =>
      exclusive(async () => {
        await write(new Map([...(await read())].filter(([key]) => !key.startsWith(prefix))));
      }),
  };
}
