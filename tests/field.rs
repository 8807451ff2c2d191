//! Cases from public reports about Graph's responses (graph-facts 9), as whole rounds on scripted
//! responses. `tests/README.md` lists them.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use deltalink::protocol;

mod driver;
#[path = "field/drives.rs"]
mod drives;
#[path = "field/links.rs"]
mod links;
#[path = "field/masters.rs"]
mod masters;
#[path = "field/planner.rs"]
mod planner;
#[path = "field/script.rs"]
mod script;
#[path = "field/series.rs"]
mod series;
