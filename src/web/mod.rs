//! The shell: straight-line async Rust that executes the steps of
//! [`crate::protocol::round::Round`]. Wasm only.
//!
//! | file | purpose |
//! |---|---|
//! | [`client`] | the exported types, which `pkg-template/api.js` wraps |
//! | [`session`] | the state that the queries and rounds of one client share |
//! | [`driver`] | runs one round as a task: executes steps, feeds back inputs |
//! | [`consumer`] | connects a round with the consumer that iterates it |
//! | [`round_run`] | the facade's part of a round: lock, status, listeners |
//! | [`live`] | the schedule of the live queries of a tab |
//! | [`look_ahead`] | the part of the driver that requests pages, including those sent ahead |
//! | [`request`] | one request of a round under the limits of its scope, possibly sent ahead |
//! | [`fetch`], [`body`] | sends a GET, the only place that adds the token to a request; reads its body |
//! | [`received`] | the page as received: commits it even if the consumer changes its items |
//! | [`limiter`] | limits the concurrent requests of a throttling scope |
//! | [`token`] | the caller's token source, in all its forms |
//! | [`store`] | the store of a client: [`indexed_db`] on [`idb`] and [`row_ranges`], memory, or the caller's own ([`custom`]) |
//! | [`batch`] | rows and batches as the JavaScript values that stores take |
//! | [`mirror`] | reads the mirror |
//! | [`on_error`] | the caller's decision about a failure |
//! | [`log`] | the entries of the caller's log |
//! | [`status`] | shows the status of a running round |
//! | [`options`] | reads and checks the caller's options |
//! | [`output`], [`error`] | results and errors as JavaScript values |
//! | [`js`], [`json`] | the caller's objects, recognized by their shape; JavaScript values as items of the protocol |
//! | [`signal`], [`timers`], [`in_flight`] | events, timers and work in flight as futures |

pub mod batch;
pub mod body;
pub mod client;
pub mod consumer;
pub mod custom;
pub mod driver;
pub mod error;
pub mod fetch;
pub mod idb;
pub mod in_flight;
pub mod indexed_db;
pub mod js;
pub mod json;
pub mod limiter;
pub mod live;
pub mod log;
pub mod look_ahead;
pub mod mirror;
pub mod on_error;
pub mod options;
pub mod output;
pub mod received;
pub mod request;
pub mod round_run;
pub mod row_ranges;
pub mod session;
pub mod signal;
pub mod status;
pub mod store;
pub mod timers;
pub mod token;
