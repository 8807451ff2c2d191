//! Pages that are too large for Graph.

use super::*;

/// A week of events in pages of this size.
fn sized(size: u32) -> Query {
    query::events(Options {
        start: Some("2026-11-23".into()),
        end: Some("2026-11-30".into()),
        page_size: Some(size),
        ..Options::default()
    })
    .unwrap()
}

fn size(harness: &Harness) -> String {
    harness.round.prefer().join(", ")
}

#[test]
fn pages_that_fail_twice_are_requested_in_half_the_size_but_at_least_fifty_for_events() {
    for response in [
        refused(503, ""),
        refused(504, "UnknownError"),
        refused(408, ""),
        Input::Unreachable(NoResponse::Timeout),
    ] {
        let mut harness = Harness::new(sized(400), Some(idle()));
        harness.round.config.policy.attempts = 9;
        harness.begin();
        let mut sizes = Vec::new();
        for _ in 0..7 {
            harness.on(response.clone());
            harness.on(Input::Slept);
            sizes.push(size(&harness).replace("odata.maxpagesize=", ""));
        }
        assert_eq!(sizes, ["400", "200", "100", "50", "50", "50", "50"], "{response:?}");
        assert_eq!(harness.round.report.page_size, Some(50));
    }
}

#[test]
fn an_escalation_to_pages_too_large_for_graph_returns_to_the_smaller_size_and_stays_there() {
    let stale = || PageSummary { items: 1, ..PageSummary::default() };
    let mut harness = Harness::new(sized(50), None);
    harness.begin();
    // Pages of 50 bring nothing new, so larger ones are requested. Graph fails to build those.
    for page in 0..3 {
        harness.summary = stale();
        harness.page(next(&format!("n{page}")));
    }
    assert_eq!(size(&harness), "odata.maxpagesize=200");
    for expected in ["200", "100", "50"] {
        assert!(matches!(harness.on(refused(504, "")), Step::Sleep(..)));
        harness.on(Input::Slept);
        assert_eq!(size(&harness), format!("odata.maxpagesize={expected}"));
    }
    // If pages of 50 still bring nothing new, everything is listed from the start.
    for page in 3..6 {
        harness.summary = stale();
        harness.page(next(&format!("n{page}")));
    }
    assert_eq!(harness.round.report.resync.as_deref(), Some("livelock"));
    assert!(harness.requests.last().unwrap().starts_with("/me/calendarView/delta?startDateTime"));
}

#[test]
fn a_smaller_page_size_is_stored_when_a_timeout_ends_the_round() {
    let mut harness = Harness::new(sized(800), Some(idle()));
    harness.round.config.policy.attempts = 3;
    harness.begin();
    for _ in 0..2 {
        harness.on(Input::Unreachable(NoResponse::Timeout));
        harness.on(Input::Slept);
    }
    assert_eq!(failure(harness.on(Input::Unreachable(NoResponse::Timeout))).code, Code::Network);
    assert_eq!(harness.store.as_ref().unwrap().page_size, Some(200));
    assert_eq!(harness.store.as_ref().unwrap().link, idle().link);
}

#[test]
fn failures_that_do_not_indicate_a_large_page_leave_the_page_size_unchanged() {
    for response in [
        refused(500, ""),
        refused(502, ""),
        throttled("1"),
        Input::Unreachable(NoResponse::Network),
        Input::Malformed(Malformed::NotJson),
    ] {
        let mut harness = Harness::new(sized(400), Some(idle()));
        harness.begin();
        for _ in 0..2 {
            harness.on(response.clone());
            harness.on(Input::Slept);
        }
        assert_eq!(size(&harness), "odata.maxpagesize=400", "{response:?}");
    }
    // Kinds without such a preference, and pages that are small already.
    for query in [contacts(), sized(60)] {
        let mut harness = Harness::new(query, Some(idle()));
        harness.begin();
        let before = size(&harness);
        for _ in 0..3 {
            harness.on(refused(503, ""));
            harness.on(Input::Slept);
        }
        assert_eq!(size(&harness), before);
    }
}

#[test]
fn a_smaller_page_size_survives_a_reload_and_grows_back_slowly() {
    let mut harness = Harness::new(sized(400), Some(idle()));
    harness.begin();
    for _ in 0..3 {
        harness.on(refused(504, ""));
        harness.on(Input::Slept);
    }
    assert_eq!(size(&harness), "odata.maxpagesize=100");
    harness.page(next("n1"));
    let mut harness = harness.again(sized(400));
    harness.begin();
    assert_eq!(size(&harness), "odata.maxpagesize=100", "the round continues with it");
    for page in 2..=7 {
        harness.page(next(&format!("n{page}")));
        assert_eq!(size(&harness), "odata.maxpagesize=100", "page {page}");
    }
    harness.page(next("n8"));
    assert_eq!(size(&harness), "odata.maxpagesize=200", "after eight pages");
    harness.page(delta("d1"));
    let mut harness = harness.again(sized(400));
    harness.begin();
    assert_eq!(size(&harness), "odata.maxpagesize=400", "with the next round");
    assert_eq!(harness.round.record().page_size, None);
}

/// Events without an option for the page size.
fn unsized_events() -> Query {
    query::events(Options {
        start: Some("2026-11-23".into()),
        end: Some("2026-11-30".into()),
        ..Options::default()
    })
    .unwrap()
}

fn of_items(items: u32) -> PageSummary {
    PageSummary { items, ..one() }
}

#[test]
fn without_a_page_size_the_size_that_graph_chose_is_halved() {
    for (received, expected) in [(400, ["", "200", "100", "50", "50"]), (90, ["", "", "", "", ""])] {
        let mut harness = Harness::new(unsized_events(), None);
        harness.round.config.policy.attempts = 9;
        harness.begin();
        harness.summary = of_items(7);
        harness.page(next("n1"));
        harness.summary = of_items(received);
        harness.page(next("n2"));
        let sizes = [(); 5].map(|()| {
            harness.on(refused(503, ""));
            harness.on(Input::Slept);
            size(&harness).replace("odata.maxpagesize=", "")
        });
        assert_eq!(sizes, expected, "pages of {received}");
    }
}

#[test]
fn if_not_even_a_first_page_arrives_the_minimum_size_is_requested() {
    let mut harness = Harness::new(unsized_events(), None);
    harness.begin();
    for expected in ["", "odata.maxpagesize=50", "odata.maxpagesize=50"] {
        harness.on(refused(504, ""));
        harness.on(Input::Slept);
        assert_eq!(size(&harness), expected);
    }
}

#[test]
fn a_reduced_size_is_dropped_when_it_has_grown_to_the_size_that_graph_chose() {
    let mut harness = Harness::new(unsized_events(), Some(Record { largest_page: 200, ..idle() }));
    harness.begin();
    for _ in 0..3 {
        harness.on(refused(503, ""));
        harness.on(Input::Slept);
    }
    assert_eq!(size(&harness), "odata.maxpagesize=50");
    harness.page(delta("d1"));
    assert_eq!(
        harness.store.as_ref().unwrap().largest_page,
        200,
        "a page of a requested size does not count"
    );
    let mut harness = harness.again(unsized_events());
    harness.begin();
    assert_eq!(size(&harness), "odata.maxpagesize=100");
    harness.page(delta("d2"));
    let mut harness = harness.again(unsized_events());
    harness.begin();
    assert_eq!(size(&harness), "");
    assert_eq!(harness.round.record().page_size, None);
}

#[test]
fn events_escalate_to_fifty_items_at_least() {
    let stale = || PageSummary { items: 2, ..PageSummary::default() };
    let mut harness = Harness::new(unsized_events(), None);
    harness.begin();
    let mut sizes = Vec::new();
    for page in 0..12 {
        harness.summary = stale();
        harness.page(next(&format!("n{page}")));
        sizes.push(size(&harness).replace("odata.maxpagesize=", ""));
    }
    sizes.dedup();
    assert_eq!(sizes, ["", "50", "200", "800", "1000"]);
}

#[test]
fn a_listing_with_top_starts_with_smaller_pages_but_its_links_stay_unchanged() {
    let drive = |top| query::track("/me/drive/root/delta", Options { top, ..Options::default() }).unwrap();
    let last_request = |harness: &Harness| harness.requests.last().unwrap().clone();
    let fail_thrice = |harness: &mut Harness| {
        for _ in 0..3 {
            harness.on(refused(503, ""));
            harness.on(Input::Slept);
        }
    };
    let mut harness = Harness::new(drive(Some(400)), None);
    harness.begin();
    assert_eq!(last_request(&harness), "/me/drive/root/delta?$top=400");
    fail_thrice(&mut harness);
    assert_eq!(last_request(&harness), "/me/drive/root/delta?$top=100");
    assert_eq!(harness.round.prefer(), [""; 0], "it is a parameter, not a preference");
    harness.page(next("n1"));
    fail_thrice(&mut harness);
    assert_eq!(last_request(&harness), "/contacts/delta?t=n1", "a link is sent as it is");
    let mut harness = Harness::new(
        drive(None),
        Some(Record { phase: Phase::Fresh, link: None, largest_page: 300, ..idle() }),
    );
    harness.begin();
    fail_thrice(&mut harness);
    assert_eq!(last_request(&harness), "/me/drive/root/delta?$top=75");
}

#[test]
fn recordings_without_a_link_are_listed_again_without_top() {
    let recordings = || {
        let options = Options { organizer: Some("u".into()), top: Some(5), ..Options::default() };
        query::call_recordings(options).unwrap()
    };
    let no_link = || Input::Malformed(Malformed::NoLink);
    let path = "/users/u/onlineMeetings/getAllRecordings(meetingOrganizerUserId='u')/delta";
    // On the first page, and on a later one.
    for pages in [0, 2] {
        let mut harness = Harness::new(recordings(), None);
        harness.begin();
        assert_eq!(harness.requests, [format!("{path}?$top=5")]);
        for page in 0..pages {
            harness.page(next(&format!("n{page}")));
        }
        assert!(matches!(harness.on(no_link()), Step::Fetch(_)));
        assert_eq!(harness.requests.last().unwrap(), path);
        assert!(matches!(harness.page(delta("d1")), Step::Done | Step::Sweep { .. }));
    }
    // If the link is missing without `$top` too, the round ends and says why.
    let mut harness = Harness::new(recordings(), None);
    harness.begin();
    harness.on(no_link());
    for _ in 0..2 {
        assert!(matches!(harness.on(no_link()), Step::Sleep(_, WaitReason::Malformed)));
        harness.on(Input::Slept);
    }
    assert!(failure(harness.on(no_link())).message.contains("neither a nextLink nor a deltaLink"));
}
