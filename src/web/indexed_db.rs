//! The store on IndexedDB, with one database per account. The object store `state` has a record for
//! each query, `items` a row for each item under `[query, id]`, so that the mirror of one query is
//! one key range, and `used` the time when each query was last in use.
//!
//! A page and its record are written in one transaction, whose requests are all issued before its
//! end is awaited.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use js_sys::Function;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, IdbDatabase, IdbFactory};

use super::batch::{AllItems, Batch, Rows};
use super::error::closed;
use super::idb::{
    Database, IdbResult, Opening, Transaction, close_when_opened, list, list_of, succeeded, unblocked,
};
use super::in_flight::InFlight;
use super::js::{get, get_number, get_string};
use super::row_ranges::{RangeStart, SideRows, all_items, id_of, ids_of, range, row_key};
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::series::{FIRST_ITEM, is_side_row};
use crate::protocol::time::{Duration, Instant};

/// The version of the database.
pub const VERSION: u32 = 2;
const STATE: &str = "state";
const ITEMS: &str = "items";
const USED: &str = "used";
const MIRROR: &[&str] = &[STATE, ITEMS];
const ALL: &[&str] = &[STATE, ITEMS, USED];

const READ: &str = "readonly";
const WRITE: &str = "readwrite";

/// Queries that were unused for longer are purged.
const MAX_UNUSED: Duration = Duration::from_millis(30.0 * 86_400_000.0);
/// How often one operation reopens a connection that the browser has closed, and how often a failed
/// opening is repeated.
const MAX_REOPENINGS: usize = 3;
/// The maximum number of queries that one opening purges.
const MAX_PURGED: usize = 20;

/// An open database.
pub struct IndexedDb(Rc<Connection>);

struct Connection {
    /// Replaced when the browser has closed the connection.
    database: RefCell<Database>,
    /// Closes the database when it is aborted. engine.js aborts all controllers of a wasm instance
    /// when a defect ends it: an open database would block a deletion.
    closing: RefCell<AbortController>,
    /// How often the database was replaced.
    reopened: Cell<u32>,
    name: String,
    /// The prefix of all keys of the account.
    prefix: String,
    /// Set by `close()`, and when the browser or another tab closes the connection.
    is_closed: Cell<bool>,
    /// Called when the connection is closed for any reason.
    on_closed: Function,
    now: Clock,
    /// The keys of the queries that this web page uses.
    touched: RefCell<HashSet<String>>,
    transactions: InFlight,
    /// The purge that this opening began.
    purging: InFlight,
    /// The event handler of `versionchange` and `close`.
    close_handler: RefCell<Option<Closure<dyn FnMut()>>>,
}

/// A clock. Tests pass their own.
pub type Clock = fn() -> Instant;

impl IndexedDb {
    /// Opens the database of an account; creates or upgrades it if necessary. `prefix` is the
    /// prefix of all its keys. `on_closed` is called when [`Self::close`] or the browser closes the
    /// connection.
    pub async fn open(account: &str, prefix: &str, on_closed: Function, now: Clock) -> Result<Self> {
        let name = format!("deltalink | {account}");
        let database = open_database(&name).await?;
        let connection = Rc::new(Connection {
            closing: RefCell::new(closing(&database)?),
            database: RefCell::new(database),
            reopened: Cell::new(0),
            name,
            prefix: prefix.to_owned(),
            is_closed: Cell::new(false),
            on_closed,
            now,
            touched: RefCell::default(),
            transactions: InFlight::default(),
            purging: InFlight::default(),
            close_handler: RefCell::default(),
        });
        connection.close_on_events();
        let (purging, running) = (Rc::clone(&connection), connection.purging.begin("purge"));
        spawn_local(async move {
            // A purge that fails is repeated at the next opening.
            let _ = purging.purge(now()).await;
            drop(running);
        });
        Ok(Self(connection))
    }

    /// Closes the connection. Transactions that have begun still complete.
    pub fn close(&self) {
        self.0.close();
    }

    /// Returns the state under a key, or undefined.
    pub async fn load(&self, key: &str) -> Result<JsValue> {
        self.0.with_reconnect(async || self.0.load(key).await).await
    }

    /// The rows of these ids, in their order; undefined for each that is missing.
    pub async fn rows(&self, key: &str, ids: &[&str]) -> Result<Vec<JsValue>> {
        self.0.with_reconnect(async || self.0.rows(key, ids).await).await
    }

    /// Writes a batch in one transaction. False, and nothing written, if another revision is
    /// stored.
    pub async fn commit(&self, key: &str, batch: Batch) -> Result<bool> {
        let tries = Cell::new(0);
        self.0
            .with_reconnect(async || {
                let is_first = tries.replace(tries.get() + 1) == 0;
                // The first attempt may have succeeded before the connection broke.
                if !is_first
                    && get_string(&self.0.load(key).await?, "revision").as_deref()
                        == Some(batch.revision.as_str())
                {
                    return Ok(true);
                }
                self.0.commit(key, &batch).await
            })
            .await
    }

    /// At most `limit` rows after an id.
    pub async fn scan(&self, key: &str, after: Option<&str>, limit: u32) -> Result<Rows> {
        self.0.with_reconnect(async || self.0.scan(key, after, limit).await).await
    }

    /// Everything as of one moment.
    pub async fn all(&self, key: &str) -> Result<AllItems> {
        self.0.with_reconnect(async || self.0.all(key).await).await
    }

    /// Deletes all state and rows whose keys begin with `prefix`. For the prefix of the account,
    /// deletes the database.
    pub async fn clear(&self, prefix: &str) -> Result<()> {
        if prefix == self.0.prefix {
            return self.0.delete().await;
        }
        self.0.with_reconnect(async || self.0.clear(prefix).await).await
    }

    /// Records that a query is in use. Writes at most once a day; a failure is ignored.
    pub fn touch(&self, key: &str) {
        let (connection, key) = (Rc::clone(&self.0), key.to_owned());
        connection.touched.borrow_mut().insert(key.clone());
        spawn_local(async move {
            let _ = connection.touch(&key, (connection.now)()).await;
        });
    }

    /// The keys of all queries, with the end of the last complete round of each.
    pub async fn synced_times(&self) -> Result<Vec<(String, f64)>> {
        self.0.with_reconnect(async || self.0.synced_times().await).await
    }

    /// Waits for the purge that the opening has begun.
    pub async fn purged(&self) {
        self.0.purging.all_settled().await;
    }
}

impl Connection {
    /// Closes the connection when another tab wants to upgrade or delete the database, which an
    /// open connection would block, and when the browser reports that it has closed the connection,
    /// for example because the user has cleared the site's data.
    fn close_on_events(self: &Rc<Self>) {
        let connection = Rc::downgrade(self);
        let close = Closure::<dyn FnMut()>::new(move || {
            if let Some(connection) = connection.upgrade() {
                connection.close();
            }
        });
        self.close_handler.replace(Some(close));
        self.attach();
    }

    fn attach(&self) {
        if let Some(close) = &*self.close_handler.borrow() {
            let callback: &Function = close.as_ref().unchecked_ref();
            let database = self.database.borrow();
            database.set_onversionchange(Some(callback));
            database.set_on_close(Some(callback));
        }
    }

    fn detach(&self) {
        let database = self.database.borrow();
        database.set_onversionchange(None);
        database.set_on_close(None);
        self.closing.borrow().abort();
    }

    /// Runs `work`, and repeats it on a new connection if the browser has closed this one. Safari
    /// closes connections in the background, without an event: every transaction then fails.
    async fn with_reconnect<T>(&self, work: impl AsyncFn() -> IdbResult<T>) -> Result<T> {
        for _ in 0..MAX_REOPENINGS {
            let before = self.reopened.get();
            match work().await {
                Err(failure) if !self.is_closed.get() && is_disconnected(&failure) => {
                    self.reopen(before).await?
                }
                result => return self.explained(result),
            }
        }
        self.explained(work().await)
    }

    /// Opens the database again, unless another operation has done so meanwhile.
    async fn reopen(&self, before: u32) -> Result<()> {
        if self.reopened.get() == before {
            let database = open_database(&self.name).await?;
            if self.is_closed.get() {
                database.close();
                return Err(closed());
            }
            self.detach();
            self.closing.replace(closing(&database)?);
            self.database.replace(database);
            self.reopened.set(before + 1);
            self.attach();
        }
        Ok(())
    }

    fn close(&self) {
        let was_closed = self.is_closed.replace(true);
        self.closing.borrow().abort();
        if !was_closed {
            // The facade's own function; it does not throw.
            let _ = self.on_closed.call0(&JsValue::UNDEFINED);
        }
    }

    fn begin(&self, stores: &[&str], mode: &str) -> IdbResult<Transaction> {
        if self.is_closed.get() {
            // `explained()` turns this into the error `closed`.
            return Err(JsValue::NULL);
        }
        Transaction::begin(&self.database.borrow(), stores, mode, self.transactions.begin(mode))
    }

    /// Waits for its request only. The transaction ends later.
    async fn load(&self, key: &str) -> IdbResult<JsValue> {
        let transaction = self.begin(MIRROR, READ)?;
        let state = transaction.result(&transaction.store(STATE)?.get(&key.into())?).await?;
        transaction.end_later();
        Ok(state)
    }

    async fn rows(&self, key: &str, ids: &[&str]) -> IdbResult<Vec<JsValue>> {
        let key = JsValue::from_str(key);
        let transaction = self.begin(MIRROR, READ)?;
        let items = transaction.store(ITEMS)?;
        let requests: Vec<_> =
            ids.iter().map(|id| items.get(&row_key(&key, id))).collect::<IdbResult<_>>()?;
        // Requests succeed in the order in which they were issued.
        if let Some(last) = requests.last() {
            transaction.result(last).await?;
        }
        transaction.end_later();
        requests.iter().map(|request| request.result()).collect()
    }

    /// Issues all writes without waiting for the stored revision, and aborts the transaction if
    /// that revision is not the expected one.
    async fn commit(&self, key: &str, batch: &Batch) -> IdbResult<bool> {
        let key = JsValue::from_str(key);
        let transaction = self.begin(MIRROR, WRITE)?;
        let (states, items) = (transaction.store(STATE)?, transaction.store(ITEMS)?);
        let stored = states.get(&key)?;
        let is_conflict = Rc::new(Cell::new(false));
        let compare = {
            let (stored, raw, is_conflict, expect) =
                (stored.clone(), transaction.raw.clone(), Rc::clone(&is_conflict), batch.expect.clone());
            Closure::<dyn FnMut()>::new(move || {
                let revision = stored.result().ok().and_then(|state| get_string(&state, "revision"));
                if revision != expect {
                    is_conflict.set(true);
                    let _ = raw.abort();
                }
            })
        };
        stored.set_onsuccess(Some(compare.as_ref().unchecked_ref()));
        for (id, row) in &batch.put {
            items.put_with_key(row, &row_key(&key, id))?;
        }
        for id in &batch.remove {
            items.delete(&row_key(&key, id))?;
        }
        states.put_with_key(&batch.state, &key)?;
        let end = transaction.end().await;
        drop(compare);
        if is_conflict.get() { Ok(false) } else { end.map(|()| true) }
    }

    /// Takes the ids from the items: reading the keys takes as long as reading the rows.
    async fn scan(&self, key: &str, after: Option<&str>, limit: u32) -> IdbResult<Rows> {
        let key = JsValue::from_str(key);
        let transaction = self.begin(MIRROR, READ)?;
        let store = transaction.store(ITEMS)?;
        let side = match after {
            Some(after) if !is_side_row(after) => None,
            _ => Some(SideRows::request(&store, &key, after, limit)?),
        };
        let from = after.filter(|_| side.is_none()).map_or(RangeStart::Id(FIRST_ITEM), RangeStart::After);
        let range = range(&key, from)?.into();
        let request = store.get_all_with_key_and_limit(&range, limit)?;
        let rows = list_of(succeeded(&request).await?);
        let ids: Option<Vec<String>> = rows.iter().map(id_of).collect();
        let ids = match ids {
            Some(ids) => ids,
            None => ids_of(&store, &range, limit).await?,
        };
        let mut found = side.map_or(Ok(Vec::new()), |side| side.with_ids())?;
        found.extend(ids.into_iter().zip(rows));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn all(&self, key: &str) -> IdbResult<AllItems> {
        let key = JsValue::from_str(key);
        let transaction = self.begin(MIRROR, READ)?;
        let store = transaction.store(ITEMS)?;
        let side = SideRows::request(&store, &key, None, u32::MAX)?;
        let items = all_items(&store, &key).await?;
        Ok(AllItems { items, side: side.with_ids()? })
    }

    async fn synced_times(&self) -> IdbResult<Vec<(String, f64)>> {
        let transaction = self.begin(MIRROR, READ)?;
        let states = transaction.store(STATE)?;
        let (keys, states) = (states.get_all_keys()?, states.get_all()?);
        transaction.end().await?;
        let times = list(&keys)?.into_iter().zip(list(&states)?);
        Ok(times
            .filter_map(|(key, state)| Some((key.as_string()?, get_number(&state, "syncedAt")?)))
            .collect())
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

    async fn touch(&self, key: &str, now: Instant) -> IdbResult<()> {
        let transaction = self.begin(&[USED], WRITE)?;
        let used = transaction.store(USED)?;
        let last = succeeded(&used.get(&key.into())?).await?.as_f64().map(Instant::from_millis);
        if last.is_none_or(|last| last <= now - Duration::DAY) {
            used.put_with_key(&now.as_millis().into(), &key.into())?;
        }
        transaction.end().await
    }

    /// Deletes the queries that were not in use for 30 days.
    async fn purge(&self, now: Instant) -> IdbResult<()> {
        let before = now - MAX_UNUSED;
        let transaction = self.begin(ALL, READ)?;
        let (state, used) = (transaction.store(STATE)?, transaction.store(USED)?);
        let (states, keys, times) = (state.get_all_keys()?, used.get_all_keys()?, used.get_all()?);
        transaction.end().await?;
        let times = list(&keys)?
            .into_iter()
            .zip(list(&times)?)
            .filter_map(|(key, time)| Some((key.as_string()?, Instant::from_millis(time.as_f64()?))));
        let in_use: HashSet<String> = times.filter(|(_, time)| *time > before).map(|(key, _)| key).collect();
        let known = list(&states)?.into_iter().filter_map(|key| key.as_string());
        for key in known.filter(|key| !in_use.contains(key)).take(MAX_PURGED) {
            self.purge_one(&key, before).await?;
        }
        Ok(())
    }

    async fn purge_one(&self, key: &str, before: Instant) -> IdbResult<()> {
        let transaction = self.begin(ALL, WRITE)?;
        let state = transaction.store(STATE)?.get(&key.into())?;
        let used = succeeded(&transaction.store(USED)?.get(&key.into())?).await?.as_f64();
        let state = state.result()?;
        let times = [used, get_number(&state, "startedAt"), get_number(&state, "syncedAt")];
        // A query without any of these times may be in use, so it stays.
        let is_unused = times
            .into_iter()
            .flatten()
            .reduce(f64::max)
            .is_some_and(|newest| Instant::from_millis(newest) <= before);
        if is_unused && !self.touched.borrow().contains(key) {
            wipe(&transaction, key)?;
        }
        transaction.end().await
    }

    /// Deletes the database. The event of the deletion makes other tabs close their connections.
    async fn delete(&self) -> Result<()> {
        self.close();
        // A connection with a running transaction would block the deletion.
        self.transactions.all_settled().await;
        let request = factory()?.delete_database(&self.name).map_err(|error| explain(&error))?;
        let blocked = "something else keeps this account's database open (another tab that does not react, or the developer tools); it is deleted as soon as that connection is closed";
        match unblocked(&request).await {
            Opening::Done(_) => Ok(()),
            Opening::Failed(error) => Err(explain(&error)),
            Opening::Blocked => Err(Error::retryable(Code::Store, blocked)),
        }
    }

    fn explained<T>(&self, result: IdbResult<T>) -> Result<T> {
        result.map_err(|failure| if self.is_closed.get() { closed() } else { explain(&failure) })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.detach();
    }
}

/// Whether the browser has closed the connection, or cannot open it at the moment.
fn is_disconnected(failure: &JsValue) -> bool {
    matches!(name_of(failure).as_str(), "InvalidStateError" | "UnknownError")
}

fn name_of(failure: &JsValue) -> String {
    get_string(failure, "name").unwrap_or_default()
}

/// The name and the message of a failure.
fn describe(failure: &JsValue) -> String {
    let name = name_of(failure);
    match get_string(failure, "message") {
        Some(message) if !message.is_empty() => format!("{name}: {message}"),
        _ if name.is_empty() => "the browser gave no reason".to_owned(),
        _ => name,
    }
}

fn refused(reason: &str) -> Box<Error> {
    let message = format!(
        "this browser refuses IndexedDB here ({reason}); in a private window, or with storage switched off, name another store: options.store: \"memory\""
    );
    Error::new(Code::Store, message)
}

/// Deletes everything that is stored of a query.
fn wipe(transaction: &Transaction, key: &str) -> IdbResult<()> {
    let key = JsValue::from_str(key);
    transaction.store(STATE)?.delete(&key)?;
    transaction.store(ITEMS)?.delete(&range(&key, RangeStart::Start)?.into())?;
    transaction.store(USED)?.delete(&key)?;
    Ok(())
}

/// The host's IndexedDB. An error if there is none.
pub fn factory() -> Result<IdbFactory> {
    // Reading the property may throw if storage is switched off.
    let factory = get(&js_sys::global(), "indexedDB");
    if factory.is_object() {
        return Ok(factory.unchecked_into());
    }
    let message = "this host has no IndexedDB, or refuses it here (storage switched off, a private window); name another store: options.store: \"memory\", or a DeltaStore";
    Err(Error::new(Code::Store, message))
}

/// Returns a controller whose abort closes the database, without a call into the wasm.
fn closing(database: &Database) -> Result<AbortController> {
    let controller =
        AbortController::new().map_err(|_| Error::new(Code::Internal, "this host has no AbortController"))?;
    let close: Function = get(database, "close").unchecked_into();
    // Adding a listener of a known event does not throw.
    let _ = controller.signal().add_event_listener_with_callback("abort", &close.bind0(database));
    Ok(controller)
}

/// Opens a database. Retries an `UnknownError`, Chromium's internal error of its backing store,
/// which may be temporary.
async fn open_database(name: &str) -> Result<Database> {
    for _ in 0..MAX_REOPENINGS {
        match try_open(name).await {
            Err(OpenFailure::Thrown(failure)) if name_of(&failure) == "UnknownError" => {}
            result => return result.map_err(OpenFailure::explained),
        }
    }
    try_open(name).await.map_err(OpenFailure::explained)
}

/// The reason why a database did not open.
enum OpenFailure {
    Thrown(JsValue),
    Explained(Box<Error>),
}

impl OpenFailure {
    fn explained(self) -> Box<Error> {
        match self {
            // The exception of a browser that has no storage for this web page.
            Self::Thrown(failure) if name_of(&failure) == "InvalidStateError" => refused(&describe(&failure)),
            Self::Thrown(failure) => explain(&failure),
            Self::Explained(error) => error,
        }
    }
}

async fn try_open(name: &str) -> Result<Database, OpenFailure> {
    let factory = factory().map_err(OpenFailure::Explained)?;
    let request = factory.open_with_u32(name, VERSION).map_err(OpenFailure::Thrown)?;
    let upgrade = {
        let request = request.clone();
        Closure::<dyn FnMut()>::new(move || {
            let Ok(database) = request.result() else { return };
            let database: IdbDatabase = database.unchecked_into();
            // Existing object stores are kept, from any version.
            let missing = ALL.iter().filter(|name| !database.object_store_names().contains(name));
            let is_failed = missing.map(|name| database.create_object_store(name)).any(|made| made.is_err());
            if is_failed && let Some(transaction) = request.transaction() {
                // The opening then fails with an AbortError, and the database stays as it was.
                let _ = transaction.abort();
            }
        })
    };
    request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
    match unblocked(&request).await {
        Opening::Done(database) => Ok(database.unchecked_into()),
        Opening::Failed(error) => Err(OpenFailure::Thrown(error)),
        // Fails at once rather than waiting for the other tab.
        Opening::Blocked => {
            close_when_opened(&request, upgrade);
            let message = "another tab holds an older version of this database open; close or reload that tab, then open again";
            Err(OpenFailure::Explained(Error::retryable(Code::Store, message)))
        }
    }
}

/// Converts an exception of IndexedDB to an error with advice.
fn explain(failure: &JsValue) -> Box<Error> {
    let reason = describe(failure);
    match name_of(failure).as_str() {
        "QuotaExceededError" => Error::retryable(
            Code::Quota,
            "the browser's storage for this site is full; nothing of this page was written; free some space (forget() wipes this account) and start the round again",
        ),
        "VersionError" => Error::new(
            Code::Store,
            "the database was made by a newer version of deltalink; reload the web page to get that version",
        ),
        "SecurityError" | "NotAllowedError" => refused(&reason),
        "InvalidStateError" | "UnknownError" => Error::retryable(
            Code::Store,
            format!(
                "the browser has closed the connection to IndexedDB ({reason}), and opening it again did not help; everything committed is intact; try again later"
            ),
        ),
        _ => Error::retryable(
            Code::Store,
            format!("IndexedDB failed ({reason}); everything committed is intact"),
        ),
    }
}
