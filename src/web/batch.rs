//! What goes into a store and comes out of it: rows, throttle times and batches as JavaScript values.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_wasm_bindgen::preserve;
use wasm_bindgen::JsValue;

use super::error::RoundError;
use super::js::{flat, get};
use super::json::Json;
use super::output::to_js;
use crate::protocol::change::{PageEffects, Row};
use crate::protocol::error::{Code, Error};
use crate::protocol::item::Item;
use crate::protocol::memory;
use crate::protocol::record::Record;

/// Rows read at once (between 200 and 1000 is fast in every engine).
pub const CHUNK: u32 = 500;

/// What a commit writes.
pub type Batch = memory::Batch<JsValue>;

/// Rows by their ids.
pub type Rows = Vec<(String, JsValue)>;

/// A result of a store.
pub type StoreResult<T> = std::result::Result<T, RoundError>;

/// The ids after which chunks were read. A store that ends a second chunk with the same id would be read for ever.
#[derive(Default)]
pub struct Cursor(HashSet<String>);

impl Cursor {
    /// The id after which the next chunk begins; none after the last one.
    pub fn advance<T>(&mut self, rows: &[(String, T)]) -> StoreResult<Option<String>> {
        let Some((id, _)) = rows.last().filter(|_| rows.len() >= CHUNK as usize) else { return Ok(None) };
        if self.0.insert(id.clone()) {
            return Ok(Some(id.clone()));
        }
        let words = "scan() of options.store must give rows after the id it was given, but goes in circles";
        Err(Error::new(Code::Store, words).into())
    }
}

/// A row as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredRow {
    round: u32,
    #[serde(with = "preserve")]
    item: JsValue,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sets: Vec<String>,
    #[serde(default, with = "preserve", skip_serializing_if = "JsValue::is_undefined")]
    staged: JsValue,
}

/// When a scope of limits may be asked again, as all tabs of an account share it.
#[derive(Serialize, Deserialize)]
pub struct StoredThrottle {
    /// Of two tabs that write in the same millisecond either may stand.
    pub revision: String,
    /// Not before this time, in milliseconds since 1970.
    pub until: f64,
    /// When that was written.
    pub at: f64,
}

fn row_to_js(row: &Row<Json>) -> JsValue {
    let staged = row.staged.as_ref().map_or(JsValue::UNDEFINED, |staged| staged.0.clone());
    to_js(&StoredRow { round: row.round, item: row.item.0.clone(), sets: row.sets.clone(), staged })
}

/// A stored row. One that is malformed counts as of no round: a sweep removes it and a page replaces it.
pub fn row_from_js(value: JsValue) -> Row<Json> {
    let item = get(&value, "item");
    let plain = flat(&value, &["item", "staged"]).map_or(JsValue::UNDEFINED, JsValue::from);
    match serde_wasm_bindgen::from_value::<StoredRow>(plain) {
        Ok(StoredRow { round, item, sets, staged }) => {
            Row { round, item: Json(item), sets, staged: Some(Json(staged)).filter(Item::is_object) }
        }
        Err(_) => Row::new(0, Json(item)),
    }
}

impl Batch {
    /// A page and the record that follows it.
    pub fn of_page(expect: Option<String>, record: &Record, effects: &PageEffects<Json>) -> Self {
        Self {
            expect,
            revision: record.revision.clone(),
            state: to_js(record),
            put: effects.put.iter().map(|(id, row)| (id.clone(), row_to_js(row))).collect(),
            remove: effects.remove.clone(),
        }
    }

    /// A record alone.
    pub fn of_record(expect: Option<String>, record: &Record) -> Self {
        Self { expect, revision: record.revision.clone(), state: to_js(record), put: Vec::new(), remove: Vec::new() }
    }

    /// When a scope of limits may be asked again.
    pub fn of_throttle(expect: Option<String>, until: f64, at: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "milliseconds of a date")]
        let revision = (at as i64).to_string();
        let state = to_js(&StoredThrottle { revision: revision.clone(), until, at });
        Self { expect, revision, state, put: Vec::new(), remove: Vec::new() }
    }
}
