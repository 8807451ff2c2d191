//! The exported types. `pkg-template/index.js` wraps them; users never see them.
//!
//! Nothing here waits: a round gives a promise to wait for and is then told what came of it (`pkg-template/drive.js`). An exported
//! `async fn(&self)` would hold a borrow over every await, and `free()` or a second call would throw.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use js_sys::{Array, Date, Function, Math};
use wasm_bindgen::prelude::*;
use web_sys::Url;

use super::driver::{Driver, Keys};
use super::object::{pair, rejection, text};
use super::options::{self, CALL_RECORDINGS, EVENTS, ORG_CONTACTS, Options, TRACK, shown};
use super::store::{Store, fresh};
use super::token::Tokens;
use crate::protocol::backoff::Policy;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::query::{self, key_prefix};
use crate::protocol::rate::RateLimiter;
use crate::protocol::round::{Round, RoundConfig, UNASKED};
use crate::protocol::text::{filled, quoted};

/// What the queries and rounds of one client share.
pub struct Shared {
    endpoint: Rc<Endpoint>,
    account: String,
    policy: Policy,
    /// The caller's token source.
    pub tokens: Tokens,
    /// Where links and rows are kept, once it is open.
    store: OnceCell<Store>,
    /// The caller's own `fetch`, or undefined.
    pub fetch: JsValue,
    /// How fast each scope of limits may be asked.
    paces: Cell<Vec<(String, Rc<Cell<RateLimiter>>)>>,
    /// Makes a `DeltaError` of a message and its fields.
    pub make_error: Function,
}

impl Shared {
    fn error(&self, failure: Box<Error>) -> JsValue {
        rejection(failure.into(), &self.make_error, None)
    }

    /// The pace of the scope of this query.
    fn pace(&self, query: &query::Query) -> Rc<Cell<RateLimiter>> {
        let mut paces = self.paces.take();
        let known = paces.iter().find(|(scope, _)| *scope == query.scope).map(|(_, pace)| Rc::clone(pace));
        let pace = known.unwrap_or_else(|| {
            let pace = Rc::new(Cell::new(RateLimiter::new(query.workload)));
            paces.push((query.scope.clone(), Rc::clone(&pace)));
            pace
        });
        self.paces.set(paces);
        pace
    }

    /// The store.
    pub fn store(&self) -> Result<&Store> {
        self.store.get().ok_or_else(|| Error::new(Code::Internal, UNASKED))
    }
}

/// What the options say, and what they name as the store, which is still to be opened.
fn described(options: JsValue, make_error: &Function) -> Result<(Shared, JsValue)> {
    let options = Options::new(options, "openDelta")?;
    options.only("token, account, cloud, endpoint, store, fetch, retry", &[])?;
    let (mut cloud, mut root, mut account) = (None, None, None);
    options.text("cloud", &mut cloud)?;
    options.text("endpoint", &mut root)?;
    options.text("account", &mut account)?;
    let endpoint = match (cloud, root) {
        (Some(_), Some(_)) => {
            return Err(Error::new(Code::BadRequest, "options.cloud and options.endpoint both name a root; give one of them"));
        }
        (None, Some(root)) => Endpoint::parse(&root)?,
        (cloud, None) => Endpoint::cloud(cloud.as_deref().unwrap_or("global"))?,
    };
    // A host that is written otherwise than the host's parser writes it would look foreign at each request.
    let origin = Url::new(&endpoint.root()).map(|url| url.origin()).unwrap_or_default();
    if origin != endpoint.origin() {
        let words = format!("options.endpoint must be written as URLs are, {origin:?}, got {:?}", endpoint.origin());
        return Err(Error::new(Code::BadRequest, words));
    }
    let token = options.get("token").unwrap_or(JsValue::UNDEFINED);
    let carried = text(&token, "account");
    let tokens = Tokens::new(token, &endpoint.scope())?;
    let fetch = options.get("fetch").unwrap_or(JsValue::UNDEFINED);
    if !fetch.is_undefined() && !fetch.is_function() {
        return Err(Error::new(Code::BadRequest, format!("options.fetch must be a function, got {}", shown(&fetch))));
    }
    let policy = policy(options.get("retry"))?;
    let account = account.or(carried).filter(|account| !account.is_empty());
    let store = options.get("store").unwrap_or_else(|| "indexeddb".into());
    let kind = store.as_string();
    if !matches!(kind.as_deref(), Some("indexeddb" | "memory")) && !store.is_object() {
        return Err(Error::new(
            Code::BadRequest,
            format!("options.store must be \"indexeddb\", \"memory\" or a DeltaStore, got {}", shown(&store)),
        ));
    }
    let account = match account {
        Some(account) => account,
        // Nothing outlives the page, so no account is needed to keep it apart.
        None if kind.as_deref() == Some("memory") => "memory".into(),
        None => {
            return Err(Error::new(
                Code::Account,
                "options.account is required with a store that outlives the page: it keeps two users of one browser apart; give something stable such as MSAL's homeAccountId (fromMsal carries it)",
            ));
        }
    };
    let shared = Shared {
        endpoint: Rc::new(endpoint),
        account,
        policy,
        tokens,
        store: OnceCell::new(),
        fetch,
        paces: Cell::default(),
        make_error: make_error.clone(),
    };
    Ok((shared, store))
}

fn policy(retry: Option<JsValue>) -> Result<Policy> {
    let mut policy = Policy::default();
    let Some(retry) = retry else { return Ok(policy) };
    let retry = Options::new(retry, "retry")?;
    retry.only("attempts, base, cap, maxWait, timeout", &[])?;
    let mut attempts = None;
    retry.whole("attempts", &mut attempts)?;
    if attempts == Some(0) {
        return Err(Error::new(Code::BadRequest, "options.retry.attempts must be at least 1, got 0"));
    }
    policy.attempts = attempts.unwrap_or(policy.attempts);
    for (name, place) in
        [("base", &mut policy.base), ("cap", &mut policy.cap), ("maxWait", &mut policy.max_wait), ("timeout", &mut policy.timeout)]
    {
        let mut millis = None;
        retry.millis(name, &mut millis)?;
        *place = millis.unwrap_or(*place);
    }
    Ok(policy)
}

/// A client.
#[wasm_bindgen(skip_typescript)]
pub struct Client {
    shared: Rc<Shared>,
    /// What the options name as the store.
    wanted: JsValue,
}

#[wasm_bindgen]
impl Client {
    /// A client of these options, whose store is still to be opened. Throws what `make_error` makes of a message and its fields.
    #[wasm_bindgen(skip_typescript, constructor)]
    pub fn new(options: JsValue, make_error: Function) -> Result<Self, JsValue> {
        match described(options, &make_error) {
            Ok((shared, wanted)) => Ok(Self { shared: Rc::new(shared), wanted }),
            Err(failure) => Err(rejection(failure.into(), &make_error, None)),
        }
    }

    /// What the options name as the store, the account, and what begins the account's keys.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn wanted(&self) -> Array {
        let account = &self.shared.account;
        let wanted = pair(&self.wanted, &account.into());
        wanted.push(&key_prefix(account).into());
        wanted
    }

    /// Takes the guarded store.
    #[wasm_bindgen(skip_typescript)]
    pub fn keep(&self, store: JsValue) {
        let _ = self.shared.store.set(Store(store));
    }

    /// A query of one of the four calls; throws a `DeltaError` for what Graph would refuse.
    #[wasm_bindgen(skip_typescript)]
    pub fn query(&self, call: &str, path: JsValue, options: JsValue) -> Result<Query, JsValue> {
        match self.described(call, &path, options) {
            Ok(query) => {
                let key = query.key(&self.shared.account, &self.shared.endpoint);
                Ok(Query { shared: Rc::clone(&self.shared), query: Rc::new(query), key: key.into() })
            }
            Err(failure) => Err(self.shared.error(failure)),
        }
    }

    fn described(&self, call: &str, path: &JsValue, options: JsValue) -> Read<query::Query> {
        match call {
            "events" => query::events(*options::read(options, &EVENTS)?),
            "orgContacts" => query::org_contacts(*options::read(options, &ORG_CONTACTS)?),
            "callRecordings" => query::call_recordings(*options::read(options, &CALL_RECORDINGS)?),
            _ => match path.as_string() {
                Some(text) => query::track(&text, *options::read(options, &TRACK)?),
                None => Err(Error::new(Code::BadRequest, format!("path must be a text such as \"/users/delta\", got {}", shown(path)))),
            },
        }
    }

    /// Forgets a kept token: the next request asks for one.
    #[wasm_bindgen(skip_typescript)]
    pub fn resume(&self) {
        self.shared.tokens.forget();
    }
}

/// A query.
#[wasm_bindgen(skip_typescript)]
pub struct Query {
    shared: Rc<Shared>,
    query: Rc<query::Query>,
    key: JsValue,
}

impl Query {
    fn driver(&self, options: JsValue, host: JsValue, shown: bool, window: Option<String>) -> Result<Driver> {
        let options = Options::new(options, "round")?;
        options.only("signal, ack, maxPages, maxMs", &[])?;
        let (mut max_pages, mut ack, mut max_ms) = (None, None, None);
        options.whole("maxPages", &mut max_pages)?;
        if max_pages == Some(0) {
            return Err(Error::new(Code::BadRequest, "options.maxPages must be at least 1, got 0"));
        }
        options.text("ack", &mut ack)?;
        if let Some(ack) = ack
            && ack != "next"
            && ack != "manual"
        {
            return Err(Error::new(Code::BadRequest, format!("options.ack must be \"next\" or \"manual\", got {ack:?}")));
        }
        options.millis("maxMs", &mut max_ms)?;
        let shared = &self.shared;
        let plan = RoundConfig {
            endpoint: Rc::clone(&shared.endpoint),
            query: Rc::clone(&self.query),
            policy: shared.policy,
            max_pages,
            max_ms,
            window,
            shown,
        };
        let keys = Keys { query: self.key.clone(), throttle: self.query.throttle_key(&shared.account, &shared.endpoint).into() };
        Ok(Driver::new(Round::new(plan, Date::now()), Rc::clone(shared), shared.pace(&self.query), keys, host, shown))
    }
}

#[wasm_bindgen]
impl Query {
    /// The name under which the state is stored; whether the items are kept; and how far a rolling window reaches: days back, days
    /// ahead, their time zone.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn about(&self) -> Array {
        let about = pair(&self.key, &self.query.mirror.into());
        if let Some((back, ahead, zone)) = &self.query.window {
            let window = pair(&(*back).into(), &(*ahead).into());
            window.push(&zone.into());
            about.push(&window);
        }
        about
    }

    /// A round that has not begun. `host` is the facade's `Drive`; `shown` says that a consumer sees the items; `window` is
    /// where a rolling one is today.
    #[wasm_bindgen(skip_typescript)]
    pub fn round(&self, options: JsValue, host: JsValue, shown: bool, window: Option<String>) -> Result<RoundHandle, JsValue> {
        match self.driver(options, host, shown, window) {
            Ok(driver) => Ok(RoundHandle { driver: Cell::new(Some(Box::new(driver))), report: Cell::default() }),
            Err(failure) => Err(self.shared.error(failure)),
        }
    }

    /// The state that makes the next round a full one, out of the stored one.
    #[wasm_bindgen(skip_typescript)]
    pub fn fresh(&self, stored: JsValue) -> JsValue {
        fresh(stored, Date::now(), Math::random())
    }
}

/// A round. The facade calls its functions one after the other, never two at once.
#[wasm_bindgen(skip_typescript)]
pub struct RoundHandle {
    /// Taken out while it works: whoever hears of its status may ask for its report.
    driver: Cell<Option<Box<Driver>>>,
    /// The report of before, for the time while it works.
    report: Cell<JsValue>,
}

impl RoundHandle {
    fn work(&self, work: &mut dyn FnMut(&mut Driver) -> Result<JsValue, JsValue>) -> Result<JsValue, JsValue> {
        let Some(mut driver) = self.driver.take() else { return Err(JsValue::from_str(UNASKED)) };
        self.report.set(driver.report());
        let result = work(&mut driver);
        self.driver.set(Some(driver));
        result
    }
}

#[wasm_bindgen]
impl RoundHandle {
    /// One turn of the round. `what` is 0 for the next page, or undefined at the end, where `value` says whether anybody could hear of
    /// its changes though nobody sees it; 1 to commit the page that was delivered last; and where either gave a promise to wait for, 2
    /// with what that came to, or 3 with what it failed with.
    #[wasm_bindgen(skip_typescript)]
    pub fn turn(&self, what: u8, value: &JsValue) -> Result<JsValue, JsValue> {
        self.work(&mut |driver| match what {
            0 => driver.next(value.is_truthy()),
            1 => driver.ack(),
            2 => driver.go_on(Ok(value.clone())),
            _ => driver.go_on(Err(value.clone())),
        })
    }

    /// Ends the round where it is.
    #[wasm_bindgen(skip_typescript)]
    pub fn leave(&self) {
        let _ = self.work(&mut |driver| {
            driver.leave();
            Ok(JsValue::UNDEFINED)
        });
    }

    /// The `RoundReport` so far.
    #[wasm_bindgen(skip_typescript)]
    pub fn report(&self) -> JsValue {
        let Some(driver) = self.driver.take() else {
            let report = self.report.take();
            self.report.set(report.clone());
            return report;
        };
        let report = driver.report();
        self.driver.set(Some(driver));
        report
    }
}
