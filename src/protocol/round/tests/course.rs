//! The course of a round: pages, acknowledgements, limits, the end.

use super::*;

#[test]
fn a_first_round_requests_page_after_page_and_stores_each_link_with_its_page() {
    let mut harness = Harness::new(contacts(), None);
    harness.begin();
    harness.page(next("n1"));
    let stored = harness.store.clone().unwrap();
    assert_eq!(
        (stored.phase, stored.link, stored.kind, stored.generation, stored.page_index),
        (Phase::Paging, Some(link("n1")), Kind::Full, 1, 1)
    );
    assert_eq!(harness.page(delta("d1")), Step::Done);
    let stored = harness.store.clone().unwrap();
    assert_eq!(
        (stored.phase, stored.link, stored.synced_at, stored.full_at),
        (Phase::Idle, Some(link("d1")), Some(NOW), Some(NOW))
    );
    assert_eq!(harness.requests, ["/contacts/delta", "/contacts/delta?t=n1"]);
    assert_eq!(
        (harness.round.report.outcome, harness.round.report.pages, harness.round.report.requests),
        (Outcome::Complete, 2, 2)
    );
}

#[test]
fn the_next_round_starts_at_the_delta_link_and_is_incremental() {
    let mut harness = Harness::new(contacts(), Some(idle()));
    harness.begin();
    let step = harness.on(delta("d1"));
    assert_eq!(
        step,
        Step::Deliver(Delivery { kind: Kind::Incremental, generation: 1, index: 0, last: true })
    );
    assert_eq!(harness.on(Input::Delivered), Step::Done);
    assert_eq!(harness.requests, ["/contacts/delta?t=d0"]);
    assert_eq!(harness.store.unwrap().link, Some(link("d1")));
}

#[test]
fn an_interrupted_round_continues_at_the_first_page_that_was_not_acknowledged() {
    let mut first = Harness::new(contacts(), None);
    first.begin();
    first.page(next("n1"));
    first.on(next("n2"));
    let mut second = first.again(contacts());
    second.begin();
    let step = second.on(delta("d1"));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Full, generation: 1, index: 1, last: true }));
    assert_eq!(second.requests, ["/contacts/delta?t=n1"]);
    assert!(second.round.report.resumed);
}

#[test]
fn nothing_commits_before_its_acknowledgement() {
    let mut round = Round::new(config(contacts()), NOW);
    for input in [Input::Begin, Input::Loaded(None), Input::SignedIn] {
        round.step(input, NOW, HALF);
    }
    assert_eq!(round.step(next("n1"), NOW, HALF), Step::Apply);
    assert_eq!(name(&round.step(applied(), NOW, HALF)), "deliver");
    assert_eq!(round.step(Input::Delivered, NOW, HALF), Step::AwaitAcknowledgement);
    assert!(matches!(round.step(Input::Acknowledged, NOW, HALF), Step::Commit { expect: None, .. }));
}

#[test]
fn a_round_stops_at_its_maximum_of_pages_or_of_time() {
    let mut harness = Harness::new(contacts(), None);
    harness.round.config.max_pages = Some(1);
    harness.begin();
    assert_eq!(harness.page(next("n1")), Step::Done);
    assert_eq!(harness.round.report.outcome, Outcome::Partial);
    let mut harness = harness.again(contacts());
    harness.round.config.max_duration = Some(ms(1000.0));
    harness.begin();
    harness.now += ms(999.0);
    assert!(matches!(harness.page(next("n2")), Step::Fetch(_)));
    harness.now += ms(1.0);
    assert_eq!(harness.page(next("n3")), Step::Done);
    assert_eq!(harness.store.unwrap().link, Some(link("n3")));
}
