//! The store of a client: one interface to IndexedDB, memory and the caller's own store.

use std::cell::RefCell;

use js_sys::{Array, Math};
use wasm_bindgen::prelude::*;

use super::batch::{AllItems, Batch, CHUNK, Rows, StoreResult, StoredThrottle, row_from_js};
use super::custom::Custom;
use super::indexed_db::IndexedDb;
use super::js::{flat, is_nullish};
use super::json::Json;
use super::timers::now;
use crate::protocol::change::Row;
use crate::protocol::error::{Code, Error};
use crate::protocol::memory::Memory;
use crate::protocol::record::Record;

/// The store of one client.
pub enum Store {
    /// The browser's database.
    IndexedDb(IndexedDb),
    /// Memory, which is lost when the web page is closed or reloaded.
    Memory(RefCell<Memory<JsValue>>),
    /// The caller's own `DeltaStore`.
    Custom(Custom),
}

impl Store {
    /// Returns the stored state of a key, or undefined.
    pub async fn load(&self, key: &str) -> StoreResult<JsValue> {
        match self {
            Self::IndexedDb(store) => Ok(store.load(key).await?),
            Self::Memory(store) => copy(&store.borrow().load(key).unwrap_or(JsValue::UNDEFINED)),
            Self::Custom(store) => store.load(key).await,
        }
    }

    /// Returns the rows of these ids, in their order; undefined for each that is missing.
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

    /// Returns at most `limit` rows after an id, all as of one moment; fewer only at the end.
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

    /// Returns everything as of one moment; `None` if the store cannot read all at once.
    pub async fn all(&self, key: &str) -> StoreResult<Option<AllItems>> {
        match self {
            Self::IndexedDb(store) => Ok(Some(store.all(key).await?)),
            Self::Memory(_) => Ok(Some(AllItems::of(self.scan(key, None, u32::MAX).await?))),
            Self::Custom(_) => Ok(None),
        }
    }

    /// Writes a batch in one transaction. Returns false and writes nothing if another revision is
    /// stored.
    pub async fn commit(&self, key: &str, batch: Batch) -> StoreResult<bool> {
        match self {
            Self::IndexedDb(store) => Ok(store.commit(key, batch).await?),
            Self::Memory(store) => Ok(store.borrow_mut().commit(key, batch)),
            Self::Custom(store) => store.commit(key, batch).await,
        }
    }

    /// Deletes everything that is stored under keys that begin with `prefix`.
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

    /// Records that a query is in use. A query in IndexedDB that is not used for 30 days is purged.
    pub fn touch(&self, key: &str) {
        if let Self::IndexedDb(store) = self {
            store.touch(key);
        }
    }

    /// Closes the connection to the database, if there is one.
    pub fn close(&self) {
        if let Self::IndexedDb(store) = self {
            store.close();
        }
    }

    /// Returns the parsed record of a query.
    pub async fn record(&self, key: &str) -> StoreResult<Option<Box<Record>>> {
        let stored = self.load(key).await?;
        if is_nullish(&stored) {
            return Ok(None);
        }
        record_from_js(&stored).map(|record| Some(Box::new(record))).map_err(|why| {
            let message =
                format!("the stored state of this query cannot be used: {why}; reset() starts over");
            Error::new(Code::Store, message).into()
        })
    }

    /// Returns the parsed rows of these ids. `is_exposed`: the caller's code may get their items
    /// and change them, so rows in memory are copied.
    pub async fn read_rows(
        &self,
        key: &str,
        ids: &[&str],
        is_exposed: bool,
    ) -> StoreResult<Vec<Option<Row<Json>>>> {
        let rows = match self {
            Self::Memory(store) if !is_exposed => {
                store.borrow().rows(key, ids).into_iter().map(Option::unwrap_or_default).collect()
            }
            _ => self.rows(key, ids).await?,
        };
        Ok(rows.into_iter().map(|row| (!is_nullish(&row)).then(|| row_from_js(&row))).collect())
    }

    /// Returns at most [`CHUNK`] parsed rows after an id. `is_exposed` as in [`Self::read_rows`].
    pub async fn read_chunk(
        &self,
        key: &str,
        after: Option<&str>,
        is_exposed: bool,
    ) -> StoreResult<Vec<(String, Row<Json>)>> {
        let rows = match self {
            Self::Memory(store) if !is_exposed => store.borrow().scan(key, after, CHUNK as usize),
            _ => self.scan(key, after, CHUNK).await?,
        };
        Ok(rows.into_iter().map(|(id, row)| (id, row_from_js(&row))).collect())
    }

    /// Returns the stored throttle time of a throttling scope.
    pub async fn throttle(&self, key: &str) -> StoreResult<Option<StoredThrottle>> {
        let stored = self.load(key).await?;
        Ok(flat(&stored, &[]).and_then(|stored| serde_wasm_bindgen::from_value(stored.into()).ok()))
    }
}

fn record_from_js(stored: &JsValue) -> std::result::Result<Record, String> {
    if !stored.is_object() || Array::is_array(stored) {
        return Err("it is not an object".to_owned());
    }
    let copy = flat(stored, &[]).map_or(JsValue::UNDEFINED, JsValue::from);
    Record::read(serde_wasm_bindgen::Deserializer::from(copy))
}

/// Returns the record that makes the next round a full one. Replaces a record that cannot be read.
pub fn reset_record(stored: &JsValue) -> Record {
    match record_from_js(stored) {
        Ok(record) => record.without_link(),
        // Stored rows may have any round number. The seconds since 1970 are more than any number of
        // rounds.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
        Err(_) => {
            let now = now();
            Record {
                generation: 1,
                round_number: (now.as_millis() / 1000.0) as u32,
                count: None,
                ..Record::new(now, Math::random())
            }
            .without_link()
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
    let message = "an item cannot be copied; it may be nested too deeply";
    structured_clone(value).map_err(|_| Error::new(Code::Store, message).into())
}
