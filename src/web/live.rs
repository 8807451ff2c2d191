//! The schedule of the live queries of one tab, for `pkg-template/live.js`.

use std::cell::RefCell;

use js_sys::Math;
use wasm_bindgen::prelude::*;

use super::output::to_js;
use super::timers::now;
use crate::protocol::schedule;

/// The schedule of one tab.
#[wasm_bindgen(skip_typescript)]
pub struct Schedule(RefCell<schedule::Schedule>);

#[wasm_bindgen]
impl Schedule {
    /// Makes the schedule of a tab. `has_peers`: whether the host has locks and channels that its
    /// tabs share.
    #[wasm_bindgen(skip_typescript, constructor)]
    #[allow(clippy::use_self, reason = "wasm-bindgen needs the name")]
    pub fn new(id: String, has_peers: bool) -> Schedule {
        Self(RefCell::new(schedule::Schedule::new(id, has_peers)))
    }

    /// Takes an input and returns the actions. An input that is not understood, such as a message
    /// of a tab with another version, does nothing.
    #[wasm_bindgen(skip_typescript)]
    pub fn step(&self, input: JsValue) -> JsValue {
        let actions = match serde_wasm_bindgen::from_value(input) {
            Ok(input) => self.0.borrow_mut().step(input, now(), Math::random()),
            Err(_) => Vec::new(),
        };
        to_js(&actions)
    }
}
