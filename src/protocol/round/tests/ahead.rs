//! Requests for the next page that are sent ahead.

use super::*;

fn looking_ahead(query: Query, store: Option<Record>) -> Harness {
    Harness { looks_ahead: true, ..Harness::new(query, store) }
}

/// Receives the last two of three pages, and checks that each page was requested once.
fn expect_three_pages_in_three_requests(harness: &mut Harness) {
    assert_eq!(harness.page(next("n2")), Step::Receive);
    assert_eq!(harness.page(delta("d")), Step::Done);
    assert_eq!(
        harness.requests,
        ["/contacts/delta", "ahead /contacts/delta?t=n1", "ahead /contacts/delta?t=n2"]
    );
    assert_eq!((harness.round.report.requests, harness.round.report.pages), (3, 3));
}

#[test]
fn the_next_page_is_requested_once_while_the_current_one_is_applied() {
    let mut harness = looking_ahead(contacts(), None);
    harness.begin();
    assert_eq!(harness.page(next("n1")), Step::Receive);
    expect_three_pages_in_three_requests(&mut harness);
}

#[test]
fn the_next_page_is_requested_while_the_current_one_arrives() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    let request = harness.round.next_request_after(&link("n1"), NOW).unwrap();
    harness.round.sent_ahead(request);
    assert_eq!(harness.round.next_request_after(&link("n1"), NOW), None, "one at a time");
    assert_eq!(harness.page(next("n1")), Step::Receive);
    assert_eq!(harness.round.next_request_after(&link("n1"), NOW), None, "the page itself");
    assert_eq!(harness.round.next_request_after("https://elsewhere.example/n2", NOW), None);
    assert!(harness.round.next_request_after(&link("n2"), NOW).is_some());
    assert!(matches!(harness.on(refused(503, "")), Step::Sleep(..)));
    assert!(matches!(harness.on(Input::Slept), Step::Fetch(_)));
    assert_eq!(harness.round.next_request_after(&link("n2"), NOW), None, "a second attempt");
}

#[test]
fn while_a_page_is_committed_the_page_after_the_next_one_is_requested_too() {
    let mut harness = looking_ahead(contacts(), None);
    harness.begin();
    harness.next_link_ahead = Some(link("n2"));
    assert_eq!(harness.page(next("n1")), Step::Receive);
    assert_eq!(harness.round.next_request_after(&link("n2"), NOW), None, "requested already");
    harness.next_link_ahead = None;
    expect_three_pages_in_three_requests(&mut harness);
}

#[test]
fn the_page_after_the_next_one_is_requested_only_during_a_commit_and_nothing_beyond_it() {
    let mut harness = looking_ahead(contacts(), None);
    harness.begin();
    assert!(matches!(harness.on(next("n1")), Step::Deliver(_)));
    assert_eq!(harness.round.next_request_beyond(&link("n2"), NOW), None, "the consumer may leave");
    harness.step(Input::Delivered);
    assert!(matches!(harness.step(Input::Acknowledged), Step::Commit { .. }));
    assert_eq!(harness.round.next_request_beyond(&link("n1"), NOW), None, "requested already");
    let request = harness.round.next_request_beyond(&link("n2"), NOW).unwrap();
    harness.round.sent_ahead(request);
    assert_eq!(harness.round.next_request_beyond(&link("n3"), NOW), None);
}

#[test]
fn a_failure_of_the_next_page_abandons_the_page_after_it() {
    for failure in [refused(503, ""), Input::Unreachable(NoResponse::Network)] {
        let mut harness = looking_ahead(contacts(), None);
        harness.begin();
        harness.next_link_ahead = Some(link("n2"));
        assert_eq!(harness.page(next("n1")), Step::Receive);
        harness.next_link_ahead = None;
        assert!(matches!(harness.on(failure), Step::Sleep(..)));
        assert_eq!(harness.on(Input::Slept), Step::Fetch(link("n1")));
        assert_eq!(harness.page(next("n2")), Step::Fetch(link("n2")));
        assert_eq!((harness.round.report.requests, harness.round.report.retries), (5, 1));
    }
}

#[test]
fn no_page_beyond_the_next_one_is_requested_that_a_limit_of_the_caller_excludes() {
    let mut harness = looking_ahead(contacts(), None);
    harness.round.config.max_pages = Some(2);
    harness.begin();
    harness.next_link_ahead = Some(link("n2"));
    assert_eq!(harness.page(next("n1")), Step::Receive);
    assert_eq!(harness.round.report.requests, 2);
}

#[test]
fn a_page_that_is_cut_after_its_link_is_requested_again_and_the_look_ahead_abandoned() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    let request = harness.round.next_request_after(&link("n1"), NOW).unwrap();
    harness.round.sent_ahead(request);
    assert!(matches!(harness.on(Input::Unreachable(NoResponse::Network)), Step::Sleep(..)));
    assert!(matches!(harness.on(Input::Slept), Step::Fetch(url) if url.ends_with("/contacts/delta")));
    assert_eq!(harness.round.report.requests, 3);
}

#[test]
fn a_refused_look_ahead_is_a_refused_request_and_the_page_after_it_is_not_requested_ahead() {
    let mut harness = looking_ahead(contacts(), None);
    harness.begin();
    harness.page(next("n1"));
    assert!(matches!(harness.on(refused(503, "")), Step::Sleep(_, WaitReason::Server)));
    assert!(matches!(harness.on(Input::Slept), Step::Fetch(_)));
    assert!(matches!(harness.page(next("n2")), Step::Fetch(_)), "no look-ahead after a failure");
    assert_eq!(harness.page(next("n3")), Step::Receive);
    assert_eq!((harness.round.report.requests, harness.round.report.retries), (5, 1));
}

#[test]
fn a_token_that_is_refused_for_a_look_ahead_is_renewed_as_for_any_request() {
    let mut harness = looking_ahead(contacts(), None);
    harness.begin();
    harness.page(next("n1"));
    assert_eq!(harness.on(refused(401, "")), Step::SignIn(TokenReason::Unauthorized));
    assert_eq!(harness.on(Input::SignedIn), Step::Fetch(link("n1")));
}

#[test]
fn no_page_is_requested_ahead_that_a_limit_of_the_caller_excludes() {
    let mut harness = looking_ahead(contacts(), None);
    harness.round.config.max_pages = Some(2);
    harness.begin();
    assert_eq!(harness.page(next("n1")), Step::Receive);
    assert_eq!(harness.page(next("n2")), Step::Done);
    assert_eq!(harness.round.report.requests, 2);

    let mut harness = looking_ahead(contacts(), None);
    harness.round.config.max_duration = Some(ms(1000.0));
    harness.begin();
    harness.now += ms(1000.0);
    assert_eq!(harness.page(next("n1")), Step::Done);
    assert_eq!(harness.round.report.requests, 1);
}

#[test]
fn a_page_that_waits_for_a_slow_consumer_is_not_requested_again() {
    let mut harness = looking_ahead(contacts(), None);
    harness.begin();
    assert!(matches!(harness.on(next("n1")), Step::Deliver(_)));
    harness.now += ms(3_600_000.0);
    assert_eq!(harness.on(Input::Delivered), Step::Receive);
    assert_eq!(harness.round.report.requests, 2);
}

#[test]
fn a_response_to_a_token_that_the_round_no_longer_has_is_ignored() {
    let mut harness = looking_ahead(contacts(), None);
    harness.begin();
    assert_eq!(harness.page(next("n1")), Step::Receive);
    assert_eq!(harness.on(Input::Outdated), Step::Fetch(link("n1")));
    assert_eq!(harness.on(refused(401, "")), Step::SignIn(TokenReason::Unauthorized), "the first refusal");
    harness.on(Input::SignedIn);
    assert_eq!(harness.page(delta("d")), Step::Done);
    assert_eq!((harness.round.report.requests, harness.round.report.retries), (4, 1));
}

#[test]
fn a_throttle_that_arrived_earlier_is_waited_for_only_for_its_remaining_time() {
    for (received, left) in [(0.0, 30_000.0), (20_000.0, 10_000.0), (29_000.0, 1000.0)] {
        let mut harness = looking_ahead(contacts(), None);
        harness.begin();
        harness.page(next("n1"));
        let received_at = Some(harness.now);
        harness.now += ms(received);
        let retry_after = Some("30".to_owned());
        let refusal = Refusal { status: 429, retry_after, received_at, ..Refusal::default() };
        assert_eq!(
            harness.on(Input::Refused(Box::new(refusal))),
            Step::Sleep(ms(left), WaitReason::Throttled)
        );
    }
}

#[test]
fn a_look_ahead_is_abandoned_if_the_round_loads_its_record_again() {
    let mut harness = looking_ahead(contacts(), None);
    harness.round.config.asks_caller = true;
    harness.round.config.has_consumer = true;
    harness.begin();
    assert_eq!(harness.step(next("n1")), Step::Apply);
    let request = harness.round.next_request(harness.now).unwrap();
    harness.round.sent_ahead(request);
    let summary = PageSummary { new_ids: vec!["1".into()], ..one() };
    assert!(matches!(harness.step(Input::Applied(Box::new(summary))), Step::SaveRecord { .. }));
    let failed = Input::StepFailed(Error::retryable(Code::Store, "the disk is busy"));
    assert!(matches!(harness.step(failed), Step::AskCaller(_)));
    let step = harness.on(Input::Decided(Decision::Retry(Duration::ZERO)));
    assert!(matches!(step, Step::Fetch(url) if url.ends_with("/contacts/delta")), "{:?}", harness.requests);
}

#[test]
fn a_look_ahead_under_another_prefer_header_is_not_used() {
    let mut harness = looking_ahead(events(), None);
    harness.begin();
    let delivered = harness.on(next("n1"));
    assert!(matches!(delivered, Step::Deliver(_)));
    harness.step(Input::Delivered);
    harness.step(Input::Acknowledged);
    assert!(matches!(harness.step(Input::Committed), Step::SignIn(_)));
    // As if the round had just learned that the page size was too large.
    harness.round.record.page_size = Some(25);
    assert!(matches!(harness.step(Input::SignedIn), Step::Fetch(_)));
}

#[test]
fn pages_that_may_end_in_an_escalation_are_not_followed_ahead() {
    let mut harness = looking_ahead(events(), None);
    harness.begin();
    let stale = || PageSummary { made_progress: false, ..one() };
    for number in 0..2 {
        harness.summary = stale();
        harness.page(next(&format!("n{number}")));
    }
    harness.summary = stale();
    let ahead = harness.requests.iter().filter(|url| url.starts_with("ahead")).count();
    harness.on(next("n2"));
    assert_eq!(harness.requests.iter().filter(|url| url.starts_with("ahead")).count(), ahead);
}
