//! Events of the host as futures. An event listener is removed when its future is dropped.

use std::future::Future;

use futures_channel::oneshot;
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, EventTarget};

use super::js::get;

/// An event listener that is removed when this value is dropped.
pub struct EventListener {
    target: EventTarget,
    event: &'static str,
    callback: Closure<dyn FnMut()>,
}

impl EventListener {
    /// Calls `callback` at each event of this name. `target` must have `addEventListener`.
    pub fn new(target: EventTarget, event: &'static str, callback: impl FnMut() + 'static) -> Self {
        let callback = Closure::<dyn FnMut()>::new(callback);
        // Adding and removing a listener of a known event does not throw.
        let _ = target.add_event_listener_with_callback(event, callback.as_ref().unchecked_ref());
        Self { target, event, callback }
    }
}

impl Drop for EventListener {
    fn drop(&mut self) {
        let _ = self
            .target
            .remove_event_listener_with_callback(self.event, self.callback.as_ref().unchecked_ref());
    }
}

/// Resolves to the reason of a signal when it fires; at once if it has fired already.
pub fn aborted(signal: &AbortSignal) -> impl Future<Output = JsValue> + use<> {
    let signal = signal.clone();
    async move {
        if !signal.aborted() {
            event(signal.clone().into(), "abort").await;
        }
        get(&signal, "reason")
    }
}

/// Resolves at the host's next `online` event. Never resolves on a host without events.
pub async fn online() {
    let global = JsValue::from(js_sys::global());
    if get(&global, "addEventListener").is_function() {
        event(global.unchecked_into(), "online").await;
    } else {
        std::future::pending::<()>().await;
    }
}

/// Whether `navigator.onLine` is false. A host without it counts as online.
pub fn is_offline() -> bool {
    get(&get(&js_sys::global(), "navigator"), "onLine").as_bool() == Some(false)
}

async fn event(target: EventTarget, name: &'static str) {
    let (sender, receiver) = oneshot::channel();
    let mut sender = Some(sender);
    let _listener = EventListener::new(target, name, move || {
        if let Some(sender) = sender.take() {
            let _ = sender.send(());
        }
    });
    let _ = receiver.await;
}
