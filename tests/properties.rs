//! Checks the invariants of a round for random reactions of Graph, the network, the token source
//! and the store, at random times, with hostile links and crashes. CONTRIBUTING.md lists the
//! invariants.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    missing_docs
)]

use deltalink::protocol;
use deltalink::protocol::error::Code;
use deltalink::protocol::round::NoResponse;
use deltalink::protocol::time::Duration;
use proptest::prelude::*;

mod driver;
#[path = "properties/harness.rs"]
mod harness;

use harness::{CODES, End, HOSTILE, Harness, Reaction, is_reset_code};

fn no_response() -> impl Strategy<Value = NoResponse> {
    prop_oneof![Just(NoResponse::Network), Just(NoResponse::Offline), Just(NoResponse::Timeout)]
}

fn reaction() -> impl Strategy<Value = Reaction> {
    let status = prop_oneof![
        Just(400_u16),
        Just(401),
        Just(403),
        Just(404),
        Just(408),
        Just(410),
        Just(429),
        Just(500),
        Just(501),
        Just(503),
        Just(504),
        Just(302),
        0_u16..1000
    ];
    prop_oneof![
        6 => (any::<u8>(), prop::option::of(any::<bool>()))
            .prop_map(|(name, made_progress)| Reaction::Next(name, made_progress)),
        2 => any::<u8>().prop_map(Reaction::Delta),
        1 => (0..HOSTILE.len(), any::<bool>()).prop_map(|(which, is_next)| Reaction::Hostile(which, is_next)),
        6 => (status, 0..CODES.len(), prop::option::of(0_u32..1000), prop::option::of(0_u8..4))
            .prop_map(|(status, code, after, claims)| Reaction::Refused(status, code, after, claims)),
        2 => no_response().prop_map(Reaction::NoResponse),
        1 => Just(Reaction::Malformed),
        1 => (0_u32..600_000).prop_map(Reaction::Throttled),
        1 => no_response().prop_map(Reaction::NoToken),
        1 => prop_oneof![Just(Reaction::Interaction), Just(Reaction::Conflict), Just(Reaction::NoStore)],
        1 => Just(Reaction::Crash),
    ]
}

/// A reaction that makes no progress.
fn without_progress() -> impl Strategy<Value = Reaction> {
    reaction().prop_filter("it makes progress", |reaction| {
        !matches!(
            reaction,
            Reaction::Next(_, Some(true)) | Reaction::Delta(_) | Reaction::Throttled(_) | Reaction::Crash
        )
    })
}

/// The number of cases is 1000, or that of the variable `CASES`.
fn config() -> ProptestConfig {
    let cases = std::env::var("CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1000);
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_local_rejects: u32::MAX,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_invariants_hold_for_any_reactions(
        kind in any::<u8>(),
        reactions in prop::collection::vec(reaction(), 0..120),
    ) {
        let mut harness = Harness::new(kind);
        let mut reactions = reactions.into_iter().peekable();
        for count in 0..40 {
            let end = harness.round(&mut reactions, 10_000);
            if let End::Failed(error) = &end && error.code == Code::Throttled {
                prop_assert!(error.retry_at.is_some_and(|at| at >= harness.now));
                // Every second round starts at that time, the others earlier.
                if count % 2 == 0 {
                    harness.now = error.retry_at.unwrap_or(harness.now);
                }
            }
            harness.now += Duration::from_millis(1000.0);
            if matches!(end, End::Crashed) || count % 3 == 0 {
                harness.reload();
            }
        }
        // From here on Graph has no fault.
        harness.now += Duration::DAY * 3.0;
        for _ in 0..8 {
            if matches!(harness.round(&mut std::iter::empty().peekable(), 10_000), End::Done) {
                return Ok(());
            }
        }
        prop_assert!(false, "none of eight rounds without a fault completes");
    }

    #[test]
    fn a_round_ends_if_the_service_never_makes_progress(
        kind in any::<u8>(),
        reactions in prop::collection::vec(without_progress(), 1..5),
    ) {
        let mut harness = Harness::new(kind);
        let mut names = 0_u8;
        let mut endless = reactions.iter().cloned().cycle().map(|reaction| match reaction {
            // New links look like progress, so only the content shows the lack of progress.
            Reaction::Next(name, made_progress) if name % 2 == 0 => {
                names = names.wrapping_add(1);
                Reaction::Next(names, made_progress)
            }
            other => other,
        }).peekable();
        let end = harness.round(&mut endless, 30_000);
        prop_assert!(!matches!(end, End::Done), "{:?}", end);
    }

    #[test]
    fn failures_do_not_change_the_stored_link(
        kind in any::<u8>(),
        failures in prop::collection::vec(without_progress(), 1..60),
    ) {
        let mut harness = Harness::new(kind);
        let one_page = [Reaction::Next(1, Some(true)), Reaction::NoResponse(NoResponse::Network)];
        let forbidden = std::iter::repeat(Reaction::Refused(403, 0, None, None));
        let end = harness.round(&mut one_page.into_iter().chain(forbidden).peekable(), 1000);
        prop_assert!(matches!(end, End::Failed(_)));
        let link = harness.stored_link();
        // No page, no reset signal, and fewer than three final refusals.
        let mut failures = failures.into_iter().filter(|reaction| match reaction {
            Reaction::Refused(status, code, ..) => match status {
                401 | 403 => true,
                408 | 429 => *code == 0,
                500..=599 => !is_reset_code(*code),
                status => !matches!(status, 400..=499),
            },
            Reaction::Next(..) => false,
            _ => true,
        });
        let malformed = std::iter::repeat(Reaction::Malformed);
        let end = harness.round(&mut failures.by_ref().chain(malformed).peekable(), 10_000);
        prop_assert!(matches!(end, End::Failed(_)));
        prop_assert_eq!(harness.stored_link(), link, "invariant 14");
    }
}
