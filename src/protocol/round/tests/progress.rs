//! Rounds that make no progress.

use super::*;
use crate::protocol::round::progress::MAX_EMPTY_PAGES;

fn stored_page_size(harness: &Harness) -> Option<u32> {
    harness.store.as_ref().and_then(|record| record.page_size)
}

#[test]
fn a_next_link_to_itself_is_requested_again_then_everything_once_then_ends_as_a_livelock() {
    let mut harness =
        Harness::new(contacts(), Some(Record { phase: Phase::Paging, link: Some(link("n1")), ..idle() }));
    let failure = failure(until_over(&mut harness, |_| next("n1")));
    assert_eq!(failure.code, Code::Livelock);
    // The link three times, the query once, and the link that it leads to three times.
    let count = |path: &str| harness.requests.iter().filter(|url| *url == path).count();
    assert_eq!((count("/contacts/delta?t=n1"), count("/contacts/delta")), (6, 1));
    let stored = harness.store.clone().unwrap();
    assert_eq!((stored.phase, stored.link, stored.restarted), (Phase::Paging, Some(link("n1")), true));
    assert_eq!(harness.round.report.resync.as_deref(), Some("livelock"));
}

#[test]
fn next_links_in_a_cycle_end_as_a_livelock_however_long_the_cycle_is() {
    for length in [2, 3, 7, 40] {
        let mut harness = Harness::new(contacts(), None);
        let mut pages = 0;
        let step = until_over(&mut harness, |harness| {
            pages += 1;
            let number = harness.requests.last().and_then(|url| url.split("=n").nth(1)?.parse::<u32>().ok());
            next(&format!("n{}", number.map_or(0, |number| (number + 1) % length)))
        });
        assert_eq!(failure(step).code, Code::Livelock);
        assert!(pages < 20 * length, "{length}: {pages}");
    }
}

#[test]
fn a_cycle_that_larger_pages_break_completes() {
    let mut harness = Harness::new(events(), None);
    let step = until_over(&mut harness, |harness| {
        let larger = harness.round.prefer().contains(&"odata.maxpagesize=200".to_owned());
        if larger {
            delta("d")
        } else {
            next(if harness.requests.last().unwrap().ends_with("n0") { "n1" } else { "n0" })
        }
    });
    assert_eq!(step, Step::Done);
    assert_eq!((harness.round.report.page_size, harness.round.report.resync.clone()), (Some(200), None));
}

#[test]
fn three_pages_in_a_row_without_progress_lead_to_larger_pages_then_to_a_full_listing_then_to_a_livelock() {
    let mut harness = Harness::new(events(), None);
    let (mut pages, mut prefers) = (0, Vec::new());
    let step = until_over(&mut harness, |harness| {
        pages += 1;
        prefers.push(harness.round.prefer().join(", "));
        harness.summary = PageSummary { items: 5, ..PageSummary::default() };
        next(&format!("n{pages}"))
    });
    let failure = failure(step);
    assert_eq!(failure.code, Code::Livelock);
    assert!(failure.message.contains("repeat the same items under new links"), "{}", failure.message);
    prefers.dedup();
    assert_eq!(
        prefers,
        ["odata.maxpagesize=50", "odata.maxpagesize=200", "odata.maxpagesize=800", "odata.maxpagesize=1000"]
    );
    assert_eq!(pages, 5 * 3, "three at each size, and three of the second listing");
    let stored = harness.store.clone().unwrap();
    assert_eq!((stored.restarted, stored.no_progress_pages, stored.generation), (true, 0, 2));

    let mut reloaded = harness.again(events());
    let mut pages = 0;
    let step = until_over(&mut reloaded, |harness| {
        pages += 1;
        harness.summary = PageSummary { items: 5, ..PageSummary::default() };
        next(&format!("another {pages}"))
    });
    assert_eq!((self::failure(step).code, pages), (Code::Livelock, 3), "it is not listed a third time");
    let mut recovered = reloaded.again(events());
    assert_eq!(until_over(&mut recovered, |_| delta("d")), Step::Done);
    let stored = recovered.store.unwrap();
    assert_eq!((stored.restarted, stored.no_progress_pages), (false, 0));
}

#[test]
fn a_page_size_that_completed_a_round_is_kept_and_grows_to_a_larger_configured_one() {
    let stored = Record { page_size: Some(200), ..idle() };
    let sized = |size| {
        query::events(Options {
            start: Some("2026-11-23".into()),
            end: Some("2026-11-30".into()),
            page_size: Some(size),
            ..Options::default()
        })
    };
    for (configured, expected) in
        [(50, "odata.maxpagesize=200"), (300, "odata.maxpagesize=300"), (500, "odata.maxpagesize=400")]
    {
        let mut harness = Harness::new(sized(configured).unwrap(), Some(stored.clone()));
        harness.begin();
        assert_eq!(harness.round.prefer(), [expected]);
    }
}

#[test]
fn pages_without_progress_are_counted_across_reloads() {
    let mut harness = Harness::new(events(), None);
    for page in 1..=3 {
        harness.round.config.max_pages = Some(1);
        harness.summary = PageSummary { items: 5, ..PageSummary::default() };
        let step = until_over(&mut harness, |_| next(&format!("n{page}")));
        assert_eq!(
            (step, harness.store.as_ref().map(|record| record.no_progress_pages)),
            (Step::Done, Some(page))
        );
        harness = harness.again(events());
    }
    let mut pages = 0;
    let step = until_over(&mut harness, |harness| {
        pages += 1;
        harness.summary = PageSummary { items: 5, ..PageSummary::default() };
        if pages == 1 { next("n4") } else { delta("d") }
    });
    assert_eq!((step, harness.round.report.page_size), (Step::Done, Some(200)));
}

#[test]
fn rounds_of_one_page_per_process_escalate_too() {
    let mut harness = Harness::new(events(), None);
    for page in 1..40 {
        harness.round.config.max_pages = Some(1);
        harness.summary = PageSummary { items: 5, ..PageSummary::default() };
        if let Step::Fail(failure) = until_over(&mut harness, |_| next(&format!("n{page}"))) {
            assert_eq!(
                (failure.code, page),
                (Code::Livelock, 5 * 3 + 1),
                "three at each of four sizes, three of the second listing"
            );
            return;
        }
        harness = harness.again(events());
    }
    panic!("forty pages without progress do not end the rounds");
}

#[test]
fn a_round_stuck_after_its_second_listing_continues_when_the_window_moves() {
    let window = Options { window: Some((7, 30, "UTC".into())), page_size: Some(1000), ..Options::default() };
    let rolling = || query::events(window.clone()).unwrap();
    let mut harness = Harness::new(rolling(), None);
    let mut pages = 0;
    for day in 0..3 {
        harness.now += ms(86_400_000.0);
        harness.round.config.window = Some(format!("{day}/{day}"));
        // Graph repeats itself only in the windows of the first two days.
        let step = until_over(&mut harness, |harness| {
            pages += 1;
            harness.summary = PageSummary { items: 5, ..PageSummary::default() };
            if harness.requests.iter().any(|url| url.contains("startDateTime=2")) {
                delta("d")
            } else {
                next(&format!("n{pages}"))
            }
        });
        if day < 2 {
            assert_eq!(failure(step).code, Code::Livelock, "day {day}");
        } else {
            assert_eq!(step, Step::Done);
        }
        harness = harness.again(rolling());
    }
    let stored = harness.store.unwrap();
    assert_eq!((stored.window.as_deref(), stored.restarted), (Some("2/2"), false));
}

#[test]
fn a_moved_window_does_not_fall_back_to_the_delta_link_of_the_old_one() {
    let window = Options { window: Some((7, 30, "UTC".into())), ..Options::default() };
    let rolling = || query::events(window.clone()).unwrap();
    let mut harness =
        Harness::new(rolling(), Some(Record { window: Some("old/old".into()), round_number: 1, ..idle() }));
    harness.round.config.window = Some("new/new".into());
    harness.begin();
    harness.page(next("bad"));
    for _ in 0..3 {
        harness = harness.again(rolling());
        harness.round.config.window = Some("new/new".into());
        until_over(&mut harness, |harness| refused_link(harness, &["bad"]).unwrap_or_else(|| delta("d1")));
    }
    assert!(harness.requests.last().unwrap().contains("startDateTime=new"), "{:?}", harness.requests);
    let stored = harness.store.unwrap();
    assert_eq!((stored.phase, stored.window.as_deref()), (Phase::Idle, Some("new/new")));
}

#[test]
fn a_link_that_always_fails_with_503_and_retry_after_is_abandoned_too() {
    let start = Record {
        phase: Phase::Paging,
        link: Some(link("bad")),
        start_link: Some(link("d0")),
        kind: Kind::Incremental,
        page_index: 1,
        ..idle()
    };
    let mut harness = Harness::new(contacts(), Some(start));
    let unavailable = || {
        Input::Refused(Box::new(Refusal { status: 503, retry_after: Some("1".into()), ..Refusal::default() }))
    };
    let response = |harness: &mut Harness| {
        if harness.requests.last().unwrap().ends_with("bad") { unavailable() } else { delta("d1") }
    };
    for _ in 0..2 {
        assert_eq!(failure(until_over(&mut harness, response)).code, Code::Network);
        harness = harness.again(contacts());
    }
    assert_eq!(until_over(&mut harness, response), Step::Done);
    assert_eq!(harness.requests.last().map(String::as_str), Some("/contacts/delta?t=d0"));
}

#[test]
fn a_mirror_is_as_of_the_end_of_its_listing_however_long_the_sweep_waits() {
    let mut harness = Harness::new(contacts(), Some(idle()));
    harness.begin();
    harness.on(refused(410, ""));
    assert!(matches!(harness.page(delta("d1")), Step::Sweep { .. }));
    let mut later = harness.again(contacts());
    later.now += ms(3.0 * 86_400_000.0);
    later.begin();
    later.on(Input::Swept(SweepSummary {
        has_changes: false,
        count_delta: 0,
        after: None,
        ..SweepSummary::default()
    }));
    assert_eq!(later.on(Input::Delivered), Step::Done);
    let stored = later.store.unwrap();
    assert_eq!((stored.phase, stored.synced_at, stored.full_at), (Phase::Idle, Some(NOW), Some(NOW)));
}

#[test]
fn a_page_with_progress_after_two_without_prevents_a_livelock() {
    let mut harness = Harness::new(events(), None);
    let mut pages = 0;
    let step = until_over(&mut harness, |harness| {
        pages += 1;
        harness.summary = match pages % 4 {
            0 => one(),
            1 => PageSummary::default(),
            _ => PageSummary { items: 5, ..PageSummary::default() },
        };
        if pages < 100 { next(&format!("n{pages}")) } else { delta("d") }
    });
    assert_eq!((step, stored_page_size(&harness)), (Step::Done, None));
}

#[test]
fn endless_empty_pages_end_as_a_livelock_after_two_listings() {
    let mut harness = Harness::new(contacts(), None);
    let mut pages = 0;
    let step = until_over(&mut harness, |harness| {
        pages += 1;
        harness.summary = PageSummary::default();
        next(&format!("n{pages}"))
    });
    let failure = failure(step);
    assert_eq!((failure.code, pages), (Code::Livelock, 2 * MAX_EMPTY_PAGES));
    assert!(failure.message.contains("keeps sending empty pages"), "{}", failure.message);
}
