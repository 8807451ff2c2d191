//! One database an account: the store `state` holds a record a query, `items` a row an item under `[query, id]`, so that the
//! mirror of one query is one key range.
//!
//! A page and its record are one transaction. All its requests are issued before its end is awaited; nothing else is awaited
//! in between.
//!
//! What reads gives a promise of its request, or of the list of its requests; [`result`] and [`results`] then take the
//! answers out. What is thrown or rejected goes through [`Database::failure`], once, in [`super::store`].

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{IdbDatabase, IdbFactory, IdbKeyRange, IdbObjectStore, IdbOpenDbRequest, IdbTransaction};

use super::json::Json;
use super::object::{closed, get, set, set_text, text};
use super::store::{CHUNK, row_to_js};
use crate::protocol::change::Applied;
use crate::protocol::error::{Code, Failure, Read};

/// The version of the database. [`upgrade`] knows one step, from nothing to version 1.
pub const VERSION: u32 = 1;
const STATE: &str = "state";
const ITEMS: &str = "items";

#[wasm_bindgen]
extern "C" {
    /// The database with the options of a transaction, which web-sys keeps behind an unstable flag.
    #[wasm_bindgen(extends = IdbDatabase)]
    type Db;
    #[wasm_bindgen(method, catch, js_name = transaction)]
    fn begin(this: &Db, stores: &Array, mode: &str, options: &Object) -> Result<IdbTransaction, JsValue>;
}

/// An open database.
pub struct Database {
    db: Db,
    name: String,
    /// Set by `close()`, and when the browser or another tab takes the connection away.
    closed: Rc<Cell<bool>>,
    _listener: Closure<dyn FnMut()>,
}

fn factory() -> Read<IdbFactory> {
    // Reading it may throw where storage is switched off.
    let factory = get(&js_sys::global(), "indexedDB");
    if factory.is_object() {
        return Ok(factory.unchecked_into());
    }
    let none = "this host has no IndexedDB, or refuses it here (storage switched off, a private window); name another store: options.store: \"memory\", or a DeltaStore";
    Err(Failure::new(Code::Store, none))
}

/// The name of the database of an account.
pub fn database_name(account: &str) -> String {
    format!("deltalink | {account}")
}

/// Makes what is missing, from whatever version: what is there stays.
fn upgrade(db: &IdbDatabase) -> Result<(), JsValue> {
    let there = db.object_store_names();
    for store in [STATE, ITEMS] {
        if !there.contains(store) {
            db.create_object_store(store)?;
        }
    }
    Ok(())
}

/// A function for the host to call, any number of times. All are of one kind: each kind would bring its own glue.
pub fn listener(work: Box<dyn FnMut()>) -> Closure<dyn FnMut()> {
    Closure::wrap(work)
}

impl Database {
    /// Opens the database of an account, making or upgrading it.
    pub async fn open(account: &str) -> Read<Self> {
        let name = database_name(account);
        let request = factory()?.open_with_u32(&name, VERSION).map_err(|error| failure(&error))?;
        let upgrading = {
            let request = request.clone();
            listener(Box::new(move || {
                let db: IdbDatabase = result(&request).unchecked_into();
                if upgrade(&db).is_err() {
                    // The open then fails with an AbortError, and what was there before stays.
                    let _ = get(&request, "transaction").unchecked_into::<IdbTransaction>().abort();
                }
            }))
        };
        set(&request, "onupgradeneeded", upgrading.as_ref());
        let opened = blockable(&request).await;
        set(&request, "onupgradeneeded", &JsValue::NULL);
        let db: Db = opened?.unchecked_into();
        let closed = Rc::new(Cell::new(false));
        let listener = {
            let (db, closed) = (db.clone(), Rc::clone(&closed));
            listener(Box::new(move || {
                closed.set(true);
                db.close();
            }))
        };
        // Another tab wants to upgrade or delete the database: holding on would block it.
        set(&db, "onversionchange", listener.as_ref());
        // The browser closed it: Safari in the background, or the user cleared the site's data.
        set(&db, "onclose", listener.as_ref());
        Ok(Self { db, name, closed, _listener: listener })
    }

    /// Closes the connection.
    pub fn close(&self) {
        self.closed.set(true);
        self.db.close();
    }

    /// Deletes the database. Other tabs let go of it by themselves.
    pub fn delete(&self) -> Read<Result<Promise, JsValue>> {
        self.close();
        Ok(factory()?.delete_database(&self.name).map(|request| ends(&request, "onsuccess", &["onerror", "onblocked"], &request)))
    }

    fn begin(&self, mode: &str) -> Result<(IdbTransaction, IdbObjectStore, IdbObjectStore), JsValue> {
        if self.closed.get() {
            return Err(JsValue::UNDEFINED);
        }
        let options = Object::new();
        // The rows and the link fall or stand together either way; after a power cut the round goes on a page earlier.
        set_text(&options, "durability", "relaxed");
        let transaction = self.db.begin(&Array::of2(&STATE.into(), &ITEMS.into()), mode, &options)?;
        let state = transaction.object_store(STATE)?;
        let items = transaction.object_store(ITEMS)?;
        Ok((transaction, state, items))
    }

    /// What was thrown or rejected, in our codes.
    pub fn failure(&self, thrown: &JsValue) -> Box<Failure> {
        if text(thrown, "readyState").as_deref() == Some("pending") {
            let words = "something else keeps this account's database open (another tab that does not react, or the developer tools); it is wiped when that lets go";
            return Failure::retryable(Code::Store, words);
        }
        // What ends() rejects with carries its error.
        let error = get(thrown, "error");
        let error = if error.is_undefined() { thrown } else { &error };
        // Safari takes connections away without an event: the next use says InvalidStateError.
        if self.closed.get() || text(error, "name").as_deref() == Some("InvalidStateError") {
            self.closed.set(true);
            return closed();
        }
        failure(error)
    }

    /// The state of a query as it is stored.
    pub fn load(&self, key: &JsValue) -> Result<Promise, JsValue> {
        let (transaction, state, _) = self.begin("readonly")?;
        let request = state.get(key)?;
        Ok(completed(&transaction, &request))
    }

    /// The rows of these ids, in this order, undefined for each that there is none of.
    pub fn rows(&self, key: &JsValue, ids: &[&str]) -> Result<Promise, JsValue> {
        let (transaction, _, items) = self.begin("readonly")?;
        let requests = Array::new();
        for id in ids {
            let request = items.get(&place(key, id))?;
            requests.push(&request);
        }
        Ok(completed(&transaction, &requests))
    }

    /// One transaction: everything, or nothing. False if another revision is stored.
    ///
    /// Everything is written at once, and taken back if the revision, which is read before, turns out to be another one.
    pub fn commit(&self, key: &JsValue, expect: Option<&str>, state: &JsValue, applied: &Applied<Json>) -> Result<Promise, JsValue> {
        let (transaction, states, items) = self.begin("readwrite")?;
        let stored = states.get(key)?;
        if let Err(error) = write(&states, &items, key, state, applied) {
            let _ = transaction.abort();
            return Err(error);
        }
        let expect = expect.map(str::to_owned);
        Ok(Promise::new(&mut |resolve, reject| {
            set(&transaction, "oncomplete", &bound(&resolve, &JsValue::TRUE));
            set(&transaction, "onabort", &bound(&reject, &transaction));
            let (request, transaction, expect) = (stored.clone(), transaction.clone(), expect.clone());
            let compare = listener(Box::new(move || {
                if text(&result(&request), "revision") != expect {
                    set(&transaction, "onabort", &bound(&resolve, &JsValue::FALSE));
                    let _ = transaction.abort();
                }
            }));
            set(&stored, "onsuccess", &compare.into_js_value());
        }))
    }

    /// At most `limit` rows after an id: a list of their keys and a list of the rows.
    pub fn scan(&self, key: &JsValue, after: Option<&str>, limit: u32) -> Result<Promise, JsValue> {
        let (transaction, _, items) = self.begin("readonly")?;
        let requests = chunk(&items, key, after, limit)?;
        Ok(completed(&transaction, &requests))
    }

    /// The rows, to be read in one transaction by [`chunk_in`].
    pub fn items(&self) -> Result<IdbObjectStore, JsValue> {
        self.begin("readonly").map(|(_, _, items)| items)
    }

    /// How many rows a query has.
    pub fn count(&self, key: &JsValue) -> Result<Promise, JsValue> {
        let (transaction, _, items) = self.begin("readonly")?;
        let range = range(key, None)?;
        let request = items.count_with_key(&range)?;
        Ok(completed(&transaction, &request))
    }
}

/// A chunk, asked for within a transaction that goes on.
pub fn chunk_in(items: &IdbObjectStore, key: &JsValue, after: Option<&str>) -> Result<Promise, JsValue> {
    let requests = chunk(items, key, after, CHUNK)?;
    Ok(settled(&requests.get(1), &requests))
}

/// The puts and deletes of a page, and its record.
fn write(states: &IdbObjectStore, items: &IdbObjectStore, key: &JsValue, state: &JsValue, applied: &Applied<Json>) -> Result<(), JsValue> {
    for (id, row) in &applied.put {
        items.put_with_key(&row_to_js(row), &place(key, id))?;
    }
    for id in &applied.remove {
        items.delete(&place(key, id))?;
    }
    states.put_with_key(state, key)?;
    Ok(())
}

fn chunk(items: &IdbObjectStore, key: &JsValue, after: Option<&str>, limit: u32) -> Result<Array, JsValue> {
    let range = range(key, after)?;
    let keys = items.get_all_keys_with_key_and_limit(&range, limit)?;
    let rows = items.get_all_with_key_and_limit(&range, limit)?;
    Ok(Array::of2(&keys, &rows))
}

fn place(key: &JsValue, id: &str) -> JsValue {
    Array::of2(key, &id.into()).into()
}

/// The id of a row's key.
pub fn id_of(place: &JsValue) -> Option<String> {
    place.unchecked_ref::<Array>().get(1).as_string()
}

/// The rows of a query: lists sort behind every text.
fn range(key: &JsValue, after: Option<&str>) -> Result<IdbKeyRange, JsValue> {
    let lower = after.map_or_else(|| Array::of1(key).into(), |after| place(key, after));
    // No row has the key of the list alone: leaving the lower end out is right either way.
    IdbKeyRange::bound_with_lower_open_and_upper_open(&lower, &Array::of2(key, &Array::new()), true, true)
}

/// The answer of a request that is done.
pub fn result(request: &JsValue) -> JsValue {
    get(request, "result")
}

/// The answers of requests that are done.
pub fn results(requests: &JsValue) -> Array {
    let requests: &Array = requests.unchecked_ref();
    let results = Array::new();
    for at in 0..requests.length() {
        results.push(&result(&requests.get(at)));
    }
    results
}

/// The keys and the rows of a chunk.
pub fn pair(requests: &JsValue) -> (Array, Array) {
    let results = results(requests);
    (results.get(0).unchecked_into(), results.get(1).unchecked_into())
}

#[wasm_bindgen]
extern "C" {
    type Settle;
    #[wasm_bindgen(method)]
    fn bind(this: &Settle, context: &JsValue, value: &JsValue) -> JsValue;
}

/// `resolve` or `reject` with its value. Bound by the host, it needs no closure of ours, which would have to be freed.
fn bound(settle: &JsValue, value: &JsValue) -> JsValue {
    settle.unchecked_ref::<Settle>().bind(&JsValue::UNDEFINED, value)
}

/// A promise that gives `result` when the good event comes, and rejects with `target` when a bad one does.
fn ends(target: &JsValue, good: &str, bad: &[&str], result: &JsValue) -> Promise {
    Promise::new(&mut |resolve, reject| {
        set(target, good, &bound(&resolve, result));
        for event in bad {
            set(target, event, &bound(&reject, target));
        }
    })
}

/// A request's end.
fn settled(request: &JsValue, result: &JsValue) -> Promise {
    ends(request, "onsuccess", &["onerror"], result)
}

/// A transaction's end.
fn completed(transaction: &JsValue, result: &JsValue) -> Promise {
    ends(transaction, "oncomplete", &["onabort"], result)
}

/// An opening: refused at once while another tab holds an older version, rather than pending for ever.
async fn blockable(request: &IdbOpenDbRequest) -> Read<JsValue> {
    let opened = JsFuture::from(ends(request, "onsuccess", &["onerror", "onblocked"], request)).await;
    if opened.is_ok() {
        return Ok(result(request));
    }
    if text(request, "readyState").as_deref() != Some("pending") {
        return Err(failure(&get(request, "error")));
    }
    // Should it open after all, nobody is there to close it.
    let late = {
        let request = request.clone();
        listener(Box::new(move || result(&request).unchecked_into::<IdbDatabase>().close()))
    };
    set(request, "onsuccess", &late.into_js_value());
    Err(Failure::retryable(
        Code::Store,
        "another tab holds an older version of this database open; close or reload that tab, then open again",
    ))
}

/// What IndexedDB says, in our codes.
fn failure(error: &JsValue) -> Box<Failure> {
    let name = text(error, "name").unwrap_or_default();
    match name.as_str() {
        "QuotaExceededError" => {
            return Failure::retryable(
                Code::Quota,
                "the browser's storage for this site is full; nothing of this page was written, free some space (forget() wipes this account) and start the round again",
            );
        }
        "VersionError" => {
            return Failure::new(Code::Store, "the database was made by a newer version of deltalink; reload the page to get that version");
        }
        _ => {}
    }
    let refused = ["InvalidStateError", "SecurityError", "UnknownError", "NotAllowedError"].contains(&name.as_str());
    let mut said = name;
    if let Some(message) = text(error, "message").filter(|message| !message.is_empty()) {
        said += ": ";
        said += &message;
    }
    if refused {
        let words = format!(
            "this browser refuses IndexedDB here ({said}); in a private window, or with storage switched off, name another store: options.store: \"memory\""
        );
        return Failure::new(Code::Store, words);
    }
    Failure::retryable(Code::Store, format!("IndexedDB failed ({said}); what was committed last is intact"))
}
