//! Requests and transactions of IndexedDB as futures. Errors are the exceptions of IndexedDB,
//! without an explanation.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use js_sys::{Array, Function, Object};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{IdbDatabase, IdbObjectStore, IdbOpenDbRequest, IdbRequest, IdbTransaction};

use super::in_flight::Running;
use super::js::set;

/// A result whose error is an exception of IndexedDB.
pub type IdbResult<T> = std::result::Result<T, JsValue>;

#[wasm_bindgen]
extern "C" {
    /// A database whose `transaction()` takes options, which web-sys keeps behind an unstable flag.
    #[wasm_bindgen(extends = IdbDatabase)]
    #[derive(Clone)]
    pub type Database;
    #[wasm_bindgen(method, catch, js_name = transaction)]
    fn begin(this: &Database, stores: &Array, mode: &str, options: &Object) -> IdbResult<IdbTransaction>;
    /// Sets the callback for a connection that the browser closes.
    #[wasm_bindgen(method, setter, js_name = onclose)]
    pub fn set_on_close(this: &Database, callback: Option<&Function>);
}

/// An event handler that sends one value.
type Handler = Closure<dyn FnMut()>;

/// A transaction that has begun. Dropping it aborts it, unless it has ended.
pub struct Transaction {
    /// The host's object.
    pub raw: IdbTransaction,
    end: oneshot::Receiver<IdbResult<()>>,
    _handlers: [Handler; 2],
    _running: Running,
}

impl Transaction {
    /// Begins a transaction. `running` marks it as in flight until it is dropped.
    pub fn begin(database: &Database, stores: &[&str], mode: &str, running: Running) -> IdbResult<Self> {
        let options = Object::new();
        // The transaction is atomic even with relaxed durability. After a power cut, the round
        // continues one page earlier.
        set(&options, "durability", &"relaxed".into());
        let stores: Array = stores.iter().map(|name| JsValue::from_str(name)).collect();
        let raw = database.begin(&stores, mode, &options)?;
        let (sender, end) = oneshot::channel();
        let sender = Rc::new(Cell::new(Some(sender)));
        let complete = {
            let sender = Rc::clone(&sender);
            Handler::new(move || send(&sender, Ok(())))
        };
        let abort = {
            let raw = raw.clone();
            Handler::new(move || send(&sender, Err(raw.error().map_or(JsValue::NULL, Into::into))))
        };
        raw.set_oncomplete(Some(complete.as_ref().unchecked_ref()));
        raw.set_onabort(Some(abort.as_ref().unchecked_ref()));
        Ok(Self { raw, end, _handlers: [complete, abort], _running: running })
    }

    /// One of its object stores.
    pub fn store(&self, name: &str) -> IdbResult<IdbObjectStore> {
        self.raw.object_store(name)
    }

    /// Waits for one of its requests and returns the result. If an earlier request has aborted the
    /// transaction, fails with the error of that one.
    pub async fn result(&self, request: &IdbRequest) -> IdbResult<JsValue> {
        succeeded(request).await.map_err(|failure| self.raw.error().map_or(failure, Into::into))
    }

    /// Lets it end without waiting. It is in flight until then.
    pub fn end_later(self) {
        spawn_local(async move {
            let _ = self.end().await;
        });
    }

    /// Waits until it is complete. Fails with the reason of an abort.
    pub async fn end(mut self) -> IdbResult<()> {
        (&mut self.end).await.unwrap_or(Err(JsValue::NULL))
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.raw.set_oncomplete(None);
        self.raw.set_onabort(None);
        // Throws if the transaction has ended.
        let _ = self.raw.abort();
    }
}

/// Waits for a request and returns its result. The transaction stays active: the caller issues its
/// next requests in the same event.
pub async fn succeeded(request: &IdbRequest) -> IdbResult<JsValue> {
    let (sender, receiver) = oneshot::channel();
    let sender = Rc::new(Cell::new(Some(sender)));
    let success = {
        let (request, sender) = (request.clone(), Rc::clone(&sender));
        Handler::new(move || send(&sender, request.result()))
    };
    let failure = {
        let request = request.clone();
        Handler::new(move || send(&sender, Err(error_of(&request))))
    };
    request.set_onsuccess(Some(success.as_ref().unchecked_ref()));
    request.set_onerror(Some(failure.as_ref().unchecked_ref()));
    let _handlers = RequestHandlers { request: request.clone(), _handlers: [success, failure] };
    receiver.await.unwrap_or(Err(JsValue::NULL))
}

/// The event handlers of a request. Dropping this value removes them.
struct RequestHandlers {
    request: IdbRequest,
    _handlers: [Handler; 2],
}

impl Drop for RequestHandlers {
    fn drop(&mut self) {
        self.request.set_onsuccess(None);
        self.request.set_onerror(None);
    }
}

/// The result of an opening or a deletion.
pub enum Opening {
    /// It succeeded with this result.
    Done(JsValue),
    /// It failed with this error.
    Failed(JsValue),
    /// Another connection blocks it. The request continues once that is closed.
    Blocked,
}

/// Waits for an opening or a deletion, or until something blocks it.
pub async fn unblocked(request: &IdbOpenDbRequest) -> Opening {
    let (sender, receiver) = oneshot::channel();
    let sender = Rc::new(Cell::new(Some(sender)));
    let blocked = Handler::new(move || send(&sender, ()));
    request.set_onblocked(Some(blocked.as_ref().unchecked_ref()));
    let opening = match select(pin!(succeeded(request)), receiver).await {
        Either::Left((Ok(result), _)) => Opening::Done(result),
        Either::Left((Err(error), _)) => Opening::Failed(error),
        Either::Right(_) => Opening::Blocked,
    };
    request.set_onblocked(None);
    opening
}

/// Closes a database whose blocked opening succeeds later, after its caller has got an error.
pub fn close_when_opened(request: &IdbOpenDbRequest, upgrade: Handler) {
    let late = {
        let request = request.clone();
        Closure::once_into_js(move || {
            drop(upgrade);
            if let Ok(database) = request.result() {
                database.unchecked_into::<IdbDatabase>().close();
            }
        })
    };
    request.set_onsuccess(Some(late.unchecked_ref()));
}

fn send<T>(sender: &Cell<Option<oneshot::Sender<T>>>, value: T) {
    if let Some(sender) = sender.take() {
        // The receiver may have been dropped.
        let _ = sender.send(value);
    }
}

fn error_of(request: &IdbRequest) -> JsValue {
    request.error().ok().flatten().map_or(JsValue::NULL, Into::into)
}

/// The elements of a request's result, an array.
pub fn list(request: &IdbRequest) -> IdbResult<Vec<JsValue>> {
    request.result().map(list_of)
}

/// The elements of a result that is an array.
pub fn list_of(result: JsValue) -> Vec<JsValue> {
    result.unchecked_into::<Array>().to_vec()
}
