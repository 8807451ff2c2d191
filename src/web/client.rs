//! The exported types. `pkg-template/api.js` wraps them; users never see them.
//!
//! A method that waits is a plain function that returns a promise: an exported `async fn(&self)`
//! would hold a borrow over every await, and `free()` or a second call would throw.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;

use js_sys::{Function, Promise};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};
use web_sys::{AbortSignal, Url};

use super::batch::{Cursor, StoreResult};
use super::consumer::Consumer;
use super::custom::{self, Custom};
use super::driver::Driver;
use super::error::ErrorFactory;
use super::in_flight::InFlight;
use super::indexed_db::{self, IndexedDb};
use super::js::{get_string, type_of};
use super::mirror::Mirror;
use super::options::{self, CALL_RECORDINGS, EVENTS, ORG_CONTACTS, Options, TRACK};
use super::output::{report_to_js, to_js};
use super::received::Received;
use super::round_run::RoundRun;
use super::session::{Keys, Session};
use super::status::StatusDisplay;
use super::store::Store;
use super::timers::{now, with_timeout};
use super::token::Tokens;
use crate::protocol::acknowledge::AckMode;
use crate::protocol::applier::PageApplier;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::error::{Code, Error, Result, bad_request};
use crate::protocol::memory::Memory;
use crate::protocol::query;
use crate::protocol::redact::quote;
use crate::protocol::round::{Round, RoundConfig};
use crate::protocol::time::Duration;

/// How long the opening of a client waits for the times of the last rounds.
const SYNCED_TIMES_TIMEOUT: Duration = Duration::from_millis(200.0);

/// A client.
#[wasm_bindgen(skip_typescript)]
pub struct Client {
    session: Rc<Session>,
    /// The value of `options.store`.
    store_option: JsValue,
}

#[wasm_bindgen]
impl Client {
    /// Makes a client with these options, whose store [`Self::open`] opens. Errors are made by
    /// `make_error`, from a message and its fields.
    #[wasm_bindgen(skip_typescript, constructor)]
    pub fn new(options: JsValue, make_error: Function) -> std::result::Result<Self, JsValue> {
        let errors = ErrorFactory::new(make_error);
        parse_options(options, &errors).map_err(|error| errors.error_to_js(error.into(), None))
    }

    /// The kind of the store: `"indexeddb"`, `"memory"` or `"custom"`.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn store_kind(&self) -> String {
        self.store_option.as_string().unwrap_or_else(|| "custom".to_owned())
    }

    /// The account; `memory` for a store in memory without one.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn account(&self) -> String {
        self.session.account.clone()
    }

    /// Opens the store. Resolves to the keys of the queries in the browser's database, with the end
    /// of the last complete round of each, or to undefined. `on_closed` is called when another tab
    /// or the browser closes the store.
    #[wasm_bindgen(skip_typescript)]
    pub fn open(&self, on_closed: Function) -> Promise {
        let (session, option) = (Rc::clone(&self.session), self.store_option.clone());
        let opening = session.opening.begin("store");
        self.promise(async move {
            let store = match option.as_string().as_deref() {
                Some("indexeddb") => IndexedDb::open(&session.account, &session.prefix(), on_closed, now)
                    .await
                    .map(Store::IndexedDb),
                Some(_) => Ok(Store::Memory(RefCell::new(Memory::default()))),
                None => Ok(Store::Custom(Custom::new(option))),
            };
            let store = session.store.get_or_init(|| store);
            drop(opening);
            match store {
                // Another tab may hang in a transaction. Each query then reads its own time later.
                Ok(Store::IndexedDb(store)) => {
                    match with_timeout(SYNCED_TIMES_TIMEOUT, store.synced_times()).await {
                        Some(times) => Ok(to_js(&times?)),
                        None => Ok(JsValue::UNDEFINED),
                    }
                }
                Ok(_) => Ok(JsValue::UNDEFINED),
                Err(error) => Err(error.clone().into()),
            }
        })
    }

    /// Makes a query by one of the four calls. Throws a `DeltaError` for options that Graph would
    /// refuse.
    #[wasm_bindgen(skip_typescript)]
    pub fn query(&self, call: &str, path: JsValue, options: JsValue) -> std::result::Result<Query, JsValue> {
        let session = &self.session;
        let query = parse_query(call, &path, options)
            .and_then(|query| query.check_cloud(&session.endpoint).map(|()| query))
            .map_err(|error| session.errors.error_to_js(error.into(), None))?;
        let keys = Keys {
            query: query.key(&session.account, &session.endpoint),
            in_0_1_0: query.key_in_0_1_0(&session.account, &session.endpoint),
            throttle: session.throttle_key(&query),
        };
        if let Some(Ok(store)) = session.store.get() {
            store.touch(&keys.query);
        }
        Ok(Query { session: Rc::clone(session), query: Rc::new(query), keys })
    }

    /// The user has signed in: the next request calls the token source.
    #[wasm_bindgen(skip_typescript)]
    pub fn resume(&self) {
        self.session.tokens.signed_in();
    }

    /// Ends the client, and closes the store once the commits that have begun are done.
    #[wasm_bindgen(skip_typescript)]
    pub fn close(&self) -> Promise {
        let session = self.end();
        self.promise(async move {
            session.opening.all_settled().await;
            session.all_commits_settled().await;
            if let Some(Ok(store)) = session.store.get() {
                store.close();
            }
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Ends the client, and deletes the stored state of its account once the commits that have
    /// begun are done.
    #[wasm_bindgen(skip_typescript)]
    pub fn forget(&self) -> Promise {
        let session = self.end();
        self.promise(async move {
            session.opening.all_settled().await;
            let is_settled = session.all_commits_settled().await;
            match session.store.get() {
                Some(Ok(store)) => {
                    store.clear(&session.prefix()).await?;
                    store.close();
                }
                Some(Err(error)) => return Err(error.clone().into()),
                None => {}
            }
            if !is_settled {
                // A commit that hangs may write after this: deletes its rows when it ends.
                spawn_local(async move {
                    session.commits.all_settled().await;
                    if let Some(Ok(store)) = session.store.get() {
                        let _ = store.clear(&session.prefix()).await;
                    }
                });
            }
            Ok(JsValue::UNDEFINED)
        })
    }

    fn end(&self) -> Rc<Session> {
        self.session.is_closed.set(true);
        self.session.tokens.forget();
        Rc::clone(&self.session)
    }

    fn promise(&self, work: impl Future<Output = StoreResult<JsValue>> + 'static) -> Promise {
        promise(&self.session, Box::pin(work))
    }
}

/// The future of a promise. Boxed, so that [`promise`] is compiled once.
type Work = Pin<Box<dyn Future<Output = StoreResult<JsValue>>>>;

/// A promise that rejects with a `DeltaError`.
fn promise(session: &Rc<Session>, work: Work) -> Promise {
    let errors = session.errors.clone();
    future_to_promise(async move { work.await.map_err(|error| errors.error_to_js(error, None)) })
}

fn parse_options(options: JsValue, errors: &ErrorFactory) -> Result<Client> {
    let options = Options::new(options, "openDelta")?;
    options.refuse_unknown(
        &["token", "account", "cloud", "endpoint", "store", "fetch", "retry", "onError", "log", "persist"],
        &[],
    )?;
    // Only checks the type: the facade reads the option and asks the browser.
    options.flag("persist")?;
    let endpoint = endpoint(options.string("cloud")?.as_deref(), options.string("endpoint")?.as_deref())?;
    let token = options.get("token").unwrap_or(JsValue::UNDEFINED);
    let default_account = get_string(&token, "account");
    let tokens = Tokens::new(token, &endpoint.scope())?;
    let (fetch, on_error) = (options.function("fetch")?, options.function("onError")?);
    let log = options.function("log")?;
    let policy = options::policy(options.get("retry"))?;
    let store_option = options.get("store").unwrap_or_else(|| "indexeddb".into());
    let kind = store_option.as_string();
    if !matches!(kind.as_deref(), Some("indexeddb" | "memory")) && !store_option.is_object() {
        return bad_request(format!(
            "options.store must be \"indexeddb\", \"memory\" or a DeltaStore, got {}",
            // Anything but a short name may be a connection string with a password.
            kind.filter(|name| name.len() <= 20 && name.bytes().all(|byte| byte.is_ascii_alphabetic()))
                .map_or_else(|| type_of(&store_option).to_owned(), |name| quote(&name))
        ));
    }
    if store_option.is_object() {
        custom::check(&store_option)?;
    }
    let account = match options.string("account")?.or(default_account).filter(|account| !account.is_empty()) {
        Some(account) => account,
        // A store in memory has the rows of one client, so it needs no account.
        None if kind.as_deref() == Some("memory") => "memory".to_owned(),
        None => {
            if kind.as_deref() == Some("indexeddb") {
                // A host without IndexedDB needs another store, perhaps one that needs no account.
                indexed_db::factory()?;
            }
            let message = "options.account is required with a store that outlives the tab: it separates the users who share the store; use a stable id such as MSAL's homeAccountId (fromMsal() sets it)";
            return Err(Error::new(Code::Account, message));
        }
    };
    let session = Session {
        endpoint: Rc::new(endpoint),
        account,
        policy,
        tokens,
        fetch,
        on_error,
        log,
        errors: errors.clone(),
        store: OnceCell::new(),
        limiters: RefCell::default(),
        has_restricted_mailboxes: Cell::default(),
        names: RefCell::default(),
        identity: RefCell::default(),
        opening: InFlight::default(),
        commits: InFlight::default(),
        taken_over: RefCell::default(),
        takeovers: InFlight::default(),
        is_closed: Cell::new(false),
    };
    Ok(Client { session: Rc::new(session), store_option })
}

fn endpoint(cloud: Option<&str>, root: Option<&str>) -> Result<Endpoint> {
    let endpoint = match (cloud, root) {
        (Some(_), Some(_)) => {
            return bad_request(
                "options.cloud and options.endpoint exclude each other; set one of them".to_owned(),
            );
        }
        (None, Some(root)) => Endpoint::parse(root)?,
        (cloud, None) => Endpoint::cloud(cloud.unwrap_or("global"))?,
    };
    // If the URL parser changed the origin, every link would count as a foreign one.
    let origin = Url::new(&endpoint.root()).map(|url| url.origin()).unwrap_or_default();
    if origin != endpoint.origin() {
        return bad_request(format!(
            "options.endpoint must be a normalized URL, with the origin {origin:?}, got {}",
            quote(endpoint.origin())
        ));
    }
    Ok(endpoint)
}

fn parse_query(call: &str, path: &JsValue, options: JsValue) -> Result<query::Query> {
    match call {
        "events" => query::events(options::read(options, &EVENTS)?),
        "orgContacts" => query::org_contacts(options::read(options, &ORG_CONTACTS)?),
        "callRecordings" => query::call_recordings(options::read(options, &CALL_RECORDINGS)?),
        _ => match path.as_string() {
            Some(path) => query::track(&path, options::read(options, &TRACK)?),
            None => {
                bad_request(format!("path must be a string such as \"/users/delta\", got {}", type_of(path)))
            }
        },
    }
}

/// A query.
#[wasm_bindgen(skip_typescript)]
pub struct Query {
    session: Rc<Session>,
    query: Rc<query::Query>,
    keys: Keys,
}

/// The rolling window of a query as a JavaScript object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WindowOut<'a> {
    days_back: u32,
    days_ahead: u32,
    time_zone: &'a str,
}

#[wasm_bindgen]
impl Query {
    /// The key under which its state is stored.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn key(&self) -> String {
        self.keys.query.clone()
    }

    /// The hash of its key, which entries of the log contain.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn key_hash(&self) -> String {
        query::key_hash(&self.keys.query)
    }

    /// Whether it has a mirror.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn has_mirror(&self) -> bool {
        self.query.has_mirror
    }

    /// Its rolling window, if it has one: `{ daysBack, daysAhead, timeZone }`.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn window(&self) -> JsValue {
        match &self.query.window {
            Some((days_back, days_ahead, time_zone)) => {
                to_js(&WindowOut { days_back: *days_back, days_ahead: *days_ahead, time_zone })
            }
            None => JsValue::UNDEFINED,
        }
    }

    /// Makes a round that begins with the first `next()` or `leave()` of its handle and ends when
    /// `signal` fires. `has_consumer` is false if its pages are only applied to the mirror;
    /// `window` is today's rolling window as `start/end`.
    #[wasm_bindgen(skip_typescript)]
    pub fn round(
        &self,
        options: JsValue,
        signal: AbortSignal,
        round_run: RoundRun,
        has_consumer: bool,
        window: Option<String>,
    ) -> std::result::Result<RoundHandle, JsValue> {
        self.prepare(options, signal, round_run, has_consumer, window)
            .map_err(|error| self.session.errors.error_to_js(error.into(), None))
    }

    fn prepare(
        &self,
        options: JsValue,
        signal: AbortSignal,
        round_run: RoundRun,
        has_consumer: bool,
        window: Option<String>,
    ) -> Result<RoundHandle> {
        let options = Options::new(options, "round")?;
        options.refuse_unknown(&["signal", "ack", "maxPages", "maxMs"], &[])?;
        let max_pages = options.whole_number("maxPages")?;
        if max_pages == Some(0) {
            return bad_request("options.maxPages must be at least 1, got 0".to_owned());
        }
        let ack_mode = match options.string("ack")?.as_deref() {
            None | Some("next") => AckMode::Next,
            Some("manual") => AckMode::Manual,
            Some(other) => {
                return bad_request(format!(
                    "options.ack must be \"next\" or \"manual\", got {}",
                    quote(other)
                ));
            }
        };
        let session = &self.session;
        let config = RoundConfig {
            endpoint: Rc::clone(&session.endpoint),
            query: Rc::clone(&self.query),
            policy: session.policy,
            max_pages,
            max_duration: options.millis("maxMs")?,
            window,
            has_consumer,
            asks_caller: session.on_error.is_some(),
        };
        let round = Rc::new(RefCell::new(Round::new(config, now())));
        let consumer = Consumer::new(ack_mode, session.errors.clone());
        let driver = Driver {
            round: Rc::clone(&round),
            session: Rc::clone(session),
            keys: self.keys.clone(),
            limiter: session.limiter(&self.query),
            signal,
            display: StatusDisplay { round: Rc::clone(&round), round_run: round_run.clone() },
            round_run,
            consumer: consumer.producer(),
            page: PageApplier::default(),
            received: Received::default(),
            ahead: VecDeque::new(),
            token: String::new(),
            token_error: None,
            client_request_id: None,
            acknowledgement: None,
            listeners: JsValue::UNDEFINED,
            sweep_cursor: Cursor::default(),
            thrown: JsValue::UNDEFINED,
            cause: JsValue::UNDEFINED,
        };
        Ok(RoundHandle { round, consumer, driver: Cell::new(Some(driver)) })
    }

    /// Makes the next round a full one.
    #[wasm_bindgen(skip_typescript)]
    pub fn reset(&self) -> Promise {
        self.with_mirror(false, async |mirror, _| mirror.reset().await)
    }

    /// Empties the mirror and forgets the link.
    #[wasm_bindgen(skip_typescript)]
    pub fn clear(&self) -> Promise {
        self.with_mirror(false, async |mirror, _| mirror.clear().await)
    }

    /// Resolves to the end of the last complete round, in milliseconds since 1970, or to undefined.
    #[wasm_bindgen(skip_typescript)]
    pub fn synced_at(&self) -> Promise {
        self.with_mirror(false, async |mirror, _| mirror.synced_at().await)
    }

    /// Resolves to an item, or to undefined. If `completes`, an occurrence is filled from its
    /// series master, and masters do not count as items, here and below.
    #[wasm_bindgen(skip_typescript)]
    pub fn get(&self, id: String, completes: bool) -> Promise {
        self.with_mirror(completes, async move |mirror, completes| mirror.get(&id, completes).await)
    }

    /// Resolves to `{ items, others }`: the items of these ids, in their order, undefined for each
    /// that is missing; and the other occurrences of these series.
    #[wasm_bindgen(skip_typescript)]
    pub fn changed(&self, ids: Vec<String>, series: Vec<String>, completes: bool) -> Promise {
        self.with_mirror(completes, async move |mirror, completes| {
            mirror.changed(&ids, &series, completes).await
        })
    }

    /// Resolves to these items with occurrences completed; undefined for each master.
    #[wasm_bindgen(skip_typescript)]
    pub fn completed(&self, items: Vec<JsValue>) -> Promise {
        self.with_mirror(true, async move |mirror, _| mirror.completed(items).await)
    }

    /// Resolves to the number of items.
    #[wasm_bindgen(skip_typescript)]
    pub fn count(&self, completes: bool) -> Promise {
        self.with_mirror(completes, async move |mirror, completes| mirror.count(completes).await)
    }

    /// Resolves to every item.
    #[wasm_bindgen(skip_typescript)]
    pub fn all(&self, completes: bool) -> Promise {
        self.with_mirror(completes, async move |mirror, completes| mirror.all(completes).await)
    }

    /// Resolves to `{ items, next? }`: the items of at most `limit` rows after an id. `next` is the
    /// id after which the next chunk begins.
    #[wasm_bindgen(skip_typescript)]
    pub fn chunk(&self, after: Option<String>, limit: u32, completes: bool) -> Promise {
        self.with_mirror(completes, async move |mirror, completes| {
            mirror.chunk(after.as_deref(), limit, completes).await
        })
    }

    /// Whether it has a mirror of events, whose occurrences can be completed.
    #[wasm_bindgen(skip_typescript, getter)]
    pub fn has_series(&self) -> bool {
        self.query.masters_path.is_some()
    }

    fn with_mirror(
        &self,
        completes: bool,
        work: impl AsyncFnOnce(Mirror<'_>, bool) -> StoreResult<JsValue> + 'static,
    ) -> Promise {
        let (session, keys) = (Rc::clone(&self.session), self.keys.clone());
        let completes = completes && self.has_series();
        let work = async move {
            let mirror = Mirror { session: &session, key: &keys.query };
            mirror.take_over(&keys).await;
            work(mirror, completes).await
        };
        promise(&self.session, Box::pin(work))
    }
}

/// A round. Its task begins with the first call of `next()` or `leave()`.
#[wasm_bindgen(skip_typescript)]
pub struct RoundHandle {
    round: Rc<RefCell<Round>>,
    consumer: Consumer,
    driver: Cell<Option<Driver>>,
}

#[wasm_bindgen]
impl RoundHandle {
    /// Requests the next page. Resolves to it, or to undefined at the end of the iteration.
    #[wasm_bindgen(skip_typescript)]
    pub fn next(&self) -> Promise {
        let page = self.consumer.next();
        self.start();
        future_to_promise(page)
    }

    /// Acknowledges a page: it is committed. Pages count from 0 in the order of their delivery by
    /// this handle.
    #[wasm_bindgen(skip_typescript)]
    pub fn ack(&self, page: u32) -> Promise {
        future_to_promise(self.consumer.ack(page))
    }

    /// Leaves the round. Resolves when it has ended.
    #[wasm_bindgen(skip_typescript)]
    pub fn leave(&self) -> Promise {
        let ended = self.consumer.leave();
        self.start();
        future_to_promise(ended)
    }

    fn start(&self) {
        if let Some(driver) = self.driver.take() {
            spawn_local(driver.drive());
        }
    }

    /// The `RoundReport` so far.
    #[wasm_bindgen(skip_typescript)]
    pub fn report(&self) -> JsValue {
        report_to_js(&self.round.borrow().report)
    }
}
