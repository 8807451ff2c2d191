//! Reads the mirror of one query, also while rounds run.

use js_sys::Array;
use serde::Serialize;
use serde_wasm_bindgen::preserve;
use wasm_bindgen::JsValue;

use super::batch::{AllItems, Batch, CHUNK, Cursor, Rows, StoreResult, visible};
use super::error::RoundError;
use super::js::{get, get_number, get_string, is_nullish};
use super::json::Json;
use super::output::to_js;
use super::session::Session;
use super::store::reset_record;
use crate::protocol::error::{Code, Error};
use crate::protocol::record::Record;
use crate::protocol::series::{Masters, is_side_row, master_rows};

/// The maximum number of attempts for a read during which commits happen.
const MAX_READ_ATTEMPTS: usize = 5;

/// The mirror of one query.
pub struct Mirror<'a> {
    /// What the queries of its client share.
    pub session: &'a Session,
    /// The key of the query's state.
    pub key: &'a str,
}

/// A chunk of the mirror as a JavaScript object.
#[derive(Serialize)]
struct ChunkOut {
    #[serde(with = "preserve")]
    items: Array,
    /// The id after which the next chunk begins; `None` at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Mirror<'_> {
    /// When the last complete round ended, in milliseconds since 1970; undefined if none has.
    pub async fn synced_at(&self) -> StoreResult<JsValue> {
        Ok(get_number(&self.state().await?, "syncedAt").map_or(JsValue::UNDEFINED, JsValue::from))
    }

    /// One item, or undefined if it is not in the mirror.
    pub async fn get(&self, id: &str) -> StoreResult<JsValue> {
        let items = self.items_of(&[id]).await?;
        Ok(items.into_iter().next().unwrap_or_default())
    }

    /// The items of these ids, in their order; undefined for each that is not in the mirror.
    pub async fn get_many(&self, ids: &[String]) -> StoreResult<JsValue> {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        Ok(self.items_of(&ids).await?.into_iter().collect::<Array>().into())
    }

    /// The number of items.
    pub async fn count(&self) -> StoreResult<JsValue> {
        if let Some(count) = get_number(&self.state().await?, "count") {
            return Ok(count.into());
        }
        let mut count = 0_usize;
        let (mut cursor, mut after) = (Cursor::default(), None);
        loop {
            let rows = self.scan(after.as_deref(), CHUNK).await?;
            after = cursor.advance(rows.last().map(|(id, _)| id.as_str()), rows.len())?;
            count += visible(&rows).count();
            if after.is_none() {
                #[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 rows")]
                return Ok((count as f64).into());
            }
        }
    }

    /// Every item, as of one moment.
    pub async fn all(&self, completes: bool) -> StoreResult<JsValue> {
        let AllItems { items, side } = self.all_items().await?;
        if !completes {
            return Ok(items.into());
        }
        let listed = items.iter().filter_map(|item| Some((get_string(&item, "id")?, item)));
        let side = side.into_iter().map(|(id, row)| (id, get(&row, "item")));
        Ok(complete(items.iter(), side.chain(listed)).into())
    }

    /// At most `limit` rows after an id, as of one moment.
    pub async fn chunk(&self, after: Option<&str>, limit: u32, completes: bool) -> StoreResult<JsValue> {
        let read = async || {
            let rows = self.scan(after, limit).await?;
            let items = if completes {
                let masters = self.masters(&rows).await?.into_iter();
                complete(visible(&rows), masters.map(|(id, row)| (id, get(&row, "item"))))
            } else {
                visible(&rows).collect()
            };
            let next = rows.last().filter(|_| rows.len() >= limit as usize).map(|(id, _)| id.clone());
            Ok(to_js(&ChunkOut { items, next }))
        };
        if completes {
            self.consistent(read, "read it again when the round has ended").await
        } else {
            read().await
        }
    }

    /// Makes the next round a full one.
    pub async fn reset(&self) -> StoreResult<JsValue> {
        self.session.commits_settled(self.key).await;
        let stored = self.state().await?;
        if is_nullish(&stored) {
            return Ok(JsValue::UNDEFINED);
        }
        let expect = get_string(&stored, "revision");
        let batch = Batch::of_record(expect, &reset_record(&stored));
        if self.session.store().await?.commit(self.key, batch).await? {
            return Ok(JsValue::UNDEFINED);
        }
        let message = "a round is committing to this query; call reset() again when it has ended";
        Err(Error::retryable(Code::Conflict, message).into())
    }

    /// Empties this mirror and forgets its link: the next round starts like the first.
    pub async fn clear(&self) -> StoreResult<JsValue> {
        self.session.commits_settled(self.key).await;
        let stored = self.state().await?;
        if is_nullish(&stored) {
            return Ok(JsValue::UNDEFINED);
        }
        let mut expect = get_string(&stored, "revision");
        let mut record = Record { count: None, ..reset_record(&stored) };
        let mut removed: Option<String> = None;
        loop {
            // Each scan begins at the first row, because the previous ones were removed.
            let rows = self.scan(None, CHUNK).await?;
            let is_last = rows.is_empty();
            let first = rows.first().map(|(id, _)| id.clone());
            if !is_last && first == removed {
                return Err(Error::new(
                    Code::Store,
                    "scan() of options.store returned a row that was removed",
                )
                .into());
            }
            removed = first;
            let emptied = Record {
                count: is_last.then_some(0),
                synced_at: None,
                full_at: None,
                ..record.next_revision()
            };
            let remove = rows.into_iter().map(|(id, _)| id).collect();
            let batch = Batch { remove, ..Batch::of_record(expect, &emptied) };
            if !self.session.store().await?.commit(self.key, batch).await? {
                let message = "a round is committing to this query; call clear() again when it has ended";
                return Err(Error::retryable(Code::Conflict, message).into());
            }
            if is_last {
                return Ok(JsValue::UNDEFINED);
            }
            expect = Some(emptied.revision.clone());
            record = emptied;
        }
    }

    async fn state(&self) -> StoreResult<JsValue> {
        self.session.store().await?.load(self.key).await
    }

    async fn scan(&self, after: Option<&str>, limit: u32) -> StoreResult<Rows> {
        self.session.store().await?.scan(self.key, after, limit).await
    }

    async fn items_of(&self, ids: &[&str]) -> StoreResult<Vec<JsValue>> {
        let rows = self.session.store().await?.rows(self.key, ids).await?;
        // Side rows are not items.
        let item = |(id, row): (&&str, JsValue)| {
            if is_side_row(id) { JsValue::UNDEFINED } else { get(&row, "item") }
        };
        Ok(ids.iter().zip(rows).map(item).collect())
    }

    /// The rows that may contain the series masters of these occurrences.
    async fn masters(&self, rows: &Rows) -> StoreResult<Rows> {
        let items: Vec<Json> = rows.iter().map(|(_, row)| Json::new(get(row, "item"))).collect();
        let ids = master_rows(items.iter());
        let row_ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let found = if row_ids.is_empty() {
            Vec::new()
        } else {
            self.session.store().await?.rows(self.key, &row_ids).await?
        };
        Ok(ids.into_iter().zip(found).collect())
    }

    /// Everything, as of one moment.
    async fn all_items(&self) -> StoreResult<AllItems> {
        if let Some(all) = self.session.store().await?.all(self.key).await? {
            return Ok(all);
        }
        let read = async || {
            let mut all: Rows = Vec::new();
            let (mut cursor, mut after) = (Cursor::default(), None);
            loop {
                let rows = self.scan(after.as_deref(), CHUNK).await?;
                after = cursor.advance(rows.last().map(|(id, _)| id.as_str()), rows.len())?;
                all.extend(rows);
                if after.is_none() {
                    return Ok(all);
                }
            }
        };
        self.consistent(read, "use items(), which reads it in chunks").await.map(AllItems::of)
    }

    /// Reads until no commit has happened during the read.
    async fn consistent<T>(&self, read: impl AsyncFn() -> StoreResult<T>, advice: &str) -> StoreResult<T> {
        let revision = async || Ok::<_, RoundError>(get_string(&self.state().await?, "revision"));
        let mut before = revision().await?;
        for _ in 0..MAX_READ_ATTEMPTS {
            let found = read().await?;
            let after = revision().await?;
            if after == before {
                return Ok(found);
            }
            before = after;
        }
        let message = format!("a round commits faster than the mirror can be read; {advice}");
        Err(Error::retryable(Code::Conflict, message).into())
    }
}

/// The items, with occurrences completed from their series masters, which are among `masters`.
fn complete(items: impl Iterator<Item = JsValue>, masters: impl Iterator<Item = (String, JsValue)>) -> Array {
    let masters: Vec<(String, Json)> = masters.map(|(id, item)| (id, Json::new(item))).collect();
    let masters = Masters::new(masters.iter().map(|(id, item)| (id.as_str(), item)));
    masters.complete(items.map(Json::new)).into_iter().map(|item| item.value).collect()
}
