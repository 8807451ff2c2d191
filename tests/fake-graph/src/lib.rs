//! A fake of Microsoft Graph's delta queries.
//!
//! The core is pure: no I/O, no clock, and only a seeded random generator, so that the same seed
//! and the same calls return the same bytes. [`World`] is one tenant. [`Server`] has many worlds
//! and the control API. Comments name the facts about the service that the code imitates. The
//! README lists the options and the faults.

mod clock;
mod control;
mod data;
mod delta;
mod edits;
mod event_times;
mod fault_fields;
mod faults;
mod fields;
mod http;
mod links;
mod listing;
mod options;
mod page;
mod populate;
mod request;
mod response;
mod rng;
mod route;
mod subscriptions;
mod table;
mod text;
mod unreported;
mod world;

pub use clock::ZoneOffset;
pub use control::Server;
pub use faults::NAMES as FAULTS;
pub use http::{Request, Response};
pub use options::{DriveLink, Duplicates, DuringRound, Options};
pub use populate::Populate;
pub use route::Collection;
pub use world::World;
