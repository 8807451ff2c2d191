//! Series masters, delivered ids, moving windows, refresh, and the messages of errors.

use super::*;

/// The requested series master, unchanged.
fn master() -> Input {
    Input::Master(SeriesSummary::default())
}

fn occurrence() -> PageSummary {
    PageSummary { missing_masters: vec!["m1".into(), "m2".into()], ..one() }
}

#[test]
fn series_masters_that_the_round_did_not_receive_are_fetched_before_its_last_page() {
    let mut harness = Harness::new(events(), None);
    harness.begin();
    harness.summary = occurrence();
    harness.page(next("n1"));
    assert_eq!(
        harness.store.as_ref().map(|record| record.awaited_masters.len()),
        Some(2),
        "their ids are stored with the page"
    );
    let mut harness = harness.again(events());
    harness.begin();
    harness.summary = PageSummary { received_masters: vec!["m1".into()], ..one() };
    assert!(matches!(harness.on(delta("d1")), Step::Fetch(url) if url.ends_with("/me/events/m2")));
    let step = harness.on(master());
    assert!(matches!(step, Step::Deliver(Delivery { last: true, .. })), "{step:?}");
    assert_eq!(harness.on(Input::Delivered), Step::Done);
    assert_eq!((harness.round.report.masters, harness.store.unwrap().awaited_masters.len()), (1, 0));
}

#[test]
fn a_master_that_graph_refuses_is_skipped_and_requested_again_in_the_next_round() {
    let mut harness = Harness::new(events(), Some(idle()));
    harness.begin();
    harness.summary = occurrence();
    harness.on(delta("d1"));
    assert!(matches!(harness.on(refused(404, "ErrorItemNotFound")), Step::Fetch(_)));
    assert_eq!(harness.on(throttled("3")), Step::Sleep(ms(3000.0), WaitReason::Throttled));
    harness.on(Input::Slept);
    assert_eq!(harness.requests.iter().filter(|url| url.ends_with("/me/events/m1")).count(), 2);
    assert!(matches!(harness.on(refused(403, "ErrorAccessDenied")), Step::Deliver(_)));
    harness.on(Input::Delivered);
    assert_eq!(
        harness.store.as_ref().map(|record| record.missing_masters.clone()),
        Some(vec!["m2".to_owned(), "m1".to_owned()])
    );
    let mut harness = harness.again(events());
    harness.begin();
    harness.summary = PageSummary::default();
    assert!(matches!(harness.on(delta("d2")), Step::Fetch(url) if url.ends_with("/me/events/m1")));
    assert!(matches!(harness.on(master()), Step::Fetch(url) if url.ends_with("/me/events/m2")));
    harness.on(master());
    harness.on(Input::Delivered);
    assert_eq!(harness.store.map(|record| record.missing_masters.len()), Some(0));
}

#[test]
fn a_master_that_cannot_be_fetched_does_not_hold_up_the_round() {
    for response in [
        refused(500, ""),
        refused(302, ""),
        refused(410, "syncStateNotFound"),
        Input::Malformed(Malformed::Html),
        Input::Unreachable(NoResponse::Timeout),
    ] {
        let mut harness = Harness::new(events(), None);
        harness.begin();
        harness.summary = PageSummary { missing_masters: vec!["m".into()], ..one() };
        let mut step = harness.on(delta("d1"));
        for _ in 0..10 {
            step = match step {
                Step::Fetch(_) => harness.on(response.clone()),
                Step::Sleep(..) => harness.on(Input::Slept),
                _ => break,
            };
        }
        assert!(matches!(step, Step::Deliver(Delivery { last: true, .. })), "{response:?}: {step:?}");
        assert_eq!(harness.on(Input::Delivered), Step::Done);
        assert!(harness.requests.len() <= 3, "{response:?}: {:?}", harness.requests);
    }
}

#[test]
fn a_network_failure_at_a_master_does_not_end_the_round() {
    let mut harness = Harness::new(events(), Some(idle()));
    harness.begin();
    harness.summary = PageSummary { missing_masters: vec!["m".into()], ..one() };
    let mut step = harness.on(delta("d1"));
    for _ in 0..20 {
        step = match step {
            Step::Fetch(_) => harness.on(Input::Unreachable(NoResponse::Network)),
            Step::Sleep(..) => harness.on(Input::Slept),
            _ => break,
        };
    }
    assert!(matches!(step, Step::Deliver(Delivery { last: true, .. })), "{step:?}");
    assert_eq!(harness.on(Input::Delivered), Step::Done);
    assert_eq!(harness.store.map(|record| record.missing_masters), Some(vec!["m".to_owned()]));
}

#[test]
fn ids_new_to_the_mirror_are_stored_before_a_consumer_gets_them() {
    let mut harness = Harness::new(contacts(), None);
    harness.round.config.has_consumer = true;
    harness.begin();
    harness.summary = PageSummary { new_ids: vec!["a".into()], ..one() };
    assert!(matches!(harness.on(next("n1")), Step::Deliver(_)));
    let saved = harness.store.clone().unwrap();
    assert_eq!((saved.phase, saved.unacknowledged), (Phase::Fresh, vec!["a".to_owned()]));
    let mut harness = harness.again(contacts());
    harness.round.config.has_consumer = true;
    harness.begin();
    harness.on(Input::StepFailed(Error::new(Code::Store, "x")));
    let mut harness = harness.again(contacts());
    harness.begin();
    assert_eq!(harness.round.mode().delivered, ["a"]);
    harness.summary = PageSummary { unacknowledged: vec!["a".into()], ..one() };
    harness.page(next("n1"));
    assert_eq!(
        harness.store.clone().unwrap().unacknowledged,
        ["a"],
        "until Graph lists it or reports its removal"
    );
    harness.page(delta("d1"));
    assert!(harness.store.unwrap().unacknowledged.is_empty());
}

#[test]
fn a_rolling_window_is_listed_again_when_the_day_has_changed_but_not_during_a_round() {
    let window = Options { window: Some((7, 30, "Europe/Berlin".into())), ..Options::default() };
    let rolling = || query::events(window.clone()).unwrap();
    let days = |day: u32| format!("2026-11-{day}T23:00:00.000Z/2026-12-{day}T23:00:00.000Z");
    let mut harness = Harness::new(rolling(), None);
    harness.round.config.window = Some(days(13));
    harness.begin();
    let expected =
        "/me/calendarView/delta?startDateTime=2026-11-13T23:00:00.000Z&endDateTime=2026-12-13T23:00:00.000Z";
    assert_eq!(harness.requests, [expected]);
    harness.page(next("n1"));
    let mut harness = harness.again(rolling());
    harness.round.config.window = Some(days(14));
    harness.begin();
    assert_eq!(harness.requests, ["/contacts/delta?t=n1"], "a round that has begun keeps its window");
    harness.page(delta("d1"));
    assert_eq!(harness.store.as_ref().and_then(|record| record.window.clone()), Some(days(13)));
    let mut harness = harness.again(rolling());
    harness.round.config.window = Some(days(14));
    harness.begin();
    assert_eq!(harness.requests, [expected.replace("13T", "14T")]);
    harness.on(delta("d2"));
    assert!(matches!(harness.on(Input::Delivered), Step::Sweep { .. }), "it removes what left the window");
    harness.on(Input::Swept(SweepSummary {
        has_changes: false,
        count_delta: 0,
        after: None,
        ..SweepSummary::default()
    }));
    harness.on(Input::Delivered);
    let mut same = harness.again(rolling());
    same.round.config.window = Some(days(14));
    same.begin();
    assert_eq!(same.requests, ["/contacts/delta?t=d2"]);
}

#[test]
fn the_count_of_the_mirror_is_stored_with_each_page() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    harness.summary = PageSummary { count_delta: 7, ..one() };
    harness.page(next("n1"));
    harness.summary = PageSummary { count_delta: -2, ..one() };
    harness.page(delta("d1"));
    assert_eq!(harness.store.unwrap().count, Some(5));
}

#[test]
fn a_long_round_whose_links_are_all_new_is_not_a_livelock() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    for page in 0..300 {
        harness.page(next(&format!("n{page}")));
    }
    assert_eq!(harness.page(delta("d")), Step::Done);
}

#[test]
fn a_reset_of_a_round_from_latest_does_not_hide_the_gap() {
    let query = vec![("$deltatoken".into(), "latest".into())];
    let latest = query::track("/users/delta", Options { query, ..Options::default() }).unwrap();
    let mut harness = Harness::new(latest, Some(idle()));
    harness.begin();
    let failure = failure(harness.on(refused(410, "syncStateNotFound")));
    assert_eq!(failure.code, Code::NotSupported);
    assert!(failure.message.contains("leaves a gap"), "{}", failure.message);
    assert_eq!(harness.store, Some(idle()));
}

#[test]
fn no_token_of_a_link_is_in_a_message() {
    let token = "bd9dmiNUYKrYOcd73Bu5srad3KUOS87UCf6zZ0fR9Esbbb03T5i2Aoh8";
    let message = Some(format!("The value '{token}' of parameter '$deltaToken' is invalid."));
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    let refusal =
        Refusal { status: 400, codes: vec!["InvalidDeltaToken".into()], message, ..Refusal::default() };
    let failure = failure(harness.on(Input::Refused(Box::new(refusal))));
    assert!(
        failure.message.contains("(The value … of parameter '$deltaToken' is invalid.)"),
        "{}",
        failure.message
    );
}

#[test]
fn a_failing_network_is_not_a_throttle_however_short_the_maximum_wait_is() {
    let mut round = Round::new(
        RoundConfig { policy: Policy { max_wait: ms(1.0), ..Policy::default() }, ..config(contacts()) },
        NOW,
    );
    for input in [Input::Begin, Input::Loaded(None), Input::SignedIn] {
        round.step(input, NOW, HALF);
    }
    assert_eq!(failure(round.step(Input::Unreachable(NoResponse::Network), NOW, HALF)).code, Code::Network);
}

#[test]
fn an_absurd_retry_after_is_ignored() {
    for absurd in ["99999999999999999999", "99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let mut harness = Harness::new(contacts(), None);
        harness.begin();
        assert_eq!(harness.on(throttled(absurd)), Step::Sleep(ms(500.0), WaitReason::Throttled), "{absurd}");
    }
}

#[test]
fn a_mirror_past_its_refresh_is_listed_again_and_keeps_its_link_until_the_first_page() {
    let old = Record { full_at: Some(NOW - ms(86_400_001.0)), ..idle() };
    let mut harness = Harness::new(events(), Some(old.clone()));
    harness.begin();
    assert_eq!(harness.requests, ["/me/calendarView/delta?startDateTime=2026-11-23&endDateTime=2026-11-30"]);
    assert_eq!(harness.store, Some(old));
    harness.page(next("n1"));
    let stored = harness.store.clone().unwrap();
    assert_eq!((stored.generation, stored.start_link, stored.kind), (2, Some(link("d0")), Kind::Full));
    let mut young = Harness::new(events(), Some(Record { full_at: Some(NOW - ms(86_399_999.0)), ..idle() }));
    young.begin();
    assert_eq!(young.requests, ["/contacts/delta?t=d0"]);
}

#[test]
fn a_round_from_latest_is_incremental_and_cannot_sweep() {
    let query = vec![("$deltatoken".into(), "latest".into())];
    let latest = query::track("/users/delta", Options { query, ..Options::default() }).unwrap();
    let mut harness =
        Harness::new(latest, Some(Record { phase: Phase::Fresh, link: None, generation: 4, ..idle() }));
    harness.begin();
    let step = harness.on(delta("d1"));
    assert!(matches!(step, Step::Deliver(Delivery { kind: Kind::Incremental, last: true, .. })), "{step:?}");
}

#[test]
fn a_conflict_ends_the_round_and_can_be_retried() {
    let mut round = Round::new(config(contacts()), NOW);
    for input in [
        Input::Begin,
        Input::Loaded(None),
        Input::SignedIn,
        next("n1"),
        applied(),
        Input::Delivered,
        Input::Acknowledged,
    ] {
        round.step(input, NOW, HALF);
    }
    let failure = failure(round.step(Input::Conflict, NOW, HALF));
    assert_eq!((failure.code, failure.retryable), (Code::Conflict, true));
}

#[test]
fn the_error_of_a_refusal_says_what_to_do() {
    let recordings =
        query::call_recordings(query::Options { organizer: Some("o".into()), ..Default::default() }).unwrap();
    for (query, status, code, expected, message) in [
        (
            recordings,
            403,
            "Forbidden",
            Code::Forbidden,
            "the token lacks the permission, or is that of a signed-in user, who cannot read this kind",
        ),
        (contacts(), 403, "Authorization_RequestDenied", Code::Forbidden, "the token lacks the permission"),
        (contacts(), 404, "Request_ResourceNotFound", Code::NotFound, "does not exist"),
        (
            contacts(),
            400,
            "Request_UnsupportedQuery",
            Code::NotSupported,
            "Graph has no delta query of this form here",
        ),
        (
            contacts(),
            400,
            "ErrorInvalidUrlQuery",
            Code::BadRequest,
            "check the path and the options of the query",
        ),
        (contacts(), 402, "", Code::Forbidden, "payment"),
        (contacts(), 501, "NotImplemented", Code::NotSupported, "outside the main store"),
    ] {
        let mut harness = Harness::new(query, None);
        harness.begin();
        let failure = failure(harness.on(refused(status, code)));
        assert_eq!((failure.code, failure.status), (expected, Some(status)));
        assert!(failure.message.contains(message), "{}", failure.message);
        assert!(failure.message.contains(code), "{}", failure.message);
    }
}

#[test]
fn an_app_only_token_on_me_leads_to_the_option_that_names_the_user() {
    let mut harness = Harness::new(events(), None);
    harness.begin();
    let message = "/me request is only valid with delegated authentication flow.";
    let refusal = Refusal { status: 400, message: Some(message.into()), ..Refusal::default() };
    let failure = failure(harness.on(Input::Refused(Box::new(refusal))));
    assert_eq!(failure.code, Code::BadRequest);
    assert!(
        failure.message.contains("set options.user, or track a path below /users/{id}"),
        "{}",
        failure.message
    );
}

#[test]
fn the_prefer_values_are_stored_with_the_link() {
    let mut harness = Harness::new(events(), None);
    harness.begin();
    harness.page(next("n1"));
    assert_eq!(harness.store.unwrap().prefer, ["odata.maxpagesize=50"]);
}

#[test]
fn a_refusal_names_the_path_without_a_token_in_it() {
    for path in ["/me/drive/root/delta(token='SECRET1234')", "/me/drive/root/DELTA(TOKEN%3D'SECRET1234')"] {
        let mut harness = Harness::new(query::track(path, Options::default()).unwrap(), None);
        harness.begin();
        let message = failure(harness.on(refused(400, "BadRequest"))).message;
        assert!(message.to_lowercase().contains("on driveitem at /me/drive/root/delta…"), "{message}");
        assert!(!message.contains("SECRET"), "{message}");
    }
}

#[test]
fn a_403_names_the_permission_that_the_kind_requires() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    let message = failure(harness.on(refused(403, "Authorization_RequestDenied"))).message;
    assert!(message.ends_with("; it requires OrgContact.Read.All"), "{message}");
}
