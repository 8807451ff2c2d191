use super::*;
use crate::protocol::item::Item;

fn stored(record: &Record) -> serde_json::Value {
    serde_json::to_value(record).unwrap()
}

#[test]
fn a_record_is_read_as_it_was_stored() {
    let record = Record {
        phase: Phase::Paging,
        link: Some("https://graph.example/x?$skiptoken=a+b%2B".into()),
        ..Record::new(Instant::from_millis(5.0), 0.5)
    };
    assert_eq!(Record::read(stored(&record)), Ok(record));
    let full = Record {
        start_link: Some("s".into()),
        sweep_after: Some("a".into()),
        prefer: vec!["x".into()],
        synced_at: Some(Instant::from_millis(1.0)),
        full_at: Some(Instant::from_millis(2.0)),
        reset_times: vec![Instant::from_millis(3.0)],
        round_number: 7,
        window: Some("a/b".into()),
        count: Some(4),
        awaited_masters: vec!["m".into()],
        unacknowledged: vec!["i".into()],
        staged: true,
        no_progress_pages: 1,
        empty_pages: 2,
        refusals: 3,
        fallback: Fallback::StartLink,
        restarted: true,
        page_size: Some(40),
        rejected_page_size: 80,
        ..Record::new(Instant::from_millis(5.0), 0.5)
    };
    assert_eq!(Record::read(stored(&full)), Ok(full));
}

#[test]
fn a_record_that_0_1_0_stored_is_read() {
    let paging = serde_json::json!({
        "format": 1, "revision": "7fffffff.41", "phase": "paging",
        "link": "https://graph.example/v1.0/users/delta?$skiptoken=x",
        "start": "https://graph.example/v1.0/users/delta?$deltatoken=y", "kind": "full", "generation": 2,
        "round": 9, "page": 3,
        "prefer": ["odata.maxpagesize=50"], "startedAt": 1_795_000_000_000.0,
        "syncedAt": 1_794_000_000_000.5, "fullAt": 1.0,
        "resets": [1_794_000_000_000.25], "window": "a/b", "count": 4, "masters": ["m"], "delivered": ["d"],
        "staged": 1,
        "stale": 1, "empty": 2, "refusals": 1, "fallback": 1, "restarted": 1, "pageSize": 25, "tooLarge": 50
    });
    let record = Record::read(&paging).unwrap();
    assert_eq!(
        (record.staged, record.restarted, record.page_size, record.count),
        (true, true, Some(25), Some(4))
    );
    assert_eq!(stored(&record), paging, "0.1.0 can read the records of 0.2.0");
    let first = serde_json::json!({"format": 1, "revision": "0.1", "phase": "fresh", "kind": "full",
        "generation": 0, "round": 0, "page": 0, "startedAt": 5, "resets": [], "count": 0});
    assert_eq!(
        Record::read(&first).map(|record| (record.link, record.no_progress_pages, record.staged)),
        Ok((None, 0, false))
    );
}

#[test]
fn a_field_that_is_missing_is_named() {
    let mut stored = stored(&Record::new(Instant::from_millis(0.0), 0.0));
    stored.as_object_mut().unwrap().remove("revision");
    assert_eq!(Record::read(stored), Err("its revision is missing".to_owned()));
}

#[test]
fn the_error_of_a_record_does_not_contain_its_content() {
    let secret = "https://graph.example/v1.0/users/delta?$deltatoken=SECRET";
    for field in ["format", "generation", "startedAt", "resets", "masters", "staged", "pageSize"] {
        let why = Record::read(
            stored(&Record::new(Instant::from_millis(0.0), 0.0))
                .overlaid_with(&serde_json::json!({ field: secret })),
        )
        .unwrap_err();
        assert_eq!(why, "one of its fields has the wrong type");
    }
}

#[test]
fn each_commit_increments_the_revision_within_its_epoch() {
    let record = Record::new(Instant::from_millis(0.0), 0.999);
    let epoch = record.revision.split('.').next().map(str::to_owned);
    let next = record.next_revision().next_revision();
    assert_eq!(
        next.revision.split_once('.').map(|(epoch, count)| (Some(epoch.to_owned()), count)),
        Some((epoch, "2"))
    );
    assert_ne!(
        Record::new(Instant::from_millis(0.0), 0.1).revision,
        Record::new(Instant::from_millis(0.0), 0.2).revision
    );
}

#[test]
fn only_a_completed_full_round_permits_a_sweep_of_ghosts() {
    for phase in [Phase::Fresh, Phase::Paging, Phase::Sweeping, Phase::Idle] {
        for kind in [Kind::Full, Kind::Incremental] {
            let record = Record { phase, kind, ..Record::new(Instant::from_millis(0.0), 0.0) };
            assert_eq!(record.completed().is_some(), phase == Phase::Sweeping && kind == Kind::Full);
        }
    }
}

#[test]
fn a_stored_record_of_any_shape_is_read_or_refused() {
    let with = |change: serde_json::Value| {
        Record::read(stored(&Record::new(Instant::from_millis(0.0), 0.0)).overlaid_with(&change))
    };
    assert!(with(serde_json::json!({})).is_ok());
    for (change, why) in [
        (serde_json::json!({"format": 2}), "it was written by another version of deltalink"),
        (serde_json::json!({"format": "1"}), "one of its fields has the wrong type"),
        (serde_json::json!({"phase": "idle"}), "it has no link"),
        (serde_json::json!({"phase": "paging", "link": ""}), "it has no link"),
        (
            serde_json::json!({"phase": "sweeping", "kind": "incremental", "link": "d"}),
            "its phase is sweeping, but its round was not a full one",
        ),
        (serde_json::json!({"phase": 3}), "one of its fields has the wrong type"),
        (serde_json::json!({"kind": null}), "one of its fields has the wrong type"),
        (serde_json::json!({"revision": {}}), "one of its fields has the wrong type"),
        (serde_json::json!({"generation": []}), "one of its fields has the wrong type"),
        (serde_json::json!({"round": "1"}), "one of its fields has the wrong type"),
    ] {
        assert_eq!(with(change), Err(why.to_owned()));
    }
    for stored in [serde_json::json!(null), serde_json::json!("x"), serde_json::json!([])] {
        assert!(Record::read(stored).is_err());
    }
}
