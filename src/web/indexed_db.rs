//! One database an account: `state` holds a record for each query, `items` a row for each item under `[query, id]`, so that the
//! mirror of one query is one key range; `used` tells when a query was last in use.
//!
//! A page and its record are one transaction. All its requests are issued before its end is awaited.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use js_sys::{Date, Function};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{IdbDatabase, IdbFactory};

use super::batch::{Batch, CHUNK};
use super::error::closed;
use super::idb::{Database, IdbResult, Opening, Transaction, chunk, close_when_opened, list, pairs, place, range, succeeded, unblocked};
use super::in_flight::InFlight;
use super::js::{get, get_number, get_string};
use crate::protocol::error::{Code, Error, Result};

/// The version of the database.
pub const VERSION: u32 = 2;
const STATE: &str = "state";
const ITEMS: &str = "items";
const USED: &str = "used";
const MIRROR: &[&str] = &[STATE, ITEMS];
const ALL: &[&str] = &[STATE, ITEMS, USED];

const READ: &str = "readonly";
const WRITE: &str = "readwrite";

const DAY: f64 = 86_400_000.0;
/// Queries that nobody used for so long are purged.
const UNUSED: f64 = 30.0 * DAY;
/// Queries purged at one opening.
const PURGED: usize = 20;

/// An open database.
pub struct IndexedDb(Rc<Connection>);

struct Connection {
    database: Database,
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

impl IndexedDb {
    /// Opens the database of an account, making or upgrading it. `prefix` begins all its keys. `on_closed` is called when the
    /// connection is closed, by [`Self::close`] or by the browser.
    pub async fn open(account: &str, prefix: &str, on_closed: Function, now: Clock) -> Result<Self> {
        let name = format!("deltalink | {account}");
        let database = open_database(&name).await?;
        let connection = Rc::new(Connection {
            database,
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
        self.0.explained(self.0.load(key).await)
    }

    /// The rows of these ids, in their order; undefined for each that is missing.
    pub async fn rows(&self, key: &str, ids: &[&str]) -> Result<Vec<JsValue>> {
        self.0.explained(self.0.rows(key, ids).await)
    }

    /// Writes a batch in one transaction. False, and nothing written, if another revision is stored.
    pub async fn commit(&self, key: &str, batch: Batch) -> Result<bool> {
        self.0.explained(self.0.commit(key, batch).await)
    }

    /// At most `limit` rows after an id.
    pub async fn scan(&self, key: &str, after: Option<&str>, limit: u32) -> Result<Vec<(String, JsValue)>> {
        self.0.explained(self.0.scan(key, after, limit).await)
    }

    /// Every row as of one moment.
    pub async fn all(&self, key: &str) -> Result<Vec<(String, JsValue)>> {
        self.0.explained(self.0.all(key).await)
    }

    /// Deletes what is stored under keys that begin with `prefix`; of the whole account, the database.
    pub async fn clear(&self, prefix: &str) -> Result<()> {
        if prefix == self.0.prefix {
            return self.0.delete().await;
        }
        self.0.explained(self.0.clear(prefix).await)
    }

    /// Notes that a query is in use. It is written down once a day; failing to does no harm.
    pub fn touch(&self, key: &str) {
        let (connection, key) = (Rc::clone(&self.0), key.to_owned());
        connection.touched.borrow_mut().insert(key.clone());
        spawn_local(async move {
            let _ = connection.touch(&key, Date::now()).await;
        });
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
        self.database.set_onversionchange(Some(callback));
        self.database.set_on_close(Some(callback));
        self.listener.replace(Some(close));
    }

    fn close(&self) {
        let was_closed = self.is_closed.replace(true);
        self.database.close();
        if !was_closed {
            // The facade's own function; it does not throw.
            let _ = self.on_closed.call0(&JsValue::UNDEFINED);
        }
    }

    fn begin(&self, stores: &[&str], mode: &str) -> IdbResult<Transaction> {
        if self.is_closed.get() {
            // Explained as what it is.
            return Err(JsValue::NULL);
        }
        Transaction::begin(&self.database, stores, mode, self.transactions.begin(mode))
    }

    async fn load(&self, key: &str) -> IdbResult<JsValue> {
        let transaction = self.begin(MIRROR, READ)?;
        let request = transaction.store(STATE)?.get(&key.into())?;
        transaction.end().await?;
        request.result()
    }

    async fn rows(&self, key: &str, ids: &[&str]) -> IdbResult<Vec<JsValue>> {
        let transaction = self.begin(MIRROR, READ)?;
        let items = transaction.store(ITEMS)?;
        let requests: Vec<_> = ids.iter().map(|id| items.get(&place(key, id))).collect::<IdbResult<_>>()?;
        transaction.end().await?;
        requests.iter().map(|request| request.result()).collect()
    }

    /// Everything is written at once, and taken back if the revision, which is read before, turns out to be another one.
    async fn commit(&self, key: &str, batch: Batch) -> IdbResult<bool> {
        let transaction = self.begin(MIRROR, WRITE)?;
        let (states, items) = (transaction.store(STATE)?, transaction.store(ITEMS)?);
        let stored = states.get(&key.into())?;
        let is_other = Rc::new(Cell::new(false));
        let compare = {
            let (stored, raw, is_other) = (stored.clone(), transaction.raw.clone(), Rc::clone(&is_other));
            Closure::<dyn FnMut()>::new(move || {
                let revision = stored.result().ok().and_then(|state| get_string(&state, "revision"));
                if revision != batch.expect {
                    is_other.set(true);
                    let _ = raw.abort();
                }
            })
        };
        stored.set_onsuccess(Some(compare.as_ref().unchecked_ref()));
        for (id, row) in &batch.put {
            items.put_with_key(row, &place(key, id))?;
        }
        for id in &batch.remove {
            items.delete(&place(key, id))?;
        }
        states.put_with_key(&batch.state, &key.into())?;
        let end = transaction.end().await;
        drop(compare);
        if is_other.get() { Ok(false) } else { end.map(|()| true) }
    }

    async fn scan(&self, key: &str, after: Option<&str>, limit: u32) -> IdbResult<Vec<(String, JsValue)>> {
        let transaction = self.begin(MIRROR, READ)?;
        let (keys, rows) = chunk(&transaction.store(ITEMS)?, key, after, limit)?;
        transaction.end().await?;
        pairs(&keys, &rows)
    }

    /// In one transaction, chunk by chunk: one answer of all would fail in Firefox beyond some 100 MB.
    async fn all(&self, key: &str) -> IdbResult<Vec<(String, JsValue)>> {
        let transaction = self.begin(MIRROR, READ)?;
        let items = transaction.store(ITEMS)?;
        let mut all: Vec<(String, JsValue)> = Vec::new();
        loop {
            let (keys, rows) = chunk(&items, key, all.last().map(|(id, _)| id.as_str()), CHUNK)?;
            succeeded(&rows).await?;
            let found = pairs(&keys, &rows)?;
            let is_last = found.len() < CHUNK as usize;
            all.extend(found);
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn clear(&self, prefix: &str) -> IdbResult<()> {
        let transaction = self.begin(ALL, WRITE)?;
        let keys = transaction.store(STATE)?.get_all_keys()?;
        succeeded(&keys).await?;
        for key in list(&keys)?.iter().filter_map(JsValue::as_string).filter(|key| key.starts_with(prefix)) {
            wipe(&transaction, &key)?;
        }
        transaction.end().await
    }

    async fn touch(&self, key: &str, now: f64) -> IdbResult<()> {
        let transaction = self.begin(&[USED], WRITE)?;
        let used = transaction.store(USED)?;
        let last = succeeded(&used.get(&key.into())?).await?.as_f64();
        if last.is_none_or(|last| last <= now - DAY) {
            used.put_with_key(&now.into(), &key.into())?;
        }
        transaction.end().await
    }

    /// Deletes what was not in use for 30 days.
    async fn purge(&self, now: f64) -> IdbResult<()> {
        let before = now - UNUSED;
        let transaction = self.begin(ALL, READ)?;
        let (state, used) = (transaction.store(STATE)?, transaction.store(USED)?);
        let (states, keys, times) = (state.get_all_keys()?, used.get_all_keys()?, used.get_all()?);
        transaction.end().await?;
        let times = list(&keys)?.into_iter().zip(list(&times)?).filter_map(|(key, time)| Some((key.as_string()?, time.as_f64()?)));
        let in_use: HashSet<String> = times.filter(|(_, time)| *time > before).map(|(key, _)| key).collect();
        let known = list(&states)?.into_iter().filter_map(|key| key.as_string());
        for key in known.filter(|key| !in_use.contains(key)).take(PURGED) {
            self.purge_one(&key, before).await?;
        }
        Ok(())
    }

    async fn purge_one(&self, key: &str, before: f64) -> IdbResult<()> {
        let transaction = self.begin(ALL, WRITE)?;
        let state = transaction.store(STATE)?.get(&key.into())?;
        let used = succeeded(&transaction.store(USED)?.get(&key.into())?).await?.as_f64();
        let state = state.result()?;
        let times = [used, get_number(&state, "startedAt"), get_number(&state, "syncedAt")];
        // Of what tells no time nothing is known: it stays.
        let is_unused = times.into_iter().flatten().reduce(f64::max).is_some_and(|newest| newest <= before);
        if is_unused && !self.touched.borrow().contains(key) {
            wipe(&transaction, key)?;
        }
        transaction.end().await
    }

    /// Deletes the database. Other tabs close their connections when they hear of it.
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

    fn explained<T>(&self, result: IdbResult<T>) -> Result<T> {
        result.map_err(|failure| {
            // Safari takes connections away without an event: the next use says InvalidStateError.
            if get_string(&failure, "name").as_deref() == Some("InvalidStateError") {
                self.close();
            }
            if self.is_closed.get() { closed() } else { explain(&failure) }
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.database.set_onversionchange(None);
        self.database.set_on_close(None);
        self.database.close();
    }
}

/// Deletes all that is stored of a query.
fn wipe(transaction: &Transaction, key: &str) -> IdbResult<()> {
    transaction.store(STATE)?.delete(&key.into())?;
    transaction.store(ITEMS)?.delete(&range(key, None)?.into())?;
    transaction.store(USED)?.delete(&key.into())?;
    Ok(())
}

fn factory() -> Result<IdbFactory> {
    // Reading it may throw where storage is switched off.
    let factory = get(&js_sys::global(), "indexedDB");
    if factory.is_object() {
        return Ok(factory.unchecked_into());
    }
    let words = "this host has no IndexedDB, or refuses it here (storage switched off, a private window); name another store: options.store: \"memory\", or a DeltaStore";
    Err(Error::new(Code::Store, words))
}

async fn open_database(name: &str) -> Result<Database> {
    let request = factory()?.open_with_u32(name, VERSION).map_err(|error| explain(&error))?;
    let upgrade = {
        let request = request.clone();
        Closure::<dyn FnMut()>::new(move || {
            let Ok(database) = request.result() else { return };
            let database: IdbDatabase = database.unchecked_into();
            // What is there stays, from whatever version.
            let missing = ALL.iter().filter(|name| !database.object_store_names().contains(name));
            let is_failed = missing.map(|name| database.create_object_store(name)).any(|made| made.is_err());
            if is_failed && let Some(transaction) = request.transaction() {
                // The opening then fails with an AbortError, and what was there before stays.
                let _ = transaction.abort();
            }
        })
    };
    request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
    match unblocked(&request).await {
        Opening::Done(database) => Ok(database.unchecked_into()),
        Opening::Failed(error) => Err(explain(&error)),
        // Refused at once, rather than pending for ever.
        Opening::Blocked => {
            close_when_opened(&request, upgrade);
            let words = "another tab holds an older version of this database open; close or reload that tab, then open again";
            Err(Error::retryable(Code::Store, words))
        }
    }
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
        "VersionError" => {
            Error::new(Code::Store, "the database was made by a newer version of deltalink; reload the page to get that version")
        }
        "InvalidStateError" | "SecurityError" | "UnknownError" | "NotAllowedError" => Error::new(
            Code::Store,
            format!(
                "this browser refuses IndexedDB here ({said}); in a private window, or with storage switched off, name another store: options.store: \"memory\""
            ),
        ),
        _ => Error::retryable(Code::Store, format!("IndexedDB failed ({said}); what was committed last is intact")),
    }
}
