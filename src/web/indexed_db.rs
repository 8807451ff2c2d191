//! One database an account: `state` holds a record for each query, `items` a row for each item under `[query, id]`, so that the
//! mirror of one query is one key range; `used` tells when a query was last in use.
//!
//! A page and its record are one transaction. All its requests are issued before its end is awaited.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use futures_channel::oneshot;
use js_sys::{Array, Date, Function, Object};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{IdbDatabase, IdbFactory, IdbKeyRange, IdbObjectStore, IdbRequest, IdbTransaction};

use super::error::closed;
use super::in_flight::InFlight;
use super::js::{get, get_number, get_string, set};
use super::store::{Batch, CHUNK};
use crate::protocol::error::{Code, Error, Result};

/// The version of the database.
pub const VERSION: u32 = 2;
const STATE: &str = "state";
const ITEMS: &str = "items";
const USED: &str = "used";
const MIRROR: &[&str] = &[STATE, ITEMS];
const ALL: &[&str] = &[STATE, ITEMS, USED];

const DAY: f64 = 86_400_000.0;
/// Queries that nobody used for so long are purged.
const UNUSED: f64 = 30.0 * DAY;
/// Queries purged at one opening.
const PURGED: usize = 20;

#[wasm_bindgen]
extern "C" {
    /// The database with the options of a transaction, which web-sys keeps behind an unstable flag.
    #[wasm_bindgen(extends = IdbDatabase)]
    #[derive(Clone)]
    type Db;
    #[wasm_bindgen(method, catch, js_name = transaction)]
    fn begin(this: &Db, stores: &Array, mode: &str, options: &Object) -> std::result::Result<IdbTransaction, JsValue>;
    #[wasm_bindgen(method, setter, js_name = onclose)]
    fn set_on_close(this: &Db, callback: Option<&Function>);
}

/// An open database.
pub struct IndexedDb(Rc<Connection>);

struct Connection {
    db: Db,
    name: String,
    /// All keys of the account begin with it.
    prefix: String,
    /// Set by `close()`, and when the browser or another tab takes the connection away.
    is_closed: Cell<bool>,
    /// Called once the connection is closed, however that came.
    on_closed: Function,
    /// The queries of this page.
    touched: RefCell<HashSet<String>>,
    transactions: InFlight,
    listener: RefCell<Option<Closure<dyn FnMut()>>>,
}

/// A clock in milliseconds since 1970. Tests bring their own.
pub type Clock = fn() -> f64;

fn factory() -> Result<IdbFactory> {
    // Reading it may throw where storage is switched off.
    let factory = get(&js_sys::global(), "indexedDB");
    if factory.is_object() { Ok(factory.unchecked_into()) } else { Err(missing()) }
}

fn missing() -> Box<Error> {
    let words = "this host has no IndexedDB, or refuses it here (storage switched off, a private window); name another store: options.store: \"memory\", or a DeltaStore";
    Error::new(Code::Store, words)
}

impl IndexedDb {
    /// Opens the database of an account, making or upgrading it. `prefix` begins all its keys. `on_closed` is called when the
    /// connection is closed, by [`Self::close`] or by the browser.
    pub async fn open(account: &str, prefix: &str, on_closed: Function, now: Clock) -> Result<Self> {
        let name = format!("deltalink | {account}");
        let db = open_database(&name).await?;
        let connection = Rc::new(Connection {
            db,
            name,
            prefix: prefix.to_owned(),
            is_closed: Cell::new(false),
            on_closed,
            touched: RefCell::default(),
            transactions: InFlight::default(),
            listener: RefCell::default(),
        });
        connection.listen();
        let purging = Rc::clone(&connection);
        spawn_local(async move {
            // A purge that fails is tried again at the next opening.
            let _ = purging.purge(now()).await;
        });
        Ok(Self(connection))
    }

    /// Closes the connection. Transactions that have begun end.
    pub fn close(&self) {
        self.0.close();
    }

    /// The state under a key; undefined if there is none.
    pub async fn load(&self, key: &str) -> Result<JsValue> {
        let request = self.0.run("readonly", MIRROR, |stores| stores.state()?.get(&key.into())).await?;
        request.result().map_err(|error| explain(&error))
    }

    /// The rows of these ids, in their order; undefined for each that is missing.
    pub async fn rows(&self, key: &str, ids: &[&str]) -> Result<Vec<JsValue>> {
        let requests: Vec<IdbRequest> = self
            .0
            .run("readonly", MIRROR, |stores| {
                let items = stores.items()?;
                ids.iter().map(|id| items.get(&place(key, id))).collect()
            })
            .await?;
        requests.iter().map(|request| request.result().map_err(|error| explain(&error))).collect()
    }

    /// Everything is written at once, and taken back if the revision, which is read before, turns out to be another one.
    pub async fn commit(&self, key: &str, batch: Batch) -> Result<bool> {
        let is_other = Rc::new(Cell::new(false));
        let mut compare = None;
        let written = self
            .0
            .run("readwrite", MIRROR, |stores| {
                let (states, items) = (stores.state()?, stores.items()?);
                let stored = states.get(&key.into())?;
                let check = {
                    let (stored, transaction, is_other) = (stored.clone(), stores.transaction.clone(), Rc::clone(&is_other));
                    let expect = batch.expect.clone();
                    Closure::<dyn FnMut()>::new(move || {
                        let revision = stored.result().ok().and_then(|state| get_string(&state, "revision"));
                        if revision != expect {
                            is_other.set(true);
                            let _ = transaction.abort();
                        }
                    })
                };
                stored.set_onsuccess(Some(check.as_ref().unchecked_ref()));
                compare = Some(check);
                for (id, row) in &batch.put {
                    items.put_with_key(row, &place(key, id))?;
                }
                for id in &batch.remove {
                    items.delete(&place(key, id))?;
                }
                states.put_with_key(&batch.state, &key.into())
            })
            .await;
        drop(compare);
        match written {
            Ok(_) => Ok(true),
            Err(_) if is_other.get() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// At most `limit` rows after an id.
    pub async fn scan(&self, key: &str, after: Option<&str>, limit: u32) -> Result<Vec<(String, JsValue)>> {
        let (keys, rows) = self.0.run("readonly", MIRROR, |stores| chunk(&stores.items()?, key, after, limit)).await?;
        pairs(&keys, &rows).map_err(|error| explain(&error))
    }

    /// Every row as of one moment: in one transaction, chunk by chunk. One answer of all would fail in Firefox beyond some 100 MB.
    pub async fn all(&self, key: &str) -> Result<Vec<(String, JsValue)>> {
        let connection = &self.0;
        if connection.is_closed.get() {
            return Err(closed());
        }
        let _running = connection.transactions.begin(ITEMS);
        let read = async {
            let transaction = connection.begin("readonly", MIRROR)?;
            let items = transaction.object_store(ITEMS)?;
            let mut all = Vec::new();
            let mut after: Option<String> = None;
            loop {
                let (keys, rows) = chunk(&items, key, after.as_deref(), CHUNK)?;
                // The transaction lives on: its next requests are issued in the event of the last one.
                succeeded(&rows).await?;
                let found = pairs(&keys, &rows)?;
                let is_last = found.len() < CHUNK as usize;
                after = found.last().map(|(id, _)| id.clone());
                all.extend(found);
                if is_last {
                    return Ok(all);
                }
            }
        };
        read.await.map_err(|failure| connection.explain(failure))
    }

    /// Deletes what is stored under keys that begin with `prefix`; of the whole account, the database.
    pub async fn clear(&self, prefix: &str) -> Result<()> {
        if prefix == self.0.prefix {
            return self.0.delete().await;
        }
        let work = async |stores: &Stores| {
            let keys = stores.state()?.get_all_keys()?;
            succeeded(&keys).await?;
            for key in list(&keys)?.iter().filter_map(JsValue::as_string).filter(|key| key.starts_with(prefix)) {
                stores.wipe(&key)?;
            }
            Ok(())
        };
        self.0.run_steps(work).await
    }

    /// Notes that a query is in use. It is written down once a day; failing to does no harm.
    pub fn touch(&self, key: &str) {
        let (connection, key) = (Rc::clone(&self.0), key.to_owned());
        connection.touched.borrow_mut().insert(key.clone());
        spawn_local(async move {
            let now = Date::now();
            let work = async |stores: &Stores| {
                let last = stores.used()?.get(&key.as_str().into())?;
                succeeded(&last).await?;
                if last.result()?.as_f64().is_none_or(|last| last <= now - DAY) {
                    stores.used()?.put_with_key(&now.into(), &key.as_str().into())?;
                }
                Ok(())
            };
            let _ = connection.run_steps(work).await;
        });
    }
}

/// The object stores of a transaction.
struct Stores {
    transaction: IdbTransaction,
}

impl Stores {
    fn state(&self) -> std::result::Result<IdbObjectStore, JsValue> {
        self.transaction.object_store(STATE)
    }

    fn items(&self) -> std::result::Result<IdbObjectStore, JsValue> {
        self.transaction.object_store(ITEMS)
    }

    fn used(&self) -> std::result::Result<IdbObjectStore, JsValue> {
        self.transaction.object_store(USED)
    }

    /// Deletes all that is stored of a query.
    fn wipe(&self, key: &str) -> std::result::Result<(), JsValue> {
        self.state()?.delete(&key.into())?;
        self.items()?.delete(&range(key, None)?)?;
        self.used()?.delete(&key.into())?;
        Ok(())
    }
}

impl Connection {
    /// Another tab wants to upgrade or delete the database, which holding on would block; or the browser has closed it: Safari in
    /// the background, or a user who cleared the site's data.
    fn listen(self: &Rc<Self>) {
        let connection = Rc::downgrade(self);
        let close = Closure::<dyn FnMut()>::new(move || {
            if let Some(connection) = connection.upgrade() {
                connection.close();
            }
        });
        let callback: &Function = close.as_ref().unchecked_ref();
        self.db.set_onversionchange(Some(callback));
        self.db.set_on_close(Some(callback));
        self.listener.replace(Some(close));
    }

    fn close(&self) {
        let was_closed = self.is_closed.replace(true);
        self.db.close();
        if !was_closed {
            // The facade's own function; it does not throw.
            let _ = self.on_closed.call0(&JsValue::UNDEFINED);
        }
    }

    fn begin(&self, mode: &str, stores: &[&str]) -> std::result::Result<IdbTransaction, JsValue> {
        let options = Object::new();
        // The rows and the link fall or stand together either way; after a power cut the round goes on a page earlier.
        set(&options, "durability", &"relaxed".into());
        let stores: Array = stores.iter().map(|name| JsValue::from_str(name)).collect();
        self.db.begin(&stores, mode, &options)
    }

    /// One transaction: `work` issues its requests, and gives what is to be given at its end.
    async fn run<T>(&self, mode: &str, stores: &[&str], work: impl FnOnce(&Stores) -> std::result::Result<T, JsValue>) -> Result<T> {
        if self.is_closed.get() {
            return Err(closed());
        }
        let _running = self.transactions.begin(mode);
        let transaction = self.begin(mode, stores).map_err(|error| self.explain(error))?;
        let ended = ended(&transaction);
        let answer = work(&Stores { transaction: transaction.clone() });
        if answer.is_err() {
            // It may have ended already.
            let _ = transaction.abort();
        }
        let end = ended.await;
        let answer = answer.map_err(|error| self.explain(error))?;
        end.map_err(|error| self.explain(error))?;
        Ok(answer)
    }

    /// One writing transaction on all object stores, whose requests depend on each other: `work` awaits nothing but its requests.
    async fn run_steps(&self, work: impl AsyncFnOnce(&Stores) -> std::result::Result<(), JsValue>) -> Result<()> {
        if self.is_closed.get() {
            return Err(closed());
        }
        let _running = self.transactions.begin(USED);
        let transaction = self.begin("readwrite", ALL).map_err(|error| self.explain(error))?;
        let ended = ended(&transaction);
        let done = work(&Stores { transaction: transaction.clone() }).await;
        if done.is_err() {
            let _ = transaction.abort();
        }
        let end = ended.await;
        done.and(end).map_err(|error| self.explain(error))
    }

    /// A failure of IndexedDB as an error with the way out.
    fn explain(&self, failure: JsValue) -> Box<Error> {
        // Safari takes connections away without an event: the next use says InvalidStateError.
        if get_string(&failure, "name").as_deref() == Some("InvalidStateError") {
            self.close();
        }
        if self.is_closed.get() { closed() } else { explain(&failure) }
    }

    /// Deletes what was not in use for 30 days.
    async fn purge(&self, now: f64) -> Result<()> {
        let before = now - UNUSED;
        let (states, keys, times) = self
            .run("readonly", ALL, |stores| Ok((stores.state()?.get_all_keys()?, stores.used()?.get_all_keys()?, stores.used()?.get_all()?)))
            .await?;
        let read = || -> std::result::Result<Vec<String>, JsValue> {
            let times = list(&keys)?.into_iter().zip(list(&times)?).filter_map(|(key, time)| Some((key.as_string()?, time.as_f64()?)));
            let used: HashMap<String, f64> = times.collect();
            let known = list(&states)?.into_iter().filter_map(|key| key.as_string());
            Ok(known.filter(|key| used.get(key).is_none_or(|time| *time <= before)).take(PURGED).collect())
        };
        for key in read().map_err(|error| explain(&error))? {
            let work = async |stores: &Stores| {
                let (state, last) = (stores.state()?.get(&key.as_str().into())?, stores.used()?.get(&key.as_str().into())?);
                succeeded(&last).await?;
                let state = state.result()?;
                let times = [last.result()?.as_f64(), get_number(&state, "startedAt"), get_number(&state, "syncedAt")];
                // Of what tells no time nothing is known: it stays.
                let is_unused = times.into_iter().flatten().reduce(f64::max).is_some_and(|newest| newest <= before);
                if is_unused && !self.touched.borrow().contains(&key) {
                    stores.wipe(&key)?;
                }
                Ok(())
            };
            self.run_steps(work).await?;
        }
        Ok(())
    }

    /// Deletes the database. Other tabs let go of it when they hear of it.
    async fn delete(&self) -> Result<()> {
        self.close();
        // The browser says that a connection with a running transaction blocks.
        self.transactions.all_settled().await;
        let request = factory()?.delete_database(&self.name).map_err(|error| explain(&error))?;
        let blocked = "something else keeps this account's database open (another tab that does not react, or the developer tools); it is wiped when that lets go";
        match unblocked(&request).await {
            Opening::Done(_) => Ok(()),
            Opening::Failed(error) => Err(explain(&error)),
            Opening::Blocked => Err(Error::retryable(Code::Store, blocked)),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.db.set_onversionchange(None);
        self.db.set_on_close(None);
        self.db.close();
    }
}

/// How an opening or a deletion ended.
enum Opening {
    Done(JsValue),
    Failed(JsValue),
    /// Another connection is in the way. The request goes on once that is gone.
    Blocked,
}

async fn open_database(name: &str) -> Result<Db> {
    let request = factory()?.open_with_u32(name, VERSION).map_err(|error| explain(&error))?;
    let upgrade = {
        let request = request.clone();
        Closure::<dyn FnMut()>::new(move || {
            let Ok(db) = request.result() else { return };
            let db: IdbDatabase = db.unchecked_into();
            // What is there stays, from whatever version.
            let missing = ALL.iter().filter(|name| !db.object_store_names().contains(name));
            let made: std::result::Result<Vec<_>, JsValue> = missing.map(|name| db.create_object_store(name)).collect();
            if made.is_err()
                && let Some(transaction) = request.transaction()
            {
                // The opening then fails with an AbortError, and what was there before stays.
                let _ = transaction.abort();
            }
        })
    };
    request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
    match unblocked(&request).await {
        Opening::Done(db) => Ok(db.unchecked_into()),
        Opening::Failed(error) => Err(explain(&error)),
        // Refused at once, rather than pending for ever.
        Opening::Blocked => {
            close_when_opened(&request, upgrade);
            let words = "another tab holds an older version of this database open; close or reload that tab, then open again";
            Err(Error::retryable(Code::Store, words))
        }
    }
}

/// Should a blocked opening succeed after all, nobody else is there to close the database.
fn close_when_opened(request: &web_sys::IdbOpenDbRequest, upgrade: Closure<dyn FnMut()>) {
    let late = {
        let request = request.clone();
        Closure::once_into_js(move || {
            drop(upgrade);
            if let Ok(db) = request.result() {
                db.unchecked_into::<IdbDatabase>().close();
            }
        })
    };
    request.set_onsuccess(Some(late.unchecked_ref()));
}

async fn unblocked(request: &web_sys::IdbOpenDbRequest) -> Opening {
    let (sender, receiver) = oneshot::channel();
    let sender = Rc::new(Cell::new(Some(sender)));
    let tell = |opening: fn(&web_sys::IdbOpenDbRequest) -> Opening| {
        let (request, sender) = (request.clone(), Rc::clone(&sender));
        Closure::<dyn FnMut()>::new(move || {
            if let Some(sender) = sender.take() {
                let _ = sender.send(opening(&request));
            }
        })
    };
    let done = tell(|request| request.result().map_or_else(Opening::Failed, Opening::Done));
    let failed = tell(|request| Opening::Failed(error_of(request)));
    let blocked = tell(|_| Opening::Blocked);
    request.set_onsuccess(Some(done.as_ref().unchecked_ref()));
    request.set_onerror(Some(failed.as_ref().unchecked_ref()));
    request.set_onblocked(Some(blocked.as_ref().unchecked_ref()));
    let opening = receiver.await.unwrap_or(Opening::Blocked);
    request.set_onsuccess(None);
    request.set_onerror(None);
    request.set_onblocked(None);
    opening
}

/// The end of a transaction.
fn ended(transaction: &IdbTransaction) -> impl Future<Output = std::result::Result<(), JsValue>> + use<> {
    let (sender, receiver) = oneshot::channel();
    let sender = Rc::new(Cell::new(Some(sender)));
    let complete = {
        let sender = Rc::clone(&sender);
        Closure::<dyn FnMut()>::new(move || send(&sender, Ok(())))
    };
    let abort = {
        let transaction = transaction.clone();
        Closure::<dyn FnMut()>::new(move || send(&sender, Err(transaction.error().map_or(JsValue::NULL, Into::into))))
    };
    transaction.set_oncomplete(Some(complete.as_ref().unchecked_ref()));
    transaction.set_onabort(Some(abort.as_ref().unchecked_ref()));
    async move {
        let end = receiver.await.unwrap_or(Err(JsValue::NULL));
        drop((complete, abort));
        end
    }
}

/// Waits for the success of a request.
async fn succeeded(request: &IdbRequest) -> std::result::Result<(), JsValue> {
    let (sender, receiver) = oneshot::channel();
    let sender = Rc::new(Cell::new(Some(sender)));
    let success = {
        let sender = Rc::clone(&sender);
        Closure::<dyn FnMut()>::new(move || send(&sender, Ok(())))
    };
    let failure = {
        let request = request.clone();
        Closure::<dyn FnMut()>::new(move || send(&sender, Err(error_of(&request))))
    };
    request.set_onsuccess(Some(success.as_ref().unchecked_ref()));
    request.set_onerror(Some(failure.as_ref().unchecked_ref()));
    receiver.await.unwrap_or(Err(JsValue::NULL))
}

type End = std::result::Result<(), JsValue>;

fn send(sender: &Cell<Option<oneshot::Sender<End>>>, end: End) {
    if let Some(sender) = sender.take() {
        // Whoever waited may be gone.
        let _ = sender.send(end);
    }
}

fn error_of(request: &IdbRequest) -> JsValue {
    request.error().ok().flatten().map_or(JsValue::NULL, Into::into)
}

/// The members of a request's result.
fn list(request: &IdbRequest) -> std::result::Result<Vec<JsValue>, JsValue> {
    Ok(request.result()?.unchecked_into::<Array>().to_vec())
}

fn place(key: &str, id: &str) -> JsValue {
    Array::of2(&key.into(), &id.into()).into()
}

/// The rows of a query: arrays sort behind every string. No row has the key of the array alone, so leaving the lower end out is
/// right either way.
fn range(key: &str, after: Option<&str>) -> std::result::Result<IdbKeyRange, JsValue> {
    let lower = after.map_or_else(|| Array::of1(&key.into()).into(), |after| place(key, after));
    let upper = Array::of2(&key.into(), &Array::new());
    IdbKeyRange::bound_with_lower_open_and_upper_open(&lower, &upper, true, true)
}

fn chunk(items: &IdbObjectStore, key: &str, after: Option<&str>, limit: u32) -> std::result::Result<(IdbRequest, IdbRequest), JsValue> {
    let range = range(key, after)?;
    Ok((items.get_all_keys_with_key_and_limit(&range, limit)?, items.get_all_with_key_and_limit(&range, limit)?))
}

fn pairs(keys: &IdbRequest, rows: &IdbRequest) -> std::result::Result<Vec<(String, JsValue)>, JsValue> {
    Ok(list(keys)?.into_iter().zip(list(rows)?).filter_map(|(place, row)| Some((place.unchecked_ref::<Array>().get(1).as_string()?, row))).collect())
}

/// What IndexedDB says, as an error with the way out.
fn explain(failure: &JsValue) -> Box<Error> {
    let name = get_string(failure, "name").unwrap_or_default();
    let said = match get_string(failure, "message") {
        Some(message) if !message.is_empty() => format!("{name}: {message}"),
        _ if name.is_empty() => "the browser gave no reason".to_owned(),
        _ => name.clone(),
    };
    match name.as_str() {
        "QuotaExceededError" => Error::retryable(
            Code::Quota,
            "the browser's storage for this site is full; nothing of this page was written, free some space (forget() wipes this account) and start the round again",
        ),
        "VersionError" => Error::new(Code::Store, "the database was made by a newer version of deltalink; reload the page to get that version"),
        "InvalidStateError" | "SecurityError" | "UnknownError" | "NotAllowedError" => Error::new(
            Code::Store,
            format!("this browser refuses IndexedDB here ({said}); in a private window, or with storage switched off, name another store: options.store: \"memory\""),
        ),
        _ => Error::retryable(Code::Store, format!("IndexedDB failed ({said}); what was committed last is intact")),
    }
}
