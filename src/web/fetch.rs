//! Sends one GET. The only place that adds the token to a request.
//!
//! Uses `Request` and `Headers` of gloo-net, but not its `send()` and `Response`: these recognize a
//! Response by `instanceof`, panic on anything else, such as a Response or an Error of another
//! realm, and do not catch exceptions of a response of the caller's `fetch`.

use std::cell::Cell;

use gloo_net::http::{Headers, Request};
use js_sys::{Function, JSON, JsString, Math, Object};
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, RequestInit, RequestRedirect, Url};

use super::body::{Body, LinkSearch, beginning, read_stream, read_text};
use super::error::RoundError;
use super::js::{self, apply, call, get, get_number, get_string, set, settled, type_of};
use super::json::Json;
use super::signal::is_offline;
use super::timers::with_timeout;
use crate::protocol::challenge::claims;
use crate::protocol::endpoint::{Endpoint, redacted};
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::page::Malformed;
use crate::protocol::redact::{redact, redact_name};
use crate::protocol::refusal::Refusal;
use crate::protocol::round::NoResponse;
use crate::protocol::time::Duration;

/// How many characters of a body that is not JSON are examined.
const EXCERPT: u32 = 400;

/// The result of a request.
pub enum Fetched {
    /// A success status and a JSON body, with its text.
    Body(Json, JsString),
    /// A success status and a body that is not JSON.
    Malformed(Malformed),
    /// Another status.
    Refused(Box<Refusal>),
    /// No response, or an incomplete one, and the value that the caller's own `fetch` threw.
    NoResponse(NoResponse, JsValue),
}

/// A GET before it is sent.
pub struct Get<'a> {
    /// The only origin that gets the token.
    pub endpoint: &'a Endpoint,
    /// The caller's own `fetch`, if there is one.
    pub custom: Option<&'a Function>,
    /// The URL.
    pub url: &'a str,
    /// Goes into the Authorization header and nowhere else.
    pub token: &'a str,
    /// The values of the Prefer header.
    pub prefer: &'a [String],
    /// Further headers of the query.
    pub headers: &'a [(&'static str, &'static str)],
    /// The request is aborted if no part of its response arrives for this long.
    pub timeout: Duration,
    /// The id of the request in Graph's logs.
    pub client_request_id: &'a str,
    /// Counts the bytes of the body.
    pub received: &'a Cell<u64>,
    /// Reports the nextLink while a page arrives.
    pub next_link: &'a LinkSearch,
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch, catch)]
    fn host_fetch(request: &web_sys::Request) -> std::result::Result<JsValue, JsValue>;

    /// Parses JSON without copying its text into the wasm.
    #[wasm_bindgen(js_namespace = JSON, js_name = parse, catch)]
    pub fn parse(text: &JsString) -> std::result::Result<JsValue, JsValue>;
}

/// Aborts the request when it is dropped.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Get<'_> {
    /// Sends the request and reads the whole response. Dropping the future aborts both.
    pub async fn send(&self) -> std::result::Result<Fetched, RoundError> {
        self.check_origin()?;
        let controller = AbortController::new()
            .map_err(|_| Error::new(Code::Internal, "this host has no AbortController"))?;
        // Dropped last: the futures below are dropped before the request is aborted.
        let _guard = AbortOnDrop(controller.clone());
        let response = match self.start(&controller) {
            Ok(started) => with_timeout(self.timeout, settled(started)).await,
            Err(thrown) => Some(Err(thrown)),
        };
        match response {
            None => Ok(Fetched::NoResponse(NoResponse::Timeout, JsValue::UNDEFINED)),
            Some(Err(thrown)) => self.no_response(thrown),
            Some(Ok(response)) => self.read(response).await,
        }
    }

    /// Checks the origin with the host's URL parser. The protocol has checked the link as a string.
    fn check_origin(&self) -> Result<()> {
        let origin = Url::new(self.url).map(|url| url.origin()).unwrap_or_default();
        if origin == self.endpoint.origin() {
            return Ok(());
        }
        let message = format!(
            "a link leads away from {} ({}); the token was not sent, reset() starts over without this link",
            self.endpoint.origin(),
            redacted(self.url)
        );
        Err(Error::new(Code::ForeignLink, message))
    }

    fn headers(&self) -> Headers {
        let headers = Headers::new();
        headers.set("Accept", "application/json");
        headers.set("Authorization", &format!("Bearer {}", self.token));
        headers.set("client-request-id", self.client_request_id);
        if !self.prefer.is_empty() {
            headers.set("Prefer", &self.prefer.join(", "));
        }
        for (name, value) in self.headers {
            headers.set(name, value);
        }
        headers
    }

    /// Calls the host's `fetch` with a Request, or the caller's with a URL and options, the form
    /// that most custom functions expect.
    fn start(&self, controller: &AbortController) -> std::result::Result<JsValue, JsValue> {
        let signal = controller.signal();
        if let Some(custom) = self.custom {
            let init = Object::new();
            set(&init, "method", &"GET".into());
            set(&init, "redirect", &"manual".into());
            set(&init, "headers", &self.headers().into_raw());
            set(&init, "signal", &signal);
            return apply(custom, &js_sys::global(), &[&self.url.into(), &init]);
        }
        let init = RequestInit::new();
        init.set_method("GET");
        init.set_redirect(RequestRedirect::Manual);
        init.set_headers(&self.headers().into_raw());
        init.set_signal(Some(&signal));
        let raw = web_sys::Request::new_with_str_and_init(self.url, &init).or_else(|_| {
            // Node's Request refuses an AbortSignal of jsdom. Such a request cannot be aborted.
            init.set_signal(None);
            web_sys::Request::new_with_str_and_init(self.url, &init)
        })?;
        host_fetch(&Request::from(raw).into())
    }

    /// Converts the failure of a request without a complete response. A programming error of the
    /// caller's `fetch` ends the round: another attempt would fail in the same way.
    fn no_response(&self, thrown: JsValue) -> std::result::Result<Fetched, RoundError> {
        let error = js::thrown(&thrown);
        if self.custom.is_some() && error.is_programming_error() {
            let message = format!(
                "options.fetch failed with a {} ({}); this is a defect of that function, see cause",
                error.name,
                redact(&error.message, 200)
            );
            return Err(RoundError::Failed(Error::new(Code::BadRequest, message), thrown));
        }
        // The error of the host's own `fetch` may contain the link.
        let thrown = if self.custom.is_some() { thrown } else { JsValue::UNDEFINED };
        Ok(Fetched::NoResponse(if is_offline() { NoResponse::Offline } else { NoResponse::Network }, thrown))
    }

    async fn read(&self, response: JsValue) -> std::result::Result<Fetched, RoundError> {
        let headers = get(&response, "headers");
        // Checked by its shape: a Response of another realm or library is not an instance of the
        // global `Response`.
        let status = get_number(&response, "status").and_then(status_code);
        let is_response = get(&response, "text").is_function() && get(&headers, "get").is_function();
        let Some(status) = status.filter(|_| is_response) else {
            let message = format!("options.fetch must resolve to a Response, got {}", type_of(&response));
            return Err(Error::new(Code::BadRequest, message).into());
        };
        let kind = get_string(&response, "type").unwrap_or_default();
        match kind.as_str() {
            // `Response.error()`.
            "error" => return self.no_response(JsValue::UNDEFINED),
            "opaque" => {
                let message = "options.fetch must resolve to a Response that can be read, got an opaque one: its \
                    request had the mode no-cors";
                return Err(Error::new(Code::BadRequest, message).into());
            }
            _ => {}
        }
        if (300..400).contains(&status) || kind == "opaqueredirect" {
            return Ok(Fetched::Refused(Box::new(Refusal { status, ..Refusal::default() })));
        }
        let stream = get(&response, "body");
        let is_ok = (200..300).contains(&status);
        let no_search = LinkSearch::default();
        let next_link = if is_ok { self.next_link } else { &no_search };
        let body = if get(&stream, "getReader").is_function() {
            read_stream(&stream, self.timeout, self.received, next_link).await
        } else {
            read_text(&response, self.timeout, self.received).await
        };
        match body {
            Body::Incomplete if is_ok => self.no_response(JsValue::UNDEFINED),
            Body::Stalled if is_ok => Ok(Fetched::NoResponse(NoResponse::Timeout, JsValue::UNDEFINED)),
            Body::Text(text) if is_ok => Ok(parse(&text).map_or_else(
                |_| Fetched::Malformed(Malformed::from_body(&beginning(&text, EXCERPT))),
                |value| Fetched::Body(Json::new(value), text.clone()),
            )),
            Body::NotUtf8 if is_ok => Ok(Fetched::Malformed(Malformed::NotUtf8)),
            body => Ok(Fetched::Refused(Box::new(refusal(status, &headers, body)))),
        }
    }
}

/// Returns a number as an HTTP status, if it is one. 0 is the status of an opaque redirect.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number up to 599")]
fn status_code(number: f64) -> Option<u16> {
    ((200.0..600.0).contains(&number) && number.fract() == 0.0 || number == 0.0).then_some(number as u16)
}

/// Reads a response with an error status. Its body is read only as an error, never as a page
/// (graph-facts 4).
fn refusal(status: u16, headers: &JsValue, body: Body) -> Refusal {
    // The headers of a custom `fetch` may throw, or return any value.
    let header = |name: &str| call(headers, "get", &[&name.into()]).ok()?.as_string();
    let (json, malformed) = match body {
        Body::Text(text) => match parse(&text) {
            Ok(value) => (Some(Json::new(value)), None),
            Err(_) => (None, Some(Malformed::from_body(&beginning(&text, EXCERPT)))),
        },
        Body::NotUtf8 => (None, Some(Malformed::NotUtf8)),
        Body::Incomplete | Body::Stalled => (None, None),
    };
    let mut refusal = Refusal::read(status, json.as_ref());
    refusal.malformed = malformed;
    refusal.retry_after = header("Retry-After");
    refusal.location = header("Location");
    refusal.request_id = header("request-id").map(|id| redact_name(&id)).or(refusal.request_id);
    // MSAL parses the claims as JSON.
    refusal.claims = header("WWW-Authenticate")
        .and_then(|header| claims(&header))
        .filter(|claims| JSON::parse(claims).is_ok());
    refusal
}

/// Makes a UUID of version 4. It identifies a request in logs and is not a secret, so
/// `Math.random()` suffices. `crypto.randomUUID()` is missing in insecure contexts.
pub fn client_request_id() -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 256")]
    let random = std::array::from_fn(|_| (Math::random() * 256.0) as u8);
    uuid::Builder::from_random_bytes(random).into_uuid().to_string()
}
