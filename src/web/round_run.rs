//! The interface between a round and the facade: the methods of `RoundRun` in
//! `pkg-template/round-run.js`.

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;

use super::js::settled;

#[wasm_bindgen]
extern "C" {
    /// The facade's side of one round. None of its methods throws, except [`Self::announcer`] for a
    /// page that cannot be copied.
    #[derive(Clone)]
    pub type RoundRun;

    /// Acquires the lock under which the rounds of a query run one at a time. Rejects when the
    /// round's signal fires first.
    #[wasm_bindgen(method)]
    pub fn begin(this: &RoundRun) -> Promise;

    /// Sets the status of the query and notifies its subscribers.
    #[wasm_bindgen(method, js_name = setStatus)]
    pub fn set_status(this: &RoundRun, status: &JsValue);

    /// Whether there may be listeners to the changes of the query, in this tab or another one.
    #[wasm_bindgen(method, js_name = hasListeners)]
    pub fn has_listeners(this: &RoundRun) -> bool;

    /// Copies the changes of a page for the listeners, before its consumer gets them. Returns the
    /// function that announces the page to them, to be called after the commit. That function
    /// returns a promise if the next page has to wait for the listeners.
    #[wasm_bindgen(method, catch)]
    pub fn announcer(this: &RoundRun, page: &JsValue) -> Result<Option<Function>, JsValue>;

    /// Calls the caller's `log` with an entry, and reports its errors.
    #[wasm_bindgen(method)]
    pub fn log(this: &RoundRun, log: &Function, entry: &JsValue);

    /// Takes one of `count` slots with this name, which all tabs share.
    #[wasm_bindgen(method, js_name = takeSlot)]
    fn take_slot(this: &RoundRun, name: &str, count: u32) -> TakenSlot;

    /// Releases the lock.
    #[wasm_bindgen(method)]
    pub fn release(this: &RoundRun);

    /// Ends the round: the report is final. Releases the lock, if that has not happened.
    #[wasm_bindgen(method)]
    pub fn end(this: &RoundRun);

    /// A slot that is taken or waited for.
    type TakenSlot;

    /// Resolves when the slot is taken. Never rejects.
    #[wasm_bindgen(method, getter)]
    fn granted(this: &TakenSlot) -> Promise;

    /// Releases the slot, or ends the wait for it.
    #[wasm_bindgen(method, js_name = release)]
    fn release_slot(this: &TakenSlot);
}

/// One of the slots that all tabs share. Dropping it releases it.
pub struct Slot(TakenSlot);

impl Slot {
    /// Waits for one of `count` slots with this name.
    pub async fn take(round_run: &RoundRun, name: &str, count: u32) -> Self {
        // Ends the wait if this future is dropped.
        let slot = Self(round_run.take_slot(name, count));
        let _ = settled(slot.0.granted().into()).await;
        slot
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.release_slot();
    }
}
