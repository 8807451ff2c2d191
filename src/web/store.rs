//! Where links and rows are kept: IndexedDB, or a store of the caller's own.

use js_sys::{Array, Function, JsString, Object, Promise, Reflect};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::indexed_db::Database;
use super::json::Json;
use super::object::set;
use super::options::shown;
use crate::protocol::change::{Applied, Row};
use crate::protocol::error::{Code, Failure};
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

/// A row as it is stored: `{ generation, item }`.
pub fn row_to_js(row: &Row<Json>) -> JsValue {
    let object = Object::new();
    set(&object, "generation", row.generation);
    set(&object, "item", row.item.0.clone());
    object.into()
}

/// A stored row; one that can't be read counts as of no generation, so that a sweep clears it and a page replaces it.
pub fn row_from_js(value: &JsValue) -> Row<Json> {
    let property = |name: &str| Reflect::get(value, &name.into()).unwrap_or(JsValue::UNDEFINED);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float becomes an integer saturating")]
    let generation = property("generation").as_f64().unwrap_or(0.0) as u32;
    Row { generation, item: Json(property("item")) }
}

/// A state record as it is stored.
pub fn record_to_js(record: &Record) -> Result<JsValue, Failure> {
    record.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).map_err(|error| Failure::new(Code::Internal, error.to_string()))
}

/// A stored state record.
pub fn record_from_js(value: JsValue) -> Result<Option<Record>, Failure> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    Record::read(&Json(value)).map(Some).map_err(|why| Failure::new(Code::Store, format!("the stored state of this query can't be used: {why}; reset() starts over")))
}

/// The revision of whatever is stored.
pub fn revision_of(state: &JsValue) -> Option<String> {
    Reflect::get(state, &"revision".into()).ok().and_then(|revision| revision.as_string())
}

impl Store {
    /// The state as it is stored, read or not.
    async fn state(&self, key: &str) -> Result<JsValue, Failure> {
        match self {
            Self::Indexed(database) => database.state(key).await,
            Self::Caller(store) => call(store, "load", &[key.into()]).await,
        }
    }

    /// The state record of a query.
    pub async fn load(&self, key: &str) -> Result<Option<Record>, Failure> {
        record_from_js(self.state(key).await?)
    }

    /// The rows of these ids, in this order.
    pub async fn rows(&self, key: &str, ids: &[&str]) -> Result<Vec<Option<Row<Json>>>, Failure> {
        let found = match self {
            _ if ids.is_empty() => return Ok(Vec::new()),
            Self::Indexed(database) => database.rows(key, ids).await?,
            Self::Caller(store) => {
                let list: Array = ids.iter().map(|id| JsValue::from_str(id)).collect();
                let found = call(store, "rows", &[key.into(), list.into()]).await?;
                if !Array::is_array(&found) || found.unchecked_ref::<Array>().length() as usize != ids.len() {
                    return Err(broken("rows", "a list with one place an id", &found));
                }
                found.unchecked_into()
            }
        };
        Ok(found.iter().map(|row| (!row.is_undefined() && !row.is_null()).then(|| row_from_js(&row))).collect())
    }

    /// Writes a page and its record in one transaction, if the stored revision is `expect`; else writes nothing.
    pub async fn commit(&self, key: &str, expect: Option<&str>, record: &Record, applied: &Applied<Json>) -> Result<bool, Failure> {
        let state = record_to_js(record)?;
        match self {
            Self::Indexed(database) => database.commit(key, expect, &state, applied).await,
            Self::Caller(store) => {
                let batch = Object::new();
                set(&batch, "expect", expect.map_or(JsValue::UNDEFINED, JsValue::from_str));
                set(&batch, "state", state);
                set(&batch, "put", applied.put.iter().map(|(id, row)| Array::of2(&id.into(), &row_to_js(row))).collect::<Array>());
                set(&batch, "remove", applied.remove.iter().map(|id| JsValue::from_str(id)).collect::<Array>());
                let done = call(store, "commit", &[key.into(), batch.into()]).await?;
                done.as_bool().ok_or_else(|| broken("commit", "true or false", &done))
            }
        }
    }

    /// At most `limit` rows after an id, all of one moment; fewer only at the end.
    pub async fn scan(&self, key: &str, after: Option<&str>, limit: u32) -> Result<Rows, Failure> {
        match self {
            Self::Indexed(database) => database.scan(key, after, limit).await,
            Self::Caller(store) => {
                let range = Object::new();
                if let Some(after) = after {
                    set(&range, "after", after);
                }
                set(&range, "limit", limit);
                let found = call(store, "scan", &[key.into(), range.into()]).await?;
                let pair = |pair: JsValue| {
                    let pair: Array = Array::is_array(&pair).then(|| pair.unchecked_into())?;
                    Some((pair.get(0).as_string()?, row_from_js(&pair.get(1))))
                };
                let rows = Array::is_array(&found).then(|| found.unchecked_ref::<Array>().iter().map(pair).collect::<Option<Rows>>()).flatten();
                rows.ok_or_else(|| broken("scan", "a list of [id, row]", &found))
            }
        }
    }

    /// Every item, as of one moment.
    pub async fn all(&self, key: &str) -> Result<Array, Failure> {
        if let Self::Indexed(database) = self {
            return database.all(key).await;
        }
        for _ in 0..READINGS {
            let before = revision_of(&self.state(key).await?);
            let items = Array::new();
            let mut after = None;
            loop {
                let rows = self.scan(key, after.as_deref(), CHUNK).await?;
                for (_, row) in &rows {
                    items.push(&row.item.0);
                }
                match rows.last() {
                    Some((id, _)) if rows.len() == CHUNK as usize => after = Some(id.clone()),
                    _ => break,
                }
            }
            if revision_of(&self.state(key).await?) == before {
                return Ok(items);
            }
        }
        Err(Failure::retryable(Code::Conflict, "a round commits faster than the mirror can be read; use items(), which reads it in chunks"))
    }

    /// How many rows there are.
    pub async fn count(&self, key: &str) -> Result<u32, Failure> {
        match self {
            Self::Indexed(database) => database.count(key).await,
            Self::Caller(_) => Ok(self.all(key).await?.length()),
        }
    }

    /// Makes the next round a full one. What can't be read is replaced.
    pub async fn reset(&self, key: &str, now: f64, chance: f64) -> Result<(), Failure> {
        let stored = self.state(key).await?;
        if stored.is_undefined() || stored.is_null() {
            return Ok(());
        }
        let expect = revision_of(&stored);
        let generation = row_from_js(&stored).generation;
        let old = record_from_js(stored).ok().flatten();
        let record = old.unwrap_or_else(|| Record { generation, ..Record::new(now, chance) }).fresh();
        if self.commit(key, expect.as_deref(), &record, &Applied::default()).await? {
            Ok(())
        } else {
            Err(Failure::retryable(Code::Conflict, "a round commits to this query at the moment; reset() again when it has ended"))
        }
    }

    /// Wipes everything that is stored under keys with this prefix.
    pub async fn clear(&self, prefix: &str) -> Result<(), Failure> {
        match self {
            Self::Indexed(database) => database.delete().await,
            Self::Caller(store) => call(store, "clear", &[prefix.into()]).await.map(drop),
        }
    }

    /// Lets go of it.
    pub fn close(&self) {
        if let Self::Indexed(database) = self {
            database.close();
        }
    }
}

async fn call(store: &JsValue, name: &str, arguments: &[JsValue]) -> Result<JsValue, Failure> {
    let method: Function = Reflect::get(store, &name.into())
        .ok()
        .and_then(|method| method.dyn_into().ok())
        .ok_or_else(|| Failure::new(Code::Store, format!("options.store must be \"indexeddb\", \"memory\" or a DeltaStore; this one has no {name}()")))?;
    let arguments: Array = arguments.iter().collect();
    let result = match method.apply(store, &arguments) {
        Ok(value) => JsFuture::from(Promise::resolve(&value)).await,
        Err(thrown) => Err(thrown),
    };
    result.map_err(|thrown| {
        let said = Reflect::get(&thrown, &"message".into()).ok().and_then(|message| message.as_string()).unwrap_or_else(|| shown(&thrown));
        Failure::retryable(Code::Store, format!("{name}() of options.store failed ({said}); what it committed last is intact"))
    })
}

fn broken(name: &str, must_give: &str, got: &JsValue) -> Failure {
    let got = got.dyn_ref::<JsString>().map_or_else(|| shown(got), |_| "a text".into());
    Failure::new(Code::Store, format!("{name}() of options.store must give {must_give}, got {got}"))
}
