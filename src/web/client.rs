//! The exported types. `pkg-template/index.js` wraps them; users never see them.
//!
//! Exports are plain functions that clone an `Rc` and return a promise: an exported `async fn(&self)` would hold a borrow over
//! every await, and `free()` or a second call would throw.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::{Rc, Weak};

use js_sys::{Array, Date, Function, Math, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::Url;

use super::driver::Driver;
use super::indexed_db::{Database, result};
use super::leash::{Closer, Leash};
use super::object::{closed, date, get, rejection, text};
use super::options::{self, CALL_RECORDINGS, EVENTS, ORG_CONTACTS, Options, TRACK, shown};
use super::store::{Rows, Store};
use super::token::Tokens;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::error::{Code, Failure, Read};
use crate::protocol::request::{self, key_prefix};
use crate::protocol::round::{Plan, Round};
use crate::protocol::text::quoted;
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

/// Opens a client. Rejects with what `make_error` makes.
#[wasm_bindgen(skip_typescript)]
pub fn open(options: JsValue, make_error: Function) -> Promise {
    promise(Box::pin(async move {
        match opened(options, &make_error).await {
            Ok(shared) => Ok(Client { shared: Rc::new(shared) }.into()),
            Err(failure) => Err(rejection(failure.into(), &make_error, None)),
        }
    }))
}

async fn opened(options: JsValue, make_error: &Function) -> Read<Shared> {
    let (mut shared, indexed) = described(options, make_error)?;
    if indexed {
        shared.store = Store::Indexed(Database::open(&shared.account).await?);
    }
    Ok(shared)
}

/// What the options say, and whether the store is IndexedDB, which is still to be opened.
fn described(options: JsValue, make_error: &Function) -> Read<(Shared, bool)> {
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
        let words = format!("options.endpoint must be written as URLs are, {}, got {}", quoted(&origin), quoted(endpoint.origin()));
        return Err(Failure::new(Code::BadRequest, words));
    }
    let token = options.get("token").unwrap_or(JsValue::UNDEFINED);
    let carried = text(&token, "account");
    let tokens = Tokens::new(token, &endpoint.scope())?;
    let fetch = match options.get("fetch").map(JsCast::dyn_into::<Function>) {
        Some(Err(other)) => return Err(Failure::new(Code::BadRequest, format!("options.fetch must be a function, got {}", shown(&other)))),
        fetch => fetch.and_then(Result::ok),
    };
    let policy = policy(options.get("retry"))?;
    let account = account.or(carried).filter(|account| !account.is_empty());
    let store = options.get("store").unwrap_or_else(|| "indexeddb".into());
    let indexed = store.as_string().as_deref() == Some("indexeddb");
    if !indexed && !store.is_object() {
        return Err(Failure::new(
            Code::BadRequest,
            format!("options.store must be \"indexeddb\", \"memory\" or a DeltaStore, got {}", shown(&store)),
        ));
    }
    let account = match account {
        Some(account) => account,
        // The facade's memory store says by itself that it ends with the page.
        None if !indexed && get(&store, "ephemeral").is_truthy() => "memory".into(),
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
        store: Store::Caller(store),
        fetch,
        make_error: make_error.clone(),
        closers: RefCell::default(),
        closed: Cell::new(false),
    };
    Ok((shared, indexed))
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
                None => Err(Failure::new(Code::BadRequest, format!("path must be a text such as \"/users/delta\", got {}", shown(path)))),
            },
        }
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
        promise(Box::pin(async move {
            let asked = shared.store.clear(&key_prefix(&shared.account)).map_err(|failure| shared.error(failure))?;
            shared.store.answer(asked).await.map(|_| JsValue::UNDEFINED).map_err(|failure| shared.error(failure))
        }))
    }
}

/// A query.
#[wasm_bindgen(skip_typescript)]
pub struct Query {
    shared: Rc<Shared>,
    query: Rc<request::Query>,
    key: JsValue,
}

/// What is asked of the mirror.
enum Ask {
    SyncedAt,
    All,
    Chunk(Option<String>, u32),
    Get(String),
    Count,
    Reset,
}

impl Query {
    fn ask(&self, ask: Ask) -> Promise {
        let (shared, key) = (Rc::clone(&self.shared), self.key.clone());
        promise(Box::pin(async move { answer(&shared, &key, ask).await.map_err(|failure| shared.error(failure)) }))
    }

    fn driver(&self, options: JsValue, on_status: Function, shown: bool) -> Read<Driver> {
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
            return Err(Failure::new(Code::BadRequest, format!("options.ack must be \"next\" or \"manual\", got {}", quoted(&ack))));
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
            window: None,
            shown,
        };
        Ok(Driver::new(Round::new(plan, Date::now()), Rc::clone(shared), self.key.clone(), leash, on_status, shown))
    }
}

async fn answer(shared: &Shared, key: &JsValue, ask: Ask) -> Read<JsValue> {
    if shared.closed.get() {
        return Err(closed());
    }
    let store = &shared.store;
    let asked = match &ask {
        Ask::SyncedAt | Ask::Reset => store.load(key)?,
        Ask::Chunk(after, limit) => store.scan(key, after.as_deref(), *limit)?,
        Ask::Get(id) => store.rows(key, &[id])?,
        Ask::All | Ask::Count => match store.count(key) {
            Some(asked) if matches!(ask, Ask::Count) => asked,
            _ => {
                let all = store.all(key).await?;
                return Ok(if matches!(ask, Ask::Count) { all.length().into() } else { all.into() });
            }
        },
    };
    let answer = store.answer(asked).await?;
    match ask {
        Ask::Reset => {
            let Some(asked) = store.reset(key, answer, Date::now(), Math::random())? else { return Ok(JsValue::UNDEFINED) };
            if Store::committed(&store.answer(asked).await?)? {
                return Ok(JsValue::UNDEFINED);
            }
            Err(Failure::retryable(Code::Conflict, "a round commits to this query at the moment; reset() again when it has ended"))
        }
        ask => told(store, &ask, answer),
    }
}

/// The answer of a store as the query gives it.
fn told(store: &Store, ask: &Ask, answer: JsValue) -> Read<JsValue> {
    Ok(match ask {
        Ask::SyncedAt => store.loaded(answer)?.and_then(|record| record.synced_at).map_or(JsValue::UNDEFINED, date),
        Ask::Chunk(after, _) => chunk(store.scanned(&answer, after.as_deref())?),
        Ask::Get(_) => store.found(answer, 1)?.pop().flatten().map_or(JsValue::UNDEFINED, |row| row.item.0),
        Ask::Count | Ask::All | Ask::Reset => result(&answer),
    })
}

fn chunk(rows: Rows) -> JsValue {
    let Some((last, _)) = rows.last() else { return JsValue::UNDEFINED };
    let items = Array::new();
    for (_, row) in &rows {
        items.push(&row.item.0);
    }
    Array::of2(&last.into(), &items).into()
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

    /// A round that has not begun. `on_status` gets each change of it; `shown` says that a consumer sees the items.
    #[wasm_bindgen(skip_typescript)]
    pub fn round(&self, options: JsValue, on_status: Function, shown: bool) -> Result<RoundHandle, JsValue> {
        match self.driver(options, on_status, shown) {
            Ok(driver) => Ok(RoundHandle { driver: Rc::new(RefCell::new(Some(driver))), report: Rc::default() }),
            Err(failure) => Err(self.shared.error(failure)),
        }
    }

    /// When the last complete round ended.
    #[wasm_bindgen(skip_typescript, js_name = "syncedAt")]
    pub fn synced_at(&self) -> Promise {
        self.ask(Ask::SyncedAt)
    }

    /// Every item.
    #[wasm_bindgen(skip_typescript)]
    pub fn all(&self) -> Promise {
        self.ask(Ask::All)
    }

    /// A chunk of the mirror: `[last id, items]`, or undefined behind its end.
    #[wasm_bindgen(skip_typescript)]
    pub fn chunk(&self, after: Option<String>, limit: u32) -> Promise {
        self.ask(Ask::Chunk(after, limit))
    }

    /// One item, or undefined.
    #[wasm_bindgen(skip_typescript)]
    pub fn get(&self, id: String) -> Promise {
        self.ask(Ask::Get(id))
    }

    /// How many items there are.
    #[wasm_bindgen(skip_typescript)]
    pub fn count(&self) -> Promise {
        self.ask(Ask::Count)
    }

    /// Makes the next round a full one.
    #[wasm_bindgen(skip_typescript)]
    pub fn reset(&self) -> Promise {
        self.ask(Ask::Reset)
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
    /// The next page, or undefined at the end.
    #[wasm_bindgen(skip_typescript)]
    pub fn next(&self) -> Promise {
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
