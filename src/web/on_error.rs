//! The decision that the caller's `onError` returns.

use wasm_bindgen::JsValue;

use super::js::{get_number, type_of};
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::round::Decision;
use crate::protocol::time::Duration;

/// Parses the value that `onError` returned.
pub fn decision(returned: &JsValue) -> Result<Decision> {
    match (returned.as_string().as_deref(), get_number(returned, "after")) {
        (Some("retry"), _) => Ok(Decision::Retry(Duration::ZERO)),
        (Some("stop"), _) => Ok(Decision::Stop),
        (None, Some(ms)) if ms >= 0.0 && ms.is_finite() => Ok(Decision::Retry(Duration::from_millis(ms))),
        _ => {
            let message = format!(
                "options.onError must return \"retry\", \"stop\" or {{ after: milliseconds }}, got {}",
                type_of(returned)
            );
            Err(Error::new(Code::BadRequest, message))
        }
    }
}
