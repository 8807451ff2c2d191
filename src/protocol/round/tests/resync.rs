//! Reset signals, the sweep, and foreign links.

use super::*;

#[test]
fn a_reset_signal_starts_one_full_round_from_the_query_and_then_sweeps() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    assert!(matches!(bench.on(refused(410, "syncStateNotFound")), Step::Fetch(_)));
    let stored = bench.store.clone().unwrap();
    assert_eq!((stored.phase, stored.link.clone(), stored.reset_times), (Phase::Fresh, None, vec![NOW]));
    let step = bench.on(delta("d1"));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Full, generation: 2, index: 0, last: false }));
    let step = bench.on(Input::Delivered);
    assert!(matches!(step, Step::Sweep { after: None, .. }), "{step:?}");
    assert_eq!(bench.store.as_ref().map(|record| record.phase), Some(Phase::Sweeping));
    let step = bench.on(Input::Swept(SweepSummary {
        has_changes: true,
        count_delta: -1,
        after: Some("m".into()),
        ..SweepSummary::default()
    }));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Full, generation: 2, index: 1, last: false }));
    assert!(matches!(bench.on(Input::Delivered), Step::Sweep { after: Some(_), .. }));
    let step = bench.on(Input::Swept(SweepSummary {
        has_changes: false,
        count_delta: 0,
        after: None,
        ..SweepSummary::default()
    }));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Full, generation: 2, index: 2, last: true }));
    assert_eq!(bench.on(Input::Delivered), Step::Done);
    let stored = bench.store.unwrap();
    assert_eq!(
        (stored.phase, stored.link, stored.reset_times, stored.sweep_after),
        (Phase::Idle, Some(link("d1")), vec![], None)
    );
    assert_eq!(bench.requests, ["/contacts/delta?t=d0", "/contacts/delta"]);
    assert_eq!(bench.round.report.resync.as_deref(), Some("syncStateNotFound"));
}

#[test]
fn after_a_crash_the_link_of_a_reset_is_not_requested_again() {
    let mut first = Bench::new(contacts(), Some(idle()));
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
    let mut bench = Bench::new(contacts(), Some(store));
    let step = bench.begin();
    assert!(
        matches!(&step, Step::Sweep { after: Some(after),
            completed } if after == "k" && completed.round() == 5),
        "{step:?}"
    );
    assert!(bench.requests.is_empty());
}

#[test]
fn a_chunk_without_ghosts_is_not_committed() {
    let store = Record { phase: Phase::Sweeping, generation: 2, ..idle() };
    let mut bench = Bench::new(contacts(), Some(store.clone()));
    bench.begin();
    let step = bench.on(Input::Swept(SweepSummary {
        has_changes: false,
        count_delta: 0,
        after: Some("m".into()),
        ..SweepSummary::default()
    }));
    assert!(matches!(&step, Step::Sweep { after: Some(after), .. } if after == "m"), "{step:?}");
    assert_eq!(bench.store, Some(store));
}

#[test]
fn an_incremental_round_never_reaches_the_sweep() {
    for generation in [1, 2, 7] {
        let mut bench = Bench::new(contacts(), Some(Record { generation, ..idle() }));
        bench.begin();
        assert!(matches!(bench.page(next("n1")), Step::Fetch(_)));
        assert_eq!(bench.page(delta("d1")), Step::Done);
    }
}

#[test]
fn a_first_full_round_and_a_feed_have_nothing_to_sweep() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.page(delta("d1")), Step::Done);
    let feed = query::org_contacts(Options { feed: true, ..Options::default() }).unwrap();
    let mut bench = Bench::new(feed, Some(idle()));
    bench.begin();
    bench.on(refused(410, ""));
    assert_eq!(bench.page(delta("d1")), Step::Done);
    assert_eq!(bench.store.unwrap().generation, 2);
}

#[test]
fn a_reset_within_a_full_round_restarts_it_and_the_fourth_of_a_day_ends_it() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    for generation in 2..=4 {
        assert!(matches!(bench.on(refused(410, "")), Step::Fetch(_)));
        bench.page(next("n"));
        assert_eq!(bench.store.as_ref().map(|record| record.generation), Some(generation));
        bench = bench.again(contacts());
        bench.begin();
    }
    let before = bench.store.clone();
    let failure = failure(bench.on(refused(410, "syncStateNotFound")));
    assert_eq!((failure.code, failure.graph_code.as_deref()), (Code::ResyncLoop, Some("syncStateNotFound")));
    assert_eq!(bench.store, before);
    let mut tomorrow = bench.again(contacts());
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
    let mut bench = Bench::new(drive(), Some(idle()));
    bench.begin();
    assert_eq!(bench.on(gone(location)), Step::Fetch(location.into()));
    bench.on(refused(500, ""));
    assert_eq!(
        bench.requests,
        ["/contacts/delta?t=d0", "/drives/d/root/delta?token=new", "/me/drive/root/delta"]
    );

    let mut foreign = Bench::new(drive(), Some(idle()));
    foreign.begin();
    foreign.on(gone("https://evil.example/v1.0/drives"));
    assert_eq!(foreign.requests.last().map(String::as_str), Some("/me/drive/root/delta"));

    let mut directory = Bench::new(contacts(), Some(idle()));
    directory.begin();
    directory.on(gone(location));
    assert_eq!(directory.requests.last().map(String::as_str), Some("/contacts/delta"));
}

#[test]
fn a_reset_code_on_the_query_itself_is_final() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(failure(bench.on(refused(410, "syncStateNotFound"))).code, Code::ResyncLoop);
}

#[test]
fn a_foreign_link_is_neither_stored_nor_followed() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    let failure =
        failure(bench.on(Input::Page(Link::Next("https://evil.example/v1.0/contacts/delta?t=1".into()))));
    assert_eq!(failure.code, Code::ForeignLink);
    assert_eq!(bench.store, Some(idle()));
}

#[test]
fn a_stored_foreign_link_is_not_requested() {
    let mut bench =
        Bench::new(contacts(), Some(Record { link: Some("https://evil.example/".into()), ..idle() }));
    assert_eq!(failure(bench.begin()).code, Code::ForeignLink);
    assert!(bench.requests.is_empty());
}

#[test]
fn a_redirect_is_a_foreign_link() {
    for status in [0, 302, 308] {
        let mut bench = Bench::new(contacts(), None);
        bench.begin();
        let failure = failure(bench.on(refused(status, "")));
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
    let mut bench = Bench::new(contacts(), Some(paging));
    bench.begin();
    assert!(matches!(bench.on(refused(400, "Directory_ExpiredPageToken")),
            Step::Fetch(url) if url.ends_with("/contacts/delta")));
    assert_eq!(bench.round.report.resync.as_deref(), Some("Directory_ExpiredPageToken"));
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
    let mut bench = Bench::new(channel, None);
    bench.begin();
    bench.summary = PageSummary::default();
    bench.on(next("n1"));
    bench.on(Input::Delivered);
    let mut step = bench.on(refused());
    assert!(matches!(&step, Step::Fetch(url) if url.ends_with("/messages/delta")), "{step:?}");
    bench.on(next("n2"));
    step = bench.on(Input::Delivered);
    assert!(matches!(step, Step::Fetch(_)), "{step:?}");
    let failure = failure(bench.on(refused()));
    assert_eq!(failure.code, Code::NotSupported);
    assert!(failure.message.contains("list the collection without it"), "{}", failure.message);
}

#[test]
fn full_rounds_after_resets_are_spread_over_time() {
    let waits = [0.0, 0.5, 0.999].map(|random| {
        let mut bench = Bench::new(contacts(), Some(idle()));
        bench.begin();
        let step = bench.round.step(refused(410, ""), bench.now, random);
        assert!(matches!(step, Step::SaveRecord { .. }), "the reset is stored at once: {step:?}");
        match bench.round.step(Input::Committed, bench.now, random) {
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
        let mut bench = Bench::new(contacts(), Some(idle()));
        bench.begin();
        bench.on(Input::Refused(Box::new(reset)));
        assert_eq!(bench.throttles, [NOW + ms(9000.0)], "{status}");
        assert_eq!(bench.round.report.resync.as_deref(), Some("resyncRequired"));
    }
}

#[test]
fn a_reset_code_under_a_server_error_is_a_reset_of_a_stored_link_only() {
    for code in ["SyncStateNotFound", "resyncRequired", "resyncChangesUploadDifferences"] {
        let mut bench = Bench::new(contacts(), Some(idle()));
        bench.begin();
        assert!(matches!(bench.on(refused(500, code)), Step::Fetch(_)), "{code}");
        assert_eq!(bench.requests, ["/contacts/delta?t=d0", "/contacts/delta"]);
        assert_eq!(bench.round.report.resync.as_deref(), Some(code), "the report names the code");
        assert!(matches!(bench.on(refused(500, code)), Step::Sleep(_, WaitReason::Server)));
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
        let mut bench = Bench::new(contacts(), Some(idle()));
        bench.begin();
        let codes = vec![outer.to_owned(), inner.to_owned()];
        bench.on(Input::Refused(Box::new(Refusal { status: 410, codes, ..Refusal::default() })));
        assert_eq!(bench.round.report.resync.as_deref(), Some(expected));
    }
}
