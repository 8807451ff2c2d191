//! A stand-in for Microsoft Graph's delta queries.
//!
//! The core is pure: no I/O, no clock, and no randomness but a seeded generator, so that the same
//! seed and the same calls give the same bytes. [`World`] is one tenant; [`Server`] holds many of
//! them and the control API. What is imitated, and why, is said where it is done; the README lists
//! the switches and the faults.

mod answers;
mod ask;
mod clock;
mod control;
mod data;
mod delta;
mod edits;
mod faults;
mod http;
mod links;
mod listing;
mod options;
mod page;
mod populate;
mod rng;
mod route;
mod table;
mod text;
mod world;

pub use control::Server;
pub use faults::NAMES as FAULTS;
pub use http::{Request, Response};
pub use options::{DriveLink, Duplicates, DuringRound, Options};
pub use populate::Populate;
pub use route::Collection;
pub use world::World;
