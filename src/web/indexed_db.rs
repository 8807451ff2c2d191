//! One database an account: the store `state` holds a record a query, `items` a row an item under `[query, id]`, so that the
//! mirror of one query is one key range.
//!
//! A page and its record are one transaction. All its requests are issued before its end is awaited; nothing else is awaited
//! in between.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{IdbDatabase, IdbFactory, IdbKeyRange, IdbObjectStore, IdbOpenDbRequest, IdbRequest, IdbTransaction};

use super::json::Json;
use super::object::{closed, set};
use super::store::{CHUNK, Rows, revision_of, row_from_js, row_to_js};
use crate::protocol::change::Applied;
use crate::protocol::error::{Code, Failure};

/// The version of the database. Each step of [`upgrade`] leads from one to the next.
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

    /// `indexedDB` of a window or a worker. Reading it may throw where storage is switched off, so it is read by hand.
    type Global;
    #[wasm_bindgen(method, getter, catch, js_name = indexedDB)]
    fn indexed_db(this: &Global) -> Result<Option<IdbFactory>, JsValue>;
}

/// An open database.
pub struct Database {
    db: Db,
    name: String,
    /// Set by `close()`, and when the browser or another tab takes the connection away.
    closed: Rc<RefCell<bool>>,
    _listeners: [Closure<dyn FnMut()>; 2],
}

fn factory() -> Result<IdbFactory, Failure> {
    let none = "this host has no IndexedDB, or refuses it here (storage switched off, a private window); name another store: options.store: \"memory\", or a DeltaStore";
    match js_sys::global().unchecked_into::<Global>().indexed_db() {
        Ok(Some(factory)) => Ok(factory),
        _ => Err(Failure::new(Code::Store, none)),
    }
}

/// The name of the database of an account.
pub fn database_name(account: &str) -> String {
    format!("deltalink | {account}")
}

/// Makes what is missing, version after version.
fn upgrade(db: &IdbDatabase, old: f64) -> Result<(), JsValue> {
    if old < 1.0 {
        db.create_object_store(STATE)?;
        db.create_object_store(ITEMS)?;
    }
    Ok(())
}

impl Database {
    /// Opens the database of an account, making or upgrading it.
    pub async fn open(account: &str) -> Result<Self, Failure> {
        let name = database_name(account);
        let request = factory()?.open_with_u32(&name, VERSION).map_err(|error| failure(&error))?;
        let upgrading = {
            let request = request.clone();
            Closure::<dyn FnMut(web_sys::IdbVersionChangeEvent)>::new(move |event: web_sys::IdbVersionChangeEvent| {
                let db: Option<IdbDatabase> = request.result().ok().and_then(|db| db.dyn_into().ok());
                if let Some(db) = db
                    && upgrade(&db, event.old_version()).is_err()
                    && let Some(transaction) = request.transaction()
                {
                    // The open then fails with an AbortError, and what was there before stays.
                    let _ = transaction.abort();
                }
            })
        };
        request.set_onupgradeneeded(Some(upgrading.as_ref().unchecked_ref()));
        let opened = blockable(&request).await;
        request.set_onupgradeneeded(None);
        let db: Db = opened?.unchecked_into();
        let closed = Rc::new(RefCell::new(false));
        let let_go = {
            let (db, closed) = (db.clone(), Rc::clone(&closed));
            // Another tab wants to upgrade or delete the database: holding on would block it.
            Closure::<dyn FnMut()>::new(move || {
                closed.replace(true);
                db.close();
            })
        };
        let taken = {
            let closed = Rc::clone(&closed);
            // The browser closed it: Safari in the background, or the user cleared the site's data.
            Closure::<dyn FnMut()>::new(move || {
                closed.replace(true);
            })
        };
        db.set_onversionchange(Some(let_go.as_ref().unchecked_ref()));
        db.set_onclose(Some(taken.as_ref().unchecked_ref()));
        Ok(Self { db, name, closed, _listeners: [let_go, taken] })
    }

    /// Closes the connection.
    pub fn close(&self) {
        self.closed.replace(true);
        self.db.close();
    }

    /// Deletes the database. Other tabs let go of it by themselves.
    pub async fn delete(&self) -> Result<(), Failure> {
        self.close();
        let request = factory()?.delete_database(&self.name).map_err(|error| failure(&error))?;
        JsFuture::from(settled(request.as_ref())).await.map(drop).map_err(|error| failure(&error))
    }

    fn transaction(&self, mode: &str) -> Result<(IdbTransaction, IdbObjectStore, IdbObjectStore), Failure> {
        if *self.closed.borrow() {
            return Err(closed());
        }
        let options = Object::new();
        // The rows and the link fall or stand together either way; after a power cut the round goes on a page earlier.
        set(&options, "durability", "relaxed");
        let transaction = self.db.begin(&Array::of2(&STATE.into(), &ITEMS.into()), mode, &options).map_err(|error| self.failure(&error))?;
        let state = transaction.object_store(STATE).map_err(|error| self.failure(&error))?;
        let items = transaction.object_store(ITEMS).map_err(|error| self.failure(&error))?;
        Ok((transaction, state, items))
    }

    fn failure(&self, error: &JsValue) -> Failure {
        // Safari takes connections away without an event: the next use says InvalidStateError.
        if *self.closed.borrow() || name_of(error) == "InvalidStateError" {
            self.closed.replace(true);
            return closed();
        }
        failure(error)
    }

    /// The state of a query as it is stored.
    pub async fn state(&self, key: &str) -> Result<JsValue, Failure> {
        let (_, state, _) = self.transaction("readonly")?;
        let request = state.get(&key.into()).map_err(|error| self.failure(&error))?;
        JsFuture::from(settled(&request)).await.map_err(|error| self.failure(&error))
    }

    /// The rows of these ids, in this order, undefined for each that there is none of.
    pub async fn rows(&self, key: &str, ids: &[&str]) -> Result<Array, Failure> {
        let (transaction, _, items) = self.transaction("readonly")?;
        let mut requests = Vec::with_capacity(ids.len());
        for id in ids {
            requests.push(items.get(&place(key, id)).map_err(|error| self.failure(&error))?);
        }
        JsFuture::from(completed(&transaction)).await.map_err(|error| self.failure(&error))?;
        requests.iter().map(|request| request.result()).collect::<Result<Array, _>>().map_err(|error| self.failure(&error))
    }

    /// One transaction: everything, or nothing. False if another revision is stored.
    pub async fn commit(&self, key: &str, expect: Option<&str>, state: &JsValue, applied: &Applied<Json>) -> Result<bool, Failure> {
        let (transaction, states, items) = self.transaction("readwrite")?;
        let written = async {
            let stored = JsFuture::from(settled(&states.get(&key.into())?)).await?;
            if revision_of(&stored).as_deref() != expect {
                return Ok(false);
            }
            for (id, row) in &applied.put {
                items.put_with_key(&row_to_js(row), &place(key, id))?;
            }
            for id in &applied.remove {
                items.delete(&place(key, id))?;
            }
            states.put_with_key(state, &key.into())?;
            Ok(true)
        };
        match written.await {
            Ok(true) => JsFuture::from(completed(&transaction)).await.map(|_| true).map_err(|error| self.failure(&error)),
            Ok(false) => {
                let _ = transaction.abort();
                Ok(false)
            }
            Err(error) => {
                let _ = transaction.abort();
                Err(self.failure(&error))
            }
        }
    }

    /// At most `limit` rows after an id.
    pub async fn scan(&self, key: &str, after: Option<&str>, limit: u32) -> Result<Rows, Failure> {
        let (transaction, _, items) = self.transaction("readonly")?;
        let range = range(key, after).map_err(|error| self.failure(&error))?;
        let keys = items.get_all_keys_with_key_and_limit(&range, limit).map_err(|error| self.failure(&error))?;
        let rows = items.get_all_with_key_and_limit(&range, limit).map_err(|error| self.failure(&error))?;
        JsFuture::from(completed(&transaction)).await.map_err(|error| self.failure(&error))?;
        let (keys, rows) = (list(&keys)?, list(&rows)?);
        Ok(keys.iter().zip(rows.iter()).filter_map(|(place, row)| Some((place.unchecked_ref::<Array>().get(1).as_string()?, row_from_js(&row)))).collect())
    }

    /// Every item of a query in one transaction. In chunks: one answer of all would fail in Firefox beyond some 100 MB.
    pub async fn all(&self, key: &str) -> Result<Array, Failure> {
        let (_transaction, _, items) = self.transaction("readonly")?;
        let found = Array::new();
        let mut after = None;
        loop {
            let range = range(key, after.as_deref()).map_err(|error| self.failure(&error))?;
            let keys = items.get_all_keys_with_key_and_limit(&range, CHUNK).map_err(|error| self.failure(&error))?;
            let rows = items.get_all_with_key_and_limit(&range, CHUNK).map_err(|error| self.failure(&error))?;
            JsFuture::from(settled(&rows)).await.map_err(|error| self.failure(&error))?;
            let (keys, rows) = (list(&keys)?, list(&rows)?);
            for row in rows.iter() {
                found.push(&row_from_js(&row).item.0);
            }
            let last = keys.iter().last().and_then(|place| place.unchecked_ref::<Array>().get(1).as_string());
            match last {
                Some(id) if keys.length() == CHUNK => after = Some(id),
                _ => return Ok(found),
            }
        }
    }

    /// How many rows a query has.
    pub async fn count(&self, key: &str) -> Result<u32, Failure> {
        let (_, _, items) = self.transaction("readonly")?;
        let range = range(key, None).map_err(|error| self.failure(&error))?;
        let request = items.count_with_key(&range).map_err(|error| self.failure(&error))?;
        let count = JsFuture::from(settled(&request)).await.map_err(|error| self.failure(&error))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        Ok(count.as_f64().unwrap_or(0.0) as u32)
    }
}

fn place(key: &str, id: &str) -> JsValue {
    Array::of2(&key.into(), &id.into()).into()
}

/// The rows of a query: lists sort behind every text.
fn range(key: &str, after: Option<&str>) -> Result<IdbKeyRange, JsValue> {
    let upper = Array::of2(&key.into(), &Array::new());
    match after {
        Some(after) => IdbKeyRange::bound_with_lower_open_and_upper_open(&place(key, after), &upper, true, true),
        None => IdbKeyRange::bound(&Array::of1(&key.into()), &upper),
    }
}

fn list(request: &IdbRequest) -> Result<Array, Failure> {
    request.result().map(|list| list.unchecked_into()).map_err(|error| failure(&error))
}

/// A promise of a request's result.
fn settled(request: &IdbRequest) -> Promise {
    Promise::new(&mut |resolve, reject| {
        let done = {
            let request = request.clone();
            Closure::once_into_js(move || {
                let _ = resolve.call1(&JsValue::UNDEFINED, &request.result().unwrap_or(JsValue::UNDEFINED));
            })
        };
        request.set_onsuccess(Some(done.unchecked_ref()));
        let failed = {
            let request = request.clone();
            Closure::once_into_js(move || {
                let error = request.error().ok().flatten().map_or(JsValue::UNDEFINED, Into::into);
                let _ = reject.call1(&JsValue::UNDEFINED, &error);
            })
        };
        request.set_onerror(Some(failed.unchecked_ref()));
    })
}

/// A promise of a transaction's end.
fn completed(transaction: &IdbTransaction) -> Promise {
    Promise::new(&mut |resolve, reject| {
        let done = Closure::once_into_js(move || {
            let _ = resolve.call0(&JsValue::UNDEFINED);
        });
        transaction.set_oncomplete(Some(done.unchecked_ref()));
        let failed = {
            let transaction = transaction.clone();
            Closure::once_into_js(move || {
                let error = transaction.error().map_or(JsValue::UNDEFINED, Into::into);
                let _ = reject.call1(&JsValue::UNDEFINED, &error);
            })
        };
        transaction.set_onabort(Some(failed.unchecked_ref()));
    })
}

/// An opening: refused at once while another tab holds an older version, rather than pending for ever.
async fn blockable(request: &IdbOpenDbRequest) -> Result<JsValue, Failure> {
    let blocked = Promise::new(&mut |_, reject| {
        let on_blocked = Closure::once_into_js(move || {
            let _ = reject.call1(&JsValue::UNDEFINED, &"blocked".into());
        });
        request.set_onblocked(Some(on_blocked.unchecked_ref()));
    });
    match JsFuture::from(Promise::race(&Array::of2(&settled(request.as_ref()), &blocked))).await {
        Err(why) if why.as_string().as_deref() == Some("blocked") => {
            // Should it open after all, nobody is there to close it.
            let late = {
                let request = request.clone();
                Closure::once_into_js(move || {
                    if let Some(db) = request.result().ok().and_then(|db| db.dyn_into::<IdbDatabase>().ok()) {
                        db.close();
                    }
                })
            };
            request.set_onsuccess(Some(late.unchecked_ref()));
            Err(Failure::retryable(Code::Store, "another tab holds an older version of this database open; close or reload that tab, then open again"))
        }
        other => other.map_err(|error| failure(&error)),
    }
}

fn name_of(error: &JsValue) -> String {
    Reflect::get(error, &"name".into()).ok().and_then(|name| name.as_string()).unwrap_or_default()
}

/// What IndexedDB says, in our codes.
fn failure(error: &JsValue) -> Failure {
    let name = name_of(error);
    let said = Reflect::get(error, &"message".into()).ok().and_then(|message| message.as_string()).filter(|message| !message.is_empty());
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    match name.as_str() {
        "QuotaExceededError" => Failure::retryable(Code::Quota, "the browser's storage for this site is full; nothing of this page was written, free some space (forget() wipes this account) and start the round again"),
        "VersionError" => Failure::new(Code::Store, "the database was made by a newer version of deltalink; reload the page to get that version"),
        "InvalidStateError" | "SecurityError" | "UnknownError" | "NotAllowedError" => Failure::new(
            Code::Store,
            format!("this browser refuses IndexedDB here ({name}{said}); in a private window, or with storage switched off, name another store: options.store: \"memory\""),
        ),
        _ => Failure::retryable(Code::Store, format!("IndexedDB failed ({name}{said}); what was committed last is intact")),
    }
}
