//! One GET. The only place that puts a token on a request.
//!
//! The host's `fetch` is called by `pkg-template/drive.js` and not by gloo-net, whose `send` traps if a patched `fetch` rejects with
//! something that is no `Error`, and whose response traps likewise on one that is not the host's own.

use js_sys::{Array, JsString, Math, Object};
use wasm_bindgen::prelude::*;
use web_sys::Url;

use super::json::Json;
use super::object::{get, method, promise, set, set_number, set_text, text};
use crate::protocol::challenge::claims;
use crate::protocol::endpoint::{Endpoint, shown};
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::page::Malformed;
use crate::protocol::refusal::{Refusal, plain};
use crate::protocol::round::NoResponse;
use crate::protocol::text::{filled, joined};

/// What came back.
pub enum Answer {
    /// A good status and a JSON body.
    Body(Json),
    /// A good status and something else.
    Strange(Malformed),
    /// Another status.
    Refused(Box<Refusal>),
    /// Nothing, or part of it.
    NoResponse(NoResponse),
}

/// What a request needs besides its URL.
pub struct Fetch<'a> {
    /// The only origin that gets the token.
    pub endpoint: &'a Endpoint,
    /// The caller's own `fetch`, or undefined.
    pub function: &'a JsValue,
    /// Goes into the one header, and nowhere else.
    pub token: &'a str,
    /// The values of the Prefer header.
    pub prefer: &'a [String],
    /// The round's `Drive`.
    pub host: &'a JsValue,
    /// Milliseconds without a sign of life after which it is cut.
    pub timeout: f64,
    /// Its name in Graph's logs.
    pub id: &'a str,
}

impl Fetch<'_> {
    /// Calls `fetch`.
    pub fn send(&self, url: &str) -> Result<JsValue> {
        // The protocol has checked the link by its text; the host's own parser has the last word.
        let origin = Url::new(url).map(|url| url.origin()).unwrap_or_default();
        if origin != self.endpoint.origin() {
            let words = format!("a link leads away from {} ({}); the token was not sent", self.endpoint.origin(), shown(url));
            return Err(Error::new(Code::ForeignLink, words));
        }
        let headers = Object::new();
        set_text(&headers, "Accept", "application/json");
        set_text(&headers, "Authorization", &joined(&["Bearer ", self.token], ""));
        set_text(&headers, "client-request-id", self.id);
        if !self.prefer.is_empty() {
            let mut prefer = Vec::new();
            for value in self.prefer {
                prefer.push(value.as_str());
            }
            set_text(&headers, "Prefer", &joined(&prefer, ", "));
        }
        let init = Object::new();
        set_text(&init, "method", "GET");
        set_text(&init, "redirect", "manual");
        set(&init, "headers", &headers);
        set(&init, "fetch", self.function);
        set_number(&init, "timeout", self.timeout);
        Ok(promise(self.host, "get", &url.into(), &init))
    }
}

/// What an answer says, once its body is here, or is known to be cut: `[response, its text, whether it took too long]`.
pub fn answer(sent: &JsValue, offline: bool) -> Result<Answer> {
    let sent: &Array = sent.unchecked_ref();
    let (response, body) = (sent.get(0), sent.get(1));
    let lost = || {
        Answer::NoResponse(if sent.get(2).is_truthy() {
            NoResponse::Timeout
        } else if offline {
            NoResponse::Offline
        } else {
            NoResponse::Network
        })
    };
    if response.is_null() {
        return Ok(lost());
    }
    let headers = get(&response, "headers");
    // By shape: a Response of another realm, or of another library, is no instance of ours.
    if get(&response, "status").as_f64().is_none() || !get(&response, "text").is_function() || !get(&headers, "get").is_function() {
        return Err(Error::new(Code::BadRequest, "options.fetch must resolve to a Response"));
    }
    let status = status(&response);
    if (300..400).contains(&status) || text(&response, "type").as_deref() == Some("opaqueredirect") {
        return Ok(Answer::Refused(Box::new(Refusal { status, ..Refusal::default() })));
    }
    let ok = (200..300).contains(&status);
    if ok && body.is_undefined() {
        return Ok(lost());
    }
    let json = if body.is_string() { parse(&body).ok().map(Json) } else { None };
    // Its beginning: a body may be too long to be copied into the wasm.
    let strange = || {
        let text = if body.is_string() { body.unchecked_ref::<JsString>().slice(0, 400).as_string() } else { None };
        Malformed::of(&text.unwrap_or_default())
    };
    if ok {
        return Ok(json.map_or_else(|| Answer::Strange(strange()), Answer::Body));
    }
    // Data under an error status is not read (graph-facts 4); an error without a body is still its status.
    let header = |name: &str| method(&headers, "get", &name.into(), &JsValue::UNDEFINED).ok()?.as_string();
    let mut refusal = Refusal::read(status, json.as_ref());
    refusal.retry_after = header("Retry-After");
    refusal.location = header("Location");
    refusal.request_id = header("request-id").map(|id| plain(&id)).or(refusal.request_id);
    // Whoever gets them hands them on as JSON.
    refusal.claims = header("WWW-Authenticate").and_then(|header| claims(&header)).filter(|claims| parse(&claims.into()).is_ok());
    if json.is_none() && body.is_string() {
        refusal.strange = Some(strange());
    }
    Ok(Answer::Refused(Box::new(refusal)))
}

/// The status, whatever stands in its place.
fn status(response: &JsValue) -> u16 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float becomes an integer saturating")]
    let status = get(response, "status").as_f64().unwrap_or(0.0) as u16;
    status
}

#[wasm_bindgen]
extern "C" {
    /// The text stays where it is: by `js_sys` it would be copied into the wasm and back.
    #[wasm_bindgen(js_namespace = JSON, catch)]
    fn parse(text: &JsValue) -> Result<JsValue, JsValue>;
}

/// A fresh UUID of version 4. It is a name for a log, no secret.
pub fn request_id() -> String {
    let mut digits = String::with_capacity(36);
    for at in 0..36 {
        match at {
            8 | 13 | 18 | 23 => digits.push('-'),
            14 => digits.push('4'),
            _ => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 16")]
                let random = (Math::random() * 16.0) as u32;
                let nibble = if at == 19 { random % 4 + 8 } else { random };
                digits.push(char::from_digit(nibble, 16).unwrap_or('0'));
            }
        }
    }
    digits
}
