/**
 * A `DeltaStore` in memory for these tests. Returns copies of rows, so that changing one has no
 * effect.
 */
export class MemoryStore {
  #states = new Map();
  #rows = new Map();

  async load(key) {
    return structuredClone(this.#states.get(key));
  }

  async rows(key, ids) {
    const rows = this.#rows.get(key);
    return structuredClone(ids.map((id) => rows?.get(id)));
  }

  async commit(key, { expect, state, put, remove }) {
    if (this.#states.get(key)?.revision !== expect) return false;
    const rows = this.#rows.get(key) ?? new Map();
    for (const [id, row] of put) rows.set(id, row);
    for (const id of remove) rows.delete(id);
    this.#rows.set(key, rows);
    this.#states.set(key, state);
    return true;
  }

  async scan(key, { after, limit }) {
    const ids = [...(this.#rows.get(key)?.keys() ?? [])].sort();
    const from = after === undefined ? 0 : ids.findIndex((id) => id > after);
    const chunk = from < 0 ? [] : ids.slice(from, from + limit);
    return structuredClone(chunk.map((id) => [id, this.#rows.get(key).get(id)]));
  }

  async all(key) {
    return structuredClone([...(this.#rows.get(key) ?? [])].sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  async clear(prefix) {
    for (const map of [this.#states, this.#rows]) {
      for (const key of map.keys()) if (key.startsWith(prefix)) map.delete(key);
    }
  }
}
