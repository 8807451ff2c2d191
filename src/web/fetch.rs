//! One GET. The only place that puts a token on a request.
//!
//! The host's `fetch` is called here and not by gloo-net, whose `send` traps if a patched `fetch` rejects with something that
//! is no `Error`: a trap would leave the caller's promise pending for ever. Its response traps likewise on one that is not the
//! host's own. Its headers are used, for the request: what goes into them has been checked.

use gloo_net::http::Headers;
use js_sys::{Function, Math, Object, Promise};
use wasm_bindgen::prelude::*;
use web_sys::Url;

use super::json::Json;
use super::leash::{Leash, promised};
use super::object::{get, method, set, set_text, text};
use crate::protocol::endpoint::{Endpoint, shown};
use crate::protocol::error::{Code, Failure, Read};
use crate::protocol::refusal::Refusal;
use crate::protocol::text::{filled, joined};

/// What came back.
pub enum Answer {
    /// A good status and a JSON body.
    Body(Json),
    /// A good status and something else.
    NotJson,
    /// Another status.
    Refused(Box<Refusal>),
    /// Nothing, or part of it.
    Unreachable,
}

/// What a request needs besides its URL.
pub struct Fetch<'a> {
    /// The only origin that gets the token.
    pub endpoint: &'a Endpoint,
    /// The caller's own `fetch`, if any.
    pub function: Option<&'a Function>,
    /// Goes into the one header, and nowhere else.
    pub token: &'a str,
    /// The values of the Prefer header.
    pub prefer: &'a [String],
    /// The round's.
    pub leash: &'a Leash,
}

impl Fetch<'_> {
    /// Calls `fetch`.
    pub fn send(&self, url: &str) -> Read<Promise> {
        // The protocol has checked the link by its text; the host's own parser has the last word.
        let origin = Url::new(url).map(|url| url.origin()).unwrap_or_default();
        if origin != self.endpoint.origin() {
            let words = filled("a link leads away from {} ({}); the token was not sent", &[self.endpoint.origin(), &shown(url)]);
            return Err(Failure::new(Code::ForeignLink, words));
        }
        let headers = Headers::new();
        headers.set("Accept", "application/json");
        headers.set("Authorization", &joined(&["Bearer ", self.token], ""));
        headers.set("client-request-id", &request_id());
        if !self.prefer.is_empty() {
            headers.set("Prefer", &joined(&self.prefer.iter().map(String::as_str).collect::<Vec<_>>(), ", "));
        }
        let init = Object::new();
        set_text(&init, "method", "GET");
        set_text(&init, "redirect", "manual");
        set(&init, "headers", &headers.into_raw());
        set(&init, "signal", &self.leash.signal());
        let global = js_sys::global();
        let own = self.function.cloned().or_else(|| get(&global, "fetch").dyn_into().ok());
        match own {
            Some(function) => Ok(promised(function.call2(&global, &JsValue::from_str(url), &init))),
            None => Err(Failure::new(Code::BadRequest, "this host has no fetch; give one in options.fetch")),
        }
    }
}

/// What `fetch` gave: an answer already, or a response whose body is to be waited for.
pub fn opened(sent: Result<JsValue, JsValue>) -> Read<Result<(JsValue, Promise), Answer>> {
    let Ok(value) = sent else { return Ok(Err(Answer::Unreachable)) };
    // By shape: a Response of another realm, or of another library, is no instance of ours.
    if get(&value, "status").as_f64().is_none() || !get(&value, "text").is_function() || !get(&get(&value, "headers"), "get").is_function()
    {
        return Err(Failure::new(Code::BadRequest, "options.fetch must resolve to a Response"));
    }
    let status = status(&value);
    if (300..400).contains(&status) || text(&value, "type").as_deref() == Some("opaqueredirect") {
        return Ok(Err(Answer::Refused(Box::new(Refusal { status, ..Refusal::default() }))));
    }
    let body = promised(method(&value, "text", &JsValue::UNDEFINED, &JsValue::UNDEFINED));
    Ok(Ok((value, body)))
}

/// What an answer says, once its body is here, or is known to be cut.
pub fn answer(response: &JsValue, body: Result<JsValue, JsValue>) -> Answer {
    let status = status(response);
    let ok = (200..300).contains(&status);
    if ok && body.is_err() {
        return Answer::Unreachable;
    }
    let body = body.ok().filter(JsValue::is_string).and_then(|text| parse(&text).ok()).map(Json);
    if ok {
        return body.map_or(Answer::NotJson, Answer::Body);
    }
    // Data under an error status is not read (graph-facts 4); an error without a body is still its status.
    let headers = get(response, "headers");
    let header = |name: &str| method(&headers, "get", &name.into(), &JsValue::UNDEFINED).ok()?.as_string();
    let mut refusal = Refusal::read(status, body.as_ref());
    refusal.retry_after = header("Retry-After");
    refusal.location = header("Location");
    refusal.request_id = header("request-id").or(refusal.request_id);
    Answer::Refused(Box::new(refusal))
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
fn request_id() -> String {
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
