//! Failures that the caller decides about.

use super::*;

fn with_on_error(store: Option<Record>, decisions: Vec<Decision>) -> Harness {
    let mut harness = Harness { decisions, ..Harness::new(contacts(), store) };
    harness.round.config.asks_caller = true;
    harness
}

const AT_ONCE: Decision = Decision::Retry(Duration::ZERO);

#[test]
fn the_caller_may_retry_the_request_that_failed() {
    let mut harness = with_on_error(Some(idle()), vec![AT_ONCE, AT_ONCE]);
    harness.begin();
    harness.page(next("n1"));
    assert!(matches!(harness.on(refused(403, "")), Step::Fetch(_)));
    assert!(matches!(harness.on(refused(400, "")), Step::Fetch(_)));
    assert_eq!(
        harness.requests,
        ["/contacts/delta?t=d0", "/contacts/delta?t=n1", "/contacts/delta?t=n1", "/contacts/delta?t=n1"]
    );
    assert_eq!(harness.page(delta("d1")), Step::Done);
    assert_eq!(
        (harness.failures, harness.round.report.outcome),
        (vec![Code::Forbidden, Code::BadRequest], Outcome::Complete)
    );
}

#[test]
fn the_caller_is_asked_once_per_failure_and_only_after_the_attempts_of_the_round() {
    let mut harness = with_on_error(None, vec![]);
    harness.begin();
    for _ in 1..Policy::default().attempts {
        assert!(matches!(harness.on(Input::Unreachable(NoResponse::Network)), Step::Sleep(..)));
        harness.on(Input::Slept);
    }
    assert!(harness.failures.is_empty());
    assert_eq!(failure(harness.on(Input::Unreachable(NoResponse::Network))).code, Code::Network);
    assert_eq!(harness.failures, [Code::Network]);
    assert_eq!(harness.round.report.outcome, Outcome::Failed);
}

#[test]
fn the_caller_sets_the_wait_but_never_below_the_one_of_graph() {
    for (wait, expected) in [(0.0, 3_600_000.0), (5.0, 3_600_000.0), (7_200_000.0, 7_200_000.0)] {
        let mut harness = with_on_error(None, vec![Decision::Retry(ms(wait))]);
        harness.begin();
        assert_eq!(harness.on(throttled("3600")), Step::Sleep(ms(expected), WaitReason::Caller));
        assert_eq!(harness.failures, [Code::Throttled]);
    }
}

#[test]
fn the_caller_cannot_retry_for_ever() {
    let attempts = Policy::default().attempts as usize;
    let mut harness = with_on_error(Some(idle()), vec![AT_ONCE; 100]);
    assert_eq!(failure(until_over(&mut harness, |_| refused(403, ""))).code, Code::Forbidden);
    assert_eq!((harness.failures.len(), harness.requests.len()), (attempts, attempts + 1));
    // A page resets the count.
    let mut harness = with_on_error(None, vec![AT_ONCE; 100]);
    harness.begin();
    for page in 0..20 {
        harness.on(refused(403, ""));
        harness.page(next(&format!("n{page}")));
    }
    assert_eq!(harness.failures.len(), 20);
}

#[test]
fn a_failed_call_of_the_token_source_or_the_store_is_repeated() {
    let mut harness = with_on_error(None, vec![AT_ONCE, AT_ONCE]);
    harness.step(Input::Begin);
    assert_eq!(
        harness.on(Input::StepFailed(Error::new(Code::Store, "x"))).clone(),
        Step::Fetch(
            harness.requests.last().map(|path| format!("https://graph.microsoft.com/v1.0{path}")).unwrap()
        )
    );
    harness.on(claims_challenge("{}"));
    assert_eq!(
        harness.on(Input::StepFailed(Error::new(Code::Interaction, "x"))),
        Step::SignIn(TokenReason::Claims("{}".into()))
    );
}

#[test]
fn the_caller_is_asked_neither_during_a_commit_nor_about_failures_that_a_retry_cannot_fix() {
    let foreign = || Input::Page(Link::Next("https://evil.example/delta".into()));
    let mut harness = with_on_error(None, vec![AT_ONCE; 9]);
    harness.begin();
    assert_eq!(failure(harness.on(foreign())).code, Code::ForeignLink);
    let mut harness = with_on_error(None, vec![AT_ONCE; 9]);
    harness.begin();
    harness.on(next("n1"));
    harness.step(Input::Delivered);
    harness.step(Input::Acknowledged);
    assert_eq!(failure(harness.on(Input::StepFailed(Error::new(Code::Quota, "full")))).code, Code::Quota);
    for code in [Code::Aborted, Code::Account, Code::Closed, Code::Internal, Code::Conflict] {
        let mut harness = with_on_error(None, vec![AT_ONCE; 9]);
        harness.begin();
        assert_eq!(failure(harness.step(Input::StepFailed(Error::new(code, "x")))).code, code);
        assert!(harness.failures.is_empty());
    }
}

#[test]
fn the_caller_is_asked_about_a_failed_store_and_the_round_then_loads_the_record_again() {
    let busy = || Input::StepFailed(Error::retryable(Code::Store, "busy"));
    let mut harness = with_on_error(Some(idle()), vec![AT_ONCE]);
    harness.begin();
    assert_eq!(harness.step(next("n1")), Step::Apply);
    assert!(matches!(harness.step(busy()), Step::AskCaller(_)));
    assert_eq!(harness.step(Input::Decided(AT_ONCE)), Step::Load);

    // The reset could not be stored.
    let mut harness = with_on_error(Some(idle()), vec![AT_ONCE]);
    harness.begin();
    assert!(matches!(harness.step(refused(410, "syncStateNotFound")), Step::SaveRecord { .. }));
    assert!(matches!(harness.step(busy()), Step::AskCaller(_)));
    assert_eq!(harness.step(Input::Decided(AT_ONCE)), Step::Load);
    harness.step(Input::Loaded(Some(Box::new(idle()))));
    assert_eq!(harness.round.record().revision, idle().revision, "the stored record");
}

#[test]
fn a_store_that_fails_while_a_page_is_applied_is_not_mistaken_for_a_cycle_of_links() {
    let mut harness = with_on_error(None, vec![AT_ONCE]);
    harness.begin();
    harness.page(next("n1"));
    harness.page(next("n2"));
    assert_eq!(harness.step(next("n3")), Step::Apply);
    let again = harness.on(Input::StepFailed(Error::retryable(Code::Store, "x")));
    assert_eq!(again, Step::Fetch(link("n2")), "the page is requested again");
    assert_eq!(harness.page(next("n3")), Step::Fetch(link("n3")));
    assert_eq!(harness.page(delta("d")), Step::Done);
    assert_eq!(harness.round.report.waits, []);
}

#[test]
fn a_round_that_loads_its_record_again_has_no_fallback() {
    let store = Record { refusals: 2, ..idle() };
    let mut harness = with_on_error(Some(store), vec![AT_ONCE]);
    harness.begin();
    assert!(
        matches!(harness.on(refused(400, "ErrorInvalidUrlQuery")), Step::Fetch(url) if !url.contains("d0"))
    );
    assert_eq!(harness.step(next("n1")), Step::Apply);
    let again = harness.on(Input::StepFailed(Error::retryable(Code::Store, "x")));
    assert_eq!(again, Step::Fetch(link("d0")));
    assert_eq!(harness.page(delta("d1")), Step::Done);
    let stored = harness.store.clone().unwrap();
    assert_eq!(
        (stored.kind, stored.fallback, stored.reset_times),
        (Kind::Incremental, Fallback::None, vec![])
    );
    assert_eq!(harness.round.report.resync, None);
}

#[test]
fn the_wait_of_the_caller_holds_before_the_record_is_loaded_again() {
    let mut harness = with_on_error(None, vec![Decision::Retry(ms(5000.0))]);
    harness.step(Input::Begin);
    let waits = harness.on(Input::StepFailed(Error::retryable(Code::Store, "x")));
    assert_eq!(waits, Step::Sleep(ms(5000.0), WaitReason::Caller));
    assert_eq!(harness.step(Input::Slept), Step::Load);
}

#[test]
fn if_the_caller_retries_without_a_network_the_round_waits_for_one_as_long_as_before() {
    let mut harness = with_on_error(None, vec![AT_ONCE]);
    harness.begin();
    let offline = || Input::Unreachable(NoResponse::Offline);
    assert_eq!(harness.on(offline()), Step::Sleep(ms(300_000.0), WaitReason::Offline));
    harness.now += ms(300_000.0);
    assert!(matches!(harness.on(Input::Slept), Step::Fetch(_)));
    assert!(matches!(harness.on(offline()), Step::Fetch(_)), "the caller decides to retry");
    assert_eq!(harness.on(offline()), Step::Sleep(ms(300_000.0), WaitReason::Offline));
}
