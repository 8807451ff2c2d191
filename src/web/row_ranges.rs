//! The rows of one query in IndexedDB: their key ranges, and bulk reads.

use js_sys::{Array, JSON};
use wasm_bindgen::prelude::*;
use web_sys::{IdbKeyRange, IdbObjectStore, IdbRequest};

use super::batch::Rows;
use super::idb::{IdbResult, list, list_of, succeeded};
use super::js::{get, get_string};
use crate::protocol::series::FIRST_ITEM;

/// The key of a row: that of its query, and its id. The key of the query is passed as a JavaScript
/// string, because making one takes about as long as reading a row.
pub fn row_key(key: &JsValue, id: &str) -> JsValue {
    Array::of2(key, &id.into()).into()
}

/// The lower end of a key range.
#[derive(Clone, Copy)]
pub enum RangeStart<'a> {
    /// The first row of the query, which may be a side row.
    Start,
    /// The first row with this id or a greater one.
    Id(&'a str),
    /// The row after this id.
    After(&'a str),
}

/// The key range of a query's rows. Arrays sort after every string, and `[key]` before `[key, id]`.
pub fn range(key: &JsValue, from: RangeStart<'_>) -> IdbResult<IdbKeyRange> {
    let upper = Array::of2(key, &Array::new());
    match from {
        RangeStart::Start => IdbKeyRange::bound(&Array::of1(key), &upper),
        RangeStart::Id(id) => IdbKeyRange::bound(&row_key(key, id), &upper),
        RangeStart::After(id) => {
            IdbKeyRange::bound_with_lower_open_and_upper_open(&row_key(key, id), &upper, true, true)
        }
    }
}

/// The key range of a query's side rows after an id. They sort before all items.
fn side_range(key: &JsValue, after: Option<&str>) -> IdbResult<IdbKeyRange> {
    let lower = after.map_or_else(|| Array::of1(key).into(), |after| row_key(key, after));
    IdbKeyRange::bound_with_lower_open_and_upper_open(&lower, &row_key(key, FIRST_ITEM), true, true)
}

/// Reads the ids of the rows in a range.
pub async fn ids_of(store: &IdbObjectStore, range: &JsValue, limit: u32) -> IdbResult<Vec<String>> {
    let request = store.get_all_keys_with_key_and_limit(range, limit)?;
    succeeded(&request).await.map(ids)
}

/// The ids in the keys of rows.
fn ids(keys: JsValue) -> Vec<String> {
    let id = |key: JsValue| key.unchecked_into::<Array>().get(1).as_string();
    list_of(keys).into_iter().filter_map(id).collect()
}

/// The number of rows per chunk of a bulk read: small enough for Firefox, which fails to return
/// more than about 100 MB at once, and otherwise large, because each read costs time.
struct ChunkSize(u32);

impl Default for ChunkSize {
    fn default() -> Self {
        Self(256)
    }
}

impl ChunkSize {
    /// The intended size of a chunk as JSON, in characters.
    const MAX_CHARACTERS: u32 = 8_000_000;
    /// The number of rows of a chunk that are measured.
    const SAMPLES: usize = 8;
    /// The maximum factor by which the number of rows grows: the rows of the next chunk may be
    /// larger.
    const MAX_GROWTH: u32 = 8;

    /// The number of rows of the next chunk.
    fn rows(&self) -> u32 {
        self.0
    }

    /// Chooses the size of the next chunk by the rows of this one.
    fn measure(&mut self, rows: &Array) {
        let step = (rows.length() as usize).div_ceil(Self::SAMPLES).max(1);
        let lengths = (0..rows.length()).step_by(step).map(|at| JSON::stringify(&rows.get(at)));
        let largest = lengths.map(|text| text.map_or(1, |text| text.length())).max().unwrap_or(1);
        let rows = Self::MAX_CHARACTERS / largest.max(1);
        self.0 = rows.clamp(1, self.0.saturating_mul(Self::MAX_GROWTH));
    }
}

#[wasm_bindgen]
extern "C" {
    /// A row as it is stored.
    type RowObject;
    /// Reading it fails if the row is not an object.
    #[wasm_bindgen(method, getter, catch)]
    fn item(this: &RowObject) -> IdbResult<JsValue>;
}

/// The id of the item in a row.
pub fn id_of(row: &JsValue) -> Option<String> {
    get_string(&get(row, "item"), "id")
}

/// Reads all items, without the side rows. Requests each chunk before it takes the items of the
/// previous one.
pub async fn all_items(store: &IdbObjectStore, key: &JsValue) -> IdbResult<Array> {
    let items = Array::new();
    let mut size = ChunkSize::default();
    let mut from: JsValue = range(key, RangeStart::Id(FIRST_ITEM))?.into();
    let mut request = store.get_all_with_key_and_limit(&from, size.rows())?;
    loop {
        let rows: Array = succeeded(&request).await?.unchecked_into();
        let is_last = rows.length() < size.rows();
        if !is_last {
            let last = match id_of(&rows.at(-1)) {
                Some(id) => id,
                None => ids_of(store, &from, size.rows()).await?.pop().unwrap_or_default(),
            };
            size.measure(&rows);
            from = range(key, RangeStart::After(&last))?.into();
            request = store.get_all_with_key_and_limit(&from, size.rows())?;
        }
        for row in rows.iter() {
            let item = row.unchecked_into::<RowObject>().item().unwrap_or_default();
            if !item.is_undefined() {
                items.push(&item);
            }
        }
        if is_last {
            return Ok(items);
        }
    }
}

/// A request for side rows, and one for their keys: the rows themselves do not contain their ids.
pub struct SideRows {
    keys: IdbRequest,
    rows: IdbRequest,
}

impl SideRows {
    /// Requests the side rows after an id.
    pub fn request(
        store: &IdbObjectStore,
        key: &JsValue,
        after: Option<&str>,
        limit: u32,
    ) -> IdbResult<Self> {
        let range = side_range(key, after)?.into();
        let keys = store.get_all_keys_with_key_and_limit(&range, limit)?;
        Ok(Self { keys, rows: store.get_all_with_key_and_limit(&range, limit)? })
    }

    /// The rows, after both requests have succeeded.
    pub fn with_ids(self) -> IdbResult<Rows> {
        Ok(ids(self.keys.result()?).into_iter().zip(list(&self.rows)?).collect())
    }
}
