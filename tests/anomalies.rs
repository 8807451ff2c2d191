//! The anomalies of Graph that were observed in practice (graph-facts 7), one test each, as whole
//! rounds on the core of the fake Graph. `tests/README.md` lists them.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    missing_docs,
    dead_code
)]

use deltalink::protocol;
use deltalink::protocol::error::{Code, Error};
use deltalink::protocol::record::{Kind, Phase};
use serde_json::{Value, json};

#[path = "model/bench.rs"]
mod bench;
mod driver;
#[path = "model/scenario.rs"]
mod scenario;

use bench::{Bench, End};
use scenario::{Scenario, Turn};

/// A day and a millisecond, so that a limit of a day has passed.
const DAY: u64 = 86_400_001;

fn scenario(collection: &'static str, options: Value) -> Scenario {
    let (call, path, query) = match collection {
        "contacts" => ("orgContacts", "", json!({})),
        "events" => ("events", "", json!({ "start": "2026-11-01", "end": "2026-12-20", "pageSize": 6 })),
        "recordings" => ("callRecordings", "", json!({})),
        "drive" => ("track", "/me/drive/root/delta", json!({})),
        "messages" => ("track", "/me/mailFolders/inbox/messages/delta", json!({})),
        "groups" => ("track", "/groups/delta", json!({})),
        _ => ("track", "/users/delta", json!({ "select": ["displayName", "mail", "jobTitle", "manager"] })),
    };
    Scenario { seed: 7, collection, call, path, query, options, is_lossy: false, turns: Vec::new() }
}

/// A scenario with a new world and a query that has not run.
fn unsynced(collection: &'static str, options: Value) -> (Scenario, Bench) {
    let scenario = scenario(collection, options);
    let bench = Bench::new(&scenario);
    (scenario, bench)
}

/// A scenario with a world and a query after its first round.
fn synced(collection: &'static str, options: Value) -> (Scenario, Bench) {
    let (scenario, mut bench) = unsynced(collection, options);
    complete_round(&mut bench);
    bench.check(&scenario);
    (scenario, bench)
}

fn complete_round(bench: &mut Bench) {
    match bench.round(None) {
        End::Done => {}
        End::Failed(failure) => panic!("{failure}"),
        End::Crashed => unreachable!(),
    }
}

fn failed_round(bench: &mut Bench) -> Box<Error> {
    match bench.round(None) {
        End::Failed(failure) => failure,
        _ => panic!("the round did not fail"),
    }
}

fn fault(bench: &mut Bench, kind: &str, times: Value, fault: Value) {
    bench.world.add_faults(&json!([{ "match": { "kind": kind }, "times": times, "fault": fault }])).unwrap();
}

fn edit(bench: &mut Bench, edit: Value) -> Vec<String> {
    bench.world.edit(&json!([edit]), bench.now).unwrap()
}

#[test]
fn anomaly_1_pages_that_repeat_a_subset_under_new_links_end_the_round_by_their_content() {
    let (scenario, mut bench) = unsynced("events", json!({ "honour_maxpagesize": false, "page_size": 6 }));
    fault(&mut bench, "next", Value::Null, json!({ "name": "livelock", "cycle": 2 }));
    let failure = failed_round(&mut bench);
    assert_eq!(failure.code, Code::Livelock);
    assert!(failure.message.contains("repeat the same items under new links"), "{failure}");
    assert!(bench.report.requests < 60, "{}", bench.report.requests);
    let state = bench.store.state.clone().unwrap();
    assert_eq!((state.phase, state.restarted), (Phase::Paging, true));
    bench.world.clear_faults();
    complete_round(&mut bench);
    bench.check(&scenario);
}

#[test]
fn anomaly_1_larger_pages_pass_a_series_that_does_not_fit_into_a_page() {
    let (scenario, mut bench) = unsynced("events", json!({}));
    let rule = json!([
        {
            "match": { "kind": "next", "page_size_over": 0 }, "times": 8,
            "fault": { "name": "livelock", "cycle": 1 },
        },
    ]);
    bench.world.add_faults(&rule).unwrap();
    complete_round(&mut bench);
    assert!(bench.report.page_size.is_some_and(|size| size > 6), "{:?}", bench.report.page_size);
    bench.check(&scenario);
}

#[test]
fn anomaly_2_a_next_link_equal_to_the_requested_one_is_requested_again() {
    let (scenario, mut bench) = unsynced("drive", json!({}));
    fault(&mut bench, "next", json!(2), json!({ "name": "same_link" }));
    complete_round(&mut bench);
    bench.check(&scenario);
}

#[test]
fn anomaly_3_an_empty_delta_round_is_not_a_loop() {
    for options in [json!({}), json!({ "trailing_empty_page": true, "empty_pages": 3 })] {
        let (scenario, mut bench) = synced("messages", options);
        for _ in 0..5 {
            complete_round(&mut bench);
            assert_eq!((bench.report.kind, bench.report.items), (Kind::Incremental, 0));
        }
        bench.check(&scenario);
    }
}

#[test]
fn anomaly_4_empty_pages_in_the_middle_do_not_end_a_round() {
    let (scenario, mut bench) = unsynced("contacts", json!({ "empty_pages": 7 }));
    complete_round(&mut bench);
    assert!(bench.report.pages > 14, "{}", bench.report.pages);
    bench.check(&scenario);
}

#[test]
fn anomaly_5_the_delta_link_is_stored_byte_for_byte() {
    let (_, mut bench) = synced("recordings", json!({}));
    let link = bench.store.state.clone().unwrap().link.unwrap();
    assert!(link.contains("%7B%22Continuation%22"), "percent-encoded JSON: {link}");
    complete_round(&mut bench);
    bench.check_log();
}

#[test]
fn anomaly_6_pages_of_any_size_are_accepted() {
    for options in [json!({ "page_overshoot": 900 }), json!({ "honour_maxpagesize": false, "page_size": 1 })]
    {
        let (scenario, mut bench) = unsynced("events", options);
        complete_round(&mut bench);
        bench.check(&scenario);
    }
}

#[test]
fn anomaly_7_a_503_in_the_middle_of_a_long_round_costs_a_wait_and_no_page() {
    let (scenario, mut bench) = unsynced("events", json!({}));
    fault(&mut bench, "next", json!(3), json!({ "name": "empty503" }));
    complete_round(&mut bench);
    assert_eq!((bench.report.retries, bench.report.waits.len()), (3, 3));
    bench.check(&scenario);
}

#[test]
fn anomaly_8_removals_of_events_outside_the_window_are_not_reported() {
    let (scenario, mut bench) = synced("events", json!({}));
    edit(
        &mut bench,
        json!({
            "collection": "events", "op": "add",
            "item": {
                "subject": "Far away", "start": { "dateTime": "2027-06-01T10:00:00", "timeZone": "UTC" },
                "end": { "dateTime": "2027-06-01T11:00:00", "timeZone": "UTC" },
            },
        }),
    );
    complete_round(&mut bench);
    assert_eq!((bench.report.items, bench.report.removed, bench.report.added), (1, 0, 0));
    bench.check(&scenario);
}

#[test]
fn anomaly_9_the_next_full_round_recovers_changes_that_a_round_lost() {
    let (scenario, mut bench) = unsynced("users", json!({ "changes_during_round": "live" }));
    let turn = Turn {
        mid_round_edits: (1..4)
            .map(|at| (at, json!({ "collection": "users", "op": "random", "count": 3 })))
            .collect(),
        ..Turn::quiet()
    };
    let _ = bench.round(Some(&turn));
    bench.reset();
    complete_round(&mut bench);
    bench.check(&scenario);
}

#[test]
fn anomaly_10_members_stay_in_the_set_until_graph_reports_their_removal() {
    let (scenario, mut bench) = synced("groups", json!({ "members_slice": 2 }));
    let group = |bench: &Bench| {
        bench
            .items()
            .into_values()
            .find(|item| item["members"].as_array().is_some_and(|members| members.len() > 2))
    };
    let before = group(&bench).unwrap();
    let (id, gone) = (before["id"].clone(), before["members"][0]["id"].clone());
    edit(
        &mut bench,
        json!({
            "collection": "groups", "op": "edit", "id": id, "patch": { "members": { "remove": [gone] } },
        }),
    );
    complete_round(&mut bench);
    let after = bench.items().remove(id.as_str().unwrap()).unwrap();
    assert_eq!(after["members"].as_array().unwrap().len() + 1, before["members"].as_array().unwrap().len());
    bench.check(&scenario);
}

#[test]
fn anomaly_11_an_id_that_is_repeated_on_later_pages_is_one_row() {
    let (scenario, mut bench) = unsynced("users", json!({ "duplicates": "pages", "page_size": 3 }));
    complete_round(&mut bench);
    assert!(bench.report.unchanged > 0);
    bench.check(&scenario);
}

#[test]
fn anomaly_12_items_without_an_id_are_skipped_and_counted() {
    let (_, mut bench) = unsynced("contacts", json!({}));
    fault(&mut bench, "any", json!(1), json!({ "name": "items_without_id", "n": 2 }));
    complete_round(&mut bench);
    assert_eq!((bench.report.skipped.no_id, bench.store.state.clone().unwrap().count), (2, Some(23)));
}

#[test]
fn anomaly_13_booleans_as_strings_are_stored_unchanged() {
    let (_, bench) = synced("messages", json!({ "string_booleans": true }));
    assert!(bench.items().values().all(|item| item["isRead"].is_string()));
}

#[test]
fn anomaly_14_duplicates_within_a_page_collapse_to_the_last_state() {
    let (scenario, mut bench) = unsynced("drive", json!({ "duplicates": "page" }));
    complete_round(&mut bench);
    assert!(bench.report.duplicates > 0);
    bench.check(&scenario);
}

#[test]
fn anomaly_15_a_page_whose_body_is_nearly_json_is_requested_again() {
    let (scenario, mut bench) = unsynced("contacts", json!({}));
    fault(&mut bench, "any", json!(2), json!({ "name": "not_json" }));
    complete_round(&mut bench);
    assert_eq!(bench.report.retries, 2);
    bench.check(&scenario);
}

#[test]
fn anomaly_16_the_order_of_parents_and_children_does_not_matter() {
    let (scenario, mut bench) = unsynced("drive", json!({ "reorder": true }));
    complete_round(&mut bench);
    let folder = bench
        .items()
        .into_values()
        .find(|item| item.get("folder").is_some() && item.get("root").is_none())
        .unwrap();
    edit(&mut bench, json!({ "collection": "drive", "op": "remove", "id": folder["id"] }));
    complete_round(&mut bench);
    bench.check(&scenario);
}

#[test]
fn anomaly_18_a_page_without_value_is_requested_three_times() {
    let (scenario, mut bench) = synced("contacts", json!({}));
    let before = bench.store.state.clone();
    fault(&mut bench, "any", Value::Null, json!({ "name": "no_value" }));
    assert_eq!(failed_round(&mut bench).code, Code::Protocol);
    assert_eq!((bench.report.requests, bench.store.state.clone()), (3, before));
    bench.world.clear_faults();
    complete_round(&mut bench);
    bench.check(&scenario);
}

#[test]
fn anomaly_19_a_crash_before_the_acknowledgement_delivers_the_page_again() {
    let (scenario, mut bench) = synced("contacts", json!({}));
    edit(&mut bench, json!({ "collection": "contacts", "op": "edit" }));
    // The process ends after the inputs Begin, Loaded, SignedIn, Page, Applied and Delivered.
    assert!(matches!(bench.round(Some(&Turn { crash: Some(6), ..Turn::quiet() })), End::Crashed));
    complete_round(&mut bench);
    assert_eq!(bench.report.changed, 1);
    bench.check(&scenario);
}

#[test]
fn anomaly_21_a_round_without_a_link_at_its_end_is_not_complete() {
    let (scenario, mut bench) = unsynced("recordings", json!({}));
    fault(&mut bench, "any", Value::Null, json!({ "name": "neither_link" }));
    let failure = failed_round(&mut bench);
    assert!(failure.message.contains("neither a nextLink nor a deltaLink"), "{failure}");
    assert!(bench.store.state.is_none());
    bench.world.clear_faults();
    complete_round(&mut bench);
    bench.check(&scenario);
}

#[test]
fn anomaly_22_a_deleted_folder_is_an_error_and_its_mirror_stays() {
    let (_, mut bench) = synced("messages", json!({}));
    let before = bench.items();
    fault(
        &mut bench,
        "delta",
        Value::Null,
        json!({ "name": "status", "status": 404, "code": "ErrorItemNotFound" }),
    );
    fault(
        &mut bench,
        "initial",
        Value::Null,
        json!({ "name": "status", "status": 404, "code": "ErrorItemNotFound" }),
    );
    for _ in 0..4 {
        let failure = failed_round(&mut bench);
        assert_eq!((failure.code, failure.retryable), (Code::NotFound, false));
        bench.now += DAY;
    }
    assert_eq!(bench.items(), before);
}

#[test]
fn anomaly_23_every_received_item_is_stored_or_counted() {
    let (scenario, mut bench) = synced("drive", json!({ "empty_deleted_facet": true }));
    edit(&mut bench, json!({ "collection": "drive", "op": "random", "count": 12 }));
    complete_round(&mut bench);
    bench.check(&scenario);
    let counted = bench.report.added + bench.report.changed + bench.report.unchanged + bench.report.removed;
    assert!(counted > 0 && bench.report.skipped.no_id + bench.report.skipped.not_an_object == 0);
}
