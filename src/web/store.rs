//! Where links and rows are kept: IndexedDB, or a store of the caller's own.

use js_sys::{Array, Function, Object, Promise};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::indexed_db::{Database, chunk_in, id_of, pair, result, results};
use super::json::Json;
use super::leash::promised;
use super::object::{get, set, set_number, set_text, text};
use super::options::shown;
use crate::protocol::change::{Applied, Row};
use crate::protocol::error::{Code, Failure, Read};
use crate::protocol::item::Item;
use crate::protocol::record::Record;

/// Rows read or swept at once (between 200 and 1000 is fast in every engine).
pub const CHUNK: u32 = 500;
/// Times that a whole reading of a caller's store is begun again because a commit came between.
const READINGS: u32 = 5;

/// Where links and rows are kept.
pub enum Store {
    /// The browser's.
    Indexed(Database),
    /// A `DeltaStore` of `index.d.ts`.
    Caller(JsValue),
}

/// Rows with their ids.
pub type Rows = Vec<(String, Row<Json>)>;

/// A row as it is stored: `{ round, item, sets?, staged? }`.
pub fn row_to_js(row: &Row<Json>) -> JsValue {
    let object = Object::new();
    set_number(&object, "round", row.round.into());
    set(&object, "item", &row.item.0);
    if !row.sets.is_empty() {
        let sets = Array::new();
        for name in &row.sets {
            sets.push(&JsValue::from_str(name));
        }
        set(&object, "sets", &sets);
    }
    if let Some(staged) = &row.staged {
        set(&object, "staged", &staged.0);
    }
    object.into()
}

/// A stored row; one that can't be read counts as of no round, so that a sweep clears it and a page replaces it.
pub fn row_from_js(value: &JsValue) -> Row<Json> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float becomes an integer saturating")]
    let round = get(value, "round").as_f64().unwrap_or(0.0) as u32;
    let mut row = Row::new(round, Json(get(value, "item")));
    for name in Json(get(value, "sets")).list().unwrap_or_default() {
        row.sets.extend(name.text());
    }
    row.staged = Some(Json(get(value, "staged"))).filter(Item::is_object);
    row
}

/// A state record as it is stored.
fn record_to_js(record: &Record) -> Read<JsValue> {
    record
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|_| Failure::new(Code::Internal, "a record can't be written"))
}

/// A stored state record.
fn record_from_js(value: JsValue) -> Read<Option<Box<Record>>> {
    if missing(&value) {
        return Ok(None);
    }
    match Record::read(&Json(value)) {
        Ok(record) => Ok(Some(Box::new(record))),
        Err(why) => Err(Failure::new(Code::Store, format!("the stored state of this query can't be used: {why}; reset() starts over"))),
    }
}

/// The revision of whatever is stored.
fn revision_of(state: &JsValue) -> Option<String> {
    text(state, "revision")
}

fn missing(value: &JsValue) -> bool {
    value.is_undefined() || value.is_null()
}

/// The members of what should be a list.
fn list(value: &JsValue) -> Option<&Array> {
    Array::is_array(value).then(|| value.unchecked_ref())
}

/// What was asked of a store: the name of the method, and its promise.
pub struct Asked(pub &'static str, pub Promise);

/// As [`promised`], for promises.
fn asked(name: &'static str, begun: Result<Promise, JsValue>) -> Read<Asked> {
    Ok(Asked(name, promised(begun.map(Into::into))))
}

/// Each question is begun by one function and its answer read by another, so that all are waited for in one place: every
/// `async fn` is a state machine of its own in the wasm.
impl Store {
    /// Waits for what was asked, and tells its failure in our words.
    pub async fn answer(&self, asked: Asked) -> Read<JsValue> {
        JsFuture::from(asked.1).await.map_err(|thrown| self.failure(asked.0, &thrown))
    }

    /// What a store threw, in our words.
    pub fn failure(&self, name: &str, thrown: &JsValue) -> Box<Failure> {
        match self {
            Self::Indexed(database) => database.failure(thrown),
            Self::Caller(_) => {
                let said = text(thrown, "message").unwrap_or_else(|| shown(thrown));
                Failure::retryable(Code::Store, format!("{name}() of options.store failed ({said}); what it committed last is intact"))
            }
        }
    }

    fn is_indexed(&self) -> bool {
        matches!(self, Self::Indexed(_))
    }

    /// Asks for the state record of a query.
    pub fn load(&self, key: &JsValue) -> Read<Asked> {
        match self {
            Self::Indexed(database) => asked("load", database.load(key)),
            Self::Caller(store) => call(store, "load", &Array::of1(key)),
        }
    }

    /// The state as it is stored.
    fn state(&self, answer: JsValue) -> JsValue {
        if self.is_indexed() { result(&answer) } else { answer }
    }

    /// The state record.
    pub fn loaded(&self, answer: JsValue) -> Read<Option<Box<Record>>> {
        record_from_js(self.state(answer))
    }

    /// Asks for the rows of these ids.
    pub fn rows(&self, key: &JsValue, ids: &[&str]) -> Read<Asked> {
        match self {
            Self::Indexed(database) => asked("rows", database.rows(key, ids)),
            Self::Caller(store) => {
                let list = Array::new();
                for id in ids {
                    list.push(&JsValue::from_str(id));
                }
                call(store, "rows", &Array::of2(key, &list))
            }
        }
    }

    /// The rows, in the order of their ids.
    pub fn found(&self, answer: JsValue, ids: usize) -> Read<Vec<Option<Row<Json>>>> {
        let found = if self.is_indexed() { results(&answer).into() } else { answer };
        let Some(places) = list(&found).filter(|list| list.length() as usize == ids) else {
            return Err(broken("rows", "a list with one place an id", &found));
        };
        let mut rows = Vec::with_capacity(ids);
        for at in 0..places.length() {
            let row = places.get(at);
            rows.push(if missing(&row) { None } else { Some(row_from_js(&row)) });
        }
        Ok(rows)
    }

    /// Writes a page and its record in one transaction, if the stored revision is `expect`; else writes nothing.
    pub fn commit(&self, key: &JsValue, expect: Option<&str>, record: &Record, applied: &Applied<Json>) -> Read<Asked> {
        let state = record_to_js(record)?;
        match self {
            Self::Indexed(database) => asked("commit", database.commit(key, expect, &state, applied)),
            Self::Caller(store) => call(store, "commit", &Array::of2(key, &batch(expect, &state, applied))),
        }
    }

    /// Whether it was written.
    pub fn committed(answer: &JsValue) -> Read<bool> {
        answer.as_bool().ok_or_else(|| broken("commit", "true or false", answer))
    }

    /// Asks for at most `limit` rows after an id, all of one moment; fewer only at the end.
    pub fn scan(&self, key: &JsValue, after: Option<&str>, limit: u32) -> Read<Asked> {
        match self {
            Self::Indexed(database) => asked("scan", database.scan(key, after, limit)),
            Self::Caller(store) => {
                let range = Object::new();
                if let Some(after) = after {
                    set_text(&range, "after", after);
                }
                set_number(&range, "limit", limit.into());
                call(store, "scan", &Array::of2(key, &range))
            }
        }
    }

    /// The rows with their ids. The last one must not be `after` again: a scan that does not move would never end.
    pub fn scanned(&self, answer: &JsValue, after: Option<&str>) -> Read<Rows> {
        let mut scanned = Vec::new();
        if self.is_indexed() {
            let (keys, rows) = pair(answer);
            for at in 0..rows.length() {
                if let Some(id) = id_of(&keys.get(at)) {
                    scanned.push((id, row_from_js(&rows.get(at))));
                }
            }
            return Ok(scanned);
        }
        let wrong = || broken("scan", "a list of [id, row]", answer);
        let pairs = list(answer).ok_or_else(wrong)?;
        for at in 0..pairs.length() {
            scanned.push(pair_of(&pairs.get(at)).ok_or_else(wrong)?);
        }
        if scanned.last().is_some_and(|(id, _)| Some(id.as_str()) == after) {
            return Err(broken("scan", "rows after the id it was given", answer));
        }
        Ok(scanned)
    }

    /// Every item, as of one moment, in chunks: one answer of all would fail in Firefox beyond some 100 MB.
    ///
    /// IndexedDB is read in one transaction; of a caller's store, the revision before and after tells whether a commit came between.
    pub async fn all(&self, key: &JsValue) -> Read<Array> {
        let within = match self {
            Self::Indexed(database) => Some(database.items().map_err(|error| database.failure(&error))?),
            Self::Caller(_) => None,
        };
        let (mut items, mut after, mut before, mut ended, mut readings) = (Array::new(), None, None, false, 0);
        loop {
            let rows = within.is_some() || before.is_some() && !ended;
            let asked = match &within {
                Some(items) => asked("all", chunk_in(items, key, after.as_deref())),
                None if rows => self.scan(key, after.as_deref(), CHUNK),
                None => self.load(key),
            };
            let answer = self.answer(asked?).await?;
            if rows {
                let rows = self.scanned(&answer, after.as_deref())?;
                for (_, row) in &rows {
                    items.push(&row.item.0);
                }
                ended = rows.len() != CHUNK as usize;
                after = rows.last().map(|(id, _)| id.clone());
                if ended && within.is_some() {
                    return Ok(items);
                }
            } else if !ended {
                before = Some(revision_of(&answer));
            } else if before == Some(revision_of(&answer)) {
                return Ok(items);
            } else {
                readings += 1;
                if readings == READINGS {
                    let words = "a round commits faster than the mirror can be read; use items(), which reads it in chunks";
                    return Err(Failure::retryable(Code::Conflict, words));
                }
                (items, after, before, ended) = (Array::new(), None, None, false);
            }
        }
    }

    /// Asks how many rows there are. A caller's store can't tell.
    pub fn count(&self, key: &JsValue) -> Option<Asked> {
        match self {
            Self::Indexed(database) => asked("count", database.count(key)).ok(),
            Self::Caller(_) => None,
        }
    }

    /// Makes the next round a full one, given the state as it was loaded. What can't be read is replaced.
    pub fn reset(&self, key: &JsValue, answer: JsValue, now: f64, chance: f64) -> Read<Option<Asked>> {
        let stored = self.state(answer);
        if missing(&stored) {
            return Ok(None);
        }
        let expect = revision_of(&stored);
        let record = match record_from_js(stored) {
            Ok(Some(old)) => old.fresh(),
            // Nothing is known of the rows that may be there. Seconds are more than any count of rounds can be.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float becomes an integer saturating")]
            _ => Record { generation: 1, round: (now / 1000.0) as u32, ..Record::new(now, chance) }.fresh(),
        };
        self.commit(key, expect.as_deref(), &record, &Applied::default()).map(Some)
    }

    /// Wipes everything that is stored under keys with this prefix.
    pub fn clear(&self, prefix: &str) -> Read<Asked> {
        match self {
            Self::Indexed(database) => asked("clear", database.delete()?),
            Self::Caller(store) => call(store, "clear", &Array::of1(&prefix.into())),
        }
    }

    /// Lets go of it.
    pub fn close(&self) {
        if let Self::Indexed(database) = self {
            database.close();
        }
    }
}

/// The `StoreBatch` of `index.d.ts`.
fn batch(expect: Option<&str>, state: &JsValue, applied: &Applied<Json>) -> JsValue {
    let (batch, put, remove) = (Object::new(), Array::new(), Array::new());
    for (id, row) in &applied.put {
        put.push(&Array::of2(&id.into(), &row_to_js(row)));
    }
    for id in &applied.remove {
        remove.push(&id.into());
    }
    set(&batch, "expect", &expect.map_or(JsValue::UNDEFINED, JsValue::from_str));
    set(&batch, "state", state);
    set(&batch, "put", &put);
    set(&batch, "remove", &remove);
    batch.into()
}

/// A row with its id, `[id, row]`.
fn pair_of(value: &JsValue) -> Option<(String, Row<Json>)> {
    let pair = list(value)?;
    Some((pair.get(0).as_string()?, row_from_js(&pair.get(1))))
}

/// Calls a method of a caller's store. What it throws is as good as what it rejects with.
fn call(store: &JsValue, name: &'static str, arguments: &Array) -> Read<Asked> {
    let method = get(store, name);
    let Some(method) = method.dyn_ref::<Function>() else {
        return Err(Failure::new(
            Code::Store,
            format!("options.store must be \"indexeddb\", \"memory\" or a DeltaStore; this one has no {name}()"),
        ));
    };
    Ok(Asked(name, promised(method.apply(store, arguments))))
}

fn broken(name: &str, must_give: &str, got: &JsValue) -> Box<Failure> {
    let got = if got.is_string() { "a text".into() } else { shown(got) };
    Failure::new(Code::Store, format!("{name}() of options.store must give {must_give}, got {got}"))
}
