//! Throttles, back-off, a missing network.

use super::*;

#[test]
fn a_token_source_without_a_network_is_asked_for_the_same_token_after_a_wait() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    bench.step(claims_challenge("{}"));
    assert_eq!(
        bench.step(Input::Unreachable(NoResponse::Network)),
        Step::Sleep(ms(500.0), WaitReason::Network)
    );
    assert_eq!(bench.step(Input::Slept), Step::SignIn(TokenReason::Claims("{}".into())));
    for _ in 2..Policy::default().attempts {
        bench.step(Input::Unreachable(NoResponse::Network));
        bench.step(Input::Slept);
    }
    let failure = failure(bench.step(Input::Unreachable(NoResponse::Network)));
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
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    assert_eq!(
        bench.on(Input::Unreachable(NoResponse::Offline)),
        Step::Sleep(ms(300_000.0), WaitReason::Offline)
    );
    bench.now += ms(100_000.0);
    assert!(matches!(bench.on(Input::Slept), Step::Fetch(_)));
    assert_eq!(
        bench.round.report.waits,
        [Wait { reason: WaitReason::Offline, ms: ms(100_000.0) }],
        "the actual wait"
    );
    assert_eq!(
        bench.on(Input::Unreachable(NoResponse::Offline)),
        Step::Sleep(ms(200_000.0), WaitReason::Offline)
    );
    bench.now += ms(200_000.0);
    bench.on(Input::Slept);
    let failure = failure(bench.on(Input::Unreachable(NoResponse::Offline)));
    assert_eq!((failure.code, failure.retryable), (Code::Offline, true));
    assert_eq!(
        failure.message,
        "this host has no network; the next round continues at the same page once it has one"
    );
    assert_eq!(bench.store, Some(idle()));
}

#[test]
fn a_page_resets_the_time_without_a_network() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    bench.on(Input::Unreachable(NoResponse::Offline));
    bench.now += ms(250_000.0);
    bench.on(Input::Slept);
    bench.page(next("n1"));
    assert_eq!(
        bench.on(Input::Unreachable(NoResponse::Offline)),
        Step::Sleep(ms(300_000.0), WaitReason::Offline)
    );
}

#[test]
fn a_wait_that_graph_asks_for_ends_when_the_throttle_ends_however_long_the_store_took() {
    for (store_time, wait) in [(0.0, 7000.0), (2500.0, 4500.0), (9000.0, 0.0)] {
        let mut bench = Bench::new(contacts(), None);
        bench.begin();
        bench.step(throttled("7"));
        bench.now += ms(store_time);
        assert_eq!(bench.step(Input::ThrottleStored), Step::Sleep(ms(wait), WaitReason::Throttled));
        assert_eq!(bench.round.report.waits.last().unwrap().ms, ms(7000.0), "the store takes a part of it");
    }
}

#[test]
fn a_wait_that_graph_asks_for_is_stored_before_the_round_waits() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.step(throttled("7")), Step::StoreThrottle(NOW + ms(7000.0)));
    assert_eq!(bench.step(Input::ThrottleStored), Step::Sleep(ms(7000.0), WaitReason::Throttled));
    // Even a wait that is too long for the round.
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.step(throttled("3600")), Step::StoreThrottle(NOW + ms(3_600_000.0)));
    assert_eq!(failure(bench.step(Input::ThrottleStored)).retry_at, Some(NOW + ms(3_600_000.0)));
    // A throttle without a readable header is stored with the back-off of this query.
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.step(refused(429, "")), Step::StoreThrottle(NOW + ms(500.0)));
    // A 503 throttles the scope only with `Retry-After`.
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert!(matches!(bench.step(refused(503, "")), Step::Sleep(..)));
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    let refusal = Refusal { status: 503, retry_after: Some("9".into()), ..Refusal::default() };
    assert_eq!(bench.step(Input::Refused(Box::new(refusal))), Step::StoreThrottle(NOW + ms(9000.0)));
}

#[test]
fn the_wait_of_the_last_failure_is_stored_before_the_round_ends_or_abandons_the_location() {
    let long_wait = || {
        Input::Refused(Box::new(Refusal { status: 503, retry_after: Some("9".into()), ..Refusal::default() }))
    };
    let mut bench = Bench::new(contacts(), Some(idle()));
    assert_eq!(failure(until_over(&mut bench, |_| long_wait())).code, Code::Network);
    assert_eq!(bench.requests.len(), bench.throttles.len(), "one throttle time per response");
    assert!(
        bench.throttles.last().is_some_and(|until| *until >= bench.now + ms(9000.0)),
        "{:?}",
        bench.throttles
    );

    let drive = query::track("/me/drive/root/delta", Options::default()).unwrap();
    let mut bench = Bench::new(drive, Some(idle()));
    bench.begin();
    let location = Some("https://graph.microsoft.com/v1.0/drives/d/root/delta?token=new".to_owned());
    bench.on(Input::Refused(Box::new(Refusal { status: 410, location, ..Refusal::default() })));
    bench.on(long_wait());
    assert_eq!(bench.throttles, [NOW + ms(9000.0)]);
}

#[test]
fn the_throttle_of_another_query_is_obeyed_and_does_not_count_as_a_request() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.on(Input::Throttled(NOW + ms(4000.0))), Step::Sleep(ms(4000.0), WaitReason::Throttled));
    let report = &bench.round.report;
    assert_eq!((report.requests, report.retries, report.waits.len()), (0, 0, 1));
    bench.on(Input::Slept);
    assert_eq!(bench.round.report.requests, 1);
    bench.page(delta("d1"));
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    let failure = failure(bench.on(Input::Throttled(NOW + ms(400_000.0))));
    assert_eq!(
        (failure.code, failure.retry_at, failure.retryable),
        (Code::Throttled, Some(NOW + ms(400_000.0)), true)
    );
}

#[test]
fn a_busy_token_source_is_called_again_at_the_time_that_it_names() {
    let mut bench = Bench::new(contacts(), None);
    bench.step(Input::Begin);
    bench.step(Input::Loaded(None));
    assert_eq!(
        bench.step(Input::TokenSourceBusy(NOW + ms(30_000.0))),
        Step::Sleep(ms(30_000.0), WaitReason::Server)
    );
    assert_eq!(bench.step(Input::Slept), Step::SignIn(TokenReason::Start));
    let failure = failure(bench.step(Input::TokenSourceBusy(NOW + ms(3_600_000.0))));
    assert_eq!(
        (failure.code, failure.retry_at, bench.throttles.len()),
        (Code::Throttled, Some(NOW + ms(3_600_000.0)), 0)
    );
}

#[test]
fn an_absurd_time_of_a_token_source_is_ignored() {
    for absurd in [253_402_300_799_000.0, f64::INFINITY, f64::NAN, NOW.as_millis() + 86_400_001.0] {
        let mut bench = Bench::new(contacts(), None);
        bench.step(Input::Begin);
        bench.step(Input::Loaded(None));
        assert_eq!(
            bench.step(Input::TokenSourceBusy(Instant::from_millis(absurd))),
            Step::Sleep(ms(500.0), WaitReason::Server),
            "{absurd}"
        );
    }
}

#[test]
fn the_round_waits_the_whole_retry_after() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.on(throttled("2.128")), Step::Sleep(ms(2128.0), WaitReason::Throttled));
    assert!(matches!(bench.on(Input::Slept), Step::Fetch(_)));
    assert_eq!((bench.round.report.requests, bench.round.report.retries), (2, 1));
    assert_eq!(bench.round.report.waits, [Wait { reason: WaitReason::Throttled, ms: ms(2128.0) }]);
}

#[test]
fn without_retry_after_the_back_off_grows_with_each_failure_and_restarts_with_each_page() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    for expected in [500.0, 1000.0, 2000.0] {
        assert_eq!(bench.on(refused(503, "")), Step::Sleep(ms(expected), WaitReason::Server));
        bench.on(Input::Slept);
    }
    bench.page(next("n1"));
    assert_eq!(
        bench.on(Input::Unreachable(NoResponse::Network)),
        Step::Sleep(ms(500.0), WaitReason::Network)
    );
}

#[test]
fn after_all_attempts_the_round_fails_and_the_stored_state_is_untouched() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    for _ in 1..Policy::default().attempts {
        assert!(matches!(bench.on(Input::Unreachable(NoResponse::Network)), Step::Sleep(..)));
        bench.on(Input::Slept);
    }
    let failure = failure(bench.on(Input::Unreachable(NoResponse::Network)));
    assert_eq!(failure.code, Code::Network);
    assert!(failure.retryable);
    assert_eq!(
        failure.message,
        "no response from https://graph.microsoft.com; check the connection and, in a browser, whether this page may call that origin; the next round continues at the same page"
    );
    assert_eq!(bench.store, Some(idle()));
}

#[test]
fn after_all_attempts_of_a_throttled_request_the_error_says_so_and_when_to_try_again() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    for _ in 1..Policy::default().attempts {
        assert_eq!(bench.on(throttled("60")), Step::Sleep(ms(60_000.0), WaitReason::Throttled));
        bench.on(Input::Slept);
    }
    let failure = failure(bench.on(throttled("60")));
    assert_eq!((failure.code, failure.retry_at), (Code::Throttled, Some(NOW + ms(60_000.0))));
    assert_eq!(
        failure.message,
        "Graph returned 429 on orgContact: all 6 attempts were throttled (options.retry.attempts); the next round continues at the same page, not before retryAt"
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
        let mut bench = Bench::new(contacts(), None);
        bench.begin();
        let failure = failure(bench.on(input));
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
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    for _ in 0..2 {
        assert!(matches!(
            bench.on(Input::Malformed(Malformed::NoValue)),
            Step::Sleep(_, WaitReason::Malformed)
        ));
        bench.on(Input::Slept);
    }
    let failure = failure(bench.on(Input::Malformed(Malformed::NoValue)));
    assert_eq!(failure.code, Code::Protocol);
    assert_eq!(
        failure.message,
        "Graph's response is not a page of a delta query: the body has no \"value\"; the stored link is untouched"
    );
    assert_eq!(bench.store, Some(idle()));
}

#[test]
fn a_response_ends_a_time_without_a_network() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    let offline = || Input::Unreachable(NoResponse::Offline);
    assert_eq!(bench.on(offline()), Step::Sleep(ms(300_000.0), WaitReason::Offline));
    bench.now += ms(200_000.0);
    bench.on(Input::Slept);
    assert!(matches!(bench.on(refused(503, "")), Step::Sleep(_, WaitReason::Server)));
    for input in [Input::Unreachable(NoResponse::Network), refused(503, "")] {
        bench.now += ms(200_000.0);
        bench.on(Input::Slept);
        assert_eq!(bench.on(offline()), Step::Sleep(ms(300_000.0), WaitReason::Offline));
        bench.now += ms(200_000.0);
        bench.on(Input::Slept);
        assert!(matches!(bench.on(input), Step::Sleep(..)));
    }
}
