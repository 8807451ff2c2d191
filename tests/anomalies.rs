//! The anomalies of Graph that were observed in practice (graph-facts 7), as whole rounds on the
//! core of the fake Graph. `tests/README.md` lists them.
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

mod driver;
#[path = "model/harness.rs"]
mod harness;
#[path = "model/scenario.rs"]
mod scenario;

use harness::{End, Harness};
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
fn unsynced(collection: &'static str, options: Value) -> (Scenario, Harness) {
    let scenario = scenario(collection, options);
    let harness = Harness::new(&scenario);
    (scenario, harness)
}

/// A scenario with a world and a query after its first round.
fn synced(collection: &'static str, options: Value) -> (Scenario, Harness) {
    let (scenario, mut harness) = unsynced(collection, options);
    complete_round(&mut harness);
    harness.check(&scenario);
    (scenario, harness)
}

fn complete_round(harness: &mut Harness) {
    match harness.round(None) {
        End::Done => {}
        End::Failed(failure) => panic!("{failure}"),
        End::Crashed => unreachable!(),
    }
}

fn failed_round(harness: &mut Harness) -> Box<Error> {
    match harness.round(None) {
        End::Failed(failure) => failure,
        _ => panic!("the round did not fail"),
    }
}

fn fault(harness: &mut Harness, kind: &str, times: Value, fault: Value) {
    harness
        .world
        .add_faults(&json!([{ "match": { "kind": kind }, "times": times, "fault": fault }]))
        .unwrap();
}

fn edit(harness: &mut Harness, edit: Value) -> Vec<String> {
    harness.world.edit(&json!([edit]), harness.now).unwrap()
}

#[test]
fn anomaly_1_pages_that_repeat_a_subset_under_new_links_end_the_round_by_their_content() {
    let (scenario, mut harness) = unsynced("events", json!({ "honour_maxpagesize": false, "page_size": 6 }));
    fault(&mut harness, "next", Value::Null, json!({ "name": "livelock", "cycle": 2 }));
    let failure = failed_round(&mut harness);
    assert_eq!(failure.code, Code::Livelock);
    assert!(failure.message.contains("repeat the same items under new links"), "{failure}");
    assert!(harness.report.requests < 60, "{}", harness.report.requests);
    let state = harness.store.state.clone().unwrap();
    assert_eq!((state.phase, state.restarted), (Phase::Paging, true));
    harness.world.clear_faults();
    complete_round(&mut harness);
    harness.check(&scenario);
}

#[test]
fn anomaly_1_larger_pages_pass_a_series_that_does_not_fit_into_a_page() {
    let (scenario, mut harness) = unsynced("events", json!({}));
    let rule = json!([
        {
            "match": { "kind": "next", "page_size_over": 0 }, "times": 8,
            "fault": { "name": "livelock", "cycle": 1 },
        },
    ]);
    harness.world.add_faults(&rule).unwrap();
    complete_round(&mut harness);
    assert!(harness.report.page_size.is_some_and(|size| size > 6), "{:?}", harness.report.page_size);
    harness.check(&scenario);
}

#[test]
fn anomaly_2_a_next_link_equal_to_the_requested_one_is_requested_again() {
    let (scenario, mut harness) = unsynced("drive", json!({}));
    fault(&mut harness, "next", json!(2), json!({ "name": "same_link" }));
    complete_round(&mut harness);
    harness.check(&scenario);
}

#[test]
fn anomaly_3_an_empty_delta_round_is_not_a_loop() {
    for options in [json!({}), json!({ "trailing_empty_page": true, "empty_pages": 3 })] {
        let (scenario, mut harness) = synced("messages", options);
        for _ in 0..5 {
            complete_round(&mut harness);
            assert_eq!((harness.report.kind, harness.report.items), (Kind::Incremental, 0));
        }
        harness.check(&scenario);
    }
}

#[test]
fn anomaly_4_empty_pages_in_the_middle_do_not_end_a_round() {
    let (scenario, mut harness) = unsynced("contacts", json!({ "empty_pages": 7 }));
    complete_round(&mut harness);
    assert!(harness.report.pages > 14, "{}", harness.report.pages);
    harness.check(&scenario);
}

#[test]
fn anomaly_5_the_delta_link_is_stored_byte_for_byte() {
    let (_, mut harness) = synced("recordings", json!({}));
    let link = harness.store.state.clone().unwrap().link.unwrap();
    assert!(link.contains("%7B%22Continuation%22"), "percent-encoded JSON: {link}");
    complete_round(&mut harness);
    harness.check_log();
}

#[test]
fn anomaly_6_pages_of_any_size_are_accepted() {
    for options in [json!({ "page_overshoot": 900 }), json!({ "honour_maxpagesize": false, "page_size": 1 })]
    {
        let (scenario, mut harness) = unsynced("events", options);
        complete_round(&mut harness);
        harness.check(&scenario);
    }
}

#[test]
fn anomaly_7_a_503_in_the_middle_of_a_long_round_costs_a_wait_and_no_page() {
    let (scenario, mut harness) = unsynced("events", json!({}));
    fault(&mut harness, "next", json!(3), json!({ "name": "empty503" }));
    complete_round(&mut harness);
    assert_eq!((harness.report.retries, harness.report.waits.len()), (3, 3));
    harness.check(&scenario);
}

#[test]
fn anomaly_8_removals_of_events_outside_the_window_are_not_reported() {
    let (scenario, mut harness) = synced("events", json!({}));
    edit(
        &mut harness,
        json!({
            "collection": "events", "op": "add",
            "item": {
                "subject": "Far away", "start": { "dateTime": "2027-06-01T10:00:00", "timeZone": "UTC" },
                "end": { "dateTime": "2027-06-01T11:00:00", "timeZone": "UTC" },
            },
        }),
    );
    complete_round(&mut harness);
    assert_eq!((harness.report.items, harness.report.removed, harness.report.added), (1, 0, 0));
    harness.check(&scenario);
}

#[test]
fn anomaly_9_the_next_full_round_recovers_changes_that_a_round_lost() {
    let (scenario, mut harness) = unsynced("users", json!({ "changes_during_round": "live" }));
    let turn = Turn {
        mid_round_edits: (1..4)
            .map(|at| (at, json!({ "collection": "users", "op": "random", "count": 3 })))
            .collect(),
        ..Turn::quiet()
    };
    let _ = harness.round(Some(&turn));
    harness.reset();
    complete_round(&mut harness);
    harness.check(&scenario);
}

#[test]
fn anomaly_10_members_stay_in_the_set_until_graph_reports_their_removal() {
    let (scenario, mut harness) = synced("groups", json!({ "members_slice": 2 }));
    let group = |harness: &Harness| {
        harness
            .items()
            .into_values()
            .find(|item| item["members"].as_array().is_some_and(|members| members.len() > 2))
    };
    let before = group(&harness).unwrap();
    let (id, gone) = (before["id"].clone(), before["members"][0]["id"].clone());
    edit(
        &mut harness,
        json!({
            "collection": "groups", "op": "edit", "id": id, "patch": { "members": { "remove": [gone] } },
        }),
    );
    complete_round(&mut harness);
    let after = harness.items().remove(id.as_str().unwrap()).unwrap();
    assert_eq!(after["members"].as_array().unwrap().len() + 1, before["members"].as_array().unwrap().len());
    harness.check(&scenario);
}

#[test]
fn anomaly_11_an_id_that_is_repeated_on_later_pages_is_one_row() {
    let (scenario, mut harness) = unsynced("users", json!({ "duplicates": "pages", "page_size": 3 }));
    complete_round(&mut harness);
    assert!(harness.report.unchanged > 0);
    harness.check(&scenario);
}

#[test]
fn anomaly_12_items_without_an_id_are_skipped_and_counted() {
    let (_, mut harness) = unsynced("contacts", json!({}));
    fault(&mut harness, "any", json!(1), json!({ "name": "items_without_id", "n": 2 }));
    complete_round(&mut harness);
    assert_eq!((harness.report.skipped.no_id, harness.store.state.clone().unwrap().count), (2, Some(23)));
}

#[test]
fn anomaly_13_booleans_as_strings_are_stored_unchanged() {
    let (_, harness) = synced("messages", json!({ "string_booleans": true }));
    assert!(harness.items().values().all(|item| item["isRead"].is_string()));
}

#[test]
fn anomaly_14_duplicates_within_a_page_collapse_to_the_last_state() {
    let (scenario, mut harness) = unsynced("drive", json!({ "duplicates": "page" }));
    complete_round(&mut harness);
    assert!(harness.report.duplicates > 0);
    harness.check(&scenario);
}

#[test]
fn anomaly_15_a_page_whose_body_is_nearly_json_is_requested_again() {
    let (scenario, mut harness) = unsynced("contacts", json!({}));
    fault(&mut harness, "any", json!(2), json!({ "name": "not_json" }));
    complete_round(&mut harness);
    assert_eq!(harness.report.retries, 2);
    harness.check(&scenario);
}

#[test]
fn anomaly_16_the_order_of_parents_and_children_does_not_matter() {
    let (scenario, mut harness) = unsynced("drive", json!({ "reorder": true }));
    complete_round(&mut harness);
    let folder = harness
        .items()
        .into_values()
        .find(|item| item.get("folder").is_some() && item.get("root").is_none())
        .unwrap();
    edit(&mut harness, json!({ "collection": "drive", "op": "remove", "id": folder["id"] }));
    complete_round(&mut harness);
    harness.check(&scenario);
}

#[test]
fn anomaly_18_a_page_without_value_is_requested_three_times() {
    let (scenario, mut harness) = synced("contacts", json!({}));
    let before = harness.store.state.clone();
    fault(&mut harness, "any", Value::Null, json!({ "name": "no_value" }));
    assert_eq!(failed_round(&mut harness).code, Code::Protocol);
    assert_eq!((harness.report.requests, harness.store.state.clone()), (3, before));
    harness.world.clear_faults();
    complete_round(&mut harness);
    harness.check(&scenario);
}

#[test]
fn anomaly_19_a_crash_before_the_acknowledgement_delivers_the_page_again() {
    let (scenario, mut harness) = synced("contacts", json!({}));
    edit(&mut harness, json!({ "collection": "contacts", "op": "edit" }));
    // The process ends after the inputs Begin, Loaded, SignedIn, Page, Applied and Delivered.
    assert!(matches!(harness.round(Some(&Turn { crash: Some(6), ..Turn::quiet() })), End::Crashed));
    complete_round(&mut harness);
    assert_eq!(harness.report.changed, 1);
    harness.check(&scenario);
}

#[test]
fn anomaly_21_a_round_without_a_link_at_its_end_is_not_complete() {
    let (scenario, mut harness) = unsynced("recordings", json!({}));
    fault(&mut harness, "any", Value::Null, json!({ "name": "neither_link" }));
    let failure = failed_round(&mut harness);
    assert!(failure.message.contains("neither a nextLink nor a deltaLink"), "{failure}");
    assert!(harness.store.state.is_none());
    harness.world.clear_faults();
    complete_round(&mut harness);
    harness.check(&scenario);
}

#[test]
fn anomaly_22_a_deleted_folder_is_an_error_and_its_mirror_stays() {
    let (_, mut harness) = synced("messages", json!({}));
    let before = harness.items();
    fault(
        &mut harness,
        "delta",
        Value::Null,
        json!({ "name": "status", "status": 404, "code": "ErrorItemNotFound" }),
    );
    fault(
        &mut harness,
        "initial",
        Value::Null,
        json!({ "name": "status", "status": 404, "code": "ErrorItemNotFound" }),
    );
    for _ in 0..4 {
        let failure = failed_round(&mut harness);
        assert_eq!((failure.code, failure.retryable), (Code::NotFound, false));
        harness.now += DAY;
    }
    assert_eq!(harness.items(), before);
}

#[test]
fn anomaly_23_every_received_item_is_stored_or_counted() {
    let (scenario, mut harness) = synced("drive", json!({ "empty_deleted_facet": true }));
    edit(&mut harness, json!({ "collection": "drive", "op": "random", "count": 12 }));
    complete_round(&mut harness);
    harness.check(&scenario);
    let counted =
        harness.report.added + harness.report.changed + harness.report.unchanged + harness.report.removed;
    assert!(counted > 0 && harness.report.skipped.no_id + harness.report.skipped.not_an_object == 0);
}
