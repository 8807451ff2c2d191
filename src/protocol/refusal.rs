//! Reads a response with an error status, and decides its meaning.
//!
//! 1. Codes differ in letter case and occur at any depth of `innerError` or `innererror`. All of
//!    them are compared, case-insensitively. Messages are for people; only the methods `says_…`
//!    read them (graph-facts 4).
//! 2. A redirect is never followed: a status of 300 to 399, or 0 where the host hides it.
//! 3. Data under an error status is ignored.

use super::backoff::retry_after;
use super::item::Item;
use super::page::Malformed;
use super::redact::redact_name;
use super::time::{Duration, Instant};

/// A response with an error status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusal {
    /// HTTP status; 0 for a redirect that the host hides.
    pub status: u16,
    /// Graph's codes from the outermost to the innermost.
    pub codes: Vec<String>,
    /// Graph's message, if it sent one.
    pub message: Option<String>,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// When the response arrived, if its request was sent ahead.
    pub received_at: Option<Instant>,
    /// The `Location` header.
    pub location: Option<String>,
    /// The `request-id` header, or the id in the body.
    pub request_id: Option<String>,
    /// The claims that the token has to satisfy, decoded from the `WWW-Authenticate` header.
    pub claims: Option<String>,
    /// Why the body is not JSON, if it is not.
    pub malformed: Option<Malformed>,
}

/// The reaction to a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Get another token.
    SignIn,
    /// Wait as long as Graph says, then retry.
    Throttled,
    /// Back off, then retry.
    Server,
    /// The stored link has expired: start a full round.
    Resync,
    /// Do not follow a redirect.
    Redirect,
    /// Do not retry.
    Final,
}

/// The codes that invalidate a stored link, in lower case (graph-facts 4).
const RESETS: [&str; 8] = [
    "syncstatenotfound",
    "syncstateinvalid",
    "resyncrequired",
    "resyncchangesapplydifferences",
    "resyncchangesuploaddifferences",
    "resyncapplydifferences",
    "resyncuploaddifferences",
    "invaliddeltatoken",
];

/// The maximum nesting that is read. Graph nests three levels deep.
const MAX_DEPTH: usize = 16;

impl Refusal {
    /// Reads the body of an error. Without a body, or with one that is not JSON, only the status is
    /// known.
    pub fn read<I: Item>(status: u16, body: Option<&I>) -> Self {
        let mut refusal = Self { status, ..Self::default() };
        let mut level = body.and_then(|body| body.get("error"));
        for _ in 0..MAX_DEPTH {
            let Some(error) = level else { break };
            if let Some(code) = error.string_property("code").filter(|code| !code.is_empty()) {
                refusal.codes.push(redact_name(&code));
            }
            refusal.message = refusal
                .message
                .or_else(|| error.string_property("message").filter(|message| !message.is_empty()));
            refusal.request_id =
                refusal.request_id.or_else(|| error.string_property("request-id").map(|id| redact_name(&id)));
            level = error.get("innerError").or_else(|| error.get("innererror")).filter(Item::is_object);
        }
        refusal
    }

    /// Whether one of the codes equals `code`, case-insensitively.
    pub fn has_code(&self, code: &str) -> bool {
        self.codes.iter().any(|seen| seen.eq_ignore_ascii_case(code))
    }

    /// The innermost code.
    pub fn code(&self) -> Option<&str> {
        self.codes.last().map(String::as_str)
    }

    /// The code that asks for a full round; the innermost code if none of them does.
    pub fn reset_code(&self) -> Option<&str> {
        let is_reset = |seen: &&String| RESETS.iter().any(|code| seen.eq_ignore_ascii_case(code));
        self.codes.iter().rev().find(is_reset).map(String::as_str).or_else(|| self.code())
    }

    /// Returns the reaction. `is_link`: the request used a link, not the query itself.
    pub fn verdict(&self, is_link: bool) -> Verdict {
        match self.status {
            0 | 300..=399 => Verdict::Redirect,
            401 => Verdict::SignIn,
            // Conditional access (graph-facts 6).
            403 if self.claims.is_some() => Verdict::SignIn,
            400 | 404..=428 | 430..=499 if is_link && self.is_reset_signal() => Verdict::Resync,
            // Seen on a nextLink with an empty message; the next request succeeded (graph-facts 4).
            404 if is_link && self.has_code("UnknownError") => Verdict::Server,
            429 | 509 => Verdict::Throttled,
            500..=599 if is_link && self.has_reset_code() => Verdict::Resync,
            501 => Verdict::Final,
            408 | 500..=599 => Verdict::Server,
            _ => Verdict::Final,
        }
    }

    fn is_reset_signal(&self) -> bool {
        self.status == 410 || self.has_reset_code() || self.says_no_delta() || self.says_expired()
    }

    fn has_reset_code(&self) -> bool {
        RESETS.iter().any(|code| self.has_code(code))
    }

    /// How long Graph asks to wait, counted from now.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let received_at = self.received_at.unwrap_or(now);
        let wait = retry_after(self.retry_after.as_deref()?, received_at)?;
        Some((wait - (now - received_at)).max(Duration::ZERO))
    }

    /// Until when this refusal throttles the scope. `None` if it names no time.
    pub fn throttled_until(&self, now: Instant) -> Option<Instant> {
        let is_throttle = matches!(self.verdict(false), Verdict::Throttled | Verdict::Server);
        self.wait(now).filter(|_| is_throttle).map(|wait| now + wait)
    }

    /// Whether Graph throttles because too many requests to one mailbox were in flight. Requests by
    /// different names of the mailbox count together (graph-facts 9.15). The code is that of any
    /// other throttle.
    pub fn says_mailbox_concurrency(&self) -> bool {
        self.status == 429
            && self.message.as_deref().is_some_and(|message| message.contains("MailboxConcurrency"))
    }

    /// Whether Graph says that the resource of the path has no delta query at all. Personal
    /// accounts, External ID and B2C tenants and older services say so in the message only
    /// (graph-facts 9.12 and 1.2).
    pub fn says_not_supported(&self) -> bool {
        let Some(message) = &self.message else { return false };
        let message = message.to_ascii_lowercase();
        let has = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
        has(&["delta query", "delta queries", "delta function", "change tracking", "differential query"])
            && has(&["not support", "n't support", "unsupported"])
            && !message.contains("parameter")
    }

    /// Whether Graph refuses a path below `/me` because the token is an app-only one.
    pub fn says_needs_user(&self) -> bool {
        self.message.as_deref().is_some_and(|message| {
            message.to_ascii_lowercase().contains("/me request is only valid with delegated")
        })
    }

    /// Whether Graph refuses the delta token as a parameter. Teams channels say so only in the
    /// message; a channel without a conversation says it of every link (graph-facts 4).
    pub fn says_no_delta(&self) -> bool {
        self.message.as_deref().is_some_and(|message| {
            message.to_ascii_lowercase().contains("parameter 'deltatoken' not supported")
        })
    }

    /// Whether a code or the message says that a token of the link has expired, like
    /// `Directory_ExpiredPageToken`. Used for links only: a wrong guess then only lists everything
    /// again.
    fn says_expired(&self) -> bool {
        let says = |text: &String| {
            let text = text.to_ascii_lowercase();
            let has = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
            has(&["token", "delta link", "deltalink", "next link", "nextlink", "sync state", "syncstate"])
                && has(&[
                    "expired",
                    "unknown",
                    "no longer valid",
                    "not found",
                    "not recognized",
                    "unrecognized",
                ])
        };
        matches!(self.status, 400 | 404) && (self.codes.iter().any(says) || self.message.iter().any(says))
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn with(status: u16, body: &Value) -> Refusal {
        Refusal::read(status, Some(body))
    }

    #[test]
    fn every_reset_signal_on_a_stored_link_asks_for_a_full_round() {
        for (status, body) in [
            (
                410,
                json!({"error": {"code": "SyncStateNotFound",
                    "message": "The sync state generation is not found; generation=149;"}}),
            ),
            (410, json!({"error": {"code": "syncStateNotFound"}})),
            (400, json!({"error": {"code": "syncStateNotFound"}})),
            (404, json!({"error": {"code": "SYNCSTATENOTFOUND"}})),
            (
                410,
                json!({"error": {"code": "resyncRequired",
                    "innererror": {"code": "resyncChangesApplyDifferences"}}}),
            ),
            (
                410,
                json!({"error": {"code": "gone", "innerError": {"code": "x",
                    "innererror": {"code": "resyncChangesUploadDifferences"}}}}),
            ),
            (409, json!({"error": {"code": "x", "innerError": {"code": "resyncApplyDifferences"}}})),
            (400, json!({"error": {"code": "resyncUploadDifferences"}})),
            (400, json!({"error": {"code": "SyncStateInvalid"}})),
            (400, json!({"error": {"code": "ResyncRequired"}})),
            (
                400,
                json!({"error": {"code": "InvalidDeltaToken",
                    "message": "The value 'x' of parameter '$deltaToken' is invalid."}}),
            ),
            (
                400,
                json!({"error": {"code": "BadRequest",
                    "message": "Parameter 'DeltaToken' not supported for this request."}}),
            ),
            (410, json!({})),
            (
                400,
                json!({"error": {"code": "Directory_ExpiredPageToken",
                    "message": "The specified page token value has expired and can no longer be included in your request."}}),
            ),
            (404, json!({"error": {"code": "BadRequest", "message": "The delta token is unknown."}})),
            (400, json!({"error": {"code": "BadRequest", "message": "The delta link has expired."}})),
            (400, json!({"error": {"code": "BadRequest", "message": "Token not found."}})),
            (400, json!({"error": {"code": "BadRequest", "message": "The skip token is not recognized."}})),
            (400, json!({"error": {"code": "SyncStateExpired"}})),
            (400, json!({"error": {"code": "UnknownSyncToken"}})),
        ] {
            assert_eq!(with(status, &body).verdict(true), Verdict::Resync, "{status} {body}");
            assert_eq!(
                with(status, &body).verdict(false),
                Verdict::Final,
                "a full round cannot fix a first request: {status} {body}"
            );
        }
    }

    #[test]
    fn a_410_without_a_body_is_a_reset_too() {
        assert_eq!(Refusal::read::<Value>(410, None).verdict(true), Verdict::Resync);
    }

    #[test]
    fn other_refusals_are_not_reset_signals() {
        for (status, body) in [
            (403, json!({"error": {"code": "accessDenied", "innerError": {"code": "syncStateNotFound"}}})),
            (401, json!({"error": {"code": "syncStateNotFound"}})),
            (429, json!({"error": {"code": "resyncRequired"}})),
            (509, json!({"error": {"code": "resyncRequired"}})),
            (404, json!({"error": {"code": "ErrorItemNotFound", "message": "syncStateNotFound"}})),
            (400, json!({"error": {"code": "ErrorInvalidUrlQuery"}})),
        ] {
            assert_ne!(with(status, &body).verdict(true), Verdict::Resync, "{status} {body}");
        }
    }

    #[test]
    fn a_404_without_a_reason_on_a_link_is_transient() {
        let body = json!({"error": {"code": "UnknownError", "message": ""}});
        assert_eq!(
            (with(404, &body).verdict(true), with(404, &body).verdict(false)),
            (Verdict::Server, Verdict::Final)
        );
    }

    #[test]
    fn each_status_has_its_verdict() {
        let verdict = |status| Refusal::read::<Value>(status, None).verdict(true);
        for status in [429, 509] {
            assert_eq!(verdict(status), Verdict::Throttled);
        }
        for status in [408, 500, 502, 503, 504, 599] {
            assert_eq!(verdict(status), Verdict::Server);
        }
        for status in [400, 402, 403, 404, 405, 451, 501, 600, 100] {
            assert_eq!(verdict(status), Verdict::Final, "{status}");
        }
        for status in [0, 301, 302, 307, 308] {
            assert_eq!(verdict(status), Verdict::Redirect);
        }
        assert_eq!(verdict(401), Verdict::SignIn);
    }

    #[test]
    fn codes_and_the_request_id_are_found_at_any_depth() {
        let refusal = with(
            400,
            &json!({"error": {"code": "outer", "message": "m", "innerError": {"request-id": "r",
                "code": "inner"}}}),
        );
        assert_eq!(
            (refusal.codes.as_slice(), refusal.code(), refusal.request_id.as_deref()),
            (["outer".to_owned(), "inner".to_owned()].as_slice(), Some("inner"), Some("r"))
        );
        assert_eq!(refusal.message.as_deref(), Some("m"));
    }

    #[test]
    fn a_body_of_any_shape_is_read_without_a_panic() {
        for body in [
            json!(null),
            json!([]),
            json!("error"),
            json!({"error": "x"}),
            json!({"error": {"code": 7, "innerError": []}}),
            json!({"error": null}),
        ] {
            assert!(with(400, &body).codes.is_empty());
        }
    }
}
