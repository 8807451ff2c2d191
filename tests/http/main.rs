//! Tests the engine in a browser over HTTP, with the `fetch` of the browser and the server of the
//! fake Graph, which `tests/run.mjs` starts. Without the feature `http-tests` these tests are
//! ignored; with it a server must listen at FAKE_ORIGIN.
#![cfg(target_family = "wasm")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![cfg_attr(not(feature = "http-tests"), allow(dead_code))]

// These tests also run on worlds in the wasm.
#[cfg(feature = "http-tests")]
#[path = "../browser/aborts.rs"]
mod aborts;
#[path = "../corpus/mod.rs"]
mod corpus;
mod headers;
#[cfg(feature = "http-tests")]
#[path = "../browser/network.rs"]
mod network;
mod responses;
#[cfg(feature = "http-tests")]
#[path = "../browser/rounds.rs"]
mod rounds;
#[path = "../browser/support.rs"]
mod support;
#[path = "../browser/world.rs"]
mod world;

use wasm_bindgen_test::wasm_bindgen_test_configure;

/// The server that has the worlds.
const SERVER: Option<&str> = Some(match option_env!("FAKE_ORIGIN") {
    Some(origin) => origin,
    None => "http://127.0.0.1:4010",
});

wasm_bindgen_test_configure!(run_in_browser);
