//! Rounds that are interrupted while they fetch series masters, and masters that fail.

use deltalink::protocol::query::{self, Options, Query};
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

fn mondays() -> Script {
    let mut script = Script::new(calendar());
    let start = script.start();
    let items = json!([
        master("monday", "Stand-up"),
        occurrence("mon1", "2026-11-30"),
        occurrence("mon2", "2026-12-07")
    ]);
    script.on(&start, page(items, "delta d1"));
    script.round().unwrap();
    script
}

#[test]
fn a_moved_series_whose_master_is_fetched_survives_a_crash_at_any_step() {
    let mut wrong = Vec::new();
    for crash_at in 1..40 {
        let mut script = mondays();
        for _ in 0..2 {
            script.on("/d1", page(json!([occurrence("tue1", "2026-12-01")]), "delta d2"));
            script.on("/me/events/M", master("tuesday", "Stand-up"));
        }
        for _ in 0..4 {
            script.on("/d2", page(json!([]), "delta d2"));
        }
        script.crash_at = Some(crash_at);
        script.round().unwrap();
        script.crash_at = None;
        script.round().unwrap();
        script.round().unwrap();
        script.round().unwrap();
        if script.ids() != ["M", "tue1"] {
            wrong.push((crash_at, script.ids().iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_round_after_a_crash_before_the_commit_requests_the_page_again() {
    for crash_at in 1..40 {
        let mut script = mondays();
        for _ in 0..2 {
            script.on("/d1", page(json!([occurrence("tue1", "2026-12-01")]), "delta d2"));
            script.on("/me/events/M", master("tuesday", "Stand-up"));
        }
        for _ in 0..4 {
            script.on("/d2", page(json!([]), "delta d2"));
        }
        script.crash_at = Some(crash_at);
        script.round().unwrap();
        script.crash_at = None;
        let report = script.round().unwrap();
        assert!(
            report.pages == 0 || script.ids().contains(&"tue1"),
            "crash {crash_at}: {:?}",
            (report.outcome, script.requests)
        );
    }
}

#[test]
fn a_round_without_time_for_a_second_master_removes_and_forgets_nothing() {
    let other = |day: &str| {
        let mut master = master(day, "Other");
        master["id"] = "A".into();
        master
    };
    let of_a = |id: &str, date: &str| {
        let mut item = occurrence(id, date);
        item["seriesMasterId"] = "A".into();
        item
    };
    let mut script = Script::new(calendar());
    let start = script.start();
    let items = json!([
        master("monday", "Stand-up"),
        occurrence("mon1", "2026-11-30"),
        other("monday"),
        of_a("a-mon1", "2026-11-30"),
    ]);
    script.on(&start, page(items, "delta d1"));
    script.round().unwrap();
    for _ in 0..2 {
        script.on(
            "/d1",
            page(json!([occurrence("tue1", "2026-12-01"), of_a("a-tue1", "2026-12-01")]), "delta d2"),
        );
        script.on("/me/events/M", master("tuesday", "Stand-up"));
        script.on("/me/events/A", other("tuesday"));
    }
    for _ in 0..4 {
        script.on("/d2", page(json!([]), "delta d2"));
    }
    // The second master comes in a later round than the occurrences of its series.
    let all = json!([
        master("tuesday", "Stand-up"),
        occurrence("tue1", "2026-12-01"),
        other("tuesday"),
        of_a("a-tue1", "2026-12-01"),
    ]);
    script.on(&start, page(all, "delta d2"));
    script.latency = Duration::from_millis(100.0);
    script.config.max_duration = Some(Duration::from_millis(150.0));
    script.round().unwrap();
    script.config.max_duration = None;
    for _ in 0..3 {
        script.round().unwrap();
    }
    assert_eq!(script.ids(), ["A", "M", "a-tue1", "tue1"]);
}

#[test]
fn a_master_that_changes_after_a_crash_is_fetched_again() {
    let mut wrong = Vec::new();
    for crash_at in 1..40 {
        let mut script = Script::new(calendar());
        let start = script.start();
        script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
        script.on("/me/events/M", master("monday", "old"));
        script.crash_at = Some(crash_at);
        script.round().unwrap();
        script.crash_at = None;
        if script.state.as_ref().is_some_and(|record| record.synced_at.is_some()) {
            break;
        }
        // Days later: the page is requested from the query itself again.
        script.now += Duration::DAY * 3.0;
        script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
        script.on("/me/events/M", master("monday", "new"));
        // Keeps only the latest responses.
        script.keep_last_responses();
        script.round().unwrap();
        let subject = script.rows["\0M"].item["subject"].as_str().unwrap().to_owned();
        if subject != "new" {
            wrong.push((crash_at, subject));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_master_that_fails_with_503_and_retry_after_does_not_block_the_round() {
    let mut script = Script::new(calendar());
    let start = script.start();
    script.retry_after = Some("5".into());
    let mut last = None;
    for _ in 0..6 {
        script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
        for _ in 0..6 {
            script.on_status("/me/events/M", 503, error("x", ""));
        }
        last = Some(script.round());
        if matches!(last, Some(Ok(_))) {
            break;
        }
    }
    let last = last.unwrap();
    assert!(last.is_ok(), "six rounds: {:?}", last.unwrap_err());
}

#[test]
fn a_master_whose_response_a_browser_may_not_read_does_not_block_the_round() {
    let mut script = Script::new(calendar());
    let start = script.start();
    let mut last = None;
    for _ in 0..6 {
        script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
        for _ in 0..6 {
            script.on_status("/me/events/M", 0, error("x", ""));
        }
        last = Some(script.round());
        if matches!(last, Some(Ok(_))) {
            break;
        }
    }
    let last = last.unwrap();
    assert!(last.is_ok(), "six rounds: {:?}", last.unwrap_err());
}

#[test]
fn a_pending_relist_survives_a_full_round_that_falls_back() {
    let mut script = mondays();
    let start = script.start();
    script.state.as_mut().unwrap().relist = true;
    script.on(&start, page(json!([master("tuesday", "Stand-up")]), "next n1"));
    for _ in 0..3 {
        script.on_status("/n1", 404, error("x", ""));
    }
    script.on("/d1", page(json!([]), "delta d2"));
    for _ in 0..2 {
        script.round().unwrap_err();
    }
    script.round().unwrap();
    // Two days later.
    script.now += Duration::DAY * 2.0;
    script.on("/d2", page(json!([]), "delta d3"));
    script.on(
        &start,
        page(json!([master("tuesday", "Stand-up"), occurrence("tue1", "2026-12-01")]), "delta d3"),
    );
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "tue1"], "{:?}", script.requests);
}

#[test]
fn max_ms_holds_between_masters_that_fail() {
    let mut script = Script::new(calendar());
    let start = script.start();
    let items: Value = (0..200)
        .map(|id| json!({ "id": format!("o{id}"), "type": "occurrence", "seriesMasterId": format!("m{id}") }))
        .collect();
    script.on(&start, page(items, "delta d1"));
    for id in 0..200 {
        for _ in 0..3 {
            script.on_status(&format!("/me/events/m{id}"), 500, error("x", ""));
        }
    }
    script.latency = Duration::from_millis(100.0);
    script.config.max_duration = Some(Duration::from_millis(450.0));
    let started_at = script.now;
    script.round().unwrap();
    let took = (script.now - started_at).as_millis();
    assert!(took < 5000.0, "the round took {took} ms and sent {} requests", script.requests.len());
}

#[test]
fn a_master_that_fails_with_401_does_not_block_the_round() {
    let mut script = Script::new(calendar());
    let start = script.start();
    let mut last = None;
    for _ in 0..5 {
        script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
        for _ in 0..4 {
            script.on_status("/me/events/M", 401, error("InvalidAuthenticationToken", "x"));
        }
        last = Some(script.round());
        if matches!(last, Some(Ok(_))) {
            break;
        }
    }
    assert!(last.unwrap().is_ok());
}

#[test]
fn a_master_that_was_stored_without_its_recurrence_proves_no_move() {
    let query = query::events(Options {
        start: Some("2026-11-01".into()),
        end: Some("2026-12-31".into()),
        refresh: Some(None),
        query: vec![("$select".into(), "subject,type,start,end,seriesMasterId".into())],
        ..Options::default()
    })
    .unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    let mut listed = master("monday", "Stand-up");
    listed.as_object_mut().unwrap().remove("recurrence");
    script.on(
        &start,
        page(json!([listed, occurrence("mon1", "2026-11-30"), occurrence("mon2", "2026-12-07")]), "delta d1"),
    );
    script.round().unwrap();
    // Only a new occurrence has come into the window of the link.
    script.on("/d1", page(json!([occurrence("mon3", "2026-12-14")]), "delta d2"));
    script.on("/me/events/M", master("monday", "Stand-up"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "mon1", "mon2", "mon3"]);
}

#[test]
fn a_clock_that_ran_ahead_does_not_stop_the_refreshes() {
    let query = query::events(Options {
        start: Some("2026-11-01".into()),
        end: Some("2026-12-31".into()),
        ..Options::default()
    })
    .unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    let right = script.now;
    script.now += Duration::DAY * 3650.0;
    script.on(&start, page(json!([]), "delta d1"));
    script.round().unwrap();
    script.now = right + Duration::DAY * 2.0;
    script.on("/d1", page(json!([]), "delta d2"));
    script.on(&start, page(json!([]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.requests.last(), Some(&start));
}

#[test]
fn a_full_round_that_cannot_fetch_a_master_keeps_the_copy() {
    let mut script = Script::new(calendar());
    let start = script.start();
    script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
    script.on("/me/events/M", master("monday", "Stand-up"));
    script.round().unwrap();
    script.on_status("/d1", 410, error("syncStateNotFound", ""));
    script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d2"));
    for _ in 0..2 {
        script.on_status("/me/events/M", 500, error("x", ""));
    }
    script.round().unwrap();
    assert!(script.rows.contains_key("\0M"), "{:?}", script.rows.keys());
}

#[test]
fn the_bytes_stored_for_the_masters_of_a_round_grow_linearly() {
    let bytes = |count: usize| {
        let id = |kind: &str, at: usize| format!("{}{kind}{at}", "AAMkAGI2".repeat(16));
        let mut script = Script::new(calendar());
        let start = script.start();
        let items: Value = (0..count)
            .map(|at| json!({ "id": id("o", at), "type": "occurrence", "seriesMasterId": id("m", at) }))
            .collect();
        script.on(&start, page(items, "next n1"));
        script.on("/n1", page(json!([]), "delta d1"));
        for at in 0..count {
            let path = format!("/me/events/{}", id("m", at));
            script.on(&path, json!({ "id": id("m", at), "type": "seriesMaster" }));
        }
        script.round().unwrap();
        script.master_bytes
    };
    let (some, more) = (bytes(1000), bytes(4000));
    assert!(more < 6 * some, "1000 masters: {some} bytes, 4000 masters: {more} bytes");
}
