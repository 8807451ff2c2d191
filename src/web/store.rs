//! Where links and rows are kept. One commit path for all kinds of stores: records and rows become JavaScript values here.

use std::cell::RefCell;
use std::collections::HashSet;

use js_sys::{Array, Date, Math};
use serde::{Deserialize, Serialize};
use serde_wasm_bindgen::preserve;
use wasm_bindgen::prelude::*;

use super::custom::Custom;
use super::error::RoundError;
use super::indexed_db::IndexedDb;
use super::js::{flat, get, is_nullish};
use super::json::Json;
use super::output::to_js;
use crate::protocol::change::{PageEffects, Row};
use crate::protocol::error::{Code, Error};
use crate::protocol::item::Item;
use crate::protocol::memory::{self, Memory};
use crate::protocol::record::Record;

/// Rows read at once (between 200 and 1000 is fast in every engine).
pub const CHUNK: u32 = 500;

/// What a commit writes.
pub type Batch = memory::Batch<JsValue>;

/// Rows by their ids.
pub type Rows = Vec<(String, JsValue)>;

/// A result of a store.
pub type StoreResult<T> = std::result::Result<T, RoundError>;

/// The store of one client.
pub enum Store {
    /// The browser's database.
    IndexedDb(IndexedDb),
    /// Ends with the page.
    Memory(RefCell<Memory<JsValue>>),
    /// A `DeltaStore` of the caller's.
    Custom(Custom),
}

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
fn row_from_js(value: JsValue) -> Row<Json> {
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

impl Store {
    /// The state under a key, as it is stored; undefined if there is none.
    pub async fn load(&self, key: &str) -> StoreResult<JsValue> {
        match self {
            Self::IndexedDb(store) => Ok(store.load(key).await?),
            Self::Memory(store) => copy(&store.borrow().load(key).unwrap_or(JsValue::UNDEFINED)),
            Self::Custom(store) => store.load(key).await,
        }
    }

    /// The rows of these ids, in their order; undefined for each that is missing.
    pub async fn rows(&self, key: &str, ids: &[&str]) -> StoreResult<Vec<JsValue>> {
        match self {
            Self::IndexedDb(store) => Ok(store.rows(key, ids).await?),
            Self::Memory(store) => {
                let rows = store.borrow().rows(key, ids);
                copies(rows.into_iter().map(Option::unwrap_or_default))
            }
            Self::Custom(store) => store.rows(key, ids).await,
        }
    }

    /// At most `limit` rows after an id, all of one moment; fewer only at the end.
    pub async fn scan(&self, key: &str, after: Option<&str>, limit: u32) -> StoreResult<Rows> {
        match self {
            Self::IndexedDb(store) => Ok(store.scan(key, after, limit).await?),
            Self::Memory(store) => {
                let rows = store.borrow().scan(key, after, limit as usize);
                let (ids, rows): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
                Ok(ids.into_iter().zip(copies(rows)?).collect())
            }
            Self::Custom(store) => store.scan(key, after, limit).await,
        }
    }

    /// Every row as of one moment, where the store can tell.
    pub async fn all(&self, key: &str) -> StoreResult<Option<Rows>> {
        match self {
            Self::IndexedDb(store) => Ok(Some(store.all(key).await?)),
            Self::Memory(_) => self.scan(key, None, u32::MAX).await.map(Some),
            Self::Custom(_) => Ok(None),
        }
    }

    /// Writes a batch in one transaction. False, and nothing written, if another revision is stored.
    pub async fn commit(&self, key: &str, batch: Batch) -> StoreResult<bool> {
        match self {
            Self::IndexedDb(store) => Ok(store.commit(key, batch).await?),
            Self::Memory(store) => Ok(store.borrow_mut().commit(key, batch)),
            Self::Custom(store) => store.commit(key, batch).await,
        }
    }

    /// Deletes what is stored under keys that begin with `prefix`.
    pub async fn clear(&self, prefix: &str) -> StoreResult<()> {
        match self {
            Self::IndexedDb(store) => Ok(store.clear(prefix).await?),
            Self::Memory(store) => {
                store.borrow_mut().clear(prefix);
                Ok(())
            }
            Self::Custom(store) => store.clear(prefix).await,
        }
    }

    /// Notes that a query is in use: those that nobody uses for a month are purged.
    pub fn touch(&self, key: &str) {
        if let Self::IndexedDb(store) = self {
            store.touch(key);
        }
    }

    /// Ends the connection, where there is one.
    pub fn close(&self) {
        if let Self::IndexedDb(store) = self {
            store.close();
        }
    }

    /// The record of a query.
    pub async fn record(&self, key: &str) -> StoreResult<Option<Box<Record>>> {
        let stored = self.load(key).await?;
        if is_nullish(&stored) {
            return Ok(None);
        }
        record_from_js(&stored).map(|record| Some(Box::new(record))).map_err(|why| {
            let words = format!("the stored state of this query cannot be used: {why}; reset() starts over");
            Error::new(Code::Store, words).into()
        })
    }

    /// The rows of these ids, read.
    pub async fn read_rows(&self, key: &str, ids: &[&str]) -> StoreResult<Vec<Option<Row<Json>>>> {
        let rows = self.rows(key, ids).await?;
        Ok(rows.into_iter().map(|row| (!is_nullish(&row)).then(|| row_from_js(row))).collect())
    }

    /// At most [`CHUNK`] rows after an id, read.
    pub async fn read_chunk(&self, key: &str, after: Option<&str>) -> StoreResult<Vec<(String, Row<Json>)>> {
        let rows = self.scan(key, after, CHUNK).await?;
        Ok(rows.into_iter().map(|(id, row)| (id, row_from_js(row))).collect())
    }

    /// Until when a scope of limits is throttled.
    pub async fn throttle(&self, key: &str) -> StoreResult<Option<StoredThrottle>> {
        let stored = self.load(key).await?;
        Ok(flat(&stored, &[]).and_then(|stored| serde_wasm_bindgen::from_value(stored.into()).ok()))
    }
}

fn record_from_js(stored: &JsValue) -> std::result::Result<Record, String> {
    // Undefined is no record either.
    let plain = flat(stored, &[]).map_or(JsValue::UNDEFINED, JsValue::from);
    Record::read(serde_wasm_bindgen::Deserializer::from(plain))
}

/// The record that makes the next round a full one. What cannot be read is replaced.
pub fn reset_record(stored: &JsValue) -> Record {
    match record_from_js(stored) {
        Ok(record) => record.fresh(),
        // Nothing is known of the rows that may be there. Seconds are more than any count of rounds can be.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float becomes an integer saturating")]
        Err(_) => {
            let now = Date::now();
            Record { generation: 1, round: (now / 1000.0) as u32, count: None, ..Record::new(now, Math::random()) }.fresh()
        }
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = structuredClone, catch)]
    fn structured_clone(value: &JsValue) -> std::result::Result<JsValue, JsValue>;
}

/// Deep copies of plain data.
pub fn copies(values: impl IntoIterator<Item = JsValue>) -> StoreResult<Vec<JsValue>> {
    let values: Array = values.into_iter().collect();
    Ok(copy(&values)?.unchecked_into::<Array>().to_vec())
}

/// A deep copy of plain data.
pub fn copy(value: &JsValue) -> StoreResult<JsValue> {
    let words = "an item cannot be copied, as where it is nested too deeply";
    structured_clone(value).map_err(|_| Error::new(Code::Store, words).into())
}
