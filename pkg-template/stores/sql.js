// @ts-check
// The base of the stores on SQLite: one table, and commits in which every statement compares the
// revision.
//
// A row is stored as JSON, split into parts because a value is limited to 2 MB. The state is the
// row with the id ''; its first part has its revision. Keys and ids are stored as JSON strings:
// some functions of SQLite end a string at a NUL, and the quotes distinguish an id from ''.

/** @import { DeltaStore } from "../store.js" */
import { badRequest, typeOf } from "../error.js";

const SCHEMA =
  "create table if not exists deltalink (key text not null, id text not null, part integer not null, value text not null, revision text, primary key (key, id, part)) without rowid";
/** True if the stored revision of the key ?1 is ?2, where null means that none is stored. */
const IS_EXPECTED = "(select revision from deltalink where key = ?1 and id = '' and part = 0) is ?2";
const DELETE = `delete from deltalink where key = ?1 and part >= ?4 and id in (select value from json_each(?3)) and ${IS_EXPECTED}`;
const PUT = `insert or replace into deltalink select ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?3) where ${IS_EXPECTED}`;
/**
 * The maximum length of a part, and of a list in one statement, in UTF-16 units. A unit takes at
 * most 3 bytes, so that a list stays under 2 MB.
 */
const PART = 2e5;
const LIST = 6e5;

const quoted = JSON.stringify;

/** Checks the argument of a store. `owner` says what it takes. */
export function checkBinding(binding, methods, owner) {
  if (methods.every((name) => typeof binding?.[name] === "function")) return;
  throw badRequest(`${owner}, got ${typeOf(binding)}`);
}

/** @implements {DeltaStore} */
export class SqlStore {
  #run;
  #hasTable;

  /**
   * `run` executes statements in one transaction and returns the rows of each. A statement is an
   * array of its text and its values.
   */
  constructor(run) {
    this.#run = async (statements) => {
      // D1 refuses an empty batch.
      if (!statements.length) return [];
      if (this.#hasTable) return run(statements);
      const [, ...rows] = await run([[SCHEMA], ...statements]);
      this.#hasTable = true;
      return rows;
    };
  }

  async load(key) {
    const [parts] = await this.#run([
      ["select id, value from deltalink where key = ? and id = '' order by part", quoted(key)],
    ]);
    return joinParts(parts).get("");
  }

  async rows(key, ids) {
    const quotedIds = ids.map(quoted);
    const results = await this.#run(
      lists(quotedIds).map((list) => [
        "select id, value from deltalink where key = ?1 and id in (select value from json_each(?2)) order by id, part",
        quoted(key),
        list,
      ]),
    );
    const rows = joinParts(results.flat());
    return quotedIds.map((id) => rows.get(id));
  }

  async commit(key, { expect = null, state, put, remove }) {
    const ids = put.map(([id]) => quoted(id));
    const entries = put.flatMap(([, row], at) => splitRow(ids[at], row));
    const [first, ...others] = splitRow("", state, state.revision);
    const statement =
      (text, ...more) =>
      (list) => [text, quoted(key), expect, list, ...more];
    const done = await this.#run([
      ...lists(remove.map(quoted)).map(statement(DELETE, 0)),
      // Removes the later parts of rows, because the new row may have fewer.
      ...lists([...ids, ""]).map(statement(DELETE, 1)),
      ...lists([...entries, ...others]).map(statement(PUT)),
      // This must be the last statement: it changes the revision that the others compare.
      statement(`${PUT} returning 1`)(quoted([first])),
    ]);
    return done.at(-1).length > 0;
  }

  /** @returns {Promise<[id: string, row: any][]>} */
  async scan(key, { after, limit }) {
    const [parts] = await this.#run([
      [
        "select id, value from deltalink where key = ?1 and id in (select id from deltalink where key = ?1 and id > ?2 and part = 0 order by id limit ?3) order by id, part",
        quoted(key),
        after === undefined ? "" : quoted(after),
        limit,
      ],
    ]);
    return [...joinParts(parts)].map(([id, row]) => [JSON.parse(id), row]);
  }

  async clear(prefix) {
    // The quoted prefix without its last quote is a prefix of the quoted keys. UTF-8 does not
    // contain the byte ff.
    await this.#run([
      ["delete from deltalink where key >= ?1 and key < ?1 || x'ff'", quoted(prefix).slice(0, -1)],
    ]);
  }
}

/**
 * Returns the JSON of a row. Writes Infinity as `1e999`, which is read as Infinity again, because
 * `JSON.stringify` would write null. A row has it if Graph's JSON has a number that is too large.
 */
function serialized(row) {
  const text = JSON.stringify(row);
  // The search for Infinity is fast; replacing it takes five times as long as JSON.stringify alone.
  if (!text.includes("null") || !hasInfinity(row)) return text;
  const marker = crypto.randomUUID();
  const marked = JSON.stringify(row, (_, value) =>
    value === Infinity ? marker : value === -Infinity ? `-${marker}` : value,
  );
  return marked.replaceAll(`"${marker}"`, "1e999").replaceAll(`"-${marker}"`, "-1e999");
}

function hasInfinity(value) {
  if (typeof value === "number") return !Number.isFinite(value);
  return typeof value === "object" && value !== null && Object.values(value).some(hasInfinity);
}

/** Returns the parts of a row, as the table stores them. */
function splitRow(id, row, revision = null) {
  const text = serialized(row);
  const parts = [];
  for (let from = 0, to; from < text.length; from = to) {
    to = from + PART;
    // Does not split a surrogate pair.
    if ((text.charCodeAt(to - 1) & 0xfc00) === 0xd800) to -= 1;
    parts.push([id, parts.length, text.slice(from, to), parts.length ? null : revision]);
  }
  return parts;
}

/** Returns the rows of these parts by their quoted ids. */
function joinParts(parts) {
  const texts = new Map();
  for (const { id, value } of parts) texts.set(id, (texts.get(id) ?? "") + value);
  return new Map([...texts].map(([id, text]) => [id, JSON.parse(text)]));
}

/** Returns JSON arrays of these entries, each short enough for one statement. */
function lists(entries) {
  const found = [];
  let length = LIST;
  for (const text of entries.map(quoted)) {
    length += text.length;
    if (length >= LIST) {
      found.push([]);
      length = text.length;
    }
    found.at(-1).push(text);
  }
  return found.map((texts) => `[${texts}]`);
}
