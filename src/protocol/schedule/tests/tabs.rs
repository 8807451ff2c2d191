//! The rules for several tabs.

use super::*;

#[test]
fn a_follower_starts_no_round_and_shows_the_leaders_next_one() {
    let mut harness = Harness::new("a", true);
    assert!(!has_start(&harness.start(QUERY, EVERY, Hidden::Slow)));
    let next_at = Some(harness.now + ms(30_000.0));
    let actions = harness.plan("b", &Plan { next_at, ..plan() });
    let shown = Action::Show { key: key(), is_following: true, is_offline: false, next_round_at: next_at };
    assert!(actions.contains(&shown));
}

#[test]
fn a_follower_asks_when_the_leaders_round_is_due_and_steals_after_three_seconds() {
    let mut harness = Harness::follower();
    let actions = harness.fire();
    assert!(matches!(messages_of(&actions)[..], [Message::Ping { .. }]));
    assert_eq!(harness.timer(), Some(3000.0));
    assert!(steals_lock(&harness.fire()));
    let actions = harness.step(Input::LockGranted { key: key() });
    assert!(actions.contains(&Action::StartRound { key: key(), steals: true }));
}

#[test]
fn the_lock_of_a_leader_that_responds_is_not_stolen() {
    let mut harness = Harness::follower();
    harness.fire();
    let next_at = Some(harness.now + ms(EVERY));
    harness.plan("b", &Plan { next_at, ..plan() });
    assert!(harness.timer().unwrap() >= EVERY);
}

#[test]
fn the_leader_runs_the_round_for_sync_now_of_a_follower() {
    let mut harness = Harness::follower();
    let actions = harness.step(Input::SyncNow { key: key() });
    assert_eq!(messages_of(&actions), [&Message::Sync]);
    let actions = harness.plan("b", &Plan { is_running: true, ..plan() });
    assert!(!actions.contains(&Action::Synced { key: key(), is_local: false }));
    let actions = harness.plan("b", &Plan { rounds: 1, ..plan() });
    assert!(actions.contains(&Action::Synced { key: key(), is_local: false }));
}

#[test]
fn a_follower_whose_leader_is_gone_runs_the_round_for_sync_now() {
    let mut harness = Harness::follower();
    harness.step(Input::SyncNow { key: key() });
    assert!(steals_lock(&harness.fire()));
    assert!(has_start(&harness.step(Input::LockGranted { key: key() })));
    let actions = harness.end_round(changed());
    assert!(actions.contains(&Action::Synced { key: key(), is_local: true }));
}

#[test]
fn a_leader_runs_the_round_that_a_follower_asks_for() {
    let mut harness = Harness::leader();
    let actions = harness.receive("b", Message::Sync);
    assert!(has_start(&actions));
    assert!(matches!(messages_of(&actions)[..], [Message::Plan(Plan { is_running: true, .. })]));
}

#[test]
fn a_hidden_leader_hands_over_to_a_tab_that_becomes_visible() {
    let mut harness = Harness::leader();
    harness.hide();
    let actions = harness.ping("b", EVERY, Hidden::Slow, true);
    assert_eq!(messages_of(&actions), [&Message::HandOver { to: "b".to_owned(), is_ready: true }]);
    let actions = harness.step(Input::LockLost { key: key() });
    assert!(actions.contains(&Action::RequestLock { key: key() }));
}

#[test]
fn a_hidden_leader_that_runs_a_round_hands_over_after_its_page() {
    let mut harness = Harness::leader();
    harness.hide();
    harness.step(Input::SyncNow { key: key() });
    let actions = harness.ping("b", EVERY, Hidden::Slow, true);
    assert_eq!(stop_of(&actions), Some(true));
    assert_eq!(messages_of(&actions), [&Message::HandOver { to: "b".to_owned(), is_ready: false }]);
    let actions = harness.end_round(failed("aborted"));
    assert!(messages_of(&actions).contains(&&Message::HandOver { to: "b".to_owned(), is_ready: true }));
    assert!(!has_start(&actions));
}

#[test]
fn a_leader_stays_the_leader_if_the_visible_tab_does_not_take_over() {
    let mut harness = Harness::leader();
    harness.hide();
    harness.ping("b", EVERY, Hidden::Slow, true);
    assert_eq!(harness.timer(), Some(3000.0));
    harness.fire();
    assert_eq!(harness.timer(), Some(EVERY * 10.0 - 3000.0));
}

#[test]
fn a_visible_follower_asks_a_hidden_leader_to_hand_over_and_takes_the_lock() {
    let mut harness = Harness::follower();
    let actions = harness.plan("b", &Plan { is_visible: false, ..plan() });
    assert!(matches!(messages_of(&actions)[..], [Message::Ping { is_visible: true, .. }]));
    assert!(!steals_lock(&harness.receive("b", Message::HandOver { to: "c".to_owned(), is_ready: true })));
    assert!(steals_lock(&harness.receive("b", Message::HandOver { to: "a".to_owned(), is_ready: true })));
}

#[test]
fn a_visible_follower_steals_the_lock_of_a_hidden_leader_that_does_not_respond() {
    let mut harness = Harness::follower();
    harness.plan("b", &Plan { is_visible: false, next_at: Some(harness.now + ms(600_000.0)), ..plan() });
    assert_eq!(harness.timer(), Some(3000.0));
    harness.receive("b", Message::HandOver { to: "a".to_owned(), is_ready: false });
    assert_eq!(harness.timer(), Some(30_000.0), "the leader ends its page first");
    assert!(steals_lock(&harness.fire()));
}

#[test]
fn a_leader_whose_lock_was_stolen_stops_its_round_and_follows() {
    let mut harness = Harness::leader();
    harness.fire();
    let actions = harness.step(Input::LockLost { key: key() });
    assert_eq!(stop_of(&actions), Some(false));
    assert!(actions.contains(&Action::RequestLock { key: key() }));
    assert!(!has_start(&harness.end_round(failed("aborted"))));
}

#[test]
fn a_frozen_tab_releases_everything_and_joins_again_as_a_follower() {
    let mut harness = Harness::leader();
    harness.fire();
    let actions = harness.step(Input::Freeze);
    assert_eq!(stop_of(&actions), Some(false));
    assert!(actions.contains(&Action::Leave { key: key() }));
    harness.end_round(failed("aborted"));
    assert_eq!(harness.timer(), None);
    harness.now += ms(600_000.0);
    let actions = harness.step(Input::Thaw);
    assert!(actions.contains(&Action::Join { key: key() }));
    assert!(!has_start(&actions));
    assert!(has_start(&harness.step(Input::LockGranted { key: key() })));
}

#[test]
fn a_lock_that_is_granted_too_late_is_released() {
    let mut harness = Harness::new("a", true);
    harness.start(QUERY, EVERY, Hidden::Slow);
    harness.step(Input::Freeze);
    assert_eq!(harness.step(Input::LockGranted { key: key() }), [Action::Leave { key: key() }]);
    assert_eq!(
        harness.step(Input::LockGranted { key: "unknown".to_owned() }),
        [Action::Leave { key: "unknown".to_owned() }]
    );
}

#[test]
fn the_leader_ignores_a_tab_that_does_not_respond_to_the_roll_call() {
    let mut harness = Harness::leader();
    harness.ping("b", 20_000.0, Hidden::Slow, true);
    for round in 1..=4 {
        harness.fire();
        let actions = harness.end_round(changed());
        assert_eq!(messages_of(&actions).contains(&&Message::RollCall), round == 3);
    }
    assert_eq!(harness.timer(), Some(EVERY));
}

#[test]
fn the_leader_keeps_a_tab_that_responds_to_the_roll_call() {
    let mut harness = Harness::leader();
    for _ in 0..5 {
        harness.ping("b", 20_000.0, Hidden::Slow, true);
        for _ in 0..3 {
            harness.fire();
            harness.end_round(changed());
        }
    }
    assert_eq!(harness.timer(), Some(20_000.0));
    let mut harness = Harness::follower();
    let actions = harness.receive("b", Message::RollCall);
    assert!(matches!(messages_of(&actions)[..], [Message::Ping { .. }]));
}

#[test]
fn messages_and_inputs_of_unknown_queries_do_nothing() {
    let mut harness = Harness::new("a", true);
    let inputs = [
        Input::Stop { key: key(), handle: 7 },
        Input::SyncNow { key: key() },
        Input::LockLost { key: key() },
        Input::RoundEnded { key: key(), end: changed() },
        Input::Received { key: key(), from: "b".to_owned(), message: Message::Sync },
        Input::Timer,
    ];
    for input in inputs {
        assert_eq!(harness.step(input), []);
    }
}

#[test]
fn a_call_of_sync_now_survives_a_hand_over() {
    let mut harness = Harness::leader();
    harness.hide();
    assert!(has_start(&harness.step(Input::SyncNow { key: key() })));
    harness.ping("b", EVERY, Hidden::Slow, true);
    harness.end_round(failed("aborted"));
    harness.step(Input::LockLost { key: key() });
    let actions = harness.plan("b", &plan());
    assert!(messages_of(&actions).contains(&&Message::Sync));
    let actions = harness.plan("b", &Plan { rounds: 1, ..plan() });
    assert!(actions.contains(&Action::Synced { key: key(), is_local: false }));
}

#[test]
fn a_query_that_starts_while_the_tab_is_frozen_joins_when_it_runs_again() {
    let mut harness = Harness::new("a", true);
    harness.step(Input::Freeze);
    let actions = harness.start(QUERY, EVERY, Hidden::Slow);
    assert!(!actions.contains(&Action::Join { key: key() }));
    let actions = harness.step(Input::Thaw);
    assert!(actions.contains(&Action::Join { key: key() }));
    assert!(has_start(&harness.step(Input::LockGranted { key: key() })));
}

#[test]
fn an_invalid_interval_of_another_tab_is_not_used() {
    let shortest = MIN_INTERVAL.as_millis();
    for (every, used) in [(-1.0, shortest), (0.0, shortest), (f64::NAN, EVERY)] {
        let mut harness = Harness::leader();
        harness.ping("b", every, Hidden::Slow, true);
        assert_eq!(harness.timer(), Some(used), "{every}");
    }
}
