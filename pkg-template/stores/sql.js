// What the stores on SQLite share: one table, and commits whose every statement asks for the
// revision by itself.
//
// A row is kept as JSON in parts, since a value may have 2 MB; the state is the row of the id '',
// its revision beside its first part. Keys and ids are kept as JSON too: SQLite ends a text at a
// zero in places, and the ids' quotes keep them apart from ''.

const SCHEMA =
  "create table if not exists deltalink (key text not null, id text not null, part integer not null, value text not null, revision text, primary key (key, id, part)) without rowid";
/**
 * Holds as long as nothing else was committed: ?1 is the key, ?2 the revision that must be there,
 * or null.
 */
const UNMOVED = "(select revision from deltalink where key = ?1 and id = '' and part = 0) is ?2";
const DELETE = `delete from deltalink where key = ?1 and part >= ?4 and id in (select value from json_each(?3)) and ${UNMOVED}`;
const PUT = `insert or replace into deltalink select ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?3) where ${UNMOVED}`;
/**
 * Letters of a part, and of a list that goes in one statement. A letter takes 3 bytes at most, a
 * list with a part in it under 2 MB.
 */
const PART = 2e5;
const LIST = 6e5;

const quoted = JSON.stringify;

export class SqlStore {
  #run;
  #made;

  /**
   * `run` takes statements, each a list of its text and its values, runs them in one transaction,
   * and gives the rows of each.
   */
  constructor(run) {
    this.#run = async (statements) => {
      // D1 refuses an empty batch.
      if (!statements.length) return [];
      if (this.#made) return run(statements);
      const [, ...rows] = await run([[SCHEMA], ...statements]);
      this.#made = true;
      return rows;
    };
  }

  async load(key) {
    const [parts] = await this.#run([
      ["select id, value from deltalink where key = ? and id = '' order by part", quoted(key)],
    ]);
    return joined(parts).get("");
  }

  async rows(key, ids) {
    const places = ids.map(quoted);
    const answers = await this.#run(
      lists(places).map((list) => [
        "select id, value from deltalink where key = ?1 and id in (select value from json_each(?2)) order by id, part",
        quoted(key),
        list,
      ]),
    );
    const found = joined(answers.flat());
    return places.map((id) => found.get(id));
  }

  async commit(key, { expect = null, state, put, remove }) {
    const ids = put.map(([id]) => quoted(id));
    const entries = put.flatMap(([, row], at) => parts(ids[at], row));
    const [first, ...others] = parts("", state, state.revision);
    const statement =
      (text, ...more) =>
      (list) => [text, quoted(key), expect, list, ...more];
    const done = await this.#run([
      ...lists(remove.map(quoted)).map(statement(DELETE, 0)),
      // What was longer before.
      ...lists([...ids, ""]).map(statement(DELETE, 1)),
      ...lists([...entries, ...others]).map(statement(PUT)),
      // The last: from here on another revision is stored.
      statement(`${PUT} returning 1`)(quoted([first])),
    ]);
    return done.at(-1).length > 0;
  }

  async scan(key, { after, limit }) {
    const [answer] = await this.#run([
      [
        "select id, value from deltalink where key = ?1 and id in (select id from deltalink where key = ?1 and id > ?2 and part = 0 order by id limit ?3) order by id, part",
        quoted(key),
        after === undefined ? "" : quoted(after),
        limit,
      ],
    ]);
    return [...joined(answer)].map(([id, row]) => [JSON.parse(id), row]);
  }

  async clear(prefix) {
    // Without its last quote it begins the keys. No letter has the byte ff.
    await this.#run([
      ["delete from deltalink where key >= ?1 and key < ?1 || x'ff'", quoted(prefix).slice(0, -1)],
    ]);
  }
}

/** A row as the table has it. */
function parts(id, row, revision = null) {
  const text = quoted(row);
  const found = [];
  for (let from = 0, to; from < text.length; from = to) {
    to = from + PART;
    // Not between the halves of a letter.
    if ((text.charCodeAt(to - 1) & 0xfc00) === 0xd800) to -= 1;
    found.push([id, found.length, text.slice(from, to), found.length ? null : revision]);
  }
  return found;
}

/** The rows of these parts, by their ids as they are stored. */
function joined(parts) {
  const texts = new Map();
  for (const { id, value } of parts) texts.set(id, (texts.get(id) ?? "") + value);
  return new Map([...texts].map(([id, text]) => [id, JSON.parse(text)]));
}

/** JSON lists of these, none too long for a statement. */
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
