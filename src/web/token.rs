//! The caller's token source: a function, or an object with `getToken()`.
//!
//! The token itself is kept here while it is good, and goes to [`super::fetch`] as an argument; nothing else sees it.

use std::cell::Cell;

use js_sys::{Array, Date, Function, Object};
use wasm_bindgen::{JsCast, JsValue};

use super::object::{Stop, get, method, pair, set, set_text, text};
use super::options::shown;
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::round::{NoResponse, TokenReason};
use crate::protocol::text::{filled, holds, short, without_tokens, words};

/// A token is not used in the last minutes of its life, or in its last fifth: a request takes time, and clocks differ.
const MARGIN: f64 = 300_000.0;

/// Codes of MSAL, and of OAuth, that only the user can cure.
const INTERACTION: &str =
    "interaction_required login_required consent_required native_account_unavailable no_tokens_found no_account_error";

/// Names of errors that only the user can cure: MSAL's, and that of `@azure/identity`.
const SIGN_IN: &str = "InteractionRequiredAuthError AuthenticationRequiredError";

/// Codes of MSAL for a network that fails, and our own.
const NETWORK: &str = "network no_network_connectivity network_error get_request_failed post_request_failed";

/// What engines say when `fetch` gets no answer: a `TypeError` by itself may be any mistake.
const NO_ANSWER: [&str; 4] = ["Failed to fetch", "NetworkError", "Load failed", "fetch failed"];

/// The token source of one client.
pub struct Tokens {
    /// What `getToken()` is called on; undefined for a function.
    object: JsValue,
    function: Function,
    scope: JsValue,
    kept: Cell<Option<Kept>>,
}

struct Kept {
    token: String,
    /// Used before this time; 0 if the source does not say when it ends.
    until: f64,
    /// What it satisfies.
    claims: Option<String>,
}

/// What a token source came to.
pub enum Got {
    /// A token.
    Token(String),
    /// No answer from where it gets them.
    NoResponse(NoResponse),
    /// Not before this time, if it was told one.
    Busy(f64),
}

impl Tokens {
    /// Checks the shape of `options.token`.
    pub fn new(source: JsValue, scope: &str) -> Result<Self> {
        let (object, function) =
            if source.is_function() { (JsValue::UNDEFINED, source) } else { (source.clone(), get(&source, "getToken")) };
        match function.dyn_into::<Function>() {
            Ok(function) => Ok(Self { object, function, scope: scope.into(), kept: Cell::new(None) }),
            Err(_) => {
                let words = format!("options.token must be a function, fromMsal(…) or an object with getToken(), got {}", shown(&object));
                Err(Error::new(Code::BadRequest, words))
            }
        }
    }

    /// Forgets a kept token, so that the next request asks again.
    pub fn forget(&self) {
        self.kept.replace(None);
    }

    /// The kept token, if it will do. `refused` is the one that Graph saw last.
    pub fn kept(&self, need: &TokenReason, refused: &str) -> Option<String> {
        let kept = self.kept.take()?;
        let other = kept.token != refused;
        let fits = match need {
            TokenReason::Start | TokenReason::Next => true,
            // Another query may have got a new one meanwhile.
            TokenReason::Unauthorized => other,
            TokenReason::Claims(claims) => other && kept.claims.as_ref() == Some(claims),
        };
        let token = (fits && Date::now() < kept.until).then(|| kept.token.clone());
        if token.is_some() {
            self.kept.set(Some(kept));
        }
        token
    }

    /// The token that the source gave. One that answers claims is kept though its end is not known: to ask without them may bring
    /// back the one before.
    pub fn taken(&self, answer: Result<JsValue, JsValue>, need: &TokenReason, offline: bool) -> Result<Got, Stop> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(thrown) => return refusal(thrown, need, offline),
        };
        let mut kept = read(&answer)?;
        let token = kept.token.clone();
        if let TokenReason::Claims(claims) = need {
            kept.claims = Some(claims.clone());
            if kept.until == 0.0 {
                kept.until = f64::INFINITY;
            }
        }
        self.kept.set(Some(kept).filter(|kept| kept.until > 0.0));
        Ok(Got::Token(token))
    }

    /// How the source is asked: the function, what it is called on, its arguments.
    pub fn call(&self, need: &TokenReason, signal: &JsValue) -> JsValue {
        let call = pair(&self.function, &self.object);
        let request = Object::new();
        let scopes = Array::new();
        scopes.push(&self.scope);
        if let TokenReason::Claims(claims) = need {
            set_text(&request, "claims", claims);
        }
        if !self.object.is_undefined() {
            set(&request, "enableCae", &JsValue::TRUE);
            set(&request, "abortSignal", signal);
            call.push(&scopes);
            call.push(&request);
            return call.into();
        }
        let reason = match need {
            TokenReason::Start => "start",
            TokenReason::Next => "expired",
            TokenReason::Unauthorized => "unauthorized",
            TokenReason::Claims(_) => "claims",
        };
        set_text(&request, "reason", reason);
        set(&request, "scopes", &scopes);
        set(&request, "signal", signal);
        call.push(&request);
        call.into()
    }
}

fn unusable(words: &str) -> Box<Error> {
    Error::retryable(Code::Unauthorized, words)
}

/// The token in any of the forms that sources give, and until when it is good if it says so.
fn read(answer: &JsValue) -> Result<Kept> {
    let found = answer.as_string().or_else(|| text(answer, "accessToken")).or_else(|| text(answer, "token"));
    let Some(token) = found else {
        // Not its content: whatever it is, it may hold a secret.
        let got = if answer.is_null() {
            "null"
        } else if answer.is_undefined() {
            "undefined"
        } else {
            "something else"
        };
        return Err(unusable(&format!(
            "the token source must give a text, {{ accessToken }} or {{ token }}, got {got}; is the user signed in?"
        )));
    };
    if token.is_empty() {
        return Err(unusable("the token source gave an empty text; is the user signed in?"));
    }
    if !token.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err(unusable("the token source gave a text that can't be a token: it holds spaces, line ends or no ASCII"));
    }
    let until = time(&get(answer, "expiresOn")).or_else(|| get(answer, "expiresOnTimestamp").as_f64()).filter(|ms| ms.is_finite());
    if until.is_some_and(|until| until <= Date::now()) {
        return Err(unusable("the token source gave a token that has already expired; check its clock and its cache"));
    }
    let now = Date::now();
    Ok(Kept { token, until: until.map_or(0.0, |until| until - MARGIN.min((until - now) / 5.0)), claims: None })
}

/// The milliseconds of a Date.
fn time(date: &JsValue) -> Option<f64> {
    method(date, "getTime", &JsValue::UNDEFINED, &JsValue::UNDEFINED).ok()?.as_f64()
}

/// What the token source threw: no answer from where it gets its tokens, or an end of the round, with it as the cause.
fn refusal(thrown: JsValue, need: &TokenReason, offline: bool) -> Result<Got, Stop> {
    let property = |name: &str| text(&thrown, name).unwrap_or_default();
    let among = |list: &'static str, word: String| words(list).contains(&word.as_str());
    let (name, code, message) = (property("name"), property("code"), property("message"));
    // By a name or a code, or in our own words: a DeltaError of the token function's own.
    if among(SIGN_IN, name.clone()) || code == Code::Interaction.as_str() || among(INTERACTION, property("errorCode")) {
        let words = "the user has to sign in: open MSAL's popup or redirect from a click, with error.claims if there are any, then call resume(); it goes on at the same page";
        let mut failure = Error::retryable(Code::Interaction, words);
        failure.claims = text(&thrown, "claims").filter(|claims| !claims.is_empty());
        // What Graph wants, where the source does not say it.
        if let TokenReason::Claims(claims) = need
            && failure.claims.is_none()
        {
            failure.claims = Some(claims.clone());
        }
        return Err(Stop::Failed(failure, thrown));
    }
    // An authority that has no time now, as deltalink/auth tells it.
    if get(&thrown, "retryable").is_truthy() && get(&thrown, "status").as_f64().is_some() {
        return Ok(Got::Busy(time(&get(&thrown, "retryAt")).unwrap_or(0.0)));
    }
    let unanswered = name == "TypeError" && NO_ANSWER.iter().any(|words| holds(&message, words));
    if offline || unanswered || among(NETWORK, code) || among(NETWORK, property("errorCode")) {
        return Ok(Got::NoResponse(if offline { NoResponse::Offline } else { NoResponse::Network }));
    }
    let said = if message.is_empty() { String::new() } else { format!(" ({})", without_tokens(short(&message, 200))) };
    let failure = unusable(&format!("the token source failed{said}; the next round goes on at the same page"));
    Err(Stop::Failed(failure, thrown))
}
