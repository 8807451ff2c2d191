//! Recurring events.

use deltalink::protocol::query::{self, Options, Query};
use deltalink::protocol::report::Outcome;
use deltalink::protocol::time::Duration;
use serde_json::{Value, json};

use crate::script::{Script, error, page};

fn calendar() -> Query {
    query::events(Options {
        start: Some("2026-11-01".into()),
        end: Some("2026-12-31".into()),
        refresh: Some(None),
        ..Options::default()
    })
    .unwrap()
}

fn time(date: &str) -> Value {
    json!({ "dateTime": format!("{date}T09:00:00.0000000"), "timeZone": "UTC" })
}

fn master(day: &str, subject: &str) -> Value {
    json!({
        "id": "M", "type": "seriesMaster", "subject": subject,
        "start": time("2026-11-02"), "end": time("2026-11-02"),
        "recurrence": { "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": [day] } }
    })
}

fn occurrence(id: &str, date: &str) -> Value {
    json!({ "id": id, "type": "occurrence", "seriesMasterId": "M", "start": time(date), "end": time(date) })
}

fn removed(id: &str) -> Value {
    json!({ "id": id, "@removed": { "reason": "deleted" } })
}

fn exception(id: &str, date: &str) -> Value {
    json!({
        "id": id, "type": "exception", "seriesMasterId": "M", "subject": "moved",
        "start": time(date), "end": time(date),
    })
}

/// A calendar after its first round: a series on Mondays with two occurrences and an exception.
fn mondays() -> Script {
    let mut script = Script::new(calendar());
    let start = script.start();
    let items = json!([
        master("monday", "Stand-up"),
        occurrence("mon1", "2026-11-30"),
        occurrence("mon2", "2026-12-07"),
        exception("exc", "2026-12-15"),
    ]);
    script.on(&start, page(items, "delta d1"));
    script.round().unwrap();
    script
}

#[test]
fn a_series_that_moves_to_other_days_leaves_no_old_occurrence_behind() {
    let mut script = mondays();
    let items = json!([
        master("tuesday", "Stand-up"),
        occurrence("tue1", "2026-12-01"),
        occurrence("tue2", "2026-12-08"),
    ]);
    script.on("/d1", page(items, "delta d2"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "exc", "tue1", "tue2"], "the exception stays");
    assert_eq!(script.changes, ["~M", "+tue1", "+tue2", "-mon1 ghost", "-mon2 ghost"]);
    assert_eq!(script.state.as_ref().unwrap().count, Some(4));
}

#[test]
fn a_series_whose_start_or_end_changes_counts_as_moved() {
    for property in ["start", "end"] {
        let mut script = mondays();
        let mut later = master("monday", "Stand-up");
        later[property] = time("2026-11-03");
        script.on("/d1", page(json!([later, occurrence("new", "2026-12-01")]), "delta d2"));
        script.round().unwrap();
        assert_eq!(script.ids(), ["M", "exc", "new"], "{property}");
    }
}

#[test]
fn the_occurrences_stay_if_only_the_subject_or_one_occurrence_changes() {
    let mut script = mondays();
    script.on("/d1", page(json!([master("monday", "Daily"), occurrence("mon1", "2026-11-30")]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "exc", "mon1", "mon2"]);
    let mut with_null = master("monday", "Daily");
    with_null["onlineMeeting"] = Value::Null;
    script.on("/d2", page(json!([exception("mon1", "2026-11-30"), with_null]), "delta d3"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "exc", "mon1", "mon2"]);
}

#[test]
fn a_master_that_the_round_withholds_is_fetched_to_see_whether_its_series_has_moved() {
    let mut script = mondays();
    script.on("/d1", page(json!([occurrence("tue1", "2026-12-01")]), "delta d2"));
    script.on("/me/events/M", master("tuesday", "Stand-up"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "exc", "tue1"]);
    // Fetched again, and unchanged.
    script.on("/d2", page(json!([occurrence("tue2", "2026-12-08")]), "delta d3"));
    script.on("/me/events/M", master("tuesday", "Stand-up"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "exc", "tue1", "tue2"]);
}

#[test]
fn a_master_that_was_fetched_but_never_listed_is_compared_too() {
    let mut script = Script::new(calendar());
    let start = script.start();
    script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
    script.on("/me/events/M", master("monday", "Stand-up"));
    script.round().unwrap();
    script.on(
        "/d1",
        page(json!([master("tuesday", "Stand-up"), occurrence("tue1", "2026-12-01")]), "delta d2"),
    );
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "tue1"]);
}

#[test]
fn the_occurrences_of_a_moved_series_may_come_on_any_page_and_an_interrupted_round_removes_nothing() {
    let mut script = mondays();
    script.on("/d1", page(json!([occurrence("tue1", "2026-12-01")]), "next n1"));
    script.on("/n1", page(json!([master("tuesday", "Stand-up")]), "next n2"));
    script.on("/n2", page(json!([occurrence("tue2", "2026-12-08")]), "delta d2"));
    script.config.max_pages = Some(2);
    assert_eq!(script.round().unwrap().outcome, Outcome::Partial);
    assert_eq!(script.ids(), ["M", "exc", "mon1", "mon2", "tue1"]);
    script.config.max_pages = None;
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "exc", "tue1", "tue2"]);
}

#[test]
fn the_removals_survive_a_crash_at_any_step() {
    for crash_at in 1..40 {
        let mut script = mondays();
        let items = json!([master("tuesday", "Stand-up"), occurrence("tue1", "2026-12-01")]);
        for _ in 0..2 {
            script.on("/d1", page(items.clone(), "delta d2"));
            script.on("/d2", page(json!([]), "delta d3"));
        }
        script.crash_at = Some(crash_at);
        script.round().unwrap();
        script.crash_at = None;
        script.round().unwrap();
        assert_eq!(script.ids(), ["M", "exc", "tue1"], "a crash at step {crash_at}");
    }
}

#[test]
fn without_an_earlier_master_the_next_round_lists_everything_once_a_day_at_most() {
    let mut script = Script::new(calendar());
    let start = script.start();
    script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
    script.on_status("/me/events/M", 404, error("ErrorItemNotFound", ""));
    script.round().unwrap();
    // The next round asks for the master again, and gets it. The series may have moved meanwhile.
    script.on("/d1", page(json!([occurrence("tue1", "2026-12-01")]), "delta d2"));
    script.on("/me/events/M", master("tuesday", "Stand-up"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["mon1", "tue1"], "nothing is removed on a guess");
    script.on(
        &start,
        page(json!([occurrence("tue1", "2026-12-01"), master("tuesday", "Stand-up")]), "delta d3"),
    );
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "tue1"]);
    assert_eq!(script.requests.iter().filter(|path| **path == start).count(), 2);
    // Set again within a day, the flag has no effect before the day is over.
    script.state.as_mut().unwrap().relist = true;
    script.on("/d3", page(json!([]), "delta d4"));
    script.round().unwrap();
    script.now += Duration::DAY;
    script.on(
        &start,
        page(json!([occurrence("tue1", "2026-12-01"), master("tuesday", "Stand-up")]), "delta d5"),
    );
    script.round().unwrap();
}

#[test]
fn the_new_occurrences_of_a_moved_series_stay_if_its_master_arrives_in_a_later_round() {
    let relisted =
        || page(json!([master("tuesday", "Stand-up"), occurrence("tue1", "2026-12-01")]), "delta d4");
    // Fetched, or listed.
    for listed in [json!([]), json!([master("tuesday", "Stand-up")])] {
        let mut script = mondays();
        let start = script.start();
        script.on("/d1", page(json!([occurrence("tue1", "2026-12-01")]), "delta d2"));
        script.on_status("/me/events/M", 404, error("ErrorItemNotFound", ""));
        script.round().unwrap();
        script.on("/d2", page(listed, "delta d3"));
        script.on("/me/events/M", master("tuesday", "Stand-up"));
        script.round().unwrap();
        assert_eq!(script.ids(), ["M", "exc", "mon1", "mon2", "tue1"], "nothing is removed on a guess");
        script.on(&start, relisted());
        script.round().unwrap();
        assert_eq!(script.ids(), ["M", "tue1"]);
    }
}

#[test]
fn a_series_that_moves_and_is_removed_before_a_round_makes_the_round_after_it_a_full_one() {
    let mut script = mondays();
    let start = script.start();
    script.on("/d1", page(json!([removed("M")]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["exc", "mon1", "mon2"], "nothing is removed on a guess");
    script.on(&start, page(json!([]), "delta d3"));
    script.round().unwrap();
    assert!(script.ids().is_empty());

    // Its master was fetched, but never listed.
    let mut script = Script::new(calendar());
    script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
    script.on("/me/events/M", master("monday", "Stand-up"));
    script.round().unwrap();
    script.on("/d1", page(json!([removed("M")]), "delta d2"));
    script.round().unwrap();
    script.on(&start, page(json!([]), "delta d3"));
    script.round().unwrap();
    assert!(script.ids().is_empty());
}

#[test]
fn a_master_that_was_never_received_is_not_requested_after_its_removal() {
    let mut script = Script::new(calendar());
    let start = script.start();
    script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "next n1"));
    script.on("/n1", page(json!([removed("M")]), "delta d1"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["mon1"], "nothing is removed on a guess");
    script.on(&start, page(json!([]), "delta d2"));
    script.round().unwrap();
    assert!(script.ids().is_empty());
}

#[test]
fn a_series_that_is_removed_with_its_occurrences_is_not_a_reason_to_list_everything() {
    let mut script = mondays();
    script.on("/d1", page(json!([removed("M"), removed("mon1"), removed("mon2")]), "next n1"));
    script.on("/n1", page(json!([removed("exc"), removed("other")]), "delta d2"));
    script.round().unwrap();
    script.on("/d2", page(json!([]), "delta d3"));
    script.round().unwrap();
    assert!(script.ids().is_empty());
}

/// A master that was changed this number of minutes after the beginning of a test, or before it if
/// the number is negative.
fn changed(day: &str, minute: i32) -> Value {
    let mut master = master(day, "Stand-up");
    master["lastModifiedDateTime"] = format!("2026-11-18T11:{:02}:40Z", 6 + minute).into();
    master
}

#[test]
fn a_series_that_moves_while_a_full_round_lists_it_is_listed_again_in_the_next_round() {
    let mut script = Script::new(calendar());
    let start = script.start();
    script.on(&start, page(json!([changed("monday", -6), occurrence("mon1", "2026-11-30")]), "next n1"));
    script.on("/n1", page(json!([changed("tuesday", 0), occurrence("tue1", "2026-12-01")]), "delta d1"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "mon1", "tue1"], "nothing is removed on a guess");
    script.on(&start, page(json!([changed("tuesday", 0), occurrence("tue1", "2026-12-01")]), "delta d2"));
    script.now += Duration::HOUR;
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "tue1"]);
    script.on("/d2", page(json!([]), "delta d3"));
    script.round().unwrap();
}

#[test]
fn a_series_that_moves_before_its_master_is_fetched_is_listed_again_in_the_next_round() {
    let mut script = Script::new(calendar());
    let start = script.start();
    script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
    script.on("/me/events/M", changed("tuesday", 0));
    script.round().unwrap();
    assert_eq!(script.ids(), ["mon1"]);
    script.on(&start, page(json!([changed("tuesday", 0), occurrence("tue1", "2026-12-01")]), "delta d2"));
    script.now += Duration::HOUR;
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "tue1"]);
}

#[test]
fn a_series_that_moves_while_an_incremental_round_lists_it_is_listed_again_in_the_next_round() {
    let mut script = mondays();
    let start = script.start();
    script.on("/d1", page(json!([occurrence("mon3", "2026-12-14")]), "next n1"));
    script.on("/n1", page(json!([changed("tuesday", 0), occurrence("tue1", "2026-12-01")]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "exc", "mon3", "tue1"]);
    let items = json!([changed("tuesday", 0), occurrence("tue1", "2026-12-01")]);
    script.on(&start, page(items, "delta d3"));
    script.now += Duration::HOUR;
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "tue1"]);
}

#[test]
fn a_series_that_was_changed_before_the_round_is_not_a_reason_to_list_everything() {
    let mut script = Script::new(calendar());
    let start = script.start();
    script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "next n1"));
    script.on("/n1", page(json!([changed("monday", -6)]), "delta d1"));
    script.round().unwrap();
    script.now += Duration::HOUR;
    // A series that was made during the round has no older occurrences.
    let mut made = master("friday", "Review");
    made["id"] = "N".into();
    for name in ["createdDateTime", "lastModifiedDateTime"] {
        made[name] = "2026-11-18T12:06:40Z".into();
    }
    script.on("/d1", page(json!([exception("exc", "2026-12-15")]), "next n2"));
    script.on("/n2", page(json!([made]), "delta d1"));
    script.round().unwrap();
    // A change of the title moves nothing.
    let mut renamed = changed("monday", 59 - 6);
    renamed["subject"] = "Daily".into();
    script.on("/d1", page(json!([renamed]), "delta d2"));
    script.round().unwrap();
    script.on("/d2", page(json!([]), "delta d3"));
    script.round().unwrap();
}

#[test]
fn a_new_series_is_not_a_reason_to_list_everything() {
    let mut script = mondays();
    let mut other = master("friday", "Review");
    other["id"] = "N".into();
    let mut friday = occurrence("fri1", "2026-12-04");
    friday["seriesMasterId"] = "N".into();
    script.on("/d1", page(json!([other, friday]), "delta d2"));
    script.round().unwrap();
    assert!(!script.state.as_ref().unwrap().relist);
    script.on("/d2", page(json!([]), "delta d3"));
    script.round().unwrap();
}

#[test]
fn masters_are_stored_as_they_arrive_so_that_a_later_round_does_not_fetch_them_again() {
    let occurrences = |ids: std::ops::Range<usize>| -> Value {
        ids.map(
            |id| json!({ "id": format!("o{id}"), "type": "occurrence", "seriesMasterId": format!("m{id}") }),
        )
        .collect()
    };
    let master =
        |id: usize| json!({ "id": format!("m{id}"), "type": "seriesMaster", "subject": format!("s{id}") });
    let mut script = Script::new(calendar());
    let start = script.start();
    script.on(&start, page(occurrences(0..4), "next n1"));
    for _ in 0..3 {
        script.on("/n1", page(occurrences(4..9), "delta d1"));
    }
    for id in 0..9 {
        script.on(&format!("/me/events/m{id}"), master(id));
    }
    // Each round has time for some of them. A second request for a master would fail the test.
    script.latency = Duration::from_millis(100.0);
    script.config.max_duration = Some(Duration::from_millis(450.0));
    assert_eq!(script.round().unwrap().outcome, Outcome::Partial);
    assert_eq!(script.round().unwrap().outcome, Outcome::Partial);
    script.config.max_duration = None;
    assert_eq!(script.round().unwrap().outcome, Outcome::Complete);
    assert_eq!(script.requests.iter().filter(|path| path.starts_with("/me/events/")).count(), 9);
    assert_eq!(script.rows.keys().filter(|id| id.starts_with('\0')).count(), 9);
}

#[test]
fn a_master_that_fails_in_any_way_does_not_block_the_round_and_is_requested_again() {
    for status in [500, 400, 404, 403] {
        let mut script = Script::new(calendar());
        let start = script.start();
        script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
        for _ in 0..3 {
            script.on_status("/me/events/M", status, error("x", ""));
        }
        script.round().unwrap();
        assert_eq!(script.ids(), ["mon1"], "{status}");
        script.requests.clear();
        script.on("/d1", page(json!([]), "delta d2"));
        script.on("/me/events/M", master("monday", "Stand-up"));
        script.round().unwrap();
        assert!(script.requests.contains(&"/me/events/M".to_owned()), "{status}: {:?}", script.requests);
    }
}
