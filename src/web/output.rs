//! Converts pages, changes, reports and statuses to JavaScript values, by serde. Items are not
//! copied.

use js_sys::Object;
use serde::Serialize;
use serde_wasm_bindgen::preserve;
use wasm_bindgen::{JsCast, JsValue};

use super::js::{date, set};
use super::json::Json;
use crate::protocol::change::Change;
use crate::protocol::record::Kind;
use crate::protocol::report::Report;
use crate::protocol::round::Delivery;
use crate::protocol::series::SeenAs;
use crate::protocol::time::Instant;

/// Converts any serializable value. The types of this crate serialize without an error.
pub fn to_js<T: Serialize + ?Sized>(value: &T) -> JsValue {
    serde_wasm_bindgen::to_value(value).unwrap_or(JsValue::UNDEFINED)
}

/// The `Page` of `rounds.d.ts`. The facade adds `ack` and removes `forListeners`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageOut<'a> {
    changes: Vec<ChangeOut>,
    for_listeners: ForListeners<'a>,
    kind: Kind,
    generation: u32,
    index: u32,
    last: bool,
}

/// The data that listeners of a page need beside its changes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ForListeners<'a> {
    /// The indices of the changes that do not change the mirror: listeners do not get these.
    unchanged: Vec<u32>,
    /// Events: how each change looks to listeners that get completed occurrences. Otherwise empty.
    seen_as: Vec<SeenAs>,
    /// The series whose stored occurrences change, because their master has changed.
    series: &'a [String],
}

/// The `Change` of `rounds.d.ts`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeOut {
    r#type: &'static str,
    id: String,
    #[serde(with = "preserve", skip_serializing_if = "JsValue::is_undefined")]
    item: JsValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_new: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(with = "preserve", skip_serializing_if = "JsValue::is_undefined")]
    old: JsValue,
}

impl ChangeOut {
    fn new(change: &Change<Json>, has_mirror: bool) -> Self {
        let value = |item: &Option<Json>| item.as_ref().map_or(JsValue::UNDEFINED, |item| item.value.clone());
        match change {
            Change::Upsert { id, item, old, partial, .. } => Self {
                r#type: "upsert",
                id: id.clone(),
                item: item.value.clone(),
                partial: partial.then_some(true),
                is_new: has_mirror.then_some(old.is_none()),
                reason: None,
                old: value(old),
            },
            Change::Remove { id, reason, old } => Self {
                r#type: "remove",
                id: id.clone(),
                item: JsValue::UNDEFINED,
                partial: None,
                is_new: None,
                reason: Some(reason.as_str()),
                old: value(old),
            },
        }
    }
}

/// Converts a page. `series`, for events only: the series whose stored occurrences change.
pub fn page_to_js(
    delivery: Delivery,
    changes: &[Change<Json>],
    series: Option<&[String]>,
    has_mirror: bool,
) -> JsValue {
    // A removal without `old` is of an item that the mirror does not have.
    let is_unchanged = |change: &Change<Json>| {
        matches!(change, Change::Upsert { unchanged: true, .. } | Change::Remove { old: None, .. })
    };
    let seen_as = |change: &Change<Json>| match change {
        Change::Upsert { item, old, .. } => SeenAs::of(old.as_ref(), Some(item)),
        Change::Remove { old, .. } => SeenAs::of(old.as_ref(), None),
    };
    let Delivery { kind, generation, index, last } = delivery;
    to_js(&PageOut {
        changes: changes.iter().map(|change| ChangeOut::new(change, has_mirror)).collect(),
        for_listeners: ForListeners {
            unchanged: (0..)
                .zip(changes)
                .filter(|(_, change)| is_unchanged(change))
                .map(|(at, _)| at)
                .collect(),
            seen_as: series.map_or_else(Vec::new, |_| changes.iter().map(seen_as).collect()),
            series: series.unwrap_or_default(),
        },
        kind,
        generation,
        index,
        last,
    })
}

/// Converts a report to the `RoundReport` of `rounds.d.ts`.
pub fn report_to_js(report: &Report) -> JsValue {
    let object: Object = to_js(report).unchecked_into();
    set(&object, "startedAt", &date(report.started_at));
    if let Some(ended_at) = report.ended_at {
        set(&object, "endedAt", &date(ended_at));
    }
    object.into()
}

/// The `QueryStatus` of `query-status.d.ts`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The phase, such as `syncing` or `waiting`.
    pub phase: &'static str,
    /// When the last complete round ended: a Date.
    #[serde(with = "preserve", skip_serializing_if = "JsValue::is_undefined")]
    pub last_synced_at: JsValue,
    /// How far a running round is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The end of the wait, a Date.
    #[serde(with = "preserve", skip_serializing_if = "JsValue::is_undefined")]
    pub wait_until: JsValue,
    /// The reason of the wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_reason: Option<&'static str>,
    /// The `DeltaError` that ended the last round.
    #[serde(with = "preserve", skip_serializing_if = "JsValue::is_undefined")]
    pub error: JsValue,
}

/// How far a running round is.
#[derive(Serialize)]
pub struct Progress {
    /// Committed pages.
    pub pages: u32,
    /// Items received.
    pub items: u32,
    /// Requests sent.
    pub requests: u32,
    /// Bytes of all bodies received, after the host has decompressed them.
    pub bytes: u64,
}

impl Status {
    /// The status of a round with this report.
    pub fn new(phase: &'static str, report: &Report, synced_at: Option<Instant>, is_running: bool) -> Self {
        Self {
            phase,
            last_synced_at: synced_at.map_or(JsValue::UNDEFINED, date),
            progress: is_running.then_some(Progress {
                pages: report.pages,
                items: report.items,
                requests: report.requests,
                bytes: report.bytes,
            }),
            wait_until: JsValue::UNDEFINED,
            wait_reason: None,
            error: JsValue::UNDEFINED,
        }
    }
}
