//! Throttles, back-off, a missing network.

use super::*;

#[test]
fn a_token_source_without_a_network_is_asked_for_the_same_token_after_a_wait() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    harness.step(claims_challenge("{}"));
    assert_eq!(
        harness.step(Input::Unreachable(NoResponse::Network)),
        Step::Sleep(ms(500.0), WaitReason::Network)
    );
    assert_eq!(harness.step(Input::Slept), Step::SignIn(TokenReason::Claims("{}".into())));
    for _ in 2..Policy::default().attempts {
        harness.step(Input::Unreachable(NoResponse::Network));
        harness.step(Input::Slept);
    }
    let failure = failure(harness.step(Input::Unreachable(NoResponse::Network)));
    assert_eq!(
        (failure.code, failure.message.as_str()),
        (
            Code::Network,
            "the token source got no response; check the connection; the next round continues at the same page"
        )
    );
}

#[test]
fn without_a_network_the_round_waits_for_one_for_at_most_max_wait() {
    let mut harness = Harness::new(contacts(), Some(idle()));
    harness.begin();
    assert_eq!(
        harness.on(Input::Unreachable(NoResponse::Offline)),
        Step::Sleep(ms(300_000.0), WaitReason::Offline)
    );
    harness.now += ms(100_000.0);
    assert!(matches!(harness.on(Input::Slept), Step::Fetch(_)));
    assert_eq!(
        harness.round.report.waits,
        [Wait { reason: WaitReason::Offline, ms: ms(100_000.0) }],
        "the actual wait"
    );
    assert_eq!(
        harness.on(Input::Unreachable(NoResponse::Offline)),
        Step::Sleep(ms(200_000.0), WaitReason::Offline)
    );
    harness.now += ms(200_000.0);
    harness.on(Input::Slept);
    let failure = failure(harness.on(Input::Unreachable(NoResponse::Offline)));
    assert_eq!((failure.code, failure.retryable), (Code::Offline, true));
    assert_eq!(
        failure.message,
        "this host has no network; the next round continues at the same page once it has one"
    );
    assert_eq!(harness.store, Some(idle()));
}

#[test]
fn a_page_resets_the_time_without_a_network() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    harness.on(Input::Unreachable(NoResponse::Offline));
    harness.now += ms(250_000.0);
    harness.on(Input::Slept);
    harness.page(next("n1"));
    assert_eq!(
        harness.on(Input::Unreachable(NoResponse::Offline)),
        Step::Sleep(ms(300_000.0), WaitReason::Offline)
    );
}

#[test]
fn a_wait_that_graph_asks_for_ends_when_the_throttle_ends_however_long_the_store_took() {
    for (store_time, wait) in [(0.0, 7000.0), (2500.0, 4500.0), (9000.0, 0.0)] {
        let mut harness = Harness::new(contacts(), None);
        harness.begin();
        harness.step(throttled("7"));
        harness.now += ms(store_time);
        assert_eq!(harness.step(Input::ThrottleStored), Step::Sleep(ms(wait), WaitReason::Throttled));
        assert_eq!(harness.round.report.waits.last().unwrap().ms, ms(7000.0), "the store takes a part of it");
    }
}

#[test]
fn a_wait_that_graph_asks_for_is_stored_before_the_round_waits() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    assert_eq!(harness.step(throttled("7")), Step::StoreThrottle(NOW + ms(7000.0)));
    assert_eq!(harness.step(Input::ThrottleStored), Step::Sleep(ms(7000.0), WaitReason::Throttled));
    // Even a wait that is too long for the round.
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    assert_eq!(harness.step(throttled("3600")), Step::StoreThrottle(NOW + ms(3_600_000.0)));
    assert_eq!(failure(harness.step(Input::ThrottleStored)).retry_at, Some(NOW + ms(3_600_000.0)));
    // A throttle without a readable header is stored with the back-off of this query.
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    assert_eq!(harness.step(refused(429, "")), Step::StoreThrottle(NOW + ms(500.0)));
    // A 503 throttles the scope only with `Retry-After`.
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    assert!(matches!(harness.step(refused(503, "")), Step::Sleep(..)));
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    let refusal = Refusal { status: 503, retry_after: Some("9".into()), ..Refusal::default() };
    assert_eq!(harness.step(Input::Refused(Box::new(refusal))), Step::StoreThrottle(NOW + ms(9000.0)));
}

#[test]
fn the_wait_of_the_last_failure_is_stored_before_the_round_ends_or_abandons_the_location() {
    let long_wait = || {
        Input::Refused(Box::new(Refusal { status: 503, retry_after: Some("9".into()), ..Refusal::default() }))
    };
    let mut harness = Harness::new(contacts(), Some(idle()));
    assert_eq!(failure(until_over(&mut harness, |_| long_wait())).code, Code::Network);
    assert_eq!(harness.requests.len(), harness.throttles.len(), "one throttle time per response");
    assert!(
        harness.throttles.last().is_some_and(|until| *until >= harness.now + ms(9000.0)),
        "{:?}",
        harness.throttles
    );

    let drive = query::track("/me/drive/root/delta", Options::default()).unwrap();
    let mut harness = Harness::new(drive, Some(idle()));
    harness.begin();
    let location = Some("https://graph.microsoft.com/v1.0/drives/d/root/delta?token=new".to_owned());
    harness.on(Input::Refused(Box::new(Refusal { status: 410, location, ..Refusal::default() })));
    harness.on(long_wait());
    assert_eq!(harness.throttles, [NOW + ms(9000.0)]);
}

#[test]
fn the_throttle_of_another_query_is_obeyed_and_does_not_count_as_a_request() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    assert_eq!(
        harness.on(Input::Throttled(NOW + ms(4000.0))),
        Step::Sleep(ms(4000.0), WaitReason::Throttled)
    );
    let report = &harness.round.report;
    assert_eq!((report.requests, report.retries, report.waits.len()), (0, 0, 1));
    harness.on(Input::Slept);
    assert_eq!(harness.round.report.requests, 1);
    harness.page(delta("d1"));
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    let failure = failure(harness.on(Input::Throttled(NOW + ms(400_000.0))));
    assert_eq!(
        (failure.code, failure.retry_at, failure.retryable),
        (Code::Throttled, Some(NOW + ms(400_000.0)), true)
    );
}

#[test]
fn a_busy_token_source_is_called_again_at_the_time_that_it_names() {
    let mut harness = Harness::new(contacts(), None);
    harness.step(Input::Begin);
    harness.step(Input::Loaded(None));
    assert_eq!(
        harness.step(Input::TokenSourceBusy(NOW + ms(30_000.0))),
        Step::Sleep(ms(30_000.0), WaitReason::Server)
    );
    assert_eq!(harness.step(Input::Slept), Step::SignIn(TokenReason::Start));
    let failure = failure(harness.step(Input::TokenSourceBusy(NOW + ms(3_600_000.0))));
    assert_eq!(
        (failure.code, failure.retry_at, harness.throttles.len()),
        (Code::Throttled, Some(NOW + ms(3_600_000.0)), 0)
    );
}

#[test]
fn an_absurd_time_of_a_token_source_is_ignored() {
    for absurd in [253_402_300_799_000.0, f64::INFINITY, f64::NAN, NOW.as_millis() + 86_400_001.0] {
        let mut harness = Harness::new(contacts(), None);
        harness.step(Input::Begin);
        harness.step(Input::Loaded(None));
        assert_eq!(
            harness.step(Input::TokenSourceBusy(Instant::from_millis(absurd))),
            Step::Sleep(ms(500.0), WaitReason::Server),
            "{absurd}"
        );
    }
}

#[test]
fn the_round_waits_the_whole_retry_after() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    assert_eq!(harness.on(throttled("2.128")), Step::Sleep(ms(2128.0), WaitReason::Throttled));
    assert!(matches!(harness.on(Input::Slept), Step::Fetch(_)));
    assert_eq!((harness.round.report.requests, harness.round.report.retries), (2, 1));
    assert_eq!(harness.round.report.waits, [Wait { reason: WaitReason::Throttled, ms: ms(2128.0) }]);
}

#[test]
fn without_retry_after_the_back_off_grows_with_each_failure_and_restarts_with_each_page() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    for expected in [500.0, 1000.0, 2000.0] {
        assert_eq!(harness.on(refused(503, "")), Step::Sleep(ms(expected), WaitReason::Server));
        harness.on(Input::Slept);
    }
    harness.page(next("n1"));
    assert_eq!(
        harness.on(Input::Unreachable(NoResponse::Network)),
        Step::Sleep(ms(500.0), WaitReason::Network)
    );
}

#[test]
fn after_all_attempts_the_round_fails_and_the_stored_state_is_untouched() {
    let mut harness = Harness::new(contacts(), Some(idle()));
    harness.begin();
    for _ in 1..Policy::default().attempts {
        assert!(matches!(harness.on(Input::Unreachable(NoResponse::Network)), Step::Sleep(..)));
        harness.on(Input::Slept);
    }
    let failure = failure(harness.on(Input::Unreachable(NoResponse::Network)));
    assert_eq!(failure.code, Code::Network);
    assert!(failure.retryable);
    assert_eq!(
        failure.message,
        "no response from https://graph.microsoft.com; check the connection and, in a browser, whether this web page may call that origin; the next round continues at the same page"
    );
    assert_eq!(harness.store, Some(idle()));
}

#[test]
fn after_all_attempts_of_a_throttled_request_the_error_says_so_and_when_to_try_again() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    for _ in 1..Policy::default().attempts {
        assert_eq!(harness.on(throttled("60")), Step::Sleep(ms(60_000.0), WaitReason::Throttled));
        harness.on(Input::Slept);
    }
    let failure = failure(harness.on(throttled("60")));
    assert_eq!((failure.code, failure.retry_at), (Code::Throttled, Some(NOW + ms(60_000.0))));
    assert_eq!(
        failure.message,
        "Graph returned 429 on orgContact at /contacts/delta: the last of 6 attempts was throttled (options.retry.attempts); the next round continues at the same page, not before retryAt"
    );
}

#[test]
fn a_wait_beyond_the_maximum_ends_the_round_with_retry_at() {
    for input in [
        throttled("3600"),
        Input::Refused(Box::new(Refusal {
            status: 503,
            retry_after: Some("3600".into()),
            ..Refusal::default()
        })),
    ] {
        let mut harness = Harness::new(contacts(), None);
        harness.begin();
        let failure = failure(harness.on(input));
        assert_eq!(
            (failure.code, failure.retry_at, failure.retryable),
            (Code::Throttled, Some(NOW + ms(3_600_000.0)), true)
        );
        assert_eq!(
            failure.message.contains("Graph asks for a longer wait than options.retry.maxWait allows"),
            failure.status == Some(429)
        );
    }
}

#[test]
fn a_body_that_is_not_a_page_is_requested_three_times() {
    let mut harness = Harness::new(contacts(), Some(idle()));
    harness.begin();
    for _ in 0..2 {
        assert!(matches!(
            harness.on(Input::Malformed(Malformed::NoValue)),
            Step::Sleep(_, WaitReason::Malformed)
        ));
        harness.on(Input::Slept);
    }
    let failure = failure(harness.on(Input::Malformed(Malformed::NoValue)));
    assert_eq!(failure.code, Code::Protocol);
    assert_eq!(
        failure.message,
        "Graph's response is not a page of a delta query: the body has no \"value\"; the stored link is untouched"
    );
    assert_eq!(harness.store, Some(idle()));
}

#[test]
fn a_response_ends_a_time_without_a_network() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    let offline = || Input::Unreachable(NoResponse::Offline);
    assert_eq!(harness.on(offline()), Step::Sleep(ms(300_000.0), WaitReason::Offline));
    harness.now += ms(200_000.0);
    harness.on(Input::Slept);
    assert!(matches!(harness.on(refused(503, "")), Step::Sleep(_, WaitReason::Server)));
    for input in [Input::Unreachable(NoResponse::Network), refused(503, "")] {
        harness.now += ms(200_000.0);
        harness.on(Input::Slept);
        assert_eq!(harness.on(offline()), Step::Sleep(ms(300_000.0), WaitReason::Offline));
        harness.now += ms(200_000.0);
        harness.on(Input::Slept);
        assert!(matches!(harness.on(input), Step::Sleep(..)));
    }
}
