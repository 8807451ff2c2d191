// Reading the mirror of one query, beside rounds.
//
// A row whose id begins with "\0" is a side row: the master of a series that was fetched by itself. No reader shows it.
import { DeltaError, bad } from "./error.js";

const CHUNK = 500;
const SIDE = "\0";
/** Times that a reading is begun again because a commit came between. */
const READINGS = 5;
/** What an occurrence never takes from its series. */
const ITS_OWN = ["@odata.etag", "id", "type", "start", "end", "seriesMasterId"];

export class Mirror {
  #store;
  #key;

  /** `store` is a guarded one. */
  constructor(store, key) {
    this.#store = store;
    this.#key = key;
  }

  /** When the last complete round ended. */
  async syncedAt() {
    const ms = (await this.#store.load(this.#key))?.syncedAt;
    return typeof ms === "number" ? new Date(ms) : undefined;
  }

  /** Makes the next round a full one. `fresh` makes the state for it out of the stored one. */
  async reset(fresh) {
    const stored = await this.#store.load(this.#key);
    if (!stored) return;
    const expect = typeof stored.revision === "string" ? stored.revision : undefined;
    const done = await this.#store.commit(this.#key, { expect, state: fresh(stored), put: [], remove: [] });
    if (!done) throw new DeltaError("a round commits to this query at the moment; reset() again when it has ended", { code: "conflict", retryable: true });
  }

  async get(id) {
    const [row] = id.startsWith(SIDE) ? [] : await this.#store.rows(this.#key, [id]);
    return row?.item;
  }

  async count() {
    const counted = (await this.#store.load(this.#key))?.count;
    if (typeof counted === "number") return counted;
    let count = 0;
    for await (const rows of this.#chunks()) count += plain(rows).length;
    return count;
  }

  async all(options) {
    const { occurrences } = read(options, "all", ["occurrences"]);
    const rows = await this.#whole();
    return occurrences ? complete(rows, new Map(rows)) : plain(rows);
  }

  async *items(options) {
    const { after, limit = Infinity, occurrences } = read(options, "items", ["after", "limit", "occurrences"]);
    let left = limit;
    for await (const rows of this.#chunks(after, Math.min(limit, CHUNK), occurrences)) {
      const items = occurrences ? rows : plain(rows);
      yield* items.slice(0, left);
      left -= items.length;
      if (left <= 0) return;
    }
  }

  /** Chunk by chunk, each of one moment. */
  async *#chunks(after, limit = CHUNK, occurrences) {
    for (let rows; !rows || rows.length === limit; after = rows.at(-1)?.[0]) {
      const range = after === undefined ? { limit } : { after, limit };
      let items;
      const scan = async () => (rows = await this.#store.scan(this.#key, range));
      if (occurrences) {
        await this.#unmoved(async () => (items = complete(await scan(), await this.#masters(rows))), "read it again when the round has ended");
      } else {
        await scan();
      }
      yield items ?? rows;
    }
  }

  /** The rows of the series that these occurrences belong to. */
  async #masters(rows) {
    const ids = [...new Set(rows.flatMap(([, row]) => (isOccurrence(row?.item) ? [row.item.seriesMasterId] : [])))];
    const places = ids.flatMap((id) => [SIDE + id, id]);
    const found = places.length ? await this.#store.rows(this.#key, places) : [];
    return new Map(places.map((id, at) => [id, found[at]]));
  }

  /** Every row with its id, as of one moment. */
  async #whole() {
    let rows = await this.#store.all(this.#key);
    if (rows) return rows;
    const readAll = async () => {
      rows = [];
      for await (const chunk of this.#chunks()) for (const pair of chunk) rows.push(pair);
    };
    await this.#unmoved(readAll, "use items(), which reads it in chunks");
    return rows;
  }

  /** Reads until no commit has come between. */
  async #unmoved(reading, otherwise) {
    const revision = async () => (await this.#store.load(this.#key))?.revision;
    let before = await revision();
    for (let times = 0; times < READINGS; times++) {
      await reading();
      const after = await revision();
      if (after === before) return;
      before = after;
    }
    throw new DeltaError(`a round commits faster than the mirror can be read; ${otherwise}`, { code: "conflict", retryable: true });
  }
}

const visible = ([id, row]) => !id.startsWith(SIDE) && row?.item !== undefined;

const plain = (rows) => rows.filter(visible).map(([, row]) => row.item);

const isOccurrence = (item) => item?.type === "occurrence" && typeof item.seriesMasterId === "string";

/** The items as they are shown with complete occurrences: a series stands for nothing by itself. */
function complete(rows, masters) {
  const items = plain(rows).map((item) => {
    if (!isOccurrence(item)) return item;
    const master = { ...(masters.get(SIDE + item.seriesMasterId) ?? masters.get(item.seriesMasterId))?.item };
    for (const name of ITS_OWN) delete master[name];
    return { ...master, ...item };
  });
  return items.filter((item) => item?.type !== "seriesMaster");
}

function read(options, call, names) {
  if (options === null || typeof (options ??= {}) !== "object") throw bad(`the options of ${call}() must be an object`);
  const other = Object.keys(options).find((name) => !names.includes(name));
  if (other) throw bad(`options.${other} is no option of ${call}(): the options are ${names.join(", ")}`);
  const { after = "", limit = 1, occurrences = "complete" } = options;
  if (typeof after !== "string") throw bad("options.after must be the id of an item");
  if (!Number.isInteger(limit) || limit < 1) throw bad("options.limit must be a whole number of at least 1");
  if (occurrences !== "complete") throw bad('options.occurrences must be "complete"');
  return options;
}
