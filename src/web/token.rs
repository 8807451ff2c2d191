//! The caller's token source: a function, or an object with `getToken()`.
//!
//! Caches the token while it is valid. Only [`super::fetch`] puts it into a request.

use std::cell::{Cell, RefCell};

use js_sys::{Array, Function, Reflect};
use serde::Serialize;
use serde_wasm_bindgen::preserve;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::AbortSignal;

use super::error::RoundError;
use super::js::{apply, call, get, get_bool, get_number, get_string, is_array, settled, thrown, type_of};
use super::output::to_js;
use super::signal::is_offline;
use super::timers::{now, with_timeout};
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::redact::redact;
use crate::protocol::round::{NoResponse, TokenReason};
use crate::protocol::thrown::Thrown;
use crate::protocol::time::{Duration, Instant};

/// A token is not used in this last part of its lifetime, or in the last fifth if that is shorter:
/// a request takes time, and clocks differ.
const MARGIN: Duration = Duration::from_millis(300_000.0);

/// The token source of one client.
pub struct Tokens {
    /// The object of `getToken()`; undefined for a function.
    object: JsValue,
    function: Function,
    scope: String,
    cached: RefCell<Option<CachedToken>>,
    /// The number of times that the user has signed in since the client was opened.
    sign_ins: Cell<u32>,
}

#[derive(Clone)]
struct CachedToken {
    token: String,
    /// It is used only before this instant; `None` if its expiry is not known.
    until: Option<Instant>,
    /// The claims that it was requested for.
    claims: Option<String>,
}

/// The result of the token source.
pub enum TokenOutcome {
    /// A token.
    Token(String),
    /// The source could not reach its authority, and threw this value.
    NoResponse(NoResponse, JsValue),
    /// The source asks to be called again, not before this instant. The instant is now if the
    /// source names none.
    RetryAfter(Instant),
}

/// The argument of a token function: a `TokenRequest` of `tokens.d.ts`.
#[derive(Serialize)]
struct TokenRequest<'a> {
    reason: &'static str,
    scopes: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a str>,
    #[serde(with = "preserve")]
    signal: JsValue,
}

/// The second argument of `getToken()`, as `@azure/core-auth` defines it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GetTokenOptions<'a> {
    enable_cae: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a str>,
    #[serde(with = "preserve")]
    abort_signal: JsValue,
}

impl Tokens {
    /// Checks the shape of `options.token`.
    pub fn new(source: JsValue, scope: &str) -> Result<Self> {
        let (object, function) = if source.is_function() {
            (JsValue::UNDEFINED, source)
        } else {
            (source.clone(), get(&source, "getToken"))
        };
        match function.dyn_into::<Function>() {
            Ok(function) => Ok(Self {
                object,
                function,
                scope: scope.to_owned(),
                cached: RefCell::default(),
                sign_ins: Cell::default(),
            }),
            Err(_) => {
                let message = format!(
                    "options.token must be a function, fromMsal(…) or an object with getToken(), got {}",
                    type_of(&object)
                );
                Err(Error::new(Code::BadRequest, message))
            }
        }
    }

    /// Clears the cache, so that the next request calls the source.
    pub fn forget(&self) {
        self.cached.replace(None);
    }

    /// The user has signed in: the next request calls the source, and a running call that fails is
    /// repeated.
    pub fn signed_in(&self) {
        self.forget();
        self.sign_ins.set(self.sign_ins.get() + 1);
    }

    /// Returns a token for the next request, from the cache if it fits `reason`. `refused` is the
    /// token of the last request, which Graph may have refused. `timeout` limits how long the
    /// source may take.
    pub async fn token(
        &self,
        reason: &TokenReason,
        refused: &str,
        signal: &AbortSignal,
        timeout: Duration,
    ) -> std::result::Result<TokenOutcome, RoundError> {
        if let Some(token) = self.cached(reason, refused) {
            return Ok(TokenOutcome::Token(token));
        }
        let sign_ins = self.sign_ins.get();
        let mut returned = self.call_source_within(timeout, reason, signal).await;
        if returned.is_err() && self.sign_ins.get() != sign_ins {
            // The call began before the user signed in. Repeated once: the source itself may have
            // called `resume()`.
            returned = self.call_source_within(timeout, reason, signal).await;
        }
        let returned = match returned {
            Ok(returned) => returned,
            Err(thrown) => return classify(thrown, reason),
        };
        let mut new = read(&returned)?;
        if let TokenReason::Claims(claims) = reason {
            new.claims = Some(claims.clone());
            // Cached even if its expiry is not known: a call without the claims may return the
            // previous token.
            new.until.get_or_insert(Instant::LAST);
        }
        let token = new.token.clone();
        self.cached.replace(Some(new).filter(|new| new.until.is_some()));
        Ok(TokenOutcome::Token(token))
    }

    fn cached(&self, reason: &TokenReason, refused: &str) -> Option<String> {
        let mut cache = self.cached.borrow_mut();
        let token = cache.as_ref()?;
        let is_other = token.token != refused;
        let fits = match reason {
            TokenReason::Start | TokenReason::Next => true,
            // Another query may have replaced the refused token.
            TokenReason::Unauthorized => is_other,
            TokenReason::Claims(claims) => is_other && token.claims.as_ref() == Some(claims),
        };
        if !fits || token.until.is_none_or(|until| now() >= until) {
            *cache = None;
        }
        cache.as_ref().map(|cached| cached.token.clone())
    }

    /// Calls the source, and waits for its result.
    async fn call_source_within(
        &self,
        timeout: Duration,
        reason: &TokenReason,
        signal: &AbortSignal,
    ) -> std::result::Result<JsValue, JsValue> {
        let result = with_timeout(timeout, async { settled(self.call_source(reason, signal)?).await }).await;
        result.unwrap_or_else(|| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
            let seconds = (timeout.as_millis() / 1000.0).round() as u64;
            Err(js_sys::Error::new(&format!("it did not respond within {seconds} s")).into())
        })
    }

    fn call_source(
        &self,
        reason: &TokenReason,
        signal: &AbortSignal,
    ) -> std::result::Result<JsValue, JsValue> {
        let claims = if let TokenReason::Claims(claims) = reason { Some(claims.as_str()) } else { None };
        if !self.object.is_undefined() {
            let options = to_js(&GetTokenOptions { enable_cae: true, claims, abort_signal: signal.into() });
            return apply(
                &self.function,
                &self.object,
                &[&Array::of1(&self.scope.as_str().into()), &options],
            );
        }
        let reason = match reason {
            TokenReason::Start => "start",
            TokenReason::Next => "expired",
            TokenReason::Unauthorized => "unauthorized",
            TokenReason::Claims(_) => "claims",
        };
        let request = to_js(&TokenRequest { reason, scopes: [&self.scope], claims, signal: signal.into() });
        apply(&self.function, &JsValue::UNDEFINED, &[&request])
    }
}

fn unusable(message: &str) -> Box<Error> {
    Error::retryable(Code::Unauthorized, message)
}

/// Reads a `TokenResult` of `tokens.d.ts`.
fn read(returned: &JsValue) -> Result<CachedToken> {
    let found = returned
        .as_string()
        .or_else(|| get_string(returned, "accessToken"))
        .or_else(|| get_string(returned, "token"));
    let Some(token) = found else {
        let message = format!(
            "the token source must return a string, {{ accessToken }} or {{ token }}, got {}",
            if returned.is_object() {
                properties_of(returned)
            } else {
                format!("{}; is the user signed in?", type_of(returned))
            }
        );
        return Err(unusable(&message));
    };
    if token.is_empty() {
        return Err(unusable("the token source returned an empty string; is the user signed in?"));
    }
    if !token.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err(unusable(
            "the token source returned a string that is not a token: it contains spaces, line ends or non-ASCII characters",
        ));
    }
    let now = now();
    let until = time(&get(returned, "expiresOn"))
        .or_else(|| get_number(returned, "expiresOnTimestamp"))
        .filter(|ms| ms.is_finite())
        .map(Instant::from_millis);
    if until.is_some_and(|until| until <= now) {
        return Err(unusable(
            "the token source returned a token that has expired; check whether it caches tokens for too long, and the clock of this device",
        ));
    }
    Ok(CachedToken { token, until: until.map(|until| until - MARGIN.min((until - now) * 0.2)), claims: None })
}

/// Describes an object that is not a token, by the names of its properties that cannot be data.
fn properties_of(returned: &JsValue) -> String {
    let is_word = |name: &String| {
        name.len() <= 30
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let keys = if is_array(returned) { None } else { Reflect::own_keys(returned).ok() };
    let names: Vec<String> = keys
        .iter()
        .flat_map(Array::iter)
        .filter_map(|name| name.as_string())
        .filter(is_word)
        .take(8)
        .collect();
    if names.is_empty() {
        type_of(returned).to_owned()
    } else {
        format!("an object with {}", names.join(", "))
    }
}

/// Returns the time of a Date of any realm, in milliseconds since 1970.
fn time(date: &JsValue) -> Option<f64> {
    call(date, "getTime", &[]).ok()?.as_f64()
}

/// The message of the token source, in parentheses after a space; empty without a message.
fn reason_of(error: &Thrown) -> String {
    if error.message.is_empty() { String::new() } else { format!(" ({})", redact(&error.message, 200)) }
}

/// Classifies an error of the token source: a failure to retry, or the end of the round with the
/// thrown value as the cause.
fn classify(cause: JsValue, reason: &TokenReason) -> std::result::Result<TokenOutcome, RoundError> {
    let error = thrown(&cause);
    if error.needs_interaction() {
        let advice = "let them do so from a click (with MSAL, by a popup or a redirect), with error.claims if there are any, then call resume(); it continues at the same page";
        let message = format!("the user has to sign in{}: {advice}", reason_of(&error));
        let mut failure = Error::retryable(Code::Interaction, message);
        failure.claims = get_string(&cause, "claims").filter(|claims| !claims.is_empty());
        // If the source does not name the claims, those of Graph's challenge apply.
        if let TokenReason::Claims(claims) = reason
            && failure.claims.is_none()
        {
            failure.claims = Some(claims.clone());
        }
        return Err(RoundError::Failed(failure, cause));
    }
    // deltalink/auth reports a throttled or unavailable authority like this.
    if get(&cause, "retryable").is_truthy() && get_number(&cause, "status").is_some() {
        return Ok(TokenOutcome::RetryAfter(
            time(&get(&cause, "retryAt")).map_or_else(now, Instant::from_millis),
        ));
    }
    if is_offline() {
        return Ok(TokenOutcome::NoResponse(NoResponse::Offline, cause));
    }
    if error.is_network_failure() {
        return Ok(TokenOutcome::NoResponse(NoResponse::Network, cause));
    }
    let reason = reason_of(&error);
    // deltalink/auth reports a refusal that an administrator has to resolve like this.
    let is_permanent = get_bool(&cause, "retryable") == Some(false)
        && matches!(error.code.as_str(), "unauthorized" | "bad-request");
    let failure = if error.is_token_source_mistake() || is_permanent {
        let advice = "this is a mistake in the app's code, configuration or registration, so a retry would fail in the same way";
        Error::new(Code::Unauthorized, format!("the token source failed{reason}: {advice}"))
    } else {
        unusable(&format!("the token source failed{reason}; the next round calls it again"))
    };
    Err(RoundError::Failed(failure, cause))
}
