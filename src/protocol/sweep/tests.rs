use serde_json::{Value, json};

use super::*;
use crate::protocol::record::{Kind, Phase, Record};
use crate::protocol::time::Instant;

fn record() -> Record {
    Record { round_number: 5, ..Record::new(Instant::from_millis(0.0), 0.0) }
}

fn series(moved: &[&str], unknown: &[&str]) -> Completed {
    let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    let record =
        Record { phase: Phase::Idle, moved_series: owned(moved), unknown_series: owned(unknown), ..record() };
    record.completed().unwrap()
}

fn names() -> Completed {
    Record { phase: Phase::Idle, check_names: true, ..record() }.completed().unwrap()
}

fn row(round: u32, arrival: u32, item: Value) -> (String, Row<Value>) {
    (item.string_property("id").unwrap(), Row { arrival, ..Row::new(round, item) })
}

fn event(id: &str, kind: &str, master: &str) -> Value {
    json!({ "id": id, "type": kind, "seriesMasterId": master })
}

fn file(id: &str, parent: &str, name: &str) -> Value {
    json!({ "id": id, "name": name, "parentReference": { "id": parent } })
}

/// Sweeps a mirror in chunks of this size. Returns the ids that are removed.
fn sweep_names(rows: &[(String, Row<Value>)], chunk: usize) -> Vec<String> {
    let mut sweeper = Sweeper::default();
    let mut removed = Vec::new();
    for pass in 0..2 {
        let mut has_to_reread = false;
        let chunks: Vec<_> = rows.chunks(chunk).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            let has_more = index + 1 < chunks.len();
            let (effects, summary) = sweeper.sweep(chunk.to_vec(), has_more, &names());
            assert!(effects.remove.is_empty() || !has_more && pass == 1, "all at once, at the end");
            removed.extend(effects.remove);
            has_to_reread = summary.has_to_reread;
        }
        if !has_to_reread {
            removed.sort();
            return removed;
        }
    }
    panic!("the mirror is read twice at most")
}

#[test]
fn occurrences_of_a_moved_series_that_the_round_did_not_receive_are_removed_and_exceptions_stay() {
    let rows = vec![
        row(4, 0, event("old", "occurrence", "M")),
        row(5, 0, event("new", "occurrence", "M")),
        row(4, 0, event("exception", "exception", "M")),
        row(4, 0, event("other", "occurrence", "N")),
        row(4, 0, event("single", "singleInstance", "")),
        ("\0M".to_owned(), Row::new(4, json!({ "id": "M", "type": "seriesMaster" }))),
    ];
    let (effects, summary) = Sweeper::default().sweep(rows, false, &series(&["M"], &[]));
    assert_eq!((effects.remove, effects.count_delta), (vec!["old".to_owned()], -1));
    assert!(matches!(&effects.changes[..], [Change::Remove { reason: Reason::Ghost, old: Some(_), .. }]));
    assert!(!summary.has_to_relist);
}

#[test]
fn a_series_without_an_earlier_master_loses_nothing_and_old_occurrences_require_a_relist() {
    let sweep = |round| {
        let rows = vec![row(round, 0, event("a", "occurrence", "M"))];
        let (effects, summary) = Sweeper::default().sweep(rows, false, &series(&[], &["M"]));
        assert!(effects.remove.is_empty());
        summary.has_to_relist
    };
    assert!(sweep(4), "it may be one of the old dates");
    assert!(!sweep(5), "a new series has no other occurrences");
}

#[test]
fn of_two_files_with_one_name_the_one_that_arrived_last_stays() {
    let rows = [
        row(5, 1, file("first", "p", "Report.docx")),
        row(5, 2, file("second", "p", "report.DOCX")),
        row(5, 3, file("elsewhere", "q", "report.docx")),
        row(4, 9, file("third", "r", "a")),
        row(5, 0, file("fourth", "r", "A")),
    ];
    for chunk in [1, 2, 5] {
        assert_eq!(sweep_names(&rows, chunk), ["first", "third"], "chunks of {chunk}");
    }
}

#[test]
fn a_displaced_folder_is_removed_with_the_content_that_did_not_arrive_later() {
    let rows = [
        row(5, 1, file("root", "", "root")),
        row(5, 2, file("old", "root", "folder")),
        row(5, 3, file("inside", "old", "a")),
        row(5, 4, file("deep", "inside", "b")),
        row(5, 9, file("late", "inside", "c")),
        row(5, 6, file("new", "root", "folder")),
        row(5, 7, file("moved", "new", "a")),
    ];
    assert_eq!(sweep_names(&rows, 3), ["deep", "inside", "old"]);
}

#[test]
fn folders_that_contain_each_other_do_not_cause_an_endless_loop() {
    let rows =
        [row(5, 1, file("a", "b", "x")), row(5, 2, file("b", "a", "x")), row(5, 3, file("c", "b", "X"))];
    assert_eq!(sweep_names(&rows, 9), ["a", "b"]);
}

#[test]
fn rows_without_a_name_or_a_parent_are_left_alone() {
    let rows = [
        row(5, 1, json!({ "id": "a", "name": "x" })),
        row(5, 2, json!({ "id": "b", "name": "x" })),
        row(5, 3, json!({ "id": "c", "parentReference": { "id": "p" } })),
        row(5, 4, json!({ "id": "d", "parentReference": { "id": "p" } })),
        row(5, 5, json!({ "id": "e", "name": "x", "parentReference": {} })),
    ];
    assert!(sweep_names(&rows, 2).is_empty());
}

#[test]
fn rows_of_0_1_0_have_no_order_and_are_not_displaced() {
    let rows = [row(4, 0, file("a", "p", "x")), row(4, 0, file("b", "p", "x"))];
    assert!(sweep_names(&rows, 2).is_empty());
}

#[test]
fn an_event_that_left_the_window_is_distinguished_from_a_ghost() {
    let at = |start: &str, end: &str, zone: &str| {
        let time = |date: &str| json!({ "dateTime": format!("2026-11-{date}:00.0000000"), "timeZone": zone });
        json!({ "id": "e", "start": time(start), "end": time(end) })
    };
    let completed = Record {
        phase: Phase::Sweeping,
        kind: Kind::Full,
        window: Some("2026-11-10T00:00:00Z/2026-11-20T00:00:00Z".into()),
        ..record()
    };
    let completed = completed.completed().unwrap();
    for (event, reason) in [
        (at("09T09:00", "09T10:00", "UTC"), Reason::LeftWindow),
        (at("09T23:00", "10T00:00", "UTC"), Reason::LeftWindow),
        (at("09T23:00", "10T00:30", "UTC"), Reason::Ghost),
        (at("20T00:00", "20T01:00", "UTC"), Reason::LeftWindow),
        (at("19T23:59", "20T01:00", "UTC"), Reason::Ghost),
        (at("15T09:00", "15T10:00", "Pacific Standard Time"), Reason::Ghost),
        (at("10T06:00", "10T07:00", "Tokyo Standard Time"), Reason::LeftWindow),
        (json!({ "id": "e" }), Reason::Ghost),
    ] {
        let (effects, _) = Sweeper::default().sweep(vec![row(4, 0, event.clone())], false, &completed);
        assert!(
            matches!(&effects.changes[..], [Change::Remove { reason: actual, .. }] if *actual == reason),
            "{event}"
        );
    }
}
