//! Tokens that Graph refuses, and claims.

use super::*;

#[test]
fn a_401_asks_once_for_another_token() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    assert_eq!(
        harness.step(refused(401, "InvalidAuthenticationToken")),
        Step::SignIn(TokenReason::Unauthorized)
    );
    harness.on(Input::SignedIn);
    let failure = failure(harness.step(refused(401, "InvalidAuthenticationToken")));
    assert_eq!(
        (failure.code, failure.status, failure.graph_code.as_deref()),
        (Code::Unauthorized, Some(401), Some("InvalidAuthenticationToken"))
    );
    assert!(
        failure.message.contains("check its audience, its tenant, its cloud and its expiry"),
        "{}",
        failure.message
    );
    assert_eq!(harness.store, None);
}

#[test]
fn a_claims_challenge_asks_for_a_token_that_satisfies_it_and_then_the_same_page() {
    for status in [401, 403] {
        let mut harness = Harness::new(contacts(), Some(idle()));
        harness.begin();
        let refusal = Refusal { status, claims: Some("{\"a\":1}".into()), ..Refusal::default() };
        assert_eq!(
            harness.step(Input::Refused(Box::new(refusal))),
            Step::SignIn(TokenReason::Claims("{\"a\":1}".into()))
        );
        harness.on(Input::SignedIn);
        assert_eq!(harness.requests, ["/contacts/delta?t=d0", "/contacts/delta?t=d0"]);
        assert_eq!(harness.page(delta("d1")), Step::Done);
    }
}

#[test]
fn the_same_claims_twice_end_the_round_with_the_claims_to_pass_on() {
    let mut harness = Harness::new(contacts(), Some(idle()));
    harness.begin();
    harness.step(claims_challenge("{\"a\":1}"));
    harness.on(Input::SignedIn);
    let failure = failure(harness.step(claims_challenge("{\"a\":1}")));
    assert_eq!(
        (failure.code, failure.claims.as_deref(), failure.retryable),
        (Code::Claims, Some("{\"a\":1}"), true)
    );
    assert!(
        failure.message.contains("sign the user in with error.claims, then call resume()"),
        "{}",
        failure.message
    );
    assert_eq!(harness.store, Some(idle()));
}

#[test]
fn at_most_two_sign_in_steps_happen_without_a_page_even_with_new_claims() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    assert_eq!(harness.step(refused(401, "")), Step::SignIn(TokenReason::Unauthorized));
    harness.on(Input::SignedIn);
    assert_eq!(
        harness.step(claims_challenge("{\"a\":1}")),
        Step::SignIn(TokenReason::Claims("{\"a\":1}".into()))
    );
    harness.on(Input::SignedIn);
    assert_eq!(failure(harness.step(claims_challenge("{\"a\":2}"))).code, Code::Claims);
    // Throttles between them change nothing.
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    for claims in ["{\"a\":1}", "{\"a\":2}"] {
        harness.on(throttled("1"));
        harness.on(Input::Slept);
        harness.step(claims_challenge(claims));
        harness.on(Input::SignedIn);
    }
    assert_eq!(failure(harness.step(refused(401, ""))).code, Code::Unauthorized);
}

#[test]
fn a_reset_between_two_refused_tokens_does_not_count_as_a_page() {
    let mut harness = Harness::new(contacts(), Some(idle()));
    harness.begin();
    harness.on(refused(401, ""));
    harness.on(Input::SignedIn);
    harness.on(claims_challenge("{}"));
    harness.on(Input::SignedIn);
    harness.on(refused(410, ""));
    assert_eq!(failure(harness.on(refused(401, ""))).code, Code::Unauthorized);
}

#[test]
fn each_page_allows_two_more_sign_in_steps() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    for page in ["n1", "n2", "n3"] {
        harness.step(claims_challenge("{}"));
        harness.on(Input::SignedIn);
        harness.step(refused(401, ""));
        harness.on(Input::SignedIn);
        harness.page(next(page));
    }
}

#[test]
fn after_a_page_a_401_asks_for_another_token_again() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    harness.step(refused(401, ""));
    harness.on(Input::SignedIn);
    harness.page(next("n1"));
    assert_eq!(harness.step(refused(401, "")), Step::SignIn(TokenReason::Unauthorized));
}
