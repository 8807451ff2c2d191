//! The interface of a round to the facade: the methods of `RoundRun` in
//! `pkg-template/round-run.js`.

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The facade's side of one round. None of its methods throws, except [`Self::announcer`] for a
    /// page that cannot be copied.
    #[derive(Clone)]
    pub type RoundHost;

    /// Acquires the lock under which the rounds of a query run one at a time. Rejects when the
    /// round's signal fires first.
    #[wasm_bindgen(method)]
    pub fn begin(this: &RoundHost) -> Promise;

    /// Sets the status of the query and notifies its subscribers.
    #[wasm_bindgen(method, js_name = setStatus)]
    pub fn set_status(this: &RoundHost, status: &JsValue);

    /// Whether there may be listeners to the changes of the query, in this tab or another one.
    #[wasm_bindgen(method, js_name = hasListeners)]
    pub fn has_listeners(this: &RoundHost) -> bool;

    /// Copies the changes of a page for the listeners, before its consumer gets them. Returns the
    /// function that announces the page to them, to be called after the commit. It returns a
    /// promise if the next page has to wait for the listeners.
    #[wasm_bindgen(method, catch)]
    pub fn announcer(this: &RoundHost, page: &JsValue) -> Result<Option<Function>, JsValue>;

    /// Calls the caller's `log` with an entry, and reports its errors.
    #[wasm_bindgen(method)]
    pub fn log(this: &RoundHost, log: &Function, entry: &JsValue);

    /// Releases the lock.
    #[wasm_bindgen(method)]
    pub fn release(this: &RoundHost);

    /// Ends the round: the report is final. Releases the lock, if that has not happened.
    #[wasm_bindgen(method)]
    pub fn end(this: &RoundHost);
}
