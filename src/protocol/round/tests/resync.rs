//! Reset signals, the sweep, and foreign links.

use super::*;

#[test]
fn a_reset_signal_starts_one_full_round_from_the_query_and_then_sweeps() {
    let mut harness = Harness::new(contacts(), Some(idle()));
    harness.begin();
    assert!(matches!(harness.on(refused(410, "syncStateNotFound")), Step::Fetch(_)));
    let stored = harness.store.clone().unwrap();
    assert_eq!((stored.phase, stored.link.clone(), stored.reset_times), (Phase::Fresh, None, vec![NOW]));
    let step = harness.on(delta("d1"));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Full, generation: 2, index: 0, last: false }));
    let step = harness.on(Input::Delivered);
    assert!(matches!(step, Step::Sweep { after: None, .. }), "{step:?}");
    assert_eq!(harness.store.as_ref().map(|record| record.phase), Some(Phase::Sweeping));
    let step = harness.on(Input::Swept(SweepSummary {
        has_changes: true,
        count_delta: -1,
        after: Some("m".into()),
        ..SweepSummary::default()
    }));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Full, generation: 2, index: 1, last: false }));
    assert!(matches!(harness.on(Input::Delivered), Step::Sweep { after: Some(_), .. }));
    let step = harness.on(Input::Swept(SweepSummary {
        has_changes: false,
        count_delta: 0,
        after: None,
        ..SweepSummary::default()
    }));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Full, generation: 2, index: 2, last: true }));
    assert_eq!(harness.on(Input::Delivered), Step::Done);
    let stored = harness.store.unwrap();
    assert_eq!(
        (stored.phase, stored.link, stored.reset_times, stored.sweep_after),
        (Phase::Idle, Some(link("d1")), vec![], None)
    );
    assert_eq!(harness.requests, ["/contacts/delta?t=d0", "/contacts/delta"]);
    assert_eq!(harness.round.report.resync.as_deref(), Some("syncStateNotFound"));
}

#[test]
fn after_a_crash_the_link_of_a_reset_is_not_requested_again() {
    let mut first = Harness::new(contacts(), Some(idle()));
    first.begin();
    first.on(refused(410, ""));
    let mut second = first.again(contacts());
    second.begin();
    assert_eq!(second.requests, ["/contacts/delta"]);
    second.on(delta("d1"));
    assert!(
        matches!(second.on(Input::Delivered), Step::Sweep { .. }),
        "rows from before the reset are still there"
    );
}

#[test]
fn after_a_crash_in_the_sweep_the_next_round_continues_it_without_a_request() {
    let store = Record {
        phase: Phase::Sweeping,
        sweep_after: Some("k".into()),
        generation: 3,
        round_number: 5,
        ..idle()
    };
    let mut harness = Harness::new(contacts(), Some(store));
    let step = harness.begin();
    assert!(
        matches!(&step, Step::Sweep { after: Some(after),
            completed } if after == "k" && completed.round() == 5),
        "{step:?}"
    );
    assert!(harness.requests.is_empty());
}

#[test]
fn a_chunk_without_ghosts_is_not_committed() {
    let store = Record { phase: Phase::Sweeping, generation: 2, ..idle() };
    let mut harness = Harness::new(contacts(), Some(store.clone()));
    harness.begin();
    let step = harness.on(Input::Swept(SweepSummary {
        has_changes: false,
        count_delta: 0,
        after: Some("m".into()),
        ..SweepSummary::default()
    }));
    assert!(matches!(&step, Step::Sweep { after: Some(after), .. } if after == "m"), "{step:?}");
    assert_eq!(harness.store, Some(store));
}

#[test]
fn an_incremental_round_of_contacts_does_not_sweep() {
    for generation in [1, 2, 7] {
        let mut harness = Harness::new(contacts(), Some(Record { generation, ..idle() }));
        harness.begin();
        assert!(matches!(harness.page(next("n1")), Step::Fetch(_)));
        assert_eq!(harness.page(delta("d1")), Step::Done);
    }
}

#[test]
fn a_first_full_round_and_a_feed_have_nothing_to_sweep() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    assert_eq!(harness.page(delta("d1")), Step::Done);
    let feed = query::org_contacts(Options { feed: true, ..Options::default() }).unwrap();
    let mut harness = Harness::new(feed, Some(idle()));
    harness.begin();
    harness.on(refused(410, ""));
    assert_eq!(harness.page(delta("d1")), Step::Done);
    assert_eq!(harness.store.unwrap().generation, 2);
}

#[test]
fn a_reset_within_a_full_round_restarts_it_and_the_fourth_of_a_day_ends_it() {
    let mut harness = Harness::new(contacts(), Some(idle()));
    harness.begin();
    for generation in 2..=4 {
        assert!(matches!(harness.on(refused(410, "")), Step::Fetch(_)));
        harness.page(next("n"));
        assert_eq!(harness.store.as_ref().map(|record| record.generation), Some(generation));
        harness = harness.again(contacts());
        harness.begin();
    }
    let before = harness.store.clone();
    let failure = failure(harness.on(refused(410, "syncStateNotFound")));
    assert_eq!((failure.code, failure.graph_code.as_deref()), (Code::ResyncLoop, Some("syncStateNotFound")));
    assert_eq!(harness.store, before);
    let mut tomorrow = harness.again(contacts());
    tomorrow.now += ms(86_400_001.0);
    tomorrow.begin();
    assert!(matches!(tomorrow.on(refused(410, "")), Step::Fetch(_)));
}

#[test]
fn the_location_of_a_reset_is_followed_for_drives_only_and_abandoned_when_it_fails() {
    let gone = |location: &str| {
        Input::Refused(Box::new(Refusal {
            status: 410,
            location: Some(location.into()),
            ..Refusal::default()
        }))
    };
    let drive = || query::track("/me/drive/root/delta", Options::default()).unwrap();
    let location = "https://graph.microsoft.com/v1.0/drives/d/root/delta?token=new";
    let mut harness = Harness::new(drive(), Some(idle()));
    harness.begin();
    assert_eq!(harness.on(gone(location)), Step::Fetch(location.into()));
    harness.on(refused(500, ""));
    assert_eq!(
        harness.requests,
        ["/contacts/delta?t=d0", "/drives/d/root/delta?token=new", "/me/drive/root/delta"]
    );

    let mut foreign = Harness::new(drive(), Some(idle()));
    foreign.begin();
    foreign.on(gone("https://evil.example/v1.0/drives"));
    assert_eq!(foreign.requests.last().map(String::as_str), Some("/me/drive/root/delta"));

    let mut directory = Harness::new(contacts(), Some(idle()));
    directory.begin();
    directory.on(gone(location));
    assert_eq!(directory.requests.last().map(String::as_str), Some("/contacts/delta"));
}

#[test]
fn a_reset_code_on_the_query_itself_is_final() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    assert_eq!(failure(harness.on(refused(410, "syncStateNotFound"))).code, Code::ResyncLoop);
}

#[test]
fn a_foreign_link_is_neither_stored_nor_followed() {
    let mut harness = Harness::new(contacts(), Some(idle()));
    harness.begin();
    let failure =
        failure(harness.on(Input::Page(Link::Next("https://evil.example/v1.0/contacts/delta?t=1".into()))));
    assert_eq!(failure.code, Code::ForeignLink);
    assert_eq!(harness.store, Some(idle()));
}

#[test]
fn a_stored_foreign_link_is_not_requested() {
    let mut harness =
        Harness::new(contacts(), Some(Record { link: Some("https://evil.example/".into()), ..idle() }));
    assert_eq!(failure(harness.begin()).code, Code::ForeignLink);
    assert!(harness.requests.is_empty());
}

#[test]
fn a_redirect_is_a_foreign_link() {
    for status in [0, 302, 308] {
        let mut harness = Harness::new(contacts(), None);
        harness.begin();
        let failure = failure(harness.on(refused(status, "")));
        assert_eq!(failure.code, Code::ForeignLink);
        assert!(failure.message.contains("a redirect is not followed"), "{}", failure.message);
    }
}

#[test]
fn an_expired_page_token_lists_everything_again_in_the_same_round() {
    let paging = Record {
        phase: Phase::Paging,
        link: Some(link("old")),
        generation: 1,
        round_number: 1,
        page_index: 3,
        ..idle()
    };
    let mut harness = Harness::new(contacts(), Some(paging));
    harness.begin();
    assert!(matches!(harness.on(refused(400, "Directory_ExpiredPageToken")),
            Step::Fetch(url) if url.ends_with("/contacts/delta")));
    assert_eq!(harness.round.report.resync.as_deref(), Some("Directory_ExpiredPageToken"));
}

#[test]
fn a_teams_channel_without_a_conversation_is_not_supported_and_does_not_loop() {
    let refused = || {
        let message = Some("Parameter 'DeltaToken' not supported for this request.".to_owned());
        Input::Refused(Box::new(Refusal {
            status: 400,
            codes: vec!["BadRequest".into()],
            message,
            ..Refusal::default()
        }))
    };
    let channel = query::track("/teams/t/channels/c/messages/delta", Options::default()).unwrap();
    let mut harness = Harness::new(channel, None);
    harness.begin();
    harness.summary = PageSummary::default();
    harness.on(next("n1"));
    harness.on(Input::Delivered);
    let mut step = harness.on(refused());
    assert!(matches!(&step, Step::Fetch(url) if url.ends_with("/messages/delta")), "{step:?}");
    harness.on(next("n2"));
    step = harness.on(Input::Delivered);
    assert!(matches!(step, Step::Fetch(_)), "{step:?}");
    let failure = failure(harness.on(refused()));
    assert_eq!(failure.code, Code::NotSupported);
    assert!(failure.message.contains("list the collection without it"), "{}", failure.message);
}

#[test]
fn full_rounds_after_resets_are_spread_over_time() {
    let waits = [0.0, 0.5, 0.999].map(|random| {
        let mut harness = Harness::new(contacts(), Some(idle()));
        harness.begin();
        let step = harness.round.step(refused(410, ""), harness.now, random);
        assert!(matches!(step, Step::SaveRecord { .. }), "the reset is stored at once: {step:?}");
        match harness.round.step(Input::Committed, harness.now, random) {
            Step::Sleep(wait, WaitReason::Resync) => wait.as_millis(),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(waits, [0.0, 1000.0, 1998.0]);
}

#[test]
fn a_reset_with_retry_after_is_stored_as_a_throttle() {
    for status in [410, 503, 408] {
        let reset = Refusal {
            status,
            codes: vec!["resyncRequired".into()],
            retry_after: Some("9".into()),
            ..Refusal::default()
        };
        let mut harness = Harness::new(contacts(), Some(idle()));
        harness.begin();
        harness.on(Input::Refused(Box::new(reset)));
        assert_eq!(harness.throttles, [NOW + ms(9000.0)], "{status}");
        assert_eq!(harness.round.report.resync.as_deref(), Some("resyncRequired"));
    }
}

#[test]
fn a_reset_code_with_the_status_of_a_server_error_resets_a_stored_link_only() {
    for code in ["SyncStateNotFound", "resyncRequired", "resyncChangesUploadDifferences"] {
        let mut harness = Harness::new(contacts(), Some(idle()));
        harness.begin();
        assert!(matches!(harness.on(refused(500, code)), Step::Fetch(_)), "{code}");
        assert_eq!(harness.requests, ["/contacts/delta?t=d0", "/contacts/delta"]);
        assert_eq!(harness.round.report.resync.as_deref(), Some(code), "the report names the code");
        assert!(matches!(harness.on(refused(500, code)), Step::Sleep(_, WaitReason::Server)));
    }
}

#[test]
fn the_report_contains_the_reset_code_even_if_graph_nests_another_code_in_it() {
    for (outer, inner) in [
        ("resyncChangesUploadDifferences", "invalidRequest"),
        ("resyncRequired", "itemNotFound"),
        ("gone", "resyncChangesApplyDifferences"),
    ] {
        let expected = if outer == "gone" { inner } else { outer };
        let mut harness = Harness::new(contacts(), Some(idle()));
        harness.begin();
        let codes = vec![outer.to_owned(), inner.to_owned()];
        harness.on(Input::Refused(Box::new(Refusal { status: 410, codes, ..Refusal::default() })));
        assert_eq!(harness.round.report.resync.as_deref(), Some(expected));
    }
}
