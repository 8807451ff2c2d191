//! The caller's token source: a function, or an object with `getToken()`.
//!
//! The token itself is kept here while it is good, and goes to [`super::fetch`] as an argument;
//! nothing else sees it.

use std::cell::RefCell;

use js_sys::{Array, Function};
use serde::Serialize;
use serde_wasm_bindgen::preserve;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::AbortSignal;

use super::error::RoundError;
use super::js::{apply, call, get, get_number, get_string, settled, thrown, type_of};
use super::output::to_js;
use super::signal::is_offline;
use super::timers::{now, within};
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::redact::redact;
use crate::protocol::round::{NoResponse, TokenReason};
use crate::protocol::time::{Duration, Instant};

/// A token is not used in the last minutes of its life, or in its last fifth: a request takes time,
/// and clocks differ.
const MARGIN: Duration = Duration::from_millis(300_000.0);

/// The token source of one client.
pub struct Tokens {
    /// What `getToken()` is called on; undefined for a function.
    object: JsValue,
    function: Function,
    scope: String,
    kept: RefCell<Option<Kept>>,
}

#[derive(Clone)]
struct Kept {
    token: String,
    /// Used before this instant; `None` if the source does not say when the token expires.
    until: Option<Instant>,
    /// The claims that it satisfies.
    claims: Option<String>,
}

/// What the token source gave.
pub enum TokenOutcome {
    /// A token.
    Token(String),
    /// No answer from where the source gets its tokens.
    NoResponse(NoResponse),
    /// Come back, not before this time if one was given.
    RetryAfter(Instant),
}

/// The argument of a token function: a `TokenRequest` of `index.d.ts`.
#[derive(Serialize)]
struct TokenRequest<'a> {
    reason: &'static str,
    scopes: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a str>,
    #[serde(with = "preserve")]
    signal: JsValue,
}

/// The second argument of `getToken()`, as `@azure/core-auth` has it.
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
            Ok(function) => Ok(Self { object, function, scope: scope.to_owned(), kept: RefCell::default() }),
            Err(_) => {
                let words = format!(
                    "options.token must be a function, fromMsal(…) or an object with getToken(), got {}",
                    type_of(&object)
                );
                Err(Error::new(Code::BadRequest, words))
            }
        }
    }

    /// Forgets the kept token, so that the next request asks for one.
    pub fn forget(&self) {
        self.kept.replace(None);
    }

    /// A token for the next request: the kept one if it will do, else a new one. `refused` is the
    /// one that Graph saw last, `timeout` how long the source may take.
    pub async fn token(
        &self,
        reason: &TokenReason,
        refused: &str,
        signal: &AbortSignal,
        timeout: Duration,
    ) -> std::result::Result<TokenOutcome, RoundError> {
        if let Some(token) = self.kept(reason, refused) {
            return Ok(TokenOutcome::Token(token));
        }
        let answer = match within(timeout, async { settled(self.ask(reason, signal)?).await }).await {
            Some(Ok(answer)) => answer,
            Some(Err(thrown)) => return refusal(thrown, reason),
            None => {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a float becomes an integer saturating"
                )]
                let seconds = (timeout.as_millis() / 1000.0).round() as u64;
                let words = format!("it gave no answer for {seconds} s");
                return refusal(js_sys::Error::new(&words).into(), reason);
            }
        };
        let mut kept = read(&answer)?;
        if let TokenReason::Claims(claims) = reason {
            kept.claims = Some(claims.clone());
            // One that answers claims is kept though its end is not known: to ask without them may
            // bring back the one before.
            kept.until.get_or_insert(Instant::LAST);
        }
        let token = kept.token.clone();
        self.kept.replace(Some(kept).filter(|kept| kept.until.is_some()));
        Ok(TokenOutcome::Token(token))
    }

    fn kept(&self, reason: &TokenReason, refused: &str) -> Option<String> {
        let mut slot = self.kept.borrow_mut();
        let kept = slot.as_ref()?;
        let is_other = kept.token != refused;
        let fits = match reason {
            TokenReason::Start | TokenReason::Next => true,
            // Another query may have got a new one meanwhile.
            TokenReason::Unauthorized => is_other,
            TokenReason::Claims(claims) => is_other && kept.claims.as_ref() == Some(claims),
        };
        if !fits || kept.until.is_none_or(|until| now() >= until) {
            *slot = None;
        }
        slot.as_ref().map(|kept| kept.token.clone())
    }

    fn ask(&self, reason: &TokenReason, signal: &AbortSignal) -> std::result::Result<JsValue, JsValue> {
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

fn unusable(words: &str) -> Box<Error> {
    Error::retryable(Code::Unauthorized, words)
}

/// The token in any of the forms that sources give, and until when it is good if it says so.
fn read(answer: &JsValue) -> Result<Kept> {
    let found = answer
        .as_string()
        .or_else(|| get_string(answer, "accessToken"))
        .or_else(|| get_string(answer, "token"));
    let Some(token) = found else {
        let words = format!(
            "the token source must give a string, {{ accessToken }} or {{ token }}, got {}; is the user signed in?",
            type_of(answer)
        );
        return Err(unusable(&words));
    };
    if token.is_empty() {
        return Err(unusable("the token source gave an empty string; is the user signed in?"));
    }
    if !token.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err(unusable(
            "the token source gave a string that cannot be a token: it holds spaces, line ends or non-ASCII characters",
        ));
    }
    let now = now();
    let until = time(&get(answer, "expiresOn"))
        .or_else(|| get_number(answer, "expiresOnTimestamp"))
        .filter(|ms| ms.is_finite())
        .map(Instant::from_millis);
    if until.is_some_and(|until| until <= now) {
        return Err(unusable(
            "the token source gave a token that has already expired; check its clock and its cache",
        ));
    }
    Ok(Kept { token, until: until.map(|until| until - MARGIN.min((until - now) * 0.2)), claims: None })
}

/// The milliseconds of a Date of any realm.
fn time(date: &JsValue) -> Option<f64> {
    call(date, "getTime", &[]).ok()?.as_f64()
}

/// What the token source threw: no answer from where it gets its tokens, or the end of the round
/// with the thrown value as its cause.
fn refusal(cause: JsValue, reason: &TokenReason) -> std::result::Result<TokenOutcome, RoundError> {
    let error = thrown(&cause);
    if error.needs_interaction() {
        let words = "the user has to sign in: open MSAL's popup or redirect from a click, with error.claims if there are any, then call resume(); it goes on at the same page";
        let mut failure = Error::retryable(Code::Interaction, words);
        failure.claims = get_string(&cause, "claims").filter(|claims| !claims.is_empty());
        // What Graph wants, where the source does not say it.
        if let TokenReason::Claims(claims) = reason
            && failure.claims.is_none()
        {
            failure.claims = Some(claims.clone());
        }
        return Err(RoundError::Failed(failure, cause));
    }
    // An authority that has no time now, as deltalink/auth tells it.
    if get(&cause, "retryable").is_truthy() && get_number(&cause, "status").is_some() {
        return Ok(TokenOutcome::RetryAfter(
            time(&get(&cause, "retryAt")).map_or_else(now, Instant::from_millis),
        ));
    }
    if is_offline() {
        return Ok(TokenOutcome::NoResponse(NoResponse::Offline));
    }
    if error.is_network_failure() {
        return Ok(TokenOutcome::NoResponse(NoResponse::Network));
    }
    let said =
        if error.message.is_empty() { String::new() } else { format!(" ({})", redact(&error.message, 200)) };
    let failure =
        unusable(&format!("the token source failed{said}; the next round continues at the same page"));
    Err(RoundError::Failed(failure, cause))
}
