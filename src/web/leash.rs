//! The caller's signal, and what it cuts short.
//!
//! Fetches and token functions get the signal of our own controller, which the caller's signal triggers with a bare
//! `abort()`: what comes back then is an ordinary error, whatever the caller's reason is. The reason itself is read from the
//! caller's signal and handed back untouched.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use gloo_timers::callback::Timeout;
use js_sys::{Array, Function, Promise};
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, AbortSignal};

use super::object::{Stop, closed, get, method};
use crate::protocol::error::{Code, Failure, Read};
use crate::protocol::wait;

/// What holds one round.
pub struct Leash {
    caller: Option<AbortSignal>,
    listener: Option<Closure<dyn FnMut()>>,
    /// Ends the wait that is on.
    wake: Rc<RefCell<Option<Function>>>,
    _waker: Closure<dyn FnMut()>,
    closer: Rc<Closer>,
}

/// Ends a round from outside.
pub struct Closer {
    controller: AbortController,
    closed: Cell<bool>,
}

impl Closer {
    /// The client closes.
    pub fn close(&self) {
        self.closed.set(true);
        self.controller.abort();
    }
}

impl Leash {
    /// On the caller's signal, if there is one.
    pub fn new(caller: Option<JsValue>) -> Read<Self> {
        let caller = match caller {
            None => None,
            // By shape: a signal of another realm is no instance of ours.
            Some(signal) if get(&signal, "aborted").as_bool().is_some() => Some(signal.unchecked_into::<AbortSignal>()),
            Some(_) => return Err(Failure::new(Code::BadRequest, "options.signal must be an AbortSignal")),
        };
        let controller = AbortController::new().map_err(|_| Failure::new(Code::Internal, "this host has no AbortController"))?;
        let listener = caller.as_ref().map(|caller| {
            let controller = controller.clone();
            let listener = listener(Box::new(move || controller.abort()));
            listen(caller, "addEventListener", &listener);
            listener
        });
        let wake = Rc::new(RefCell::new(None::<Function>));
        let waker = {
            let wake = Rc::clone(&wake);
            self::listener(Box::new(move || {
                let _ = wake.take().map(|wake| settle(&wake));
            }))
        };
        listen(&controller.signal(), "addEventListener", &waker);
        let closer = Rc::new(Closer { controller, closed: Cell::new(false) });
        Ok(Self { caller, listener, wake, _waker: waker, closer })
    }

    /// For the requests of this round.
    pub fn signal(&self) -> AbortSignal {
        self.closer.controller.signal()
    }

    /// What ends this round from outside, when its client closes.
    pub fn closer(&self) -> Weak<Closer> {
        Rc::downgrade(&self.closer)
    }

    /// Whether the round has to stop, and with what.
    pub fn check(&self) -> Result<(), Stop> {
        match &self.caller {
            Some(caller) if get(caller, "aborted").is_truthy() => Err(Stop::Aborted(get(caller, "reason"))),
            _ if self.closer.closed.get() => Err(closed().into()),
            _ => Ok(()),
        }
    }

    /// A promise that ends when the other one does, but no later than the leash lets go. [`Self::check`] then says which it was.
    ///
    /// Each wait has a promise of its own to race with: one for the whole round would keep every answer until its end.
    pub fn hold(&self, work: &Promise) -> Promise {
        let stopped = Promise::new(&mut |resolve, _| {
            if get(&self.signal(), "aborted").is_truthy() {
                settle(&resolve);
            }
            self.wake.replace(Some(resolve));
        });
        Promise::race(&Array::of2(work, &stopped))
    }
}

/// Begins to listen to a signal, or ends it.
fn listen(signal: &AbortSignal, call: &str, listener: &Closure<dyn FnMut()>) {
    let _ = method(signal, call, &"abort".into(), listener.as_ref());
}

/// Resolves a promise with nothing.
fn settle(resolve: &Function) {
    let _ = resolve.call1(&JsValue::UNDEFINED, &JsValue::UNDEFINED);
}

/// A function for the host to call, any number of times. All are of one kind: each kind would bring its own glue.
fn listener(work: Box<dyn FnMut()>) -> Closure<dyn FnMut()> {
    Closure::wrap(work)
}

/// What a call gave or threw, as a promise: what it throws is as good as what it rejects with.
pub fn promised(result: Result<JsValue, JsValue>) -> Promise {
    match result {
        Ok(value) => Promise::resolve(&value),
        Err(thrown) => Promise::reject(&thrown),
    }
}

/// A timer for the next slice of a sleep that a host's timer can count, and how long that is. Dropping its handle clears it.
pub fn timer(ms: f64) -> (Promise, Timeout, f64) {
    let mut resolver = None;
    let promise = Promise::new(&mut |resolve, _| resolver = Some(resolve));
    let slice = wait::slice(ms.ceil());
    let timeout = Timeout::new(slice.unsigned_abs(), move || {
        let _ = resolver.map(|resolve| settle(&resolve));
    });
    (promise, timeout, f64::from(slice))
}

impl Drop for Leash {
    fn drop(&mut self) {
        if let (Some(caller), Some(listener)) = (&self.caller, &self.listener) {
            listen(caller, "removeEventListener", listener);
        }
    }
}
