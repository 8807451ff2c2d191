//! Where links and rows are kept: a store that the facade hands over. `pkg-template/store.js` guards it: its functions never throw,
//! what they reject with is a `DeltaError`, and what they give has the right shape. What has not is taken as nothing.

use js_sys::{Array, Object};
use wasm_bindgen::prelude::*;

use super::json::Json;
use super::object::{get, pair, promise, set, set_number, set_text};
use crate::protocol::change::{PageEffects, Row};
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::item::Item;
use crate::protocol::record::Record;
use crate::protocol::text::{digits, filled};

/// Rows swept at once (between 200 and 1000 is fast in every engine).
pub const CHUNK: u32 = 500;

/// A guarded `DeltaStore`.
pub struct Store(pub JsValue);

/// Rows with their ids.
pub type Rows = Vec<(String, Row<Json>)>;

/// A row as it is stored: `{ round, item, sets?, staged? }`.
fn row_to_js(row: &Row<Json>) -> JsValue {
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
fn row_from_js(value: &JsValue) -> Row<Json> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float becomes an integer saturating")]
    let round = get(value, "round").as_f64().unwrap_or(0.0) as u32;
    let mut row = Row::new(round, Json(get(value, "item")));
    for name in Json(get(value, "sets")).list().unwrap_or_default() {
        row.sets.extend(name.text());
    }
    row.staged = Some(Json(get(value, "staged"))).filter(Item::is_object);
    row
}

fn missing(value: &JsValue) -> bool {
    value.is_undefined() || value.is_null()
}

/// The members of a list, and none of anything else.
fn members(value: &JsValue) -> Vec<JsValue> {
    let mut members = Vec::new();
    for member in Json(value.clone()).list().unwrap_or_default() {
        members.push(member.0);
    }
    members
}

/// The state record.
pub fn loaded(value: JsValue) -> Result<Option<Box<Record>>> {
    if missing(&value) {
        return Ok(None);
    }
    match Record::read(&Json(value)) {
        Ok(record) => Ok(Some(Box::new(record))),
        Err(why) => Err(Error::new(Code::Store, format!("the stored state of this query can't be used: {why}; reset() starts over"))),
    }
}

/// The rows, in the order of the ids that were asked for.
pub fn found(answer: &JsValue) -> Vec<Option<Row<Json>>> {
    let mut rows = Vec::new();
    for row in members(answer) {
        rows.push(if missing(&row) { None } else { Some(row_from_js(&row)) });
    }
    rows
}

/// The rows of a scan with their ids.
pub fn scanned(answer: &JsValue) -> Rows {
    let mut rows = Vec::new();
    for pair in members(answer) {
        let pair: &Array = pair.unchecked_ref();
        if let Some(id) = pair.get(0).as_string() {
            rows.push((id, row_from_js(&pair.get(1))));
        }
    }
    rows
}

impl Store {
    fn ask(&self, name: &str, key: &JsValue, with: &JsValue) -> JsValue {
        promise(&self.0, name, key, with)
    }

    /// Asks for the state record of a query.
    pub fn load(&self, key: &JsValue) -> JsValue {
        self.ask("load", key, &JsValue::UNDEFINED)
    }

    /// Asks for the rows of these ids.
    pub fn rows(&self, key: &JsValue, ids: &[&str]) -> JsValue {
        let list = Array::new();
        for id in ids {
            list.push(&JsValue::from_str(id));
        }
        self.ask("rows", key, &list)
    }

    /// Writes a page and its record in one transaction, if the stored revision is `expect`; else writes nothing, and gives false.
    pub fn commit(&self, key: &JsValue, expect: Option<&str>, record: &Record, applied: &PageEffects<Json>) -> JsValue {
        let (batch, put, remove) = (Object::new(), Array::new(), Array::new());
        for (id, row) in &applied.put {
            put.push(&pair(&id.into(), &row_to_js(row)));
        }
        for id in &applied.remove {
            remove.push(&id.into());
        }
        set(&batch, "expect", &expect.map_or(JsValue::UNDEFINED, JsValue::from_str));
        set(&batch, "state", &record.written::<Json>().0);
        set(&batch, "put", &put);
        set(&batch, "remove", &remove);
        self.ask("commit", key, &batch)
    }

    /// Writes until when a scope is throttled, and that this was written now, if the stored revision is `expect`.
    pub fn hold(&self, key: &JsValue, expect: &JsValue, until: f64, now: f64) -> JsValue {
        let (batch, state) = (Object::new(), Object::new());
        // Of two tabs that write in the same millisecond either may stand.
        set_text(&state, "revision", &digits(now as i64, 1));
        set_number(&state, "until", until);
        set_number(&state, "at", now);
        set(&batch, "expect", expect);
        set(&batch, "state", &state);
        set(&batch, "put", &Array::new());
        set(&batch, "remove", &Array::new());
        self.ask("commit", key, &batch)
    }

    /// Asks for at most [`CHUNK`] rows after an id, all of one moment; fewer only at the end.
    pub fn scan(&self, key: &JsValue, after: Option<&str>) -> JsValue {
        let range = Object::new();
        if let Some(after) = after {
            set_text(&range, "after", after);
        }
        set_number(&range, "limit", CHUNK.into());
        self.ask("scan", key, &range)
    }
}

/// The state that makes the next round a full one. What can't be read is replaced.
pub fn fresh(stored: JsValue, now: f64, chance: f64) -> JsValue {
    let record = match loaded(stored) {
        Ok(Some(old)) => old.fresh(),
        // Nothing is known of the rows that may be there. Seconds are more than any count of rounds can be.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float becomes an integer saturating")]
        _ => Record { generation: 1, round: (now / 1000.0) as u32, count: None, ..Record::new(now, chance) }.fresh(),
    };
    record.written::<Json>().0
}
