//! deltalink keeps a local mirror of a Microsoft Graph collection. After the first round it fetches
//! only changes.
//!
//! The crate has two halves. [`protocol`] is pure: it contains Graph's rules and decides the
//! next step. It has no clock, no randomness and no JavaScript, and is tested by plain `cargo
//! test`. The shell (`web`, wasm only) executes the steps of [`protocol::round::Round`]: it sends
//! requests, waits, asks for tokens and commits to the store.
//!
//! Users import the npm package made from `pkg-template/`; its `index.d.ts` documents the API.
//!
//! # One round, by hand
//!
//! The state machine is driven by its inputs. This example lists the contacts of a tenant in one
//! page:
//!
//! ```
//! # #[cfg(not(target_family = "wasm"))] {
//! use std::rc::Rc;
//!
//! use deltalink::protocol::applier::PageApplier;
//! use deltalink::protocol::backoff::Policy;
//! use deltalink::protocol::endpoint::Endpoint;
//! use deltalink::protocol::page;
//! use deltalink::protocol::query::{self, Options};
//! use deltalink::protocol::round::{Input, Round, RoundConfig, Step};
//! use deltalink::protocol::time::Instant;
//! use serde_json::{Value, json};
//!
//! let query = Rc::new(query::org_contacts(Options::default()).unwrap());
//! let config = RoundConfig {
//!     endpoint: Rc::new(Endpoint::cloud("global").unwrap()),
//!     query: Rc::clone(&query),
//!     policy: Policy::default(),
//!     max_pages: None,
//!     max_duration: None,
//!     window: None,
//!     has_consumer: true,
//!     asks_caller: false,
//! };
//! let now = Instant::from_millis(1_795_000_000_000.0);
//! let (mut round, mut applier) = (Round::new(config, now), PageApplier::<Value>::default());
//! let mut input = Input::Begin;
//! loop {
//!     input = match round.step(input, now, 0.5) {
//!         Step::Load => Input::Loaded(None),
//!         Step::SignIn(_) => Input::SignedIn,
//!         Step::Fetch(url) => {
//!             assert_eq!(url, "https://graph.microsoft.com/v1.0/contacts/delta");
//!             let link = "https://graph.microsoft.com/v1.0/contacts/delta?t";
//!             let body = json!({ "value": [{ "id": "a" }], "@odata.deltaLink": link });
//!             let page = page::parse(&body).unwrap();
//!             applier.received(page.items);
//!             Input::Page(page.link)
//!         }
//!         Step::Apply => {
//!             let rows = applier.ids(&query).iter().map(|_| None).collect();
//!             Input::Applied(Box::new(applier.apply(rows, round.mode())))
//!         }
//!         Step::SaveRecord { .. } => Input::Committed,
//!         Step::Deliver(_) => Input::Delivered,
//!         Step::AwaitAcknowledgement => Input::Acknowledged,
//!         Step::Commit { .. } => {
//!             assert_eq!(applier.effects().put.len(), 1);
//!             Input::Committed
//!         }
//!         Step::Done => break,
//!         other => panic!("not expected: {other:?}"),
//!     };
//! }
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic"))]

pub mod protocol;
#[cfg(target_family = "wasm")]
pub mod web;
