//! The exported types. `pkg-template/index.js` wraps them; users never see them.
//!
//! Exports are plain functions that clone an `Rc` and return a promise: an exported `async fn(&self)` would hold a borrow over
//! every await, and `free()` or a second call would throw.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::{Rc, Weak};

use js_sys::{Array, Date, Function, Math, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::Url;

use super::driver::Driver;
use super::leash::{Closer, Leash, promised};
use super::object::{closed, rejection, text};
use super::options::{self, CALL_RECORDINGS, EVENTS, ORG_CONTACTS, Options, TRACK, shown};
use super::store::{Store, fresh};
use super::token::Tokens;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::error::{Code, Failure, Read};
use crate::protocol::request::{self, key_prefix};
use crate::protocol::round::{Plan, Round};
use crate::protocol::text::{filled, quoted};
use crate::protocol::wait::Policy;

/// What the queries and rounds of one client share.
pub struct Shared {
    endpoint: Rc<Endpoint>,
    account: String,
    policy: Policy,
    /// The caller's token source.
    pub tokens: Tokens,
    /// Where links and rows are kept.
    pub store: Store,
    /// The caller's own `fetch`.
    pub fetch: Option<Function>,
    /// Makes a `DeltaError` of a message and its fields.
    pub make_error: Function,
    /// What ends the rounds that run.
    closers: RefCell<Vec<Weak<Closer>>>,
    closed: Cell<bool>,
}

impl Shared {
    fn error(&self, failure: Box<Failure>) -> JsValue {
        rejection(failure.into(), &self.make_error, None)
    }

    fn end_rounds(&self) {
        self.closed.set(true);
        for closer in self.closers.borrow().iter() {
            if let Some(closer) = closer.upgrade() {
                closer.close();
            }
        }
    }
}

/// All work is of one boxed kind: each kind would bring the whole of `future_to_promise` again.
fn promise(work: Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>>) -> Promise {
    future_to_promise(work)
}

/// Opens a client. `open_store` gets what the options name as the store, the account, and what begins the account's keys, and
/// gives a promise of the guarded store. Rejects with what that rejects with, or with what `make_error` makes.
#[wasm_bindgen(skip_typescript)]
pub fn open(options: JsValue, make_error: Function, open_store: Function) -> Promise {
    promise(Box::pin(async move {
        let (mut shared, store) = described(options, &make_error).map_err(|failure| rejection(failure.into(), &make_error, None))?;
        let prefix = JsValue::from_str(&key_prefix(&shared.account));
        let opened = promised(open_store.call3(&JsValue::UNDEFINED, &store, &JsValue::from_str(&shared.account), &prefix));
        shared.store = Store(JsFuture::from(opened).await?);
        Ok(Client { shared: Rc::new(shared) }.into())
    }))
}

/// What the options say, and what they name as the store, which is still to be opened.
fn described(options: JsValue, make_error: &Function) -> Read<(Shared, JsValue)> {
    let options = Options::new(options, "openDelta")?;
    options.only("token, account, cloud, endpoint, store, fetch, retry", &[])?;
    let (mut cloud, mut root, mut account) = (None, None, None);
    options.text("cloud", &mut cloud)?;
    options.text("endpoint", &mut root)?;
    options.text("account", &mut account)?;
    let endpoint = match (cloud, root) {
        (Some(_), Some(_)) => {
            return Err(Failure::new(Code::BadRequest, "options.cloud and options.endpoint both name a root; give one of them"));
        }
        (None, Some(root)) => Endpoint::parse(&root)?,
        (cloud, None) => Endpoint::cloud(cloud.as_deref().unwrap_or("global"))?,
    };
    // A host that is written otherwise than the host's parser writes it would look foreign at each request.
    let origin = Url::new(&endpoint.root()).map(|url| url.origin()).unwrap_or_default();
    if origin != endpoint.origin() {
        let words = filled("options.endpoint must be written as URLs are, {}, got {}", &[&quoted(&origin), &quoted(endpoint.origin())]);
        return Err(Failure::new(Code::BadRequest, words));
    }
    let token = options.get("token").unwrap_or(JsValue::UNDEFINED);
    let carried = text(&token, "account");
    let tokens = Tokens::new(token, &endpoint.scope())?;
    let fetch = match options.get("fetch").map(JsCast::dyn_into::<Function>) {
        Some(Err(other)) => {
            return Err(Failure::new(Code::BadRequest, filled("options.fetch must be a function, got {}", &[&shown(&other)])));
        }
        fetch => fetch.and_then(Result::ok),
    };
    let policy = policy(options.get("retry"))?;
    let account = account.or(carried).filter(|account| !account.is_empty());
    let store = options.get("store").unwrap_or_else(|| "indexeddb".into());
    let kind = store.as_string();
    if !matches!(kind.as_deref(), Some("indexeddb" | "memory")) && !store.is_object() {
        return Err(Failure::new(
            Code::BadRequest,
            filled("options.store must be \"indexeddb\", \"memory\" or a DeltaStore, got {}", &[&shown(&store)]),
        ));
    }
    let account = match account {
        Some(account) => account,
        // Nothing outlives the page, so no account is needed to keep it apart.
        None if kind.as_deref() == Some("memory") => "memory".into(),
        None => {
            return Err(Failure::new(
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
        store: Store(JsValue::UNDEFINED),
        fetch,
        make_error: make_error.clone(),
        closers: RefCell::default(),
        closed: Cell::new(false),
    };
    Ok((shared, store))
}

fn policy(retry: Option<JsValue>) -> Read<Policy> {
    let mut policy = Policy::default();
    let Some(retry) = retry else { return Ok(policy) };
    let retry = Options::new(retry, "retry")?;
    retry.only("attempts, base, cap, maxWait", &[])?;
    let mut attempts = None;
    retry.whole("attempts", &mut attempts)?;
    if attempts == Some(0) {
        return Err(Failure::new(Code::BadRequest, "options.retry.attempts must be at least 1, got 0"));
    }
    policy.attempts = attempts.unwrap_or(policy.attempts);
    for (name, place) in [("base", &mut policy.base), ("cap", &mut policy.cap), ("maxWait", &mut policy.max_wait)] {
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
}

#[wasm_bindgen]
impl Client {
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

    fn described(&self, call: &str, path: &JsValue, options: JsValue) -> Read<request::Query> {
        if self.shared.closed.get() {
            return Err(closed());
        }
        match call {
            "events" => request::events(*options::read(options, &EVENTS)?),
            "orgContacts" => request::org_contacts(*options::read(options, &ORG_CONTACTS)?),
            "callRecordings" => request::call_recordings(*options::read(options, &CALL_RECORDINGS)?),
            _ => match path.as_string() {
                Some(text) => request::track(&text, *options::read(options, &TRACK)?),
                None => {
                    Err(Failure::new(Code::BadRequest, filled("path must be a text such as \"/users/delta\", got {}", &[&shown(path)])))
                }
            },
        }
    }

    /// Forgets a kept token: the next request asks for one.
    #[wasm_bindgen(skip_typescript)]
    pub fn resume(&self) {
        self.shared.tokens.forget();
    }

    /// Ends what runs.
    #[wasm_bindgen(skip_typescript)]
    pub fn close(&self) {
        self.shared.end_rounds();
        self.shared.tokens.forget();
    }
}

/// A query.
#[wasm_bindgen(skip_typescript)]
pub struct Query {
    shared: Rc<Shared>,
    query: Rc<request::Query>,
    key: JsValue,
}

impl Query {
    fn driver(&self, options: JsValue, on_status: Function, shown: bool, window: Option<String>) -> Read<Driver> {
        let options = Options::new(options, "round")?;
        options.only("signal, ack, maxPages, maxMs", &[])?;
        let (mut max_pages, mut ack, mut max_ms) = (None, None, None);
        options.whole("maxPages", &mut max_pages)?;
        if max_pages == Some(0) {
            return Err(Failure::new(Code::BadRequest, "options.maxPages must be at least 1, got 0"));
        }
        options.text("ack", &mut ack)?;
        if let Some(ack) = ack
            && ack != "next"
            && ack != "manual"
        {
            return Err(Failure::new(Code::BadRequest, filled("options.ack must be \"next\" or \"manual\", got {}", &[&quoted(&ack)])));
        }
        options.millis("maxMs", &mut max_ms)?;
        let leash = Leash::new(options.get("signal"))?;
        let shared = &self.shared;
        if shared.closed.get() {
            return Err(closed());
        }
        let mut closers = shared.closers.borrow_mut();
        // In the place of one that has ended.
        match closers.iter_mut().find(|closer| closer.strong_count() == 0) {
            Some(closer) => *closer = leash.closer(),
            None => closers.push(leash.closer()),
        }
        let plan = Plan {
            endpoint: Rc::clone(&shared.endpoint),
            query: Rc::clone(&self.query),
            policy: shared.policy,
            max_pages,
            max_ms,
            window,
            shown,
        };
        Ok(Driver::new(Round::new(plan, Date::now()), Rc::clone(shared), self.key.clone(), leash, on_status, shown))
    }
}

#[wasm_bindgen]
impl Query {
    /// The name under which the state is stored.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn key(&self) -> String {
        self.key.as_string().unwrap_or_default()
    }

    /// Whether the items are kept.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn mirror(&self) -> bool {
        self.query.mirror
    }

    /// How far a rolling window reaches: days back, days ahead, their time zone.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn window(&self) -> JsValue {
        match &self.query.window {
            Some((back, ahead, zone)) => {
                let window = Array::of2(&(*back).into(), &(*ahead).into());
                window.push(&zone.into());
                window.into()
            }
            None => JsValue::UNDEFINED,
        }
    }

    /// A round that has not begun. `on_status` gets each change of it; `shown` says that a consumer sees the items; `window` is
    /// where a rolling one is today.
    #[wasm_bindgen(skip_typescript)]
    pub fn round(&self, options: JsValue, on_status: Function, shown: bool, window: Option<String>) -> Result<RoundHandle, JsValue> {
        match self.driver(options, on_status, shown, window) {
            Ok(driver) => Ok(RoundHandle { driver: Rc::new(RefCell::new(Some(driver))), report: Rc::default() }),
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
    /// Taken out while it works.
    driver: Rc<RefCell<Option<Driver>>>,
    /// The report of before, for the time while it works.
    report: Rc<RefCell<JsValue>>,
}

impl RoundHandle {
    fn work(&self, acked: bool) -> Promise {
        let (place, report) = (Rc::clone(&self.driver), Rc::clone(&self.report));
        promise(Box::pin(async move {
            let Some(mut driver) = place.take() else { return Err(JsValue::from_str("this round is already at work")) };
            report.replace(driver.report());
            let result = driver.go(acked).await;
            place.replace(Some(driver));
            result
        }))
    }
}

#[wasm_bindgen]
impl RoundHandle {
    /// The next page, or undefined at the end. `heard` says that somebody could hear of its changes, though nobody sees the page.
    #[wasm_bindgen(skip_typescript)]
    pub fn next(&self, heard: bool) -> Promise {
        if let Some(driver) = self.driver.borrow_mut().as_mut() {
            driver.heard = heard;
        }
        self.work(false)
    }

    /// Commits the page that was delivered last; without one, does nothing.
    #[wasm_bindgen(skip_typescript)]
    pub fn ack(&self) -> Promise {
        self.work(true)
    }

    /// Ends the round where it is.
    #[wasm_bindgen(skip_typescript)]
    pub fn leave(&self) {
        if let Some(driver) = self.driver.borrow_mut().as_mut() {
            driver.leave();
        }
    }

    /// The `RoundReport` so far.
    #[wasm_bindgen(skip_typescript)]
    pub fn report(&self) -> JsValue {
        self.driver.borrow().as_ref().map_or_else(|| self.report.borrow().clone(), Driver::report)
    }
}
