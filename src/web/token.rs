//! The caller's token source: a function, or an object with `getToken()`.
//!
//! The token itself is kept here while it is good, and goes to [`super::fetch`] as an argument; nothing else sees it.

use std::cell::RefCell;

use js_sys::{Array, Date, Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};

use super::leash::Leash;
use super::object::{Stop, set};
use super::options::shown;
use crate::protocol::error::{Code, Failure};
use crate::protocol::round::Need;

/// A token is not used in the last minutes of its life: a request takes time, and clocks differ.
const MARGIN: f64 = 300_000.0;

/// Codes of MSAL, and of OAuth, that only the user can cure.
const INTERACTION: &[&str] = &["interaction_required", "login_required", "consent_required", "native_account_unavailable", "no_tokens_found", "no_account_error"];

enum Source {
    Function(Function),
    Object(JsValue, Function),
}

/// The token source of one client.
pub struct Tokens {
    source: Source,
    scopes: Array,
    kept: RefCell<Option<Kept>>,
}

struct Kept {
    token: String,
    until: f64,
}

impl Tokens {
    /// Checks the shape of `options.token`.
    pub fn new(source: Option<&JsValue>, scope: &str) -> Result<Self, Failure> {
        let got = source.cloned().unwrap_or(JsValue::UNDEFINED);
        let source = if let Some(function) = got.dyn_ref::<Function>() {
            Source::Function(function.clone())
        } else if let Some(method) = Reflect::get(&got, &"getToken".into()).ok().and_then(|method| method.dyn_into::<Function>().ok()) {
            Source::Object(got, method)
        } else {
            let words = format!("options.token must be a function, fromMsal(…) or an object with getToken(), got {}", shown(&got));
            return Err(Failure::new(Code::BadRequest, words));
        };
        Ok(Self { source, scopes: Array::of1(&scope.into()), kept: RefCell::new(None) })
    }

    /// Forgets a kept token, so that the next request asks again.
    pub fn forget(&self) {
        self.kept.replace(None);
    }

    /// A token for the next request.
    pub async fn get(&self, need: Need, leash: &Leash) -> Result<String, Stop> {
        leash.check()?;
        if need == Need::Unauthorized {
            self.forget();
        } else if let Some(kept) = self.kept.borrow().as_ref()
            && Date::now() + MARGIN < kept.until
        {
            return Ok(kept.token.clone());
        }
        let answer = match self.ask(need, leash) {
            Ok(answer) => leash.wait(&Promise::resolve(&answer)).await?,
            Err(thrown) => Err(thrown),
        };
        let (token, until) = read(&answer.map_err(refusal)?)?;
        if let Some(until) = until {
            if until <= Date::now() {
                return Err(unusable("the token source gave a token that has already expired; check its clock and its cache").into());
            }
            self.kept.replace(Some(Kept { token: token.clone(), until }));
        }
        Ok(token)
    }

    fn ask(&self, need: Need, leash: &Leash) -> Result<JsValue, JsValue> {
        match &self.source {
            Source::Function(function) => {
                let request = Object::new();
                let reason = match need {
                    Need::Start => "start",
                    Need::Next => "expired",
                    Need::Unauthorized => "unauthorized",
                };
                set(&request, "reason", reason);
                set(&request, "scopes", self.scopes.slice(0, 1));
                set(&request, "signal", leash.signal());
                function.call1(&JsValue::UNDEFINED, &request)
            }
            Source::Object(object, method) => {
                let options = Object::new();
                set(&options, "abortSignal", leash.signal());
                method.call2(object, &self.scopes.slice(0, 1), &options)
            }
        }
    }
}

fn unusable(words: &str) -> Failure {
    Failure::retryable(Code::Unauthorized, words)
}

/// The token in any of the forms that sources give, and until when it is good if it says so.
fn read(answer: &JsValue) -> Result<(String, Option<f64>), Failure> {
    let property = |name: &str| Reflect::get(answer, &name.into()).ok();
    let text = answer.as_string().or_else(|| property("accessToken")?.as_string()).or_else(|| property("token")?.as_string());
    let Some(token) = text else {
        // Not its content: whatever it is, it may hold a secret.
        let got = if answer.is_null() { "null" } else if answer.is_undefined() { "undefined" } else { "something else" };
        return Err(unusable(&format!("the token source must give a text, {{ accessToken }} or {{ token }}, got {got}; is the user signed in?")));
    };
    if token.is_empty() {
        return Err(unusable("the token source gave an empty text; is the user signed in?"));
    }
    if !token.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err(unusable("the token source gave a text that can't be a token: it holds spaces, line ends or letters outside ASCII"));
    }
    let until = property("expiresOn").and_then(|date| date.dyn_into::<Date>().ok()).map(|date| date.get_time());
    let until = until.or_else(|| property("expiresOnTimestamp")?.as_f64()).filter(|ms| ms.is_finite());
    Ok((token, until))
}

/// What the token source threw, kept as the cause.
fn refusal(thrown: JsValue) -> Stop {
    let property = |name: &str| Reflect::get(&thrown, &name.into()).ok().and_then(|text| text.as_string()).unwrap_or_default();
    let (name, code, message) = (property("name"), property("errorCode"), property("message"));
    let failure = if name == "InteractionRequiredAuthError" || INTERACTION.contains(&code.as_str()) {
        Failure::retryable(Code::Interaction, "the user has to sign in: open MSAL's popup or redirect from a click, then call resume() and start the round again; it goes on at the same page")
    } else {
        let said = if message.is_empty() { String::new() } else { format!(" ({})", message.chars().take(200).collect::<String>()) };
        unusable(&format!("the token source failed{said}; the next round goes on at the same page"))
    };
    Stop::Failed(Box::new(failure), thrown)
}
