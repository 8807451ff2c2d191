//! Rows, throttle times and batches as the JavaScript values that stores take and return.

use js_sys::Array;
use serde::{Deserialize, Serialize};
use serde_wasm_bindgen::preserve;
use wasm_bindgen::JsValue;

use super::error::RoundError;
use super::js::{elements, get, is_array};
use super::json::Json;
use super::output::to_js;
use crate::protocol::change::{PageEffects, Row};
use crate::protocol::error::{Code, Error};
use crate::protocol::item::Item;
use crate::protocol::memory;
use crate::protocol::record::Record;
use crate::protocol::series::is_side_row;
use crate::protocol::time::Instant;

/// The number of rows in one read. Between 200 and 1000 is fast in every engine.
pub const CHUNK: u32 = 500;

/// The writes of a commit.
pub type Batch = memory::Batch<JsValue>;

/// Rows by their ids.
pub type Rows = Vec<(String, JsValue)>;

/// All rows that a query has stored.
pub struct AllItems {
    /// Its items.
    pub items: Array,
    /// Its side rows.
    pub side: Rows,
}

impl AllItems {
    /// Separates items and side rows.
    pub fn of(rows: Rows) -> Self {
        let items = visible(&rows).collect();
        Self { items, side: rows.into_iter().filter(|(id, _)| is_side_row(id)).collect() }
    }
}

/// The items of rows, without the side rows.
pub fn visible(rows: &Rows) -> impl Iterator<Item = JsValue> {
    rows.iter()
        .filter(|(id, _)| !is_side_row(id))
        .map(|(_, row)| get(row, "item"))
        .filter(|item| !item.is_undefined())
}

/// A result of a store.
pub type StoreResult<T> = std::result::Result<T, RoundError>;

/// The position of a scan in chunks. Fails if the store returns the same rows again, because the
/// scan would never end: compares each last id with an earlier one, the anchor, which is replaced
/// after 1, 2, 4, … chunks (Brent's algorithm).
#[derive(Default)]
pub struct Cursor {
    anchor: String,
    chunks: u32,
    limit: u32,
}

impl Cursor {
    /// Takes the last id of a chunk and its number of rows. Returns the id after which the next
    /// chunk begins; `None` after the last chunk.
    pub fn advance(&mut self, last: Option<&str>, rows: usize) -> StoreResult<Option<String>> {
        let Some(id) = last.filter(|_| rows >= CHUNK as usize) else { return Ok(None) };
        if self.anchor == id {
            return Err(Error::new(Code::Store, "scan() of options.store returned the same row twice").into());
        }
        if self.chunks == self.limit {
            (self.anchor, self.chunks, self.limit) = (id.to_owned(), 0, 2 * self.limit + 1);
        } else {
            self.chunks += 1;
        }
        Ok(Some(id.to_owned()))
    }
}

/// A row as it is stored.
#[derive(Serialize)]
struct StoredRow {
    round: u32,
    #[serde(with = "preserve")]
    item: JsValue,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sets: Vec<String>,
    #[serde(with = "preserve", skip_serializing_if = "JsValue::is_undefined")]
    staged: JsValue,
    #[serde(skip_serializing_if = "is_zero")]
    arrival: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The stored throttle time of a scope. All tabs of an account share it.
#[derive(Serialize, Deserialize)]
pub struct StoredThrottle {
    /// The time of writing. Two tabs that write in the same millisecond have the same revision.
    pub revision: String,
    /// No request of the scope may be sent before this instant.
    pub until: Instant,
    /// When this was written.
    pub at: Instant,
}

fn row_to_js(row: &Row<Json>) -> JsValue {
    let staged = row.staged.as_ref().map_or(JsValue::UNDEFINED, |staged| staged.value.clone());
    to_js(&StoredRow {
        round: row.round,
        item: row.item.value.clone(),
        sets: row.sets.clone(),
        staged,
        arrival: row.arrival,
    })
}

/// Reads a stored row. A malformed row gets the round number 0, so that a sweep removes it and a
/// page replaces it. Does not use serde-wasm-bindgen, which does not catch exceptions of getters
/// and formats a value of the wrong type in full into its error.
pub fn row_from_js(value: &JsValue) -> Row<Json> {
    let item = Json::new(get(value, "item"));
    let (Some(round), Some(sets)) = (whole(&get(value, "round")), strings(&get(value, "sets"))) else {
        return Row::new(0, item);
    };
    let staged = Some(Json::new(get(value, "staged"))).filter(Item::is_object);
    Row { round, item, sets, staged, arrival: whole(&get(value, "arrival")).unwrap_or(0) }
}

fn whole(value: &JsValue) -> Option<u32> {
    let number = value.as_f64()?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "compared with the original below"
    )]
    let whole = number as u32;
    (f64::from(whole) == number).then_some(whole)
}

fn strings(value: &JsValue) -> Option<Vec<String>> {
    if value.is_undefined() {
        return Some(Vec::new());
    }
    is_array(value).then(|| elements(value).iter().map(JsValue::as_string).collect()).flatten()
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

    /// Series masters and the record that says that they are stored.
    pub fn of_masters(expect: Option<String>, record: &Record, masters: &[(String, Row<Json>)]) -> Self {
        let put = masters.iter().map(|(id, row)| (id.clone(), row_to_js(row))).collect();
        Self { put, ..Self::of_record(expect, record) }
    }

    /// Only a record.
    pub fn of_record(expect: Option<String>, record: &Record) -> Self {
        Self {
            expect,
            revision: record.revision.clone(),
            state: to_js(record),
            put: Vec::new(),
            remove: Vec::new(),
        }
    }

    /// The throttle time of a throttling scope.
    pub fn of_throttle(expect: Option<String>, until: Instant, at: Instant) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "milliseconds of a date")]
        let revision = (at.as_millis() as i64).to_string();
        let state = to_js(&StoredThrottle { revision: revision.clone(), until, at });
        Self { expect, revision, state, put: Vec::new(), remove: Vec::new() }
    }
}
