//! Runs seeded scenarios of edits, faults and crashes natively: the state machine, the page parser
//! and the applier of the wasm on the core of the fake Graph. At the end the mirror must equal the
//! tables of the fake Graph. Prints a failing seed; `SEED=n cargo test --test model` replays it,
//! and `make model CASES=20000` runs many.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    missing_docs
)]

use std::collections::HashMap;

use deltalink::protocol;
use deltalink::protocol::error::Code;

mod driver;
#[path = "model/harness.rs"]
mod harness;
#[path = "model/scenario.rs"]
mod scenario;

use harness::{End, Harness};
use scenario::{HOUR, Scenario};

/// A day and a millisecond, so that a limit of a day has passed.
const DAY: u64 = 86_400_001;

/// Counts the ends of rounds, the crashes and the faults of all scenarios.
#[derive(Default)]
struct Coverage {
    counts: HashMap<String, u64>,
    steps: u64,
}

/// Runs one scenario, then rounds without faults, after which the mirror must equal the tables.
fn run(seed: u64, coverage: &mut Coverage) {
    let scenario = Scenario::of(seed);
    let mut harness = Harness::new(&scenario);
    if is_replay() {
        println!("{} {} {}\n{}", scenario.call, scenario.path, scenario.query, scenario.options);
    }
    for turn in &scenario.turns {
        if is_replay() {
            println!("---- {turn:?}");
        }
        for edit in &turn.edits {
            let made = harness.world.edit(&serde_json::json!([edit]), harness.now);
            if is_replay() {
                println!("EDIT {} {made:?}", edit["op"]);
            }
        }
        // The time distinguishes changes before the round from those during it.
        harness.now += turn.pause;
        harness.world.add_faults(&turn.faults.clone().into()).unwrap();
        if turn.expire {
            harness.world.expire(None);
        }
        let end = match harness.round(Some(turn)) {
            End::Done => "done".to_owned(),
            End::Crashed => continue,
            End::Failed(failure) => {
                // After three resets in a day without a complete round, the next day has to begin.
                if failure.code == Code::ResyncLoop {
                    harness.now += DAY;
                }
                format!("failed: {}", failure.code.as_str())
            }
        };
        if is_replay() {
            println!("{end}");
        }
        *harness.counts.entry(end).or_default() += 1;
    }
    harness.world.clear_faults();
    // Two complete rounds, because a change during a round may be reported in the next one. Several
    // attempts, because a poisoned link has to be refused three times.
    complete_round(&mut harness);
    complete_round(&mut harness);
    // A series that moves while a round lists it is listed again, once a day at most.
    if harness.has_to_relist() {
        harness.now += DAY;
        complete_round(&mut harness);
    }
    let items = harness.items();
    if scenario.is_lossy || scenario.has_unnoticed_rows(&mut harness.world, &items) {
        harness.reset();
        complete_round(&mut harness);
    }
    harness.check(&scenario);
    harness.check_log();
    coverage.steps += harness.steps;
    for (what, count) in &harness.counts {
        *coverage.counts.entry(what.clone()).or_default() += count;
    }
    for (fault, count) in harness.world.faults()["counts"].as_object().into_iter().flatten() {
        *coverage.counts.entry(format!("fault {fault}")).or_default() += count.as_u64().unwrap_or(0);
    }
}

/// Whether one seed is replayed, and its turns are printed.
fn is_replay() -> bool {
    std::env::var("SEED").is_ok()
}

/// Runs rounds until one is complete.
fn complete_round(harness: &mut Harness) {
    for _ in 0..8 {
        match harness.round(None) {
            End::Done => return,
            End::Failed(failure) if failure.code == Code::ResyncLoop => harness.now += DAY,
            // A link that stays forbidden is abandoned after three rounds, each an hour later.
            End::Failed(failure) if failure.code == Code::Forbidden => harness.now += HOUR,
            End::Failed(_) => {}
            End::Crashed => unreachable!(),
        }
    }
    panic!("none of eight rounds without faults completes");
}

#[test]
fn after_any_scenario_of_edits_faults_and_crashes_the_mirror_equals_the_tables() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let single = number("SEED");
    let cases = number("CASES").unwrap_or(600);
    let mut coverage = Coverage::default();
    for seed in single.map_or(0..cases, |seed| seed..seed + 1) {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed, &mut coverage)));
        if let Err(error) = result {
            eprintln!("seed {seed} fails; replay it with SEED={seed} cargo test --test model");
            std::panic::resume_unwind(error);
        }
    }
    let mut counts: Vec<_> = coverage.counts.iter().collect();
    counts.sort();
    println!("{cases} scenarios, {} steps", coverage.steps);
    for (what, count) in counts {
        println!("{count:>9}  {what}");
    }
    if single.is_none() && cases >= 600 {
        let faults = fake_graph::FAULTS.iter().map(|name| format!("fault {name}"));
        for event in faults
            .chain(["done", "crash", "resync", "sweep", "master", "failed: livelock"].map(str::to_owned))
        {
            assert!(coverage.counts.get(&event).is_some_and(|count| *count > 0), "no scenario has: {event}");
        }
    }
}

#[test]
fn the_same_seed_sends_the_same_requests() {
    let request_log = |seed| {
        let mut harness = Harness::new(&Scenario::of(seed));
        assert!(matches!(harness.round(None), End::Done));
        harness.world.log().to_string()
    };
    assert_eq!(request_log(3), request_log(3));
    assert_ne!(request_log(3), request_log(4));
}
