use super::*;
use crate::protocol::record::Completed;
use crate::protocol::record::{Phase, Record};
use crate::protocol::series::side_row;
use crate::protocol::sweep::Sweeper;
use crate::protocol::time::Instant;
use serde_json::{Value, json};

const INCREMENTAL: ApplyMode<'static> = ApplyMode {
    round: 2,
    started_at: Instant::from_millis(0.0),
    page_index: 0,
    is_full_round: false,
    format: ItemFormat { dialect: Dialect::Removed, minimal: false, slices: false, never_whole: false },
    has_mirror: true,
    has_consumer: false,
    is_final_page: false,
    has_masters: false,
    has_unique_names: false,
    delivered: &[],
};
const MINIMAL: ApplyMode<'static> =
    ApplyMode { format: ItemFormat { minimal: true, ..INCREMENTAL.format }, ..INCREMENTAL };
const SLICED: ApplyMode<'static> =
    ApplyMode { format: ItemFormat { slices: true, ..INCREMENTAL.format }, ..INCREMENTAL };

fn row(round: u32, item: Value) -> Option<Row<Value>> {
    Some(Row::new(round, item))
}

fn collapse(items: Vec<Value>, dialect: Dialect, minimal: bool) -> Collapsed<Value> {
    super::collapse(items, ItemFormat { dialect, minimal, slices: false, never_whole: false })
}

fn apply(
    entries: Vec<(String, Entry<Value>)>,
    rows: Vec<Option<Row<Value>>>,
    mode: ApplyMode<'_>,
) -> PageEffects<Value> {
    super::apply(entries, &mut rows.into_iter(), mode, &mut RecentVersions::default())
}

fn pass_through(entries: Vec<(String, Entry<Value>)>, mode: ApplyMode<'_>) -> PageEffects<Value> {
    super::pass_through(entries, mode, &mut RecentVersions::default())
}

fn upsert(item: Value) -> Vec<(String, Entry<Value>)> {
    vec![(item.string_property("id").unwrap(), Entry::Upsert(item))]
}

fn removal_of(item: Value, dialect: Dialect) -> Option<Reason> {
    removal(&item, dialect)
}

fn sweep(rows: Vec<(String, Row<Value>)>, completed: &Completed) -> PageEffects<Value> {
    Sweeper::default().sweep(rows, false, completed).0
}

#[test]
fn removed_has_two_reasons_and_may_stand_on_either_side_of_the_id() {
    for dialect in [Dialect::Removed, Dialect::DeletedFacet, Dialect::DeletedDate] {
        assert_eq!(
            removal_of(json!({"@removed": {"reason": "deleted"}, "id": "a"}), dialect),
            Some(Reason::Deleted)
        );
        assert_eq!(
            removal_of(json!({"id": "a", "@removed": {"reason": "changed"}}), dialect),
            Some(Reason::Changed)
        );
        assert_eq!(removal_of(json!({"id": "a", "@removed": {}}), dialect), Some(Reason::Deleted));
        assert_eq!(removal_of(json!({"id": "a", "@removed": null}), dialect), None);
    }
}

#[test]
fn a_deleted_facet_counts_on_drives_lists_and_sites_only_and_only_as_an_object() {
    let item = json!({"id": "a", "deleted": {}});
    assert_eq!(removal_of(item.clone(), Dialect::DeletedFacet), Some(Reason::Deleted));
    assert_eq!(removal_of(item, Dialect::Removed), None);
    assert_eq!(removal_of(json!({"id": "a", "deleted": true}), Dialect::DeletedFacet), None);
    assert_eq!(removal_of(json!({"id": "a", "deleted": null}), Dialect::DeletedFacet), None);
}

#[test]
fn a_deleted_date_counts_on_chat_messages_only_and_only_if_set() {
    let item = json!({"id": "a", "deletedDateTime": "2026-11-01T10:00:00Z"});
    assert_eq!(removal_of(item.clone(), Dialect::DeletedDate), Some(Reason::Deleted));
    assert_eq!(removal_of(item, Dialect::Removed), None);
    assert_eq!(removal_of(json!({"id": "a", "deletedDateTime": null}), Dialect::DeletedDate), None);
}

#[test]
fn items_without_an_id_are_skipped_and_counted() {
    let page = collapse(
        vec![
            json!({"id": "a"}),
            json!({"x": 1}),
            json!({"id": ""}),
            json!({"id": 7}),
            json!("b"),
            json!(null),
        ],
        Dialect::Removed,
        false,
    );
    assert_eq!((page.items, page.entries.len(), page.no_id, page.not_an_object), (6, 1, 3, 2));
}

#[test]
fn the_last_state_of_an_id_wins_within_a_page() {
    let page = collapse(
        vec![json!({"id": "a", "v": 1}), json!({"id": "b"}), json!({"id": "a", "v": 2})],
        Dialect::Removed,
        false,
    );
    assert_eq!(page.duplicates, 1);
    assert_eq!(
        page.entries,
        [
            ("a".into(), Entry::Upsert(json!({"id": "a", "v": 2}))),
            ("b".into(), Entry::Upsert(json!({"id": "b"})))
        ]
    );
    let gone = collapse(
        vec![json!({"id": "a"}), json!({"id": "a", "@removed": {"reason": "deleted"}})],
        Dialect::Removed,
        false,
    );
    assert_eq!(gone.entries, [("a".into(), Entry::Remove(Reason::Deleted))]);
}

#[test]
fn duplicates_of_a_minimal_page_are_merged() {
    let page = collapse(
        vec![json!({"id": "a", "mail": "x"}), json!({"id": "a", "phone": null})],
        Dialect::Removed,
        true,
    );
    assert_eq!(page.entries, [("a".into(), Entry::Upsert(json!({"id": "a", "mail": "x", "phone": null})))]);
}

#[test]
fn an_upsert_replaces_the_row_and_is_new_changed_or_unchanged() {
    let entries =
        ["new", "changed", "same"].map(|id| (id.into(), Entry::Upsert(json!({"id": id, "v": 2})))).to_vec();
    let rows = vec![
        None,
        row(1, json!({"id": "changed", "v": 1, "gone": true})),
        row(1, json!({"v": 2, "id": "same"})),
    ];
    let applied = apply(entries, rows, INCREMENTAL);
    assert_eq!(applied.put.len(), 3);
    let is_new_and_unchanged: Vec<(bool, bool)> = applied
        .changes
        .iter()
        .map(|change| matches!(change, Change::Upsert { old: None, .. }))
        .zip(applied.changes.iter().map(|change| matches!(change, Change::Upsert { unchanged: true, .. })))
        .collect();
    assert_eq!(is_new_and_unchanged, [(true, false), (false, false), (false, true)]);
    assert_eq!(applied.put.get(1).map(|(_, row)| &row.item), Some(&json!({"id": "changed", "v": 2})));
}

#[test]
fn an_item_with_the_same_etag_is_unchanged() {
    let entries = vec![(
        "a".to_owned(),
        Entry::Upsert(json!({"id": "a", "@odata.etag": "W/1", "start": {"timeZone": "UTC"}})),
    )];
    let applied = apply(entries, vec![row(1, json!({"id": "a", "@odata.etag": "W/1"}))], INCREMENTAL);
    assert!(matches!(applied.changes.first(), Some(Change::Upsert { unchanged: true, .. })));
}

#[test]
fn a_removal_of_an_unknown_id_is_not_announced() {
    let entries = vec![
        ("a".to_owned(), Entry::Remove(Reason::Deleted)),
        ("b".to_owned(), Entry::Remove(Reason::Changed)),
    ];
    let applied = apply(entries, vec![None, row(1, json!({"id": "b"}))], INCREMENTAL);
    assert_eq!(applied.remove, ["b"]);
    assert_eq!(
        applied.changes,
        [Change::Remove { id: "b".into(), reason: Reason::Changed, old: Some(json!({"id": "b"})) }]
    );
}

#[test]
fn a_minimal_item_keeps_absent_properties_and_sets_null_ones() {
    let entries =
        vec![("a".to_owned(), Entry::Upsert(json!({"id": "a", "mail": null, "jobTitle": "Buyer"})))];
    let before = row(1, json!({"id": "a", "mail": "a@contoso.example", "phone": "1"}));
    let applied = apply(entries, vec![before], MINIMAL);
    assert_eq!(
        applied.put.first().map(|(_, row)| row.item.clone()),
        Some(json!({"id": "a", "mail": null, "phone": "1", "jobTitle": "Buyer"}))
    );
}

#[test]
fn a_full_round_replaces_a_row_at_its_first_item_even_if_minimal() {
    let mode = ApplyMode { is_full_round: true, ..MINIMAL };
    let entry = || vec![("a".to_owned(), Entry::Upsert(json!({"id": "a", "mail": "m"})))];
    let first = apply(entry(), vec![row(1, json!({"id": "a", "stale": 1}))], mode);
    assert_eq!(first.put, [("a".into(), Row::new(2, json!({"id": "a", "mail": "m"})))]);
    let again = apply(entry(), vec![row(2, json!({"id": "a", "phone": 1}))], mode);
    assert_eq!(again.put, [("a".into(), Row::new(2, json!({"id": "a", "phone": 1, "mail": "m"})))]);
}

#[test]
fn a_sweep_removes_rows_that_the_full_round_did_not_list() {
    let rows = ["old", "new", "\0master"]
        .into_iter()
        .zip([1, 2, 1])
        .map(|(id, round)| (id.to_owned(), Row::new(round, json!(round))));
    let applied = sweep(rows.collect(), &Completed::for_tests(2));
    assert_eq!((applied.remove, applied.count_delta), (vec!["old".to_owned(), side_row("master")], -1));
    assert_eq!(
        applied.changes,
        [Change::Remove { id: "old".into(), reason: Reason::Ghost, old: Some(json!(1)) }]
    );
}

#[test]
fn a_full_round_that_could_not_identify_an_item_removes_nothing() {
    let record = Record {
        phase: Phase::Sweeping,
        unidentified: true,
        round_number: 2,
        ..Record::new(Instant::from_millis(0.0), 0.0)
    };
    let rows = vec![("old".to_owned(), Row::new(1, json!({"id": "old"})))];
    let applied = sweep(rows, &record.completed().unwrap());
    assert_eq!((applied.remove.len(), applied.changes.len()), (0, 0));
}

#[test]
fn a_feed_delivers_every_entry() {
    let entries = || {
        vec![
            ("a".to_owned(), Entry::Upsert(json!({"id": "a"}))),
            ("b".to_owned(), Entry::Remove(Reason::Deleted)),
        ]
    };
    let applied = pass_through(entries(), MINIMAL);
    assert!(applied.put.is_empty() && applied.remove.is_empty());
    assert_eq!(applied.changes.len(), 2);
    assert!(matches!(applied.changes.first(), Some(Change::Upsert { partial: true, .. })));
    let full = pass_through(entries(), ApplyMode { is_full_round: true, ..MINIMAL });
    assert!(
        matches!(full.changes.first(), Some(Change::Upsert { partial: true, .. })),
        "only the first item of an id is complete, and a feed cannot know which one that is"
    );
}

#[test]
fn a_removal_of_a_delivered_id_is_reported_although_it_is_not_in_the_mirror() {
    let delivered = ["a".to_owned()];
    let entries = ["a", "b"].map(|id| (id.to_owned(), Entry::Remove(Reason::Deleted))).to_vec();
    let applied = apply(entries, vec![None, None], ApplyMode { delivered: &delivered, ..INCREMENTAL });
    assert_eq!(applied.changes, [Change::Remove { id: "a".into(), reason: Reason::Deleted, old: None }]);
    assert_eq!((applied.remove.len(), applied.count_delta), (0, 0));
}

#[test]
fn a_page_makes_progress_if_the_round_has_not_received_one_of_its_items_in_this_version() {
    let event = |etag: &str| upsert(json!({"id": "a", "@odata.etag": etag}));
    let made_progress = |entries, row| apply(entries, vec![row], INCREMENTAL).made_progress;
    assert!(made_progress(event("1"), None));
    assert!(
        made_progress(event("1"), row(1, json!({"id": "a", "@odata.etag": "1"}))),
        "the first time in this round"
    );
    assert!(!made_progress(event("1"), row(2, json!({"id": "a", "@odata.etag": "1"}))));
    assert!(made_progress(event("2"), row(2, json!({"id": "a", "@odata.etag": "1"}))));
    assert!(
        !made_progress(upsert(json!({"id": "a", "n": 1})), row(2, json!({"n": 1, "id": "a"}))),
        "by content without an etag"
    );
    assert!(made_progress(upsert(json!({"id": "a", "n": 2})), row(2, json!({"n": 1, "id": "a"}))));
}

#[test]
fn removals_of_unknown_ids_and_the_items_of_a_feed_make_progress_once() {
    let mut seen = RecentVersions::default();
    let gone = || vec![("a".to_owned(), Entry::Remove::<Value>(Reason::Deleted))];
    assert!(super::apply(gone(), &mut vec![None].into_iter(), INCREMENTAL, &mut seen).made_progress);
    assert!(!super::apply(gone(), &mut vec![None].into_iter(), INCREMENTAL, &mut seen).made_progress);
    let mut made_progress =
        |item: Value| super::pass_through(upsert(item), INCREMENTAL, &mut seen).made_progress;
    assert!(
        made_progress(json!({"id": "e", "@odata.etag": "1"}))
            && !made_progress(json!({"id": "e", "@odata.etag": "1"}))
    );
    assert!(made_progress(json!({"id": "e", "@odata.etag": "2"})));
    assert!(made_progress(json!({"id": "u", "n": 1})));
    assert!(
        made_progress(json!({"id": "u", "n": 1})),
        "the content is remembered only from the second time on"
    );
    assert!(!made_progress(json!({"id": "u", "n": 1})));
    assert!(made_progress(json!({"id": "u", "n": 2})));
}

fn member(id: &str) -> Value {
    json!({"id": id})
}

fn gone(id: &str) -> Value {
    json!({"id": id, "@removed": {"reason": "deleted"}})
}

#[test]
fn an_incremental_round_merges_slices_into_the_set_and_keeps_it_without_one() {
    let entry = upsert(json!({"id": "g", "name": "new", "members@delta": [member("b"), gone("a")]}));
    let before = Row {
        sets: vec!["members".into()],
        ..Row::new(1, json!({"id": "g", "mail": "m", "members": [member("a")]}))
    };
    let applied = apply(entry, vec![Some(before.clone())], SLICED);
    let (_, row) = applied.put.first().unwrap();
    assert_eq!(
        row.item,
        json!({"id": "g", "name": "new", "mail": "m", "members": [member("b")]}),
        "an item with slices is merged"
    );
    assert_eq!((row.sets.clone(), row.staged.clone()), (vec!["members".to_owned()], None));
    let applied = apply(upsert(json!({"id": "g", "name": "new"})), vec![Some(before)], SLICED);
    let (_, row) = applied.put.first().unwrap();
    assert_eq!(
        row.item,
        json!({"id": "g", "name": "new", "members": [member("a")]}),
        "an item without slices replaces everything except the sets"
    );
}

#[test]
fn a_full_round_stages_the_sets_until_it_is_complete() {
    let full = ApplyMode { is_full_round: true, ..SLICED };
    let old = Row {
        sets: vec!["members".into()],
        ..Row::new(1, json!({"id": "g", "stale": 1, "members": [member("a")]}))
    };
    let slice = |members: Value| upsert(json!({"id": "g", "n": 1, "members@delta": members}));
    let take = |applied: PageEffects<Value>| applied.put.into_iter().next().map(|(_, row)| row);
    let first = apply(slice(json!([member("b")])), vec![Some(old)], full);
    assert!(first.staged && first.made_progress);
    let first = take(first);
    assert_eq!(
        first.as_ref().map(|row| row.item.clone()),
        Some(json!({"id": "g", "n": 1, "members": [member("a")]})),
        "readers see the old set"
    );
    let second = apply(slice(json!([member("c")])), vec![first], full);
    assert!(second.made_progress, "another slice of the same group is progress");
    let second = take(second);
    let again = apply(slice(json!([member("c")])), vec![second.clone()], full);
    assert!(!again.made_progress, "the same slice is not");
    let swept = sweep(vec![("g".to_owned(), second.unwrap())], &Completed::for_tests(2));
    let (_, row) = swept.put.first().unwrap();
    assert_eq!(row.item, json!({"id": "g", "n": 1, "members": [member("b"), member("c")]}));
    assert_eq!(
        (row.sets.clone(), row.staged.clone(), swept.changes.len()),
        (vec!["members".to_owned()], None, 1)
    );
}

#[test]
fn a_set_that_a_full_round_did_not_receive_is_removed_at_its_end_and_an_equal_set_is_unchanged() {
    let full = ApplyMode { is_full_round: true, ..SLICED };
    let old = || Row {
        sets: vec!["members".into()],
        ..Row::new(1, json!({"id": "g", "members": [member("a"), member("b")]}))
    };
    let sweep_of = |item: Value| {
        let applied = apply(upsert(item), vec![Some(old())], full);
        assert!(applied.staged);
        sweep(applied.put, &Completed::for_tests(2))
    };
    let without = sweep_of(json!({"id": "g"}));
    assert_eq!(without.put.first().map(|(_, row)| row.item.clone()), Some(json!({"id": "g"})));
    assert_eq!(without.changes.len(), 1);
    let same = sweep_of(json!({"id": "g", "members@delta": [member("b"), member("a")]}));
    assert!(same.changes.is_empty() && same.put.len() == 1);
}

#[test]
fn an_id_that_does_not_identify_its_item_is_counted_and_skipped() {
    for id in ["", "\0side", "a\u{fffd}b"] {
        assert_eq!(parse_item(json!({ "id": id }), Dialect::Removed), Err(SkipReason::NoId), "{id:?}");
    }
}
