//! deltalink keeps a local copy of a Microsoft Graph collection and, after the first time, fetches only what changed.
//!
//! The crate has two halves. [`protocol`] is pure: it knows Graph's rules, decides what to do next and never does it; it
//! has no clock, no randomness and no JavaScript, and is tested by plain `cargo test`. The shell (`web`, wasm only) does
//! what [`protocol::round::Round`] says: fetch, sleep, ask for a token, commit to the store.
//!
//! What users import is the npm package made from `pkg-template/`, whose `index.d.ts` is the documentation of the API.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic"))]

pub mod protocol;
#[cfg(target_family = "wasm")]
pub mod web;

/// An allocator of 1 KB in the place of the standard one of 4 KB (gzipped): allocations here are few and short.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: rlsf::GlobalTlsf<Allocator> = rlsf::GlobalTlsf::new();

#[cfg(target_family = "wasm")]
struct Allocator;

#[cfg(target_family = "wasm")]
impl rlsf::GlobalTlsfOptions for Allocator {
    // Grows by moving.
    const ENABLE_REALLOCATION: bool = false;
}
