//! One GET. The only place that puts a token on a request.
//!
//! The parts of a request are gloo-net's. Its `send()` and its Response are not used: they tell a
//! Response by `instanceof`, panic on what is none, which a Response or an Error of another realm
//! is, and catch nothing that a response of the caller's `fetch` throws.

use gloo_net::http::{Headers, Request};
use js_sys::{Function, JSON, JsString, Math, Object};
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, RequestInit, RequestRedirect, Url};

use super::body::{Body, beginning, read_stream, read_text};
use super::error::RoundError;
use super::js::{self, apply, call, get, get_number, get_string, set, settled, type_of};
use super::json::Json;
use super::signal::is_offline;
use super::timers::within;
use crate::protocol::challenge::claims;
use crate::protocol::endpoint::{Endpoint, redacted};
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::page::Malformed;
use crate::protocol::redact::{redact, redact_name};
use crate::protocol::refusal::Refusal;
use crate::protocol::round::NoResponse;
use crate::protocol::time::Duration;

/// What came back.
pub enum Answer {
    /// A good status and a JSON body.
    Body(Json),
    /// A good status and something else.
    Strange(Malformed),
    /// Another status.
    Refused(Box<Refusal>),
    /// Nothing, or part of it; and what the caller's own `fetch` threw.
    Lost(NoResponse, JsValue),
}

/// A GET before it is sent.
pub struct Get<'a> {
    /// The only origin that gets the token.
    pub endpoint: &'a Endpoint,
    /// The caller's own `fetch`, if there is one.
    pub custom: Option<&'a Function>,
    /// Where to.
    pub url: &'a str,
    /// Goes into the one header, and nowhere else.
    pub token: &'a str,
    /// The values of the Prefer header.
    pub prefer: &'a [String],
    /// Further headers of the query.
    pub headers: &'a [(&'static str, &'static str)],
    /// The time without a sign of life after which the request is cut.
    pub timeout: Duration,
    /// Its name in Graph's logs.
    pub client_request_id: &'a str,
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch, catch)]
    fn host_fetch(request: &web_sys::Request) -> std::result::Result<JsValue, JsValue>;

    #[wasm_bindgen(js_namespace = JSON, js_name = parse, catch)]
    fn parse(text: &JsString) -> std::result::Result<JsValue, JsValue>;
}

/// Aborts the request when it is given up.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Get<'_> {
    /// Sends the request and reads the whole answer. Dropping the future aborts both.
    pub async fn send(&self) -> std::result::Result<Answer, RoundError> {
        self.check_origin()?;
        let controller = AbortController::new()
            .map_err(|_| Error::new(Code::Internal, "this host has no AbortController"))?;
        // Dropped last: the futures below let go of the request before it is aborted.
        let _guard = AbortOnDrop(controller.clone());
        let response = match self.start(&controller) {
            Ok(started) => within(self.timeout, settled(started)).await,
            Err(thrown) => Some(Err(thrown)),
        };
        match response {
            None => Ok(Answer::Lost(NoResponse::Timeout, JsValue::UNDEFINED)),
            Some(Err(thrown)) => self.no_response(thrown),
            Some(Ok(response)) => self.read(response).await,
        }
    }

    /// The protocol has checked the link by its text; the host's own parser has the last word.
    fn check_origin(&self) -> Result<()> {
        let origin = Url::new(self.url).map(|url| url.origin()).unwrap_or_default();
        if origin == self.endpoint.origin() {
            return Ok(());
        }
        let words = format!(
            "a link leads away from {} ({}); the token was not sent",
            self.endpoint.origin(),
            redacted(self.url)
        );
        Err(Error::new(Code::ForeignLink, words))
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

    /// Calls the host's `fetch` with a Request, or the caller's with a URL and its options, which
    /// is what most are written for.
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
            // jsdom's AbortSignal is none for Node's Request: the request is then given up without
            // being aborted.
            init.set_signal(None);
            web_sys::Request::new_with_str_and_init(self.url, &init)
        })?;
        host_fetch(&Request::from(raw).into())
    }

    /// There is no answer, or it was cut off. A defect of the caller's `fetch` is told as such:
    /// another attempt would meet it again.
    fn no_response(&self, thrown: JsValue) -> std::result::Result<Answer, RoundError> {
        let error = js::thrown(&thrown);
        if self.custom.is_some() && error.is_programming_error() {
            let words = format!(
                "options.fetch failed with a {} ({}); it is a defect of that function, see cause",
                error.name,
                redact(&error.message, 200)
            );
            return Err(RoundError::Failed(Error::new(Code::BadRequest, words), thrown));
        }
        // What a host throws may name the link.
        let thrown = if self.custom.is_some() { thrown } else { JsValue::UNDEFINED };
        Ok(Answer::Lost(if is_offline() { NoResponse::Offline } else { NoResponse::Network }, thrown))
    }

    async fn read(&self, response: JsValue) -> std::result::Result<Answer, RoundError> {
        let headers = get(&response, "headers");
        // By shape: a Response of another realm, or of another library, is not an instance of ours.
        let status = get_number(&response, "status").and_then(status_code);
        let is_response = get(&response, "text").is_function() && get(&headers, "get").is_function();
        let Some(status) = status.filter(|_| is_response) else {
            let words = format!("options.fetch must resolve to a Response, got {}", type_of(&response));
            return Err(Error::new(Code::BadRequest, words).into());
        };
        if (300..400).contains(&status) || get_string(&response, "type").as_deref() == Some("opaqueredirect")
        {
            return Ok(Answer::Refused(Box::new(Refusal { status, ..Refusal::default() })));
        }
        let stream = get(&response, "body");
        let body = if get(&stream, "getReader").is_function() {
            read_stream(&stream, self.timeout).await
        } else {
            read_text(&response, self.timeout).await
        };
        let is_ok = (200..300).contains(&status);
        match body {
            Body::Cut if is_ok => self.no_response(JsValue::UNDEFINED),
            Body::Stalled if is_ok => Ok(Answer::Lost(NoResponse::Timeout, JsValue::UNDEFINED)),
            Body::Text(text) if is_ok => Ok(parse(&text).map_or_else(
                |_| Answer::Strange(Malformed::from_body(&beginning(&text))),
                |value| Answer::Body(Json(value)),
            )),
            Body::NotUtf8 if is_ok => Ok(Answer::Strange(Malformed::NotUtf8)),
            body => Ok(Answer::Refused(Box::new(refusal(status, &headers, body)))),
        }
    }
}

/// A number that is a status of HTTP.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number up to 599")]
fn status_code(number: f64) -> Option<u16> {
    ((200.0..600.0).contains(&number) && number.fract() == 0.0 || number == 0.0).then_some(number as u16)
}

/// An error status. Data under it is not read (graph-facts 4); an error without a body is still its
/// status.
fn refusal(status: u16, headers: &JsValue, body: Body) -> Refusal {
    // Headers of a custom `fetch` may throw, or give anything.
    let header = |name: &str| call(headers, "get", &[&name.into()]).ok()?.as_string();
    let (json, strange) = match body {
        Body::Text(text) => match parse(&text) {
            Ok(value) => (Some(Json(value)), None),
            Err(_) => (None, Some(Malformed::from_body(&beginning(&text)))),
        },
        Body::NotUtf8 => (None, Some(Malformed::NotUtf8)),
        Body::Cut | Body::Stalled => (None, None),
    };
    let mut refusal = Refusal::read(status, json.as_ref());
    refusal.strange = strange;
    refusal.retry_after = header("Retry-After");
    refusal.location = header("Location");
    refusal.request_id = header("request-id").map(|id| redact_name(&id)).or(refusal.request_id);
    // Whoever gets the claims hands them on as JSON.
    refusal.claims = header("WWW-Authenticate")
        .and_then(|header| claims(&header))
        .filter(|claims| JSON::parse(claims).is_ok());
    refusal
}

/// A fresh UUID of version 4. It is a name for a log, not a secret, so the host's plain random
/// numbers will do: `crypto` is missing in insecure pages.
pub fn client_request_id() -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 256")]
    let random = std::array::from_fn(|_| (Math::random() * 256.0) as u8);
    uuid::Builder::from_random_bytes(random).into_uuid().to_string()
}
