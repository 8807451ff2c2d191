//! The shell: straight-line async Rust that executes what [`crate::protocol::round::Round`]
//! decides. Wasm only.
//!
//! | file | what it does |
//! |---|---|
//! | [`client`] | the exported types, which `pkg-template/index.js` wraps |
//! | [`session`] | what the queries and rounds of one client share |
//! | [`driver`] | one round as a task: executes steps, feeds back inputs |
//! | [`consumer`] | connects a round with the consumer who iterates it |
//! | [`host`] | what the facade does for a round: lock, status, listeners |
//! | [`fetch`], [`body`] | one GET, the only place that puts a token on a request; a body read piece by piece |
//! | [`limiter`] | how many requests of a scope are in flight |
//! | [`token`] | the caller's token source, in all its forms |
//! | [`store`] | where links and rows are kept: [`indexed_db`] on [`idb`], memory, or a [`custom`] store |
//! | [`batch`] | what goes into a store and comes out of it |
//! | [`mirror`] | reads the mirror beside rounds |
//! | [`options`] | the caller's options, checked one by one |
//! | [`output`], [`error`] | what JavaScript gets to see |
//! | [`js`], [`json`] | JavaScript objects by their shape; a JSON value as the protocol sees it |
//! | [`signal`], [`timers`], [`in_flight`] | events, time and other work as futures |

pub mod batch;
pub mod body;
pub mod client;
pub mod consumer;
pub mod custom;
pub mod driver;
pub mod error;
pub mod fetch;
pub mod host;
pub mod idb;
pub mod in_flight;
pub mod indexed_db;
pub mod js;
pub mod json;
pub mod limiter;
pub mod mirror;
pub mod options;
pub mod output;
pub mod session;
pub mod signal;
pub mod store;
pub mod timers;
pub mod token;
