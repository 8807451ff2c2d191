//! The rules of the schedule, seen by one tab. `tests/live.rs` tests up to five tabs.

use std::collections::VecDeque;

use super::*;

mod tabs;

const QUERY: &str = "q";
const EVERY: f64 = 60_000.0;
const START: f64 = 1_795_000_000_000.0;

/// One tab: its schedule and its clock.
struct Harness {
    schedule: Schedule,
    now: Instant,
    random: f64,
}

impl Harness {
    fn new(id: &str, has_peers: bool) -> Self {
        Self {
            schedule: Schedule::new(id.to_owned(), has_peers),
            now: Instant::from_millis(START),
            random: 0.5,
        }
    }

    /// A tab whose host has no locks, with a live query that has started its first round.
    fn alone() -> Self {
        let mut harness = Self::new("a", false);
        assert!(has_start(&harness.start(QUERY, EVERY, Hidden::Slow)));
        harness
    }

    /// A tab that leads among others, and has ended a round with a change.
    fn leader() -> Self {
        let mut harness = Self::new("a", true);
        harness.start(QUERY, EVERY, Hidden::Slow);
        assert!(has_start(&harness.step(Input::LockGranted { key: key() })));
        harness.end_round(changed());
        harness
    }

    /// A tab that follows a visible leader `b`, whose next round is due in a minute.
    fn follower() -> Self {
        let mut harness = Self::new("a", true);
        harness.start(QUERY, EVERY, Hidden::Slow);
        harness.plan("b", &Plan { next_at: Some(harness.now + ms(EVERY)), ..plan() });
        harness
    }

    fn step(&mut self, input: Input) -> Vec<Action> {
        self.schedule.step(input, self.now, self.random)
    }

    fn start(&mut self, key: &str, every: f64, hidden: Hidden) -> Vec<Action> {
        let options = LiveOptions { every: ms(every), hidden };
        self.step(Input::Start { key: key.to_owned(), handle: 1, options, synced_at: None })
    }

    fn end_round(&mut self, end: RoundEnd) -> Vec<Action> {
        self.step(Input::RoundEnded { key: key(), end })
    }

    fn receive(&mut self, from: &str, message: Message) -> Vec<Action> {
        self.step(Input::Received { key: key(), from: from.to_owned(), message })
    }

    fn plan(&mut self, from: &str, plan: &Plan) -> Vec<Action> {
        self.receive(from, Message::Plan(plan.clone()))
    }

    fn ping(&mut self, from: &str, every: f64, hidden: Hidden, is_visible: bool) -> Vec<Action> {
        self.receive(from, Message::Ping { options: LiveOptions { every: ms(every), hidden }, is_visible })
    }

    /// The time until the timer fires.
    fn timer(&self) -> Option<f64> {
        self.schedule.timer.map(|(_, at)| (at - self.now).as_millis())
    }

    /// Lets the timer fire on time.
    fn fire(&mut self) -> Vec<Action> {
        self.now = self.schedule.timer.unwrap().1;
        self.step(Input::Timer)
    }

    fn hide(&mut self) {
        self.step(Input::Visibility { is_visible: false });
    }
}

fn ms(ms: f64) -> Duration {
    Duration::from_millis(ms)
}

fn key() -> String {
    QUERY.to_owned()
}

fn changed() -> RoundEnd {
    RoundEnd { has_changes: true, ..RoundEnd::default() }
}

fn failed(code: &str) -> RoundEnd {
    RoundEnd { error: Some(code.to_owned()), ..RoundEnd::default() }
}

fn plan() -> Plan {
    Plan { rounds: 0, ended_at: None, next_at: None, is_running: false, is_visible: true }
}

fn has_start(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::StartRound { .. }))
}

fn steals_lock(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::StealLock { .. }))
}

fn stop_of(actions: &[Action]) -> Option<bool> {
    actions.iter().find_map(|action| match action {
        Action::StopRound { finishes_page, .. } => Some(*finishes_page),
        _ => None,
    })
}

fn messages_of(actions: &[Action]) -> Vec<&Message> {
    let mut messages = Vec::new();
    for action in actions {
        if let Action::Post { message, .. } = action {
            messages.push(message);
        }
    }
    messages
}

#[test]
fn the_first_round_starts_at_once_and_the_next_one_after_the_interval() {
    let mut harness = Harness::alone();
    assert_eq!(harness.timer(), None);
    harness.end_round(changed());
    assert_eq!(harness.timer(), Some(EVERY));
    assert!(has_start(&harness.fire()));
}

#[test]
fn a_mirror_that_was_synced_a_moment_ago_waits_for_the_rest_of_the_interval() {
    let mut harness = Harness::new("a", false);
    let options = LiveOptions { every: ms(EVERY), hidden: Hidden::Slow };
    let synced_at = Some(harness.now - ms(20_000.0));
    assert!(!has_start(&harness.step(Input::Start { key: key(), handle: 1, options, synced_at })));
    assert_eq!(harness.timer(), Some(40_000.0));
}

#[test]
fn an_end_in_the_future_counts_as_now() {
    let mut harness = Harness::new("a", false);
    let options = LiveOptions { every: ms(EVERY), hidden: Hidden::Slow };
    let synced_at = Some(harness.now + Duration::DAY);
    harness.step(Input::Start { key: key(), handle: 1, options, synced_at });
    assert_eq!(harness.timer(), Some(EVERY));
}

#[test]
fn jitter_moves_the_interval_by_ten_percent() {
    for (random, factor) in [(0.0, 0.9), (1.0, 1.1)] {
        let mut harness = Harness::alone();
        harness.random = random;
        harness.end_round(changed());
        assert_eq!(harness.timer(), Some(EVERY * factor));
    }
}

#[test]
fn the_interval_doubles_with_each_round_without_changes_up_to_eight_times() {
    let mut harness = Harness::alone();
    for factor in [2.0, 4.0, 8.0, 8.0, 8.0] {
        harness.end_round(RoundEnd::default());
        assert_eq!(harness.timer(), Some(EVERY * factor));
        assert!(has_start(&harness.fire()));
    }
    harness.end_round(changed());
    assert_eq!(harness.timer(), Some(EVERY));
}

#[test]
fn activity_of_the_user_resets_the_interval_and_starts_a_round_only_if_one_is_due() {
    let activities = [
        Input::Focus,
        Input::Visibility { is_visible: true },
        Input::Network { is_online: true },
        Input::Thaw,
    ];
    for activity in activities {
        let mut harness = Harness::alone();
        for _ in 0..3 {
            harness.end_round(RoundEnd::default());
            harness.fire();
        }
        harness.end_round(RoundEnd::default());
        assert!(!has_start(&harness.step(activity.clone())), "{activity:?}");
        assert_eq!(harness.timer(), Some(EVERY), "{activity:?}");
        harness.now += ms(2.0 * EVERY);
        assert!(has_start(&harness.step(activity.clone())), "{activity:?}");
    }
}

#[test]
fn hidden_tabs_run_rounds_ten_times_less_often_or_none() {
    let mut harness = Harness::alone();
    harness.end_round(changed());
    harness.hide();
    assert_eq!(harness.timer(), Some(EVERY * 10.0));
    let mut harness = Harness::new("a", false);
    harness.start(QUERY, EVERY, Hidden::Pause);
    harness.end_round(changed());
    harness.hide();
    assert_eq!(harness.timer(), None);
    harness.now += ms(EVERY);
    assert!(has_start(&harness.step(Input::Visibility { is_visible: true })));
}

#[test]
fn the_shortest_interval_of_all_tabs_applies_and_slow_prevails_over_pause() {
    let mut harness = Harness::leader();
    harness.ping("b", 20_000.0, Hidden::Pause, false);
    assert_eq!(harness.timer(), Some(20_000.0));
    harness.hide();
    assert_eq!(harness.timer(), Some(200_000.0), "one tab asks for slow rounds");
    harness.receive("b", Message::Bye);
    assert_eq!(harness.timer(), Some(EVERY * 10.0));
}

#[test]
fn the_group_is_visible_while_one_tab_is() {
    let mut harness = Harness::leader();
    harness.ping("b", EVERY, Hidden::Slow, true);
    harness.hide();
    assert_eq!(harness.timer(), Some(EVERY));
}

#[test]
fn failures_back_off_to_fifteen_minutes() {
    let mut harness = Harness::alone();
    for interval in [2.0, 4.0, 8.0, 15.0, 15.0] {
        harness.end_round(failed("network"));
        assert_eq!(harness.timer(), Some(interval * 60_000.0));
        assert!(has_start(&harness.fire()));
    }
    harness.end_round(changed());
    assert_eq!(harness.timer(), Some(EVERY));
}

#[test]
fn an_interval_of_more_than_fifteen_minutes_is_not_shortened_by_failures() {
    let mut harness = Harness::new("a", false);
    harness.start(QUERY, 3_600_000.0, Hidden::Slow);
    harness.end_round(failed("forbidden"));
    assert_eq!(harness.timer(), Some(3_600_000.0));
}

#[test]
fn a_throttled_query_waits_until_graph_allows_the_next_request() {
    let mut harness = Harness::alone();
    let retry_at = Some(harness.now + ms(600_000.0));
    harness.end_round(RoundEnd { retry_at, ..failed("throttled") });
    assert_eq!(harness.timer(), Some(600_000.0));
    assert!(!has_start(&harness.step(Input::Focus)));
    let retry_at = Some(harness.now + Duration::from_millis(1e18));
    harness.end_round(RoundEnd { retry_at, ..failed("throttled") });
    assert_eq!(harness.timer(), Some(Duration::DAY.as_millis()), "a Retry-After of many years");
}

#[test]
fn a_conflict_is_not_a_failure() {
    let mut harness = Harness::alone();
    harness.end_round(failed("conflict"));
    assert_eq!(harness.timer(), Some(EVERY));
}

#[test]
fn after_a_round_that_needs_a_sign_in_all_queries_pause_until_the_user_signs_in() {
    for code in ["interaction", "claims"] {
        let mut harness = Harness::alone();
        harness.start("other", EVERY, Hidden::Slow);
        harness.step(Input::RoundEnded { key: "other".to_owned(), end: changed() });
        harness.end_round(failed(code));
        assert_eq!(harness.timer(), None);
        assert!(!has_start(&harness.step(Input::Focus)));
        let actions = harness.step(Input::SignedIn);
        let started = actions.iter().filter(|action| matches!(action, Action::StartRound { .. })).count();
        assert_eq!(started, 2);
    }
}

#[test]
fn without_network_no_round_is_due_until_it_is_back() {
    let mut harness = Harness::alone();
    harness.end_round(failed("offline"));
    harness.step(Input::Network { is_online: false });
    assert_eq!(harness.timer(), None);
    harness.now += ms(EVERY);
    assert!(has_start(&harness.step(Input::Network { is_online: true })));
}

#[test]
fn when_the_network_is_back_a_failed_round_is_repeated_at_once_and_a_fresh_mirror_waits() {
    for (end, starts) in [(failed("offline"), true), (changed(), false)] {
        let mut harness = Harness::alone();
        harness.end_round(end);
        harness.step(Input::Network { is_online: false });
        assert_eq!(has_start(&harness.step(Input::Network { is_online: true })), starts);
    }
}

#[test]
fn the_status_shows_that_the_network_is_lost_and_that_it_is_back() {
    let show = |actions: &[Action]| {
        actions.iter().find_map(|action| match action {
            Action::Show { is_offline, next_round_at, .. } => Some((*is_offline, next_round_at.is_some())),
            _ => None,
        })
    };
    let mut harness = Harness::alone();
    harness.end_round(changed());
    assert_eq!(show(&harness.step(Input::Network { is_online: false })), Some((true, false)));
    assert_eq!(show(&harness.step(Input::Focus)), None);
    assert_eq!(show(&harness.step(Input::Network { is_online: true })), Some((false, true)));
}

#[test]
fn sync_now_starts_a_round_even_without_network_or_in_a_hidden_tab() {
    let conditions = [Input::Network { is_online: false }, Input::Visibility { is_visible: false }];
    for condition in conditions {
        let mut harness = Harness::alone();
        harness.end_round(changed());
        harness.step(condition);
        assert!(has_start(&harness.step(Input::SyncNow { key: key() })));
        let actions = harness.end_round(changed());
        assert!(actions.contains(&Action::Synced { key: key(), is_local: true }));
    }
}

#[test]
fn sync_now_joins_the_round_that_runs() {
    let mut harness = Harness::alone();
    assert!(!has_start(&harness.step(Input::SyncNow { key: key() })));
    let actions = harness.end_round(changed());
    assert!(actions.contains(&Action::Synced { key: key(), is_local: true }));
    assert!(!has_start(&actions));
}

#[test]
fn a_round_that_was_stopped_does_not_settle_sync_now() {
    let mut harness = Harness::alone();
    harness.step(Input::SyncNow { key: key() });
    let actions = harness.end_round(failed("aborted"));
    assert!(!actions.contains(&Action::Synced { key: key(), is_local: true }));
    assert!(has_start(&actions), "the round that syncNow() asked for starts again");
}

#[test]
fn a_tab_runs_four_rounds_at_once_and_each_query_gets_its_turn() {
    let mut harness = Harness::new("a", false);
    let keys: Vec<String> = (0..6).map(|number| format!("q{number}")).collect();
    let mut started = Vec::new();
    let mut collect = |actions: Vec<Action>| {
        for action in actions {
            if let Action::StartRound { key, .. } = action {
                started.push(key);
            }
        }
    };
    for key in &keys {
        collect(harness.start(key, 5000.0, Hidden::Slow));
        harness.now += ms(10.0);
    }
    assert_eq!(harness.schedule.queries.iter().filter(|query| query.is_running()).count(), MAX_RUNNING);
    for key in &keys {
        collect(harness.step(Input::RoundEnded { key: key.clone(), end: changed() }));
    }
    assert_eq!(started, keys);
}

#[test]
fn a_tab_starts_at_most_sixty_rounds_in_a_minute() {
    let mut harness = Harness::new("a", false);
    let mut running: VecDeque<String> = VecDeque::new();
    let mut starts = Vec::new();
    let mut collect = |now: Instant, actions: &[Action], running: &mut VecDeque<String>| {
        for action in actions {
            if let Action::StartRound { key, .. } = action {
                starts.push(now);
                running.push_back(key.clone());
            }
        }
    };
    for number in 0..40 {
        let actions = harness.start(&number.to_string(), 5000.0, Hidden::Slow);
        collect(harness.now, &actions, &mut running);
    }
    for _ in 0..400 {
        let actions = match running.pop_front() {
            Some(key) => harness.step(Input::RoundEnded { key, end: changed() }),
            None => harness.fire(),
        };
        collect(harness.now, &actions, &mut running);
    }
    let most = starts
        .iter()
        .map(|from| starts.iter().filter(|at| **at >= *from && **at - *from < MINUTE).count())
        .max();
    assert_eq!(most, Some(MAX_STARTS));
}

#[test]
fn all_rounds_are_due_after_the_machine_was_asleep() {
    let mut harness = Harness::alone();
    for _ in 0..4 {
        harness.end_round(RoundEnd::default());
        harness.fire();
    }
    harness.end_round(RoundEnd::default());
    harness.start("soon", 100_000.0, Hidden::Slow);
    harness.step(Input::RoundEnded { key: "soon".to_owned(), end: changed() });
    assert_eq!(harness.timer(), Some(100_000.0));
    harness.now += ms(210_000.0);
    let actions = harness.step(Input::Timer);
    let started = actions.iter().filter(|action| matches!(action, Action::StartRound { .. })).count();
    assert_eq!(started, 2);
}

#[test]
fn a_timer_that_a_hidden_tab_delays_is_not_a_sleep() {
    let mut harness = Harness::alone();
    for _ in 0..4 {
        harness.end_round(RoundEnd::default());
        harness.fire();
    }
    harness.end_round(RoundEnd::default());
    harness.start("soon", 5000.0, Hidden::Slow);
    harness.step(Input::RoundEnded { key: "soon".to_owned(), end: changed() });
    harness.now += ms(60_000.0);
    let actions = harness.step(Input::Timer);
    let started = actions.iter().filter(|action| matches!(action, Action::StartRound { .. })).count();
    assert_eq!(started, 1);
}

#[test]
fn a_tab_leaves_a_query_a_second_after_its_last_handle_was_stopped() {
    let mut harness = Harness::leader();
    harness.step(Input::Stop { key: key(), handle: 1 });
    assert_eq!(harness.timer(), Some(1000.0));
    let actions = harness.fire();
    assert!(actions.contains(&Action::Leave { key: key() }));
    assert_eq!(messages_of(&actions), [&Message::Bye]);
    assert_eq!(harness.timer(), None);
}

#[test]
fn a_handle_that_starts_within_a_second_keeps_the_query() {
    let mut harness = Harness::leader();
    harness.step(Input::Stop { key: key(), handle: 1 });
    harness.now += ms(900.0);
    let options = LiveOptions { every: ms(EVERY), hidden: Hidden::Slow };
    let actions = harness.step(Input::Start { key: key(), handle: 2, options, synced_at: None });
    assert!(!has_start(&actions));
    assert!(!actions.contains(&Action::Leave { key: key() }));
    assert_eq!(harness.timer(), Some(EVERY - 900.0));
}

#[test]
fn a_round_that_sync_now_ran_with_a_new_token_ends_the_pause_for_a_sign_in() {
    let mut harness = Harness::alone();
    harness.end_round(failed("interaction"));
    assert_eq!(harness.timer(), None);
    assert!(has_start(&harness.step(Input::SyncNow { key: key() })));
    harness.end_round(changed());
    assert!(harness.timer().is_some() || harness.schedule.queries.iter().any(LiveQuery::is_running));
}
