//! The entries of the caller's `log`: one for each round, and one for each failed request. They
//! contain no token; only a message may contain a part of a link.

use serde::Serialize;
use serde_wasm_bindgen::preserve;
use wasm_bindgen::JsValue;

use super::driver::{Driver, Result};
use super::error::is_delta_error;
use super::fetch::Fetched;
use super::js::{date, get, get_string};
use super::output::{report_to_js, to_js};
use super::request::{RequestDetails, RequestOutcome};
use super::timers::now;
use crate::protocol::error::Code;
use crate::protocol::query::key_hash;
use crate::protocol::report;
use crate::protocol::round::NoResponse;
use crate::protocol::time::{Duration, Instant};

/// A `LogEntry` of `log.d.ts`. The properties that say what happened come first: consoles show only
/// some.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry<'a> {
    level: &'static str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    ms: Duration,
    #[serde(with = "preserve")]
    time: JsValue,
    key_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_request_id: Option<&'a str>,
    #[serde(with = "preserve", skip_serializing_if = "JsValue::is_undefined")]
    report: JsValue,
}

impl Driver {
    fn entry(&self, event: &'static str, time: Instant, ms: Duration) -> LogEntry<'_> {
        LogEntry {
            time: date(time),
            level: "warn",
            event,
            key_hash: key_hash(&self.keys.query),
            ms,
            code: None,
            message: None,
            status: None,
            request_id: None,
            client_request_id: None,
            report: JsValue::UNDEFINED,
        }
    }

    fn log(&self, entry: &LogEntry) {
        if let Some(log) = &self.session.log {
            self.display.round_run.log(log, &to_js(entry));
        }
    }

    /// Logs a request that got no usable response. A request that was not sent gets no entry.
    pub(super) fn log_request(&self, result: &Result<RequestOutcome>, details: &RequestDetails) {
        let Ok(RequestOutcome::Fetched(fetched)) = result else { return };
        let mut entry = self.entry("request", now(), details.duration);
        entry.client_request_id = Some(&details.client_request_id);
        match fetched {
            Fetched::Body(..) => return,
            Fetched::Malformed(_) => entry.code = Some("malformed"),
            Fetched::NoResponse(reason, _) => {
                entry.code = Some(match reason {
                    NoResponse::Network => "network",
                    NoResponse::Offline => "offline",
                    NoResponse::Timeout => "timeout",
                });
            }
            Fetched::Refused(refusal) => {
                entry.code = refusal.code();
                entry.status = Some(refusal.status);
                entry.request_id = refusal.request_id.as_deref();
            }
        }
        self.log(&entry);
    }

    /// Logs the end of the round. `error` is the error with which the call rejects.
    pub(super) fn log_round(&self, error: Option<&JsValue>) {
        if self.session.log.is_none() {
            return;
        }
        let report = self.display.round.borrow().report.clone();
        let time = report.ended_at.unwrap_or_else(now);
        let error = error.filter(|error| is_delta_error(error));
        let text = |name: &str| error.and_then(|error| get_string(error, name));
        let (code, message) = (text("code"), text("message"));
        let mut entry = self.entry("round", time, time - report.started_at);
        entry.level = match (report.outcome, error) {
            (report::Outcome::Failed, Some(error)) => {
                // The next round may succeed, maybe after a sign-in.
                let needs_user = code.as_deref() == Some(Code::Interaction.as_str());
                if needs_user || get(error, "retryable").is_truthy() { "warn" } else { "error" }
            }
            (report::Outcome::Failed, None) => "error",
            _ => "info",
        };
        entry.code = code.as_deref();
        entry.message = message.as_deref();
        entry.report = report_to_js(&report);
        self.log(&entry);
    }
}
