//! Planner.

use deltalink::protocol::endpoint::Endpoint;
use deltalink::protocol::query::{self, Options};
use serde_json::json;

use crate::script::{Script, page};

fn planner() -> query::Query {
    query::track("/me/planner/all/delta", Options::default()).unwrap()
}

#[test]
fn an_item_of_planner_has_only_the_changed_properties_and_is_merged_into_its_row() {
    let mut script = Script::new(planner());
    let start = script.start();
    let task = json!({ "id": "task", "title": "Order chairs", "percentComplete": 0, "dueDateTime": null });
    script.on(&start, page(json!([task]), "delta d1"));
    script.round().unwrap();
    // Three successive changes of one task on one page.
    let changes = json!([
        { "id": "task", "percentComplete": 100, "completedDateTime": "2026-03-13T21:31:25Z" },
        { "id": "task", "percentComplete": 0, "completedDateTime": null },
        { "id": "task", "title": "Order tables" },
    ]);
    script.on("/d1", page(changes, "delta d2"));
    script.round().unwrap();
    assert_eq!(
        script.rows["task"].item,
        json!({
            "id": "task",
            "title": "Order tables",
            "percentComplete": 0,
            "dueDateTime": null,
            "completedDateTime": null,
        })
    );
}

#[test]
fn a_full_round_of_planner_lists_no_objects_and_removes_none() {
    let mut script = Script::new(planner());
    let start = script.start();
    script.on(&start, page(json!([]), "delta d1"));
    script.round().unwrap();
    script.on("/d1", page(json!([{ "id": "task", "title": "Order chairs" }]), "delta d2"));
    script.round().unwrap();
    script.on_status("/d2", 410, json!({ "error": { "code": "Gone", "message": "The link is too old." } }));
    script.on(&start, page(json!([{ "id": "task", "percentComplete": 50 }]), "delta d3"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["task"]);
    let item = &script.rows["task"].item;
    assert_eq!(*item, json!({ "id": "task", "title": "Order chairs", "percentComplete": 50 }), "merged");
}

#[test]
fn planner_gets_no_preference_for_its_default_behavior() {
    let query = planner();
    assert!(query.minimal && query.prefer.is_empty(), "{:?}", query.prefer);
    let options = Options { minimal: true, ..Options::default() };
    assert!(query::track("/me/planner/all/delta", options).is_err(), "return=minimal is not documented");
    let endpoint = Endpoint::parse("https://graph.microsoft.com/beta").unwrap();
    assert!(query.url(&endpoint, None).ends_with("/beta/me/planner/all/delta"));
}
