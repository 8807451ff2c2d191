//! The caller's token source: a function, or an object with `getToken()`.
//!
//! The token itself is kept here while it is good, and goes to [`super::fetch`] as an argument; nothing else sees it.

use std::cell::RefCell;

use js_sys::{Array, Date, Function, Object, Promise};
use wasm_bindgen::{JsCast, JsValue};

use super::leash::{Leash, promised};
use super::object::{Stop, get, set, set_text, text};
use super::options::shown;
use crate::protocol::error::{Code, Failure, Read};
use crate::protocol::round::Need;
use crate::protocol::text::{filled, short, words};

/// A token is not used in the last minutes of its life: a request takes time, and clocks differ.
const MARGIN: f64 = 300_000.0;

/// Codes of MSAL, and of OAuth, that only the user can cure.
const INTERACTION: &str =
    "interaction_required login_required consent_required native_account_unavailable no_tokens_found no_account_error";

/// The token source of one client.
pub struct Tokens {
    /// What `getToken()` is called on; undefined for a function.
    object: JsValue,
    function: Function,
    scope: JsValue,
    kept: RefCell<Option<Kept>>,
}

struct Kept {
    token: String,
    /// 0 if the source does not say it.
    until: f64,
}

impl Tokens {
    /// Checks the shape of `options.token`.
    pub fn new(source: JsValue, scope: &str) -> Read<Self> {
        let (object, function) =
            if source.is_function() { (JsValue::UNDEFINED, source) } else { (source.clone(), get(&source, "getToken")) };
        match function.dyn_into::<Function>() {
            Ok(function) => Ok(Self { object, function, scope: scope.into(), kept: RefCell::new(None) }),
            Err(_) => {
                let words =
                    filled("options.token must be a function, fromMsal(…) or an object with getToken(), got {}", &[&shown(&object)]);
                Err(Failure::new(Code::BadRequest, words))
            }
        }
    }

    /// Forgets a kept token, so that the next request asks again.
    pub fn forget(&self) {
        self.kept.replace(None);
    }

    /// The kept token, if it is still good.
    pub fn kept(&self, need: Need) -> Option<String> {
        if need == Need::Unauthorized {
            self.forget();
        }
        let kept = self.kept.borrow();
        kept.as_ref().filter(|kept| Date::now() + MARGIN < kept.until).map(|kept| kept.token.clone())
    }

    /// The token that the source gave.
    pub fn taken(&self, answer: Result<JsValue, JsValue>) -> Result<String, Stop> {
        let kept = read(&answer.map_err(refusal)?)?;
        let token = kept.token.clone();
        if kept.until > 0.0 {
            self.kept.replace(Some(kept));
        }
        Ok(token)
    }

    /// Asks the source.
    pub fn ask(&self, need: Need, leash: &Leash) -> Promise {
        promised(self.call(need, leash))
    }

    fn call(&self, need: Need, leash: &Leash) -> Result<JsValue, JsValue> {
        let request = Object::new();
        let scopes = Array::new();
        scopes.push(&self.scope);
        if !self.object.is_undefined() {
            set(&request, "abortSignal", &leash.signal());
            return self.function.call2(&self.object, &scopes, &request);
        }
        let reason = match need {
            Need::Start => "start",
            Need::Next => "expired",
            Need::Unauthorized => "unauthorized",
        };
        set_text(&request, "reason", reason);
        set(&request, "scopes", &scopes);
        set(&request, "signal", &leash.signal());
        self.function.call1(&JsValue::UNDEFINED, &request)
    }
}

fn unusable(words: &str) -> Box<Failure> {
    Failure::retryable(Code::Unauthorized, words)
}

/// The token in any of the forms that sources give, and until when it is good if it says so.
fn read(answer: &JsValue) -> Read<Kept> {
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
        return Err(unusable(&filled(
            "the token source must give a text, { accessToken } or { token }, got {}; is the user signed in?",
            &[got],
        )));
    };
    if token.is_empty() {
        return Err(unusable("the token source gave an empty text; is the user signed in?"));
    }
    if !token.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err(unusable("the token source gave a text that can't be a token: it holds spaces, line ends or letters outside ASCII"));
    }
    let date = get(answer, "expiresOn");
    let until = match date.dyn_ref::<Date>() {
        Some(date) => Some(date.get_time()),
        None => get(answer, "expiresOnTimestamp").as_f64(),
    };
    let until = until.filter(|ms| ms.is_finite());
    if until.is_some_and(|until| until <= Date::now()) {
        return Err(unusable("the token source gave a token that has already expired; check its clock and its cache"));
    }
    Ok(Kept { token, until: until.unwrap_or(0.0) })
}

/// What the token source threw, kept as the cause.
fn refusal(thrown: JsValue) -> Stop {
    let property = |name: &str| text(&thrown, name).unwrap_or_default();
    // By MSAL's name or code, or in our own words: a DeltaError of the token function's own.
    let interaction = property("name") == "InteractionRequiredAuthError"
        || property("code") == Code::Interaction.as_str()
        || words(INTERACTION).contains(&property("errorCode").as_str());
    let failure = if interaction {
        Failure::retryable(
            Code::Interaction,
            "the user has to sign in: open MSAL's popup or redirect from a click, then call resume() and start the round again; it goes on at the same page",
        )
    } else {
        let mut said = property("message");
        if !said.is_empty() {
            said = filled(" ({})", &[short(&said, 200)]);
        }
        unusable(&filled("the token source failed{}; the next round goes on at the same page", &[&said]))
    };
    Stop::Failed(failure, thrown)
}
