//! The schedule of the live queries of one tab, for `pkg-template/live.js`.

use std::cell::RefCell;

use js_sys::Math;
use wasm_bindgen::prelude::*;

use super::js::{get, get_bool, get_number, get_string};
use super::output::to_js;
use super::timers::now;
use crate::protocol::schedule::{self, Hidden, Input, LiveOptions, Message, Plan, RoundEnd};
use crate::protocol::time::{Duration, Instant};

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

    /// Accepts an input, and returns the resulting actions. Both are objects with the fields of the
    /// types in `protocol::schedule`, in camel case, and the name of the variant as `type`. Ignores
    /// an unknown input, such as a message of a tab with another version.
    #[wasm_bindgen(skip_typescript)]
    pub fn step(&self, input: &JsValue) -> JsValue {
        let actions = match input_from_js(input) {
            Some(input) => self.0.borrow_mut().step(input, now(), Math::random()),
            None => Vec::new(),
        };
        to_js(&actions)
    }
}

fn input_from_js(input: &JsValue) -> Option<Input> {
    let key = || get_string(input, "key");
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "live.js counts the handles")]
    let handle = || get_number(input, "handle").map(|handle| handle as u32);
    Some(match get_string(input, "type")?.as_str() {
        "start" => Input::Start {
            key: key()?,
            handle: handle()?,
            options: options_from_js(&get(input, "options"))?,
            synced_at: instant(input, "syncedAt"),
        },
        "stop" => Input::Stop { key: key()?, handle: handle()? },
        "syncNow" => Input::SyncNow { key: key()? },
        "lockGranted" => Input::LockGranted { key: key()? },
        "lockLost" => Input::LockLost { key: key()? },
        "received" => Input::Received {
            key: key()?,
            from: get_string(input, "from")?,
            message: message_from_js(&get(input, "message"))?,
        },
        "roundEnded" => {
            let end = get(input, "end");
            let (has_changes, error) = (get_bool(&end, "hasChanges")?, get_string(&end, "error"));
            Input::RoundEnded {
                key: key()?,
                end: RoundEnd { has_changes, error, retry_at: instant(&end, "retryAt") },
            }
        }
        "visibility" => Input::Visibility { is_visible: get_bool(input, "isVisible")? },
        "network" => Input::Network { is_online: get_bool(input, "isOnline")? },
        "focus" => Input::Focus,
        "freeze" => Input::Freeze,
        "thaw" => Input::Thaw,
        "signedIn" => Input::SignedIn,
        "timer" => Input::Timer,
        _ => return None,
    })
}

fn message_from_js(message: &JsValue) -> Option<Message> {
    Some(match get_string(message, "type")?.as_str() {
        "ping" => Message::Ping {
            options: options_from_js(&get(message, "options"))?,
            is_visible: get_bool(message, "isVisible")?,
        },
        "plan" => Message::Plan(Plan {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of rounds")]
            rounds: get_number(message, "rounds")? as u32,
            ended_at: instant(message, "endedAt"),
            next_at: instant(message, "nextAt"),
            is_running: get_bool(message, "isRunning")?,
            is_visible: get_bool(message, "isVisible")?,
        }),
        "sync" => Message::Sync,
        "handOver" => {
            Message::HandOver { to: get_string(message, "to")?, is_ready: get_bool(message, "isReady")? }
        }
        "rollCall" => Message::RollCall,
        "bye" => Message::Bye,
        _ => return None,
    })
}

fn options_from_js(options: &JsValue) -> Option<LiveOptions> {
    let hidden = match get_string(options, "hidden")?.as_str() {
        "slow" => Hidden::Slow,
        "pause" => Hidden::Pause,
        _ => return None,
    };
    Some(LiveOptions { every: Duration::from_millis(get_number(options, "every")?), hidden })
}

fn instant(object: &JsValue, name: &str) -> Option<Instant> {
    get_number(object, name).map(Instant::from_millis)
}
