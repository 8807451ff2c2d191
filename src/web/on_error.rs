//! The answer of the caller's `onError`.

use wasm_bindgen::JsValue;

use super::js::{get_number, type_of};
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::round::Decision;
use crate::protocol::time::Duration;

/// Parses what `onError` returned.
pub fn decision(answer: &JsValue) -> Result<Decision> {
    match (answer.as_string().as_deref(), get_number(answer, "after")) {
        (Some("retry"), _) => Ok(Decision::Retry(Duration::ZERO)),
        (Some("stop"), _) => Ok(Decision::Stop),
        (None, Some(ms)) if ms >= 0.0 && ms.is_finite() => Ok(Decision::Retry(Duration::from_millis(ms))),
        _ => {
            let message = format!(
                "options.onError must return \"retry\", \"stop\" or {{ after: milliseconds }}, got {}",
                type_of(answer)
            );
            Err(Error::new(Code::BadRequest, message))
        }
    }
}
