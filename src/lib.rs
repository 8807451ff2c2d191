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

/// Bugs planted on purpose, one at a time, to show that the model test finds each. Only with the feature `planted`, which nothing
/// that ships has.
pub mod planted {
    /// What can be planted.
    pub const BUGS: [&str; 11] = [
        "the link is committed before the items",
        "an incremental round sweeps",
        "the first of two duplicates wins",
        "no revision is compared",
        "a full round keeps the number of the one before",
        "minimal pages replace",
        "slices replace the set",
        "what is delivered is not noted",
        "an interrupted round begins anew",
        "restorable objects stay",
        "the sweep ends after its first chunk",
    ];

    #[cfg(feature = "planted")]
    thread_local! {
        static BUG: std::cell::Cell<&'static str> = const { std::cell::Cell::new("") };
    }

    /// Plants a bug for this thread.
    #[cfg(feature = "planted")]
    pub fn plant(bug: &'static str) {
        BUG.set(bug);
    }

    /// Whether this bug is planted.
    #[cfg(feature = "planted")]
    pub(crate) fn is(bug: &str) -> bool {
        BUG.get() == bug
    }

    #[cfg(not(feature = "planted"))]
    pub(crate) const fn is(_: &str) -> bool {
        false
    }
}
