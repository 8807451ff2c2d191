//! Prints the scenarios of the model test as JSON, one a line, for tests outside of Rust:
//! `scenarios FROM COUNT`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, dead_code)]

#[path = "../../model/scenario.rs"]
mod scenario;

use scenario::{START, Scenario, Turn};
use serde_json::{Value, json};

fn turn(turn: &Turn) -> Value {
    json!({
        "edits": turn.edits, "midRoundEdits": turn.mid_round_edits, "faults": turn.faults,
        "expire": turn.expire, "crash": turn.crash,
        "hasConsumer": turn.has_consumer, "maxPages": turn.max_pages, "rival": turn.rival,
    })
}

fn main() {
    let args: Vec<u64> =
        std::env::args().skip(1).map(|text| text.parse().expect("scenarios FROM COUNT")).collect();
    for seed in args[0]..args[0] + args[1] {
        let one = Scenario::of(seed);
        let turns: Vec<Value> = one.turns.iter().map(turn).collect();
        let line = json!({
            "seed": seed, "collection": one.collection, "call": one.call, "path": one.path,
            "query": one.query, "options": one.options,
            "needsRefresh": one.needs_refresh(), "deliversEveryPage": one.delivers_every_page(),
            "isAppOnly": one.needs_app_token(), "turns": turns,
            "populate": {
                "contacts": 25, "events": 30, "drive": 20, "messages": 20, "recordings": 15, "users": 14,
                "groups": 6, "around": START,
            },
        });
        println!("{line}");
    }
}
