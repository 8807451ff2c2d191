//! How a round ends without a result, and what JavaScript gets to see of it.

use js_sys::{Function, Object};
use wasm_bindgen::{JsCast, JsValue};

use super::js::{date, get_string, set};
use super::output::{report_to_js, to_js};
use crate::protocol::error::{Code, Error};
use crate::protocol::report::Report;

/// Why a round ended without a result.
#[derive(Debug)]
pub enum RoundError {
    /// An error of this crate, and the JavaScript value that caused it.
    Failed(Box<Error>, JsValue),
    /// A `DeltaError` that the caller's store threw: it is handed on as it is.
    Foreign(JsValue),
    /// The caller's signal fired, or its client was closed: the reason, untouched.
    Aborted(JsValue),
}

impl From<Box<Error>> for RoundError {
    fn from(error: Box<Error>) -> Self {
        Self::Failed(error, JsValue::UNDEFINED)
    }
}

/// Whether a value is a `DeltaError`. By its shape: it may be of another copy of this package.
pub fn is_delta_error(value: &JsValue) -> bool {
    get_string(value, "name").as_deref() == Some("DeltaError") && get_string(value, "code").is_some()
}

/// The error of calls on a client that was closed.
pub fn closed() -> Box<Error> {
    let words = "this client is closed (by close() or forget(), or because another tab deleted or upgraded its database); open another one with openDelta()";
    Error::new(Code::Closed, words)
}

/// The error of an acknowledgement whose round is over.
pub fn left() -> Box<Error> {
    let words = "the round was left before this page was acknowledged; the next round delivers it again";
    Error::retryable(Code::Aborted, words)
}

/// Makes `DeltaError`s. The class lives in JavaScript, where `class … extends Error` works.
#[derive(Clone)]
pub struct ErrorFactory(Function);

impl ErrorFactory {
    /// `make` takes a message and the other fields of a `DeltaError`.
    pub fn new(make: Function) -> Self {
        Self(make)
    }

    /// What a promise rejects with: a `DeltaError` with the report of its round, or the reason of
    /// an abort.
    pub fn error_to_js(&self, error: RoundError, report: Option<&Report>) -> JsValue {
        match error {
            RoundError::Aborted(reason) => reason,
            RoundError::Foreign(error) => {
                // The error may be frozen: it then stays without a report.
                if let (Some(report), Some(object)) = (report, error.dyn_ref::<Object>())
                    && Object::is_extensible(object)
                {
                    set(object, "report", &report_to_js(report));
                }
                error
            }
            RoundError::Failed(error, cause) => {
                let fields: Object = to_js(&*error).unchecked_into();
                if let Some(retry_at) = error.retry_at {
                    set(&fields, "retryAt", &date(retry_at));
                }
                if let Some(report) = report {
                    set(&fields, "report", &report_to_js(report));
                }
                if !cause.is_undefined() {
                    set(&fields, "cause", &cause);
                }
                let message = JsValue::from_str(&error.message);
                self.0.call2(&JsValue::UNDEFINED, &message, &fields).unwrap_or(message)
            }
        }
    }
}
