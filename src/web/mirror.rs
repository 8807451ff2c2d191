//! Reads the mirror of one query, even while rounds run.

use std::collections::HashSet;

use js_sys::Array;
use serde::Serialize;
use serde_wasm_bindgen::preserve;
use wasm_bindgen::JsValue;

use super::batch::{AllItems, Batch, CHUNK, Cursor, Rows, StoreResult, visible};
use super::error::RoundError;
use super::js::{get, get_number, get_string, is_nullish};
use super::json::Json;
use super::output::to_js;
use super::session::{Keys, Session};
use super::store::reset_record;
use crate::protocol::error::{Code, Error};
use crate::protocol::record::Record;
use crate::protocol::series::{Masters, is_master, is_side_row, master_rows, named_master};

/// The maximum number of attempts for a read during which commits happen.
const MAX_READ_ATTEMPTS: usize = 5;

/// The mirror of one query.
pub struct Mirror<'a> {
    /// The state that the queries of its client share.
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

/// The changed items of the mirror as a JavaScript object.
#[derive(Serialize)]
struct ChangedOut {
    #[serde(with = "preserve")]
    items: Array,
    #[serde(with = "preserve")]
    others: Array,
}

impl Mirror<'_> {
    /// Copies the state that 0.1.0 stored for the same query under another key, in one transaction,
    /// unless there is a record under the current key. Looks for it once per client. If the store
    /// refuses the copy, for example because it is full, the next round lists everything instead.
    pub async fn take_over(&self, keys: &Keys) {
        let Some(key) = &keys.in_0_1_0 else { return };
        self.session.takeovers.settled(key).await;
        if self.session.taken_over.borrow().contains(key) {
            return;
        }
        let running = self.session.takeovers.begin(key);
        let _ = self.copy_from(key).await;
        // Not reached if the round is stopped before: the next call looks again.
        self.session.taken_over.borrow_mut().insert(key.clone());
        drop(running);
    }

    async fn copy_from(&self, key: &str) -> StoreResult<()> {
        if !is_nullish(&self.state().await?) {
            return Ok(());
        }
        let old = Mirror { session: self.session, key };
        if is_nullish(&old.state().await?) {
            return Ok(());
        }
        let read = async || Ok((old.state().await?, old.all_rows().await?));
        // A tab of 0.1.0 may commit too fast.
        let Some((state, put)) = old.consistent(read).await? else { return Ok(()) };
        let Some(revision) = get_string(&state, "revision") else { return Ok(()) };
        let batch = Batch { expect: None, revision, state, put, remove: Vec::new() };
        // If another tab has committed its copy first, that one stays.
        self.session.store().await?.commit(self.key, batch).await?;
        Ok(())
    }

    /// When the last complete round ended, in milliseconds since 1970; undefined if none has.
    pub async fn synced_at(&self) -> StoreResult<JsValue> {
        Ok(get_number(&self.state().await?, "syncedAt").map_or(JsValue::UNDEFINED, JsValue::from))
    }

    /// One item, or undefined if it is not in the mirror. `completes`, here and below: occurrences
    /// get the properties of their series masters, and masters are left out.
    pub async fn get(&self, id: &str, completes: bool) -> StoreResult<JsValue> {
        let items = self.items_of(&[id], completes).await?;
        Ok(items.into_iter().next().unwrap_or_default())
    }

    /// The items of these ids, in their order; undefined for each that readers do not see. The
    /// result's `others` are the remaining events of these series.
    pub async fn changed(&self, ids: &[String], series: &[String], completes: bool) -> StoreResult<JsValue> {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let items = self.items_of(&ids, completes).await?.into_iter().collect();
        let others = if completes && !series.is_empty() {
            let known: HashSet<&str> = ids.into_iter().collect();
            let is_other = |item: &JsValue| {
                named_master(&Json::new(item.clone())).is_some_and(|id| series.contains(&id))
                    && get_string(item, "id").is_none_or(|id| !known.contains(id.as_str()))
            };
            self.all_completed().await?.iter().filter(is_other).collect()
        } else {
            Array::new()
        };
        Ok(to_js(&ChangedOut { items, others }))
    }

    /// Removed items as readers saw them; undefined for each that readers did not see.
    pub async fn completed(&self, items: Vec<JsValue>) -> StoreResult<JsValue> {
        let items: Vec<Json> = items.into_iter().map(Json::new).collect();
        let masters = self.masters(&items).await?;
        Ok(items.into_iter().map(|item| completed(&masters, item.value)).collect::<Array>().into())
    }

    /// The number of items.
    pub async fn count(&self, completes: bool) -> StoreResult<JsValue> {
        if completes {
            let AllItems { items, .. } = self.all_items().await?;
            return Ok(items.iter().filter(|item| !is_master(&Json::new(item.clone()))).count().into());
        }
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
                return Ok(count.into());
            }
        }
    }

    /// Every item, as of one moment.
    pub async fn all(&self, completes: bool) -> StoreResult<JsValue> {
        if completes {
            return Ok(self.all_completed().await?.into());
        }
        Ok(self.all_items().await?.items.into())
    }

    async fn all_completed(&self) -> StoreResult<Array> {
        let AllItems { items, side } = self.all_items().await?;
        let masters = items.iter().filter(|item| is_master(&Json::new(item.clone())));
        let listed = masters.filter_map(|item| Some((get_string(&item, "id")?, item)));
        let side = side.into_iter().map(|(id, row)| (id, get(&row, "item")));
        let masters = Masters::of(side.chain(listed));
        Ok(items.iter().map(|item| completed(&masters, item)).filter(|item| !item.is_undefined()).collect())
    }

    /// At most `limit` rows after an id, as of one moment.
    pub async fn chunk(&self, after: Option<&str>, limit: u32, completes: bool) -> StoreResult<JsValue> {
        let read = async || {
            let rows = self.scan(after, limit).await?;
            let items = if completes {
                let events: Vec<Json> = visible(&rows).map(Json::new).collect();
                let masters = self.masters(&events).await?;
                let completed = events.into_iter().map(|item| completed(&masters, item.value));
                completed.filter(|item| !item.is_undefined()).collect()
            } else {
                visible(&rows).collect()
            };
            let next = rows.last().filter(|_| rows.len() >= limit as usize).map(|(id, _)| id.clone());
            Ok(to_js(&ChunkOut { items, next }))
        };
        if completes {
            let chunk = self.consistent(read).await?;
            chunk.ok_or_else(|| commits_too_fast("read it again when the round has ended"))
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

    async fn items_of(&self, ids: &[&str], completes: bool) -> StoreResult<Vec<JsValue>> {
        let rows = self.session.store().await?.rows(self.key, ids).await?;
        // Side rows are not items.
        let item = |(id, row): (&&str, JsValue)| {
            if is_side_row(id) { JsValue::UNDEFINED } else { get(&row, "item") }
        };
        let items: Vec<JsValue> = ids.iter().zip(rows).map(item).collect();
        if !completes {
            return Ok(items);
        }
        let events: Vec<Json> = items.iter().cloned().map(Json::new).collect();
        let masters = self.masters(&events).await?;
        Ok(items.into_iter().map(|item| completed(&masters, item)).collect())
    }

    /// The series masters of these events.
    async fn masters(&self, events: &[Json]) -> StoreResult<Masters<Json>> {
        let ids = master_rows(events.iter());
        let row_ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let found = if row_ids.is_empty() {
            Vec::new()
        } else {
            self.session.store().await?.rows(self.key, &row_ids).await?
        };
        Ok(Masters::of(ids.into_iter().zip(found).map(|(id, row)| (id, get(&row, "item")))))
    }

    /// Everything, as of one moment.
    async fn all_items(&self) -> StoreResult<AllItems> {
        if let Some(all) = self.session.store().await?.all(self.key).await? {
            return Ok(all);
        }
        let rows = self.consistent(async || self.all_rows().await).await?;
        rows.map(AllItems::of).ok_or_else(|| commits_too_fast("use items(), which reads it in chunks"))
    }

    /// Every row, read in chunks.
    async fn all_rows(&self) -> StoreResult<Rows> {
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
    }

    /// Reads until no commit has happened during the read. `None` if there was one each time.
    async fn consistent<T>(&self, read: impl AsyncFn() -> StoreResult<T>) -> StoreResult<Option<T>> {
        let revision = async || Ok::<_, RoundError>(get_string(&self.state().await?, "revision"));
        let mut before = revision().await?;
        for _ in 0..MAX_READ_ATTEMPTS {
            let result = read().await?;
            let after = revision().await?;
            if after == before {
                return Ok(Some(result));
            }
            before = after;
        }
        Ok(None)
    }
}

fn commits_too_fast(advice: &str) -> RoundError {
    let message = format!("a round commits faster than the mirror can be read; {advice}");
    Error::retryable(Code::Conflict, message).into()
}

impl Masters<Json> {
    /// Collects the masters among these rows. A row that is missing has an undefined item.
    fn of(rows: impl Iterator<Item = (String, JsValue)>) -> Self {
        let rows: Vec<(String, Json)> =
            rows.filter(|(_, item)| !item.is_undefined()).map(|(id, item)| (id, Json::new(item))).collect();
        Self::new(rows.iter().map(|(id, item)| (id.as_str(), item)))
    }
}

/// An item as readers see it; undefined for a master.
fn completed(masters: &Masters<Json>, item: JsValue) -> JsValue {
    if item.is_undefined() {
        return item;
    }
    masters.complete(Json::new(item)).map_or(JsValue::UNDEFINED, |item| item.value)
}
