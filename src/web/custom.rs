//! The caller's own `DeltaStore`. Its errors become a `DeltaError`, unless they already are one.
//! Its results are checked.

use js_sys::{Array, Object};
use serde::Serialize;
use serde_wasm_bindgen::preserve;
use wasm_bindgen::JsValue;

use super::batch::{Batch, StoreResult};
use super::error::{RoundError, is_delta_error};
use super::js::{apply, elements, get, get_string, is_array, set, settled, type_of};
use super::output::to_js;
use crate::protocol::error::{Code, Error, Result, bad_request};
use crate::protocol::redact::redact;

/// The caller's object.
pub struct Custom(JsValue);

/// The `StoreBatch` of `store.d.ts`.
#[derive(Serialize)]
struct BatchOut {
    #[serde(with = "preserve")]
    expect: JsValue,
    #[serde(with = "preserve")]
    state: JsValue,
    #[serde(with = "preserve")]
    put: Array,
    remove: Vec<String>,
}

/// Checks that an object has all methods of a `DeltaStore`.
pub fn check(store: &JsValue) -> Result<()> {
    let is_missing = |name: &&str| !get(store, name).is_function();
    match ["load", "rows", "commit", "scan", "clear"].into_iter().find(is_missing) {
        None => Ok(()),
        Some(name) => bad_request(format!(
            "options.store must be \"indexeddb\", \"memory\" or a DeltaStore; this one has no {name}()"
        )),
    }
}

impl Custom {
    /// Takes the caller's store.
    pub fn new(store: JsValue) -> Self {
        Self(store)
    }

    /// Returns the state under a key, or undefined.
    pub async fn load(&self, key: &str) -> StoreResult<JsValue> {
        self.call("load", &[&key.into()]).await
    }

    /// The rows of these ids, in their order.
    pub async fn rows(&self, key: &str, ids: &[&str]) -> StoreResult<Vec<JsValue>> {
        let list: Array = ids.iter().map(|id| JsValue::from_str(id)).collect();
        let result = self.call("rows", &[&key.into(), &list]).await?;
        let rows = elements(&result);
        if rows.len() == ids.len() && is_array(&result) {
            Ok(rows)
        } else {
            Err(invalid_result("rows", "an array with one element per id", &result))
        }
    }

    /// At most `limit` rows after an id.
    pub async fn scan(
        &self,
        key: &str,
        after: Option<&str>,
        limit: u32,
    ) -> StoreResult<Vec<(String, JsValue)>> {
        let range = Object::new();
        if let Some(after) = after {
            set(&range, "after", &after.into());
        }
        set(&range, "limit", &limit.into());
        let result = self.call("scan", &[&key.into(), &range]).await?;
        let to_row = |pair: JsValue| match elements(&pair).as_slice() {
            [id, row, ..] => Some((id.as_string()?, row.clone())),
            [id] => Some((id.as_string()?, JsValue::UNDEFINED)),
            [] => None,
        };
        let rows: Option<Vec<_>> =
            if is_array(&result) { elements(&result).into_iter().map(to_row).collect() } else { None };
        let rows = rows.ok_or_else(|| invalid_result("scan", "an array of [id, row]", &result))?;
        // A scan that does not advance would never end.
        if after.is_some() && rows.last().map(|(id, _)| id.as_str()) == after {
            return Err(invalid_result("scan", "rows after the id it was given", &result));
        }
        Ok(rows)
    }

    /// Writes a batch in one transaction.
    pub async fn commit(&self, key: &str, batch: Batch) -> StoreResult<bool> {
        let put = batch.put.iter().map(|(id, row)| JsValue::from(Array::of2(&id.into(), row))).collect();
        let expect = batch.expect.map_or(JsValue::UNDEFINED, JsValue::from);
        let out = to_js(&BatchOut { expect, state: batch.state, put, remove: batch.remove });
        let result = self.call("commit", &[&key.into(), &out]).await?;
        result.as_bool().ok_or_else(|| invalid_result("commit", "true or false", &result))
    }

    /// Deletes everything that is stored under keys that begin with `prefix`.
    pub async fn clear(&self, prefix: &str) -> StoreResult<()> {
        self.call("clear", &[&prefix.into()]).await.map(drop)
    }

    async fn call(&self, name: &str, arguments: &[&JsValue]) -> StoreResult<JsValue> {
        let result = match apply(&get(&self.0, name), &self.0, arguments) {
            Ok(result) => settled(result).await,
            Err(thrown) => Err(thrown),
        };
        result.map_err(|thrown| {
            if is_delta_error(&thrown) {
                return RoundError::Foreign(thrown);
            }
            let detail = get_string(&thrown, "message")
                .or_else(|| thrown.as_string())
                .map_or_else(|| type_of(&thrown).to_owned(), |text| redact(&text, 200));
            let message =
                format!("{name}() of options.store failed ({detail}); everything committed is intact");
            RoundError::Failed(Error::retryable(Code::Store, message), thrown)
        })
    }
}

/// The error of an invalid result. Contains its type and never its content, which may be rows or a
/// link.
fn invalid_result(name: &str, expected: &str, got: &JsValue) -> RoundError {
    let message = format!("{name}() of options.store must resolve to {expected}, got {}", type_of(got));
    Error::new(Code::Store, message).into()
}
