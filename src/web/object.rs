//! What goes out: pages, changes, reports, errors.

use js_sys::{Array, Date, Function, Object, Reflect};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::json::Json;
use crate::protocol::change::Change;
use crate::protocol::error::{Code, Failure};
use crate::protocol::report::Report;
use crate::protocol::round::Delivery;

/// Why something ended without a result.
pub enum Stop {
    /// The caller's signal fired: its reason, untouched.
    Aborted(JsValue),
    /// An error of ours, and what caused it.
    Failed(Box<Failure>, JsValue),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure), JsValue::UNDEFINED)
    }
}

#[wasm_bindgen]
extern "C" {
    /// `Change` of `index.d.ts`.
    #[wasm_bindgen(extends = Object, typescript_type = "object")]
    type Told;
    #[wasm_bindgen(method, setter, js_name = "type")]
    fn set_type(this: &Told, value: &str);
    #[wasm_bindgen(method, setter)]
    fn set_id(this: &Told, value: &str);
    #[wasm_bindgen(method, setter)]
    fn set_item(this: &Told, value: &JsValue);
    #[wasm_bindgen(method, setter, js_name = "isNew")]
    fn set_is_new(this: &Told, value: bool);
    #[wasm_bindgen(method, setter)]
    fn set_old(this: &Told, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_partial(this: &Told, value: bool);
    #[wasm_bindgen(method, setter)]
    fn set_reason(this: &Told, value: &str);
}

/// Sets a property. An object that was just made takes it.
pub fn set(object: &Object, name: &str, value: impl Into<JsValue>) {
    let _ = Reflect::set(object, &JsValue::from_str(name), &value.into());
}

fn told(change: &Change<Json>, mirror: bool) -> JsValue {
    let object: Told = Object::new().unchecked_into();
    match change {
        Change::Upsert { id, item, old, partial, .. } => {
            object.set_type("upsert");
            object.set_id(id);
            object.set_item(&item.0);
            if *partial {
                object.set_partial(true);
            }
            if mirror {
                object.set_is_new(old.is_none());
            }
            if let Some(old) = old {
                object.set_old(&old.0);
            }
        }
        Change::Remove { id, reason, old } => {
            object.set_type("remove");
            object.set_id(id);
            object.set_reason(reason.as_str());
            if let Some(old) = old {
                object.set_old(&old.0);
            }
        }
    }
    object.into()
}

/// A `Page`, without its `ack`, which the facade adds.
pub fn page(delivery: Delivery, changes: &[Change<Json>], mirror: bool) -> JsValue {
    let page = Object::new();
    set(&page, "changes", changes.iter().map(|change| told(change, mirror)).collect::<Array>());
    set(&page, "kind", delivery.kind.as_str());
    set(&page, "generation", delivery.generation);
    set(&page, "index", delivery.index);
    set(&page, "last", delivery.last);
    page.into()
}

/// A date of milliseconds since 1970.
pub fn date(ms: f64) -> JsValue {
    Date::new(&JsValue::from_f64(ms)).into()
}

/// A `RoundReport`.
pub fn report(report: &Report) -> JsValue {
    let Ok(value) = report.serialize(&serde_wasm_bindgen::Serializer::json_compatible()) else { return JsValue::UNDEFINED };
    if let Some(object) = value.dyn_ref::<Object>() {
        set(object, "startedAt", date(report.started_at));
        if let Some(ended) = report.ended_at {
            set(object, "endedAt", date(ended));
        }
    }
    value
}

/// What a promise rejects with: the signal's reason, or a `DeltaError` made by the facade's class.
pub fn rejection(stop: Stop, make_error: &Function, round: Option<&Report>) -> JsValue {
    let (failure, cause) = match stop {
        Stop::Aborted(reason) => return reason,
        Stop::Failed(failure, cause) => (failure, cause),
    };
    let fields = Object::new();
    set(&fields, "code", failure.code.as_str());
    set(&fields, "retryable", failure.retryable);
    if let Some(status) = failure.status {
        set(&fields, "status", status);
    }
    if let Some(code) = &failure.graph_code {
        set(&fields, "graphCode", code.as_str());
    }
    if let Some(id) = &failure.request_id {
        set(&fields, "requestId", id.as_str());
    }
    if let Some(at) = failure.retry_at {
        set(&fields, "retryAt", date(at));
    }
    if let Some(round) = round {
        set(&fields, "report", report(round));
    }
    if !cause.is_undefined() {
        set(&fields, "cause", cause);
    }
    let message = JsValue::from_str(&failure.message);
    make_error.call2(&JsValue::UNDEFINED, &message, &fields).unwrap_or(message)
}

/// The client is closed.
pub fn closed() -> Failure {
    Failure::new(Code::Closed, "this client is closed (by close() or forget(), or because another tab deleted or upgraded its database); open another one with openDelta()")
}
