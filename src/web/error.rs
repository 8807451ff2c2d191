//! The errors of a round, and how they become JavaScript values.

use js_sys::{Function, Object};
use wasm_bindgen::{JsCast, JsValue};

use super::js::{date, get_string, set};
use super::output::{report_to_js, to_js};
use crate::protocol::error::{Code, Error};
use crate::protocol::report::Report;

/// The error that ended a round.
#[derive(Debug)]
pub enum RoundError {
    /// An error of this crate, and the JavaScript value that caused it.
    Failed(Box<Error>, JsValue),
    /// An error that is a JavaScript value already, such as a `DeltaError` that the caller's store
    /// threw: it is passed on.
    Foreign(JsValue),
    /// The caller's signal fired, or its client was closed: the reason, untouched.
    Aborted(JsValue),
}

impl From<Box<Error>> for RoundError {
    fn from(error: Box<Error>) -> Self {
        Self::Failed(error, JsValue::UNDEFINED)
    }
}

/// Whether a value is a `DeltaError`. Checked by its shape: it may be of another copy of the
/// package.
pub fn is_delta_error(value: &JsValue) -> bool {
    get_string(value, "name").as_deref() == Some("DeltaError") && get_string(value, "code").is_some()
}

/// The error of calls on a closed client.
pub fn closed() -> Box<Error> {
    let message = "this client is closed (by close() or forget(), or because its database was deleted or upgraded); open another one with openDelta()";
    Error::new(Code::Closed, message)
}

/// The error of an acknowledgement after the consumer has left the round.
pub fn round_left() -> Box<Error> {
    let message = "the round was left before this page was acknowledged; the next round delivers it again";
    Error::retryable(Code::Aborted, message)
}

/// Makes `DeltaError`s by a function of the facade: Rust cannot define a class that extends
/// `Error`.
#[derive(Clone)]
pub struct ErrorFactory(Function);

impl ErrorFactory {
    /// `make` takes a message and the other properties of a `DeltaError`.
    pub fn new(make: Function) -> Self {
        Self(make)
    }

    /// Returns the value with which a promise rejects: a `DeltaError` with the report of its round,
    /// or the reason of an abort.
    pub fn error_to_js(&self, error: RoundError, report: Option<&Report>) -> JsValue {
        match error {
            RoundError::Aborted(reason) => reason,
            RoundError::Foreign(error) => {
                // A frozen error gets no report.
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
