//! What goes out: pages, changes, reports, errors; and how any JavaScript object is read and written.

use js_sys::{Array, Date, Function, Object};
use wasm_bindgen::prelude::*;

use super::json::{Json, assign};
use crate::protocol::change::Change;
use crate::protocol::error::Error;
use crate::protocol::report::Report;
use crate::protocol::round::Delivery;

/// WaitReason something ended without a result.
pub enum Stop {
    /// An error of ours, and what caused it.
    Failed(Box<Error>, JsValue),
    /// A `DeltaError` of the facade's, or of a store.
    Theirs(JsValue),
}

impl From<Box<Error>> for Stop {
    fn from(failure: Box<Error>) -> Self {
        Self::Failed(failure, JsValue::UNDEFINED)
    }
}

#[wasm_bindgen]
extern "C" {
    /// Any object. Its properties are read and written as `object[name]`, which costs less than `Reflect`.
    type Bag;
    #[wasm_bindgen(method, structural, indexing_getter, catch)]
    fn read(this: &Bag, name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, structural, indexing_setter)]
    fn write(this: &Bag, name: &str, value: &JsValue);
}

/// A property; undefined where there is none, and where reading it throws.
pub fn get(object: &JsValue, name: &str) -> JsValue {
    object.unchecked_ref::<Bag>().read(name).unwrap_or(JsValue::UNDEFINED)
}

/// A property, if it is a text.
pub fn text(object: &JsValue, name: &str) -> Option<String> {
    get(object, name).as_string()
}

/// Calls a method of an object that may be of any making, with two arguments: what it throws is caught. All methods are called
/// so: a binding for each would be an import more, there and in the JavaScript.
pub fn method(object: &JsValue, name: &str, first: &JsValue, second: &JsValue) -> Result<JsValue, JsValue> {
    get(object, name).unchecked_ref::<Function>().call2(object, first, second)
}

/// Sets a property of an object of our own.
pub fn set(object: &JsValue, name: &str, value: &JsValue) {
    object.unchecked_ref::<Bag>().write(name, value);
}

/// Sets a property to a text.
pub fn set_text(object: &JsValue, name: &str, value: &str) {
    set(object, name, &JsValue::from_str(value));
}

/// Sets a property to a number.
pub fn set_number(object: &JsValue, name: &str, value: f64) {
    set(object, name, &JsValue::from_f64(value));
}

/// Sets a property to a date, of milliseconds since 1970, if there is one.
pub fn set_date(object: &JsValue, name: &str, ms: Option<f64>) {
    if let Some(ms) = ms {
        set(object, name, &date(ms));
    }
}

fn told(change: &Change<Json>, mirror: bool) -> JsValue {
    let object = Object::new();
    let old = match change {
        Change::Upsert { id, item, old, partial, .. } => {
            set_text(&object, "type", "upsert");
            set_text(&object, "id", id);
            set(&object, "item", &item.0);
            if *partial {
                set(&object, "partial", &JsValue::TRUE);
            }
            if mirror {
                set(&object, "isNew", &old.is_none().into());
            }
            old
        }
        Change::Remove { id, reason, old } => {
            set_text(&object, "type", "remove");
            set_text(&object, "id", id);
            set_text(&object, "reason", reason.as_str());
            old
        }
    };
    if let Some(old) = old {
        set(&object, "old", &old.0);
    }
    object.into()
}

/// A `Page`, without its `ack`, which the facade adds, and with a list of the places that bring no difference, which it takes away.
pub fn page(delivery: Delivery, changes: &[Change<Json>], mirror: bool) -> JsValue {
    let page = Object::new();
    let (list, unchanged) = (Array::new(), Array::new());
    for change in changes {
        // The mirror never held what is removed without an `old`.
        if matches!(change, Change::Upsert { unchanged: true, .. } | Change::Remove { old: None, .. }) {
            unchanged.push(&list.length().into());
        }
        list.push(&told(change, mirror));
    }
    set(&page, "unchanged", &unchanged);
    set(&page, "changes", &list);
    set_text(&page, "kind", delivery.kind.as_str());
    set_number(&page, "generation", delivery.generation.into());
    set_number(&page, "index", delivery.index.into());
    set(&page, "last", &delivery.last.into());
    page.into()
}

/// A date of milliseconds since 1970.
pub fn date(ms: f64) -> JsValue {
    Date::new(&JsValue::from_f64(ms)).into()
}

/// A `RoundReport`.
pub fn report(report: &Report) -> JsValue {
    let value = report.written::<Json>().0;
    set_date(&value, "startedAt", Some(report.started_at));
    set_date(&value, "endedAt", report.ended_at);
    value
}

/// What a promise rejects with: the signal's reason, or a `DeltaError` made by the facade's class.
pub fn rejection(stop: Stop, make_error: &Function, round: Option<&Report>) -> JsValue {
    let (failure, cause) = match stop {
        Stop::Theirs(error) => {
            if let Some(round) = round {
                // It may be frozen.
                let fields = Object::new();
                set(&fields, "report", &report(round));
                let _ = assign(&error, &fields, &JsValue::UNDEFINED);
            }
            return error;
        }
        Stop::Failed(failure, cause) => (failure, cause),
    };
    let fields = Object::new();
    set_text(&fields, "code", failure.code.as_str());
    set(&fields, "retryable", &failure.retryable.into());
    if let Some(status) = failure.status {
        set_number(&fields, "status", status.into());
    }
    for (name, value) in [
        ("graphCode", &failure.graph_code),
        ("requestId", &failure.request_id),
        ("clientRequestId", &failure.client_request_id),
        ("claims", &failure.claims),
    ] {
        if let Some(value) = value {
            set_text(&fields, name, value);
        }
    }
    set_date(&fields, "retryAt", failure.retry_at);
    if let Some(round) = round {
        set(&fields, "report", &report(round));
    }
    if !cause.is_undefined() {
        set(&fields, "cause", &cause);
    }
    let message = JsValue::from_str(&failure.message);
    make_error.call2(&JsValue::UNDEFINED, &message, &fields).unwrap_or(message)
}

/// Calls a method of the facade's, which gives a promise and does not throw.
pub fn promise(object: &JsValue, name: &str, first: &JsValue, second: &JsValue) -> JsValue {
    method(object, name, first, second).unwrap_or(JsValue::UNDEFINED)
}

/// A list of two.
pub fn pair(first: &JsValue, second: &JsValue) -> Array {
    let pair = Array::new();
    pair.push(first);
    pair.push(second);
    pair
}
