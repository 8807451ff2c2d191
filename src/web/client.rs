//! The exported types. `pkg-template/index.js` wraps them; users never see them.
//!
//! Exports are plain functions that clone an `Rc` and return a promise: an exported `async fn(&self)` would hold a borrow over
//! every await, and `free()` or a second call would throw.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use js_sys::{Array, Date, Function, Math, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::driver::Driver;
use super::indexed_db::Database;
use super::leash::{Closer, Leash};
use super::object::{Stop, closed, date, rejection};
use super::options::{Options, shown};
use super::store::Store;
use super::token::Tokens;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::error::{Code, Failure, quoted};
use crate::protocol::request::{self, key_prefix};
use crate::protocol::round::{Plan, Round};
use crate::protocol::wait::Policy;

/// What the queries and rounds of one client share.
pub struct Shared {
    endpoint: Endpoint,
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
    closed: RefCell<bool>,
}

impl Shared {
    fn error(&self, stop: impl Into<Stop>) -> JsValue {
        rejection(stop.into(), &self.make_error, None)
    }

    fn promise(self: &Rc<Self>, work: impl Future<Output = Result<JsValue, Failure>> + 'static) -> Promise {
        let shared = Rc::clone(self);
        future_to_promise(async move {
            let result = if *shared.closed.borrow() { Err(closed()) } else { work.await };
            result.map_err(|failure| shared.error(failure))
        })
    }

    fn end_rounds(&self) {
        self.closed.replace(true);
        for closer in self.closers.take() {
            if let Some(closer) = closer.upgrade() {
                closer.close();
            }
        }
    }
}

/// Opens a client. Rejects with what `make_error` makes.
#[wasm_bindgen(skip_typescript)]
pub fn open(options: JsValue, make_error: Function) -> Promise {
    future_to_promise(async move {
        match opened(options, &make_error).await {
            Ok(shared) => Ok(Client { shared: Rc::new(shared) }.into()),
            Err(failure) => Err(rejection(failure.into(), &make_error, None)),
        }
    })
}

async fn opened(options: JsValue, make_error: &Function) -> Result<Shared, Failure> {
    let options = Options::new(options, "openDelta")?;
    options.only(&[&["token", "account", "cloud", "endpoint", "store", "fetch", "retry"]], &[])?;
    let endpoint = match (options.text("cloud")?, options.text("endpoint")?) {
        (Some(_), Some(_)) => return Err(Failure::new(Code::BadRequest, "options.cloud and options.endpoint both name a root; give one of them")),
        (None, Some(root)) => Endpoint::parse(&root)?,
        (cloud, None) => Endpoint::cloud(cloud.as_deref().unwrap_or("global"))?,
    };
    let tokens = Tokens::new(options.get("token").as_ref(), &endpoint.scope())?;
    let fetch = match options.get("fetch") {
        None => None,
        Some(fetch) => match fetch.dyn_into::<Function>() {
            Ok(fetch) => Some(fetch),
            Err(other) => return Err(Failure::new(Code::BadRequest, format!("options.fetch must be a function, got {}", shown(&other)))),
        },
    };
    let policy = policy(options.get("retry"))?;
    let store = options.get("store");
    let named = store.as_ref().and_then(JsValue::as_string);
    let carried = || options.get("token").and_then(|token| Reflect::get(&token, &"account".into()).ok()).and_then(|account| account.as_string());
    let account = options.text("account")?.or_else(carried).filter(|account| !account.is_empty());
    let missing = || Failure::new(Code::Account, "options.account is required with a store that outlives the page: it keeps two users of one browser apart; give something stable such as MSAL's homeAccountId (fromMsal carries it)");
    let (store, account) = match (store, named.as_deref()) {
        (None, _) | (_, Some("indexeddb")) => {
            let account = account.ok_or_else(missing)?;
            (Store::Indexed(Database::open(&account).await?), account)
        }
        // The facade's memory store says by itself that it ends with the page.
        (Some(store), None) if store.is_object() => {
            let passing = Reflect::get(&store, &"ephemeral".into()).is_ok_and(|flag| flag.is_truthy());
            (Store::Caller(store), account.or_else(|| passing.then(|| "memory".to_owned())).ok_or_else(missing)?)
        }
        (Some(other), _) => return Err(Failure::new(Code::BadRequest, format!("options.store must be \"indexeddb\", \"memory\" or a DeltaStore, got {}", shown(&other)))),
    };
    Ok(Shared { endpoint, account, policy, tokens, store, fetch, make_error: make_error.clone(), closers: RefCell::default(), closed: RefCell::new(false) })
}

fn policy(retry: Option<JsValue>) -> Result<Policy, Failure> {
    let standard = Policy::default();
    let Some(retry) = retry else { return Ok(standard) };
    let retry = Options::new(retry, "retry")?;
    retry.only(&[&["attempts", "base", "cap", "maxWait"]], &[])?;
    let attempts = retry.whole("attempts")?.unwrap_or(standard.attempts);
    if attempts == 0 {
        return Err(Failure::new(Code::BadRequest, "options.retry.attempts must be at least 1, got 0"));
    }
    Ok(Policy {
        attempts,
        base: retry.millis("base")?.unwrap_or(standard.base),
        cap: retry.millis("cap")?.unwrap_or(standard.cap),
        max_wait: retry.millis("maxWait")?.unwrap_or(standard.max_wait),
    })
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
        let query = || -> Result<request::Query, Failure> {
            if *self.shared.closed.borrow() {
                return Err(closed());
            }
            match call {
                "events" => request::events(Options::new(options, "events")?.events()?),
                "orgContacts" => request::org_contacts(Options::new(options, "orgContacts")?.org_contacts()?),
                "callRecordings" => request::call_recordings(Options::new(options, "callRecordings")?.call_recordings()?),
                _ => {
                    let text = path.as_string().ok_or_else(|| Failure::new(Code::BadRequest, format!("path must be a text such as \"/users/delta\", got {}", shown(&path))))?;
                    request::track(&text, Options::new(options, "track")?.track()?)
                }
            }
        };
        let query = query().map_err(|failure| self.shared.error(failure))?;
        let key = query.key(&self.shared.account, &self.shared.endpoint);
        Ok(Query { shared: Rc::clone(&self.shared), query, key })
    }

    /// Forgets a kept token: the next request asks for one.
    #[wasm_bindgen(skip_typescript)]
    pub fn resume(&self) {
        self.shared.tokens.forget();
    }

    /// Ends what runs and lets go of the store.
    #[wasm_bindgen(skip_typescript)]
    pub fn close(&self) {
        self.shared.end_rounds();
        self.shared.store.close();
    }

    /// Ends what runs and wipes what is stored of this account.
    #[wasm_bindgen(skip_typescript)]
    pub fn forget(&self) -> Promise {
        let shared = Rc::clone(&self.shared);
        shared.end_rounds();
        shared.tokens.forget();
        future_to_promise(async move {
            let cleared = shared.store.clear(&key_prefix(&shared.account)).await;
            cleared.map(|()| JsValue::UNDEFINED).map_err(|failure| shared.error(failure))
        })
    }
}

/// A query.
#[wasm_bindgen(skip_typescript)]
pub struct Query {
    shared: Rc<Shared>,
    query: request::Query,
    key: String,
}

#[wasm_bindgen]
impl Query {
    /// The name under which the state is stored.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn key(&self) -> String {
        self.key.clone()
    }

    /// Whether the items are kept.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn mirror(&self) -> bool {
        self.query.mirror
    }

    /// A round that has not begun. `on_status` gets each change of it; `shown` says that a consumer sees the items.
    #[wasm_bindgen(skip_typescript)]
    pub fn round(&self, options: JsValue, on_status: Function, shown: bool) -> Result<RoundHandle, JsValue> {
        let make = || -> Result<Driver, Failure> {
            let options = Options::new(options, "round")?;
            options.only(&[&["signal", "ack", "maxPages", "maxMs"]], &[])?;
            let max_pages = options.whole("maxPages")?;
            if max_pages == Some(0) {
                return Err(Failure::new(Code::BadRequest, "options.maxPages must be at least 1, got 0"));
            }
            if let Some(ack) = options.text("ack")?.filter(|ack| !["next", "manual"].contains(&ack.as_str())) {
                return Err(Failure::new(Code::BadRequest, format!("options.ack must be \"next\" or \"manual\", got {}", quoted(&ack))));
            }
            let leash = Leash::new(options.get("signal"))?;
            if *self.shared.closed.borrow() {
                return Err(closed());
            }
            let mut closers = self.shared.closers.borrow_mut();
            closers.retain(|closer| closer.strong_count() > 0);
            closers.push(leash.closer());
            let plan = Plan {
                endpoint: self.shared.endpoint.clone(),
                query: self.query.clone(),
                policy: self.shared.policy,
                max_pages,
                max_ms: options.millis("maxMs")?,
            };
            Ok(Driver::new(Round::new(plan, Date::now()), Rc::clone(&self.shared), self.key.clone(), leash, on_status, shown))
        };
        let driver = make().map_err(|failure| self.shared.error(failure))?;
        Ok(RoundHandle { driver: Rc::new(RefCell::new(Some(driver))), report: Rc::default() })
    }

    /// When the last complete round ended.
    #[wasm_bindgen(skip_typescript, js_name = "syncedAt")]
    pub fn synced_at(&self) -> Promise {
        let (shared, key) = (Rc::clone(&self.shared), self.key.clone());
        self.shared.promise(async move { Ok(shared.store.load(&key).await?.and_then(|record| record.synced_at).map_or(JsValue::UNDEFINED, date)) })
    }

    /// Every item.
    #[wasm_bindgen(skip_typescript)]
    pub fn all(&self) -> Promise {
        let (shared, key) = (Rc::clone(&self.shared), self.key.clone());
        self.shared.promise(async move { Ok(shared.store.all(&key).await?.into()) })
    }

    /// A chunk of the mirror: `[last id, items]`, or undefined behind its end.
    #[wasm_bindgen(skip_typescript)]
    pub fn chunk(&self, after: Option<String>, limit: u32) -> Promise {
        let (shared, key) = (Rc::clone(&self.shared), self.key.clone());
        self.shared.promise(async move {
            let rows = shared.store.scan(&key, after.as_deref(), limit).await?;
            let Some((last, _)) = rows.last() else { return Ok(JsValue::UNDEFINED) };
            let items: Array = rows.iter().map(|(_, row)| row.item.0.clone()).collect();
            Ok(Array::of2(&last.into(), &items).into())
        })
    }

    /// One item, or undefined.
    #[wasm_bindgen(skip_typescript)]
    pub fn get(&self, id: String) -> Promise {
        let (shared, key) = (Rc::clone(&self.shared), self.key.clone());
        self.shared.promise(async move {
            let row = shared.store.rows(&key, &[&id]).await?.pop().flatten();
            Ok(row.map_or(JsValue::UNDEFINED, |row| row.item.0))
        })
    }

    /// How many items there are.
    #[wasm_bindgen(skip_typescript)]
    pub fn count(&self) -> Promise {
        let (shared, key) = (Rc::clone(&self.shared), self.key.clone());
        self.shared.promise(async move { Ok(shared.store.count(&key).await?.into()) })
    }

    /// Makes the next round a full one.
    #[wasm_bindgen(skip_typescript)]
    pub fn reset(&self) -> Promise {
        let (shared, key) = (Rc::clone(&self.shared), self.key.clone());
        self.shared.promise(async move { shared.store.reset(&key, Date::now(), Math::random()).await.map(|()| JsValue::UNDEFINED) })
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
    fn work<F>(&self, work: impl FnOnce(Driver) -> F + 'static) -> Promise
    where
        F: Future<Output = (Driver, Result<JsValue, JsValue>)> + 'static,
    {
        let place = Rc::clone(&self.driver);
        let report = Rc::clone(&self.report);
        future_to_promise(async move {
            let Some(driver) = place.take() else { return Err(JsValue::from_str("this round is already at work")) };
            report.replace(driver.report());
            let (driver, result) = work(driver).await;
            place.replace(Some(driver));
            result
        })
    }
}

#[wasm_bindgen]
impl RoundHandle {
    /// The next page, or undefined at the end.
    #[wasm_bindgen(skip_typescript)]
    pub fn next(&self) -> Promise {
        self.work(|mut driver| async move {
            let page = driver.next().await.map(|page| page.unwrap_or(JsValue::UNDEFINED));
            (driver, page)
        })
    }

    /// Commits the page that was delivered last; without one, does nothing.
    #[wasm_bindgen(skip_typescript)]
    pub fn ack(&self) -> Promise {
        self.work(|mut driver| async move {
            let done = driver.ack().await.map(|()| JsValue::UNDEFINED);
            (driver, done)
        })
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
