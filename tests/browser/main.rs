//! Tests the engine in a browser on IndexedDB. The core of the fake Graph is in the same wasm and
//! responds by `options.fetch`, so these tests need no server, and `wasm-pack test` runs them on a
//! clean clone. They run in Chromium, Firefox and WebKit; `tests/run.mjs` checks that each of the
//! three runs the same number of tests.
#![cfg(target_family = "wasm")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod aborts;
mod accounts;
mod contract;
#[path = "../fixtures/list.rs"]
mod fixtures;
mod network;
mod options;
mod rounds;
#[path = "../contract/rules.rs"]
mod rules;
mod storage;
mod support;
mod tokens;
mod upgrade;
mod world;

use wasm_bindgen_test::wasm_bindgen_test_configure;

/// No server: the worlds are in this wasm.
const SERVER: Option<&str> = None;

wasm_bindgen_test_configure!(run_in_browser);
