//! Links that Graph refuses for good.

use super::*;
use crate::protocol::round::resync::MAX_RESETS;

#[test]
fn at_the_third_refusal_of_a_link_the_round_falls_back_to_the_delta_link_that_it_began_with() {
    let paging = Record {
        phase: Phase::Paging,
        link: Some(link("bad")),
        start_link: Some(link("d0")),
        kind: Kind::Incremental,
        page_index: 1,
        ..idle()
    };
    let mut harness = Harness::new(contacts(), Some(paging));
    for refusals in [1, 2] {
        assert_eq!(
            failure(until_over(&mut harness, |harness| refused_link(harness, &["bad"]).unwrap())).code,
            Code::BadRequest
        );
        let stored = harness.store.clone().unwrap();
        assert_eq!((stored.refusals, stored.link), (refusals, Some(link("bad"))));
        harness = harness.again(contacts());
    }
    assert_eq!(
        until_over(&mut harness, |harness| refused_link(harness, &["bad"]).unwrap_or_else(|| delta("d1"))),
        Step::Done
    );
    assert_eq!(harness.requests, ["/contacts/delta?t=bad", "/contacts/delta?t=d0"]);
    assert_eq!((harness.round.report.kind, harness.round.report.resync.clone()), (Kind::Incremental, None));
    let stored = harness.store.unwrap();
    assert_eq!((stored.refusals, stored.fallback, stored.link), (0, Fallback::None, Some(link("d1"))));
}

#[test]
fn if_the_delta_link_is_refused_too_or_leads_to_the_same_link_one_full_round_follows() {
    let paging = || Record {
        phase: Phase::Paging,
        link: Some(link("bad")),
        start_link: Some(link("d0")),
        kind: Kind::Incremental,
        page_index: 1,
        refusals: 2,
        ..idle()
    };
    let mut harness = Harness::new(contacts(), Some(paging()));
    let step = until_over(&mut harness, |harness| {
        refused_link(harness, &["bad", "d0"]).unwrap_or_else(|| delta("d1"))
    });
    assert_eq!((step, harness.round.report.kind), (Step::Done, Kind::Full));
    assert_eq!(harness.requests, ["/contacts/delta?t=bad", "/contacts/delta?t=d0", "/contacts/delta"]);
    assert_eq!(harness.round.report.resync.as_deref(), Some("ErrorInvalidUrlQuery"));

    let mut harness = Harness::new(contacts(), Some(paging()));
    let to_bad = |harness: &mut Harness| refused_link(harness, &["bad"]).unwrap_or_else(|| next("bad"));
    for _ in 0..2 {
        assert_eq!(failure(until_over(&mut harness, to_bad)).code, Code::BadRequest);
        harness = harness.again(contacts());
    }
    let step =
        until_over(&mut harness, |harness| refused_link(harness, &["bad"]).unwrap_or_else(|| delta("d1")));
    assert_eq!((step, harness.round.report.kind), (Step::Done, Kind::Full));
}

#[test]
fn while_everything_is_refused_the_stored_link_stays() {
    let stored = Record { refusals: 2, ..idle() };
    let mut harness = Harness::new(contacts(), Some(stored.clone()));
    for _ in 0..3 {
        assert_eq!(failure(until_over(&mut harness, |_| refused(503, ""))).code, Code::Network);
        assert_eq!(harness.store.as_ref(), Some(&stored));
        harness = harness.again(contacts());
    }
    assert_eq!(until_over(&mut harness, |_| delta("d1")), Step::Done);
    assert_eq!(harness.requests, ["/contacts/delta?t=d0"]);
}

#[test]
fn a_missing_permission_does_not_count_as_a_refused_link() {
    for status in [401, 402, 403] {
        let mut harness = Harness::new(contacts(), Some(idle()));
        for _ in 0..5 {
            until_over(&mut harness, |_| refused(status, ""));
            let record = harness.store.clone().unwrap();
            assert_eq!((record.phase, record.link, record.refusals), (Phase::Idle, idle().link, 0));
            assert!(record.forbidden_times.len() <= 1, "rounds within an hour count once");
            harness = harness.again(contacts());
        }
    }
}

#[test]
fn links_that_are_always_refused_cost_at_most_three_full_rounds_a_day() {
    let mut harness = Harness::new(contacts(), Some(idle()));
    let mut queries = 0;
    for _ in 0..30 {
        until_over(&mut harness, |harness| {
            if harness.requests.last().unwrap() == "/contacts/delta" {
                next("bad")
            } else {
                refused(400, "x")
            }
        });
        queries += harness.requests.iter().filter(|url| *url == "/contacts/delta").count();
        harness = harness.again(contacts());
    }
    assert_eq!(queries, MAX_RESETS);
}

#[test]
fn a_link_that_stays_forbidden_for_hours_is_replaced_by_the_query_itself() {
    const HOUR: f64 = 3_600_000.0;
    let paging = Record {
        phase: Phase::Paging,
        link: Some(link("n1")),
        generation: 1,
        round_number: 1,
        page_index: 1,
        ..idle()
    };
    let mut harness = Harness::new(events(), Some(paging));
    for minutes in [0, 1, 59, 60, 61, 120] {
        harness.now = NOW + ms(f64::from(minutes) * 60_000.0);
        assert!(matches!(harness.begin(), Step::Fetch(url) if url.ends_with("t=n1")), "{minutes}");
        assert_eq!(failure(harness.on(refused(403, "ErrorAccessDenied"))).code, Code::Forbidden);
        harness = harness.again(events());
    }
    harness.now = NOW + ms(4.0) * HOUR;
    assert!(
        matches!(harness.begin(), Step::Fetch(url) if url.contains("/calendarView/delta?startDateTime="))
    );
    assert_eq!(failure(harness.on(refused(403, "ErrorAccessDenied"))).code, Code::Forbidden);
    let mut harness = harness.again(events());
    harness.begin();
    harness.on(delta("d1"));
    harness.on(Input::Delivered);
    assert_eq!(harness.store.map(|record| record.forbidden_times.len()), Some(0));
}

#[test]
fn the_error_of_a_path_without_a_delta_query_names_the_tenants_that_lack_it() {
    for (status, code, message) in [
        (400, "BadRequest", "Invalid request. Delta query is not supported by this resource."),
        (400, "Request_UnsupportedQuery", "Differential query is not supported for entity type: OrgContact."),
        (403, "ErrorAccessDenied", "Change tracking is not supported against 'microsoft.graph.event'."),
        (404, "", "DELTA QUERY IS NOT SUPPORTED here"),
        (400, "BadRequest", "This resource does not support delta query."),
        (400, "BadRequest", "Delta queries are not supported for this entity."),
        (400, "BadRequest", "Change tracking isn't supported on this resource."),
        (400, "BadRequest", "Unsupported request: delta query on 'x'."),
        (400, "BadRequest", "The delta function is not supported on this resource."),
    ] {
        let mut harness = Harness::new(contacts(), None);
        harness.begin();
        let refusal = Refusal {
            status,
            codes: vec![code.to_owned()],
            message: Some(message.to_owned()),
            ..Refusal::default()
        };
        let failure = failure(harness.on(Input::Refused(Box::new(refusal))));
        assert_eq!((failure.code, failure.retryable), (Code::NotSupported, false), "{message}");
        assert!(
            failure.message.contains("personal accounts, External ID and B2C tenants"),
            "{}",
            failure.message
        );
    }
    let parameters = "The following parameters are not supported with change tracking over the 'CalendarView' resource: '$orderby'.";
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    let refusal = Refusal {
        status: 400,
        codes: vec!["ErrorInvalidUrlQuery".into()],
        message: Some(parameters.into()),
        ..Refusal::default()
    };
    assert_eq!(
        failure(harness.on(Input::Refused(Box::new(refusal)))).code,
        Code::BadRequest,
        "other options would work"
    );
}
