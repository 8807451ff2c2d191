//! One live query of one tab.

use super::{Action, Hidden, LiveOptions, MIN_INTERVAL, Message, Plan, RoundEnd, Tab};
use crate::protocol::time::{Duration, Instant};

/// How long a query is kept after its last handle was stopped.
const GRACE: Duration = Duration::from_millis(1000.0);
/// How long a tab waits for another one: a follower for a message of the leader, and a leader for
/// the tab to which it hands over.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(3000.0);
/// How long a follower waits for a leader that hands over after its current page.
const PAGE_TIMEOUT: Duration = Duration::from_millis(30_000.0);
/// The longest interval after failures, unless `every` is longer.
const MAX_FAILURE_INTERVAL: Duration = Duration::from_millis(900_000.0);
/// The factor by which the interval may grow during rounds without changes.
const MAX_GROWTH: f64 = 8.0;
/// The factor of the interval while all tabs are hidden.
const HIDDEN_FACTOR: f64 = 10.0;
/// A longer `Retry-After` counts as one day.
const MAX_RETRY_AFTER: Duration = Duration::DAY;
/// A tab that was silent for this many rounds is asked whether it still runs. If it is silent for
/// one more, the leader ignores it.
const MAX_SILENT_ROUNDS: u32 = 3;

/// The role of this tab among the tabs with the query.
#[derive(Debug, PartialEq)]
enum Role {
    Follower,
    /// It is taking the lock from the tab that holds it.
    Stealing,
    /// It holds the lock. `was_stolen`: it took the lock from another tab, which may still hold the
    /// round lock.
    Leader {
        was_stolen: bool,
    },
    /// It holds the lock, and hands over to a visible tab. `until`: when it is the leader again, if
    /// that tab has not taken the lock; `None` while a round runs.
    HandingOver {
        to: String,
        until: Option<Instant>,
    },
    /// It has no lock and no channel.
    Left,
}

/// Another tab with the query.
#[derive(Debug)]
struct Peer {
    tab: String,
    options: LiveOptions,
    is_visible: bool,
    /// The number of rounds that have ended since its last ping.
    silent_rounds: u32,
}

/// One live query.
#[derive(Debug)]
pub(super) struct LiveQuery {
    key: String,
    handles: Vec<(u32, LiveOptions)>,
    /// When this tab leaves the query, if no handle starts before.
    leave_at: Option<Instant>,
    role: Role,
    peers: Vec<Peer>,
    is_running: bool,
    /// The end of the last round of any tab.
    ended_at: Option<Instant>,
    /// The factor of the interval: from 0.9 to 1.1.
    jitter: f64,
    /// The number of successive rounds without changes.
    unchanged_rounds: u32,
    /// The number of successive failures.
    failures: u32,
    /// When Graph allows the next request.
    retry_at: Option<Instant>,
    /// Whether a round is due at once, for any reason but a call of `syncNow()`.
    is_due: bool,
    /// Whether a call of `syncNow()`, in any tab, has requested a round.
    is_sync_requested: bool,
    /// Whether calls of `syncNow()` in this tab wait.
    has_waiting_calls: bool,
    /// The number of rounds that this tab has ended as the leader.
    rounds: u32,
    /// Of a follower: the last plan of the leader, and the leader's tab.
    plan: Option<(String, Plan)>,
    /// Of a follower: when it asks whether the leader is alive.
    check_at: Option<Instant>,
    /// Of a follower: when it steals the lock, unless a message of the leader arrives before.
    steal_at: Option<Instant>,
    /// The plan that the followers know; `None` if they must get it again.
    published: Option<Plan>,
    /// The content of the last [`Action::Show`].
    shown: Option<(bool, bool, Option<Instant>)>,
}

impl LiveQuery {
    pub(super) fn new(key: String, synced_at: Option<Instant>) -> Self {
        Self {
            key,
            handles: Vec::new(),
            leave_at: None,
            role: Role::Left,
            peers: Vec::new(),
            is_running: false,
            ended_at: synced_at,
            jitter: 1.0,
            unchanged_rounds: 0,
            failures: 0,
            retry_at: None,
            is_due: false,
            is_sync_requested: false,
            has_waiting_calls: false,
            rounds: 0,
            plan: None,
            check_at: None,
            steal_at: None,
            published: None,
            shown: None,
        }
    }

    pub(super) fn start(
        &mut self,
        handle: u32,
        options: LiveOptions,
        tab: &Tab,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let before = self.own_options();
        self.handles.push((handle, options));
        self.leave_at = None;
        if self.role == Role::Left {
            if !tab.is_frozen {
                self.join(tab, now, actions);
            }
        } else if self.own_options() != before {
            self.send_ping(tab, actions);
        }
    }

    pub(super) fn stop(&mut self, handle: u32, tab: &Tab, now: Instant, actions: &mut Vec<Action>) {
        let before = self.own_options();
        let count = self.handles.len();
        self.handles.retain(|(own, _)| *own != handle);
        if self.handles.len() == count {
            return;
        }
        if self.handles.is_empty() {
            self.leave_at = Some(now + GRACE);
        } else if self.own_options() != before {
            self.send_ping(tab, actions);
        }
    }

    /// Opens the channel, waits for the lock, and asks whether there is a leader.
    pub(super) fn join(&mut self, tab: &Tab, now: Instant, actions: &mut Vec<Action>) {
        if !tab.has_peers {
            self.role = Role::Leader { was_stolen: false };
            return;
        }
        self.role = Role::Follower;
        actions.push(Action::Join { key: self.key.clone() });
        self.send_ping(tab, actions);
        self.steal_at = Some(now + RESPONSE_TIMEOUT);
    }

    /// Tells the other tabs the options of this one.
    pub(super) fn send_ping(&self, tab: &Tab, actions: &mut Vec<Action>) {
        if let Some(options) = self.own_options() {
            self.post(Message::Ping { options, is_visible: tab.is_visible }, tab, actions);
        }
    }

    /// Tells the other tabs that this one has become visible or hidden. A follower that has become
    /// visible also checks the leader, which may have died while this tab was hidden.
    pub(super) fn visibility_changed(&mut self, tab: &Tab, now: Instant, actions: &mut Vec<Action>) {
        self.send_ping(tab, actions);
        if tab.is_visible && self.role == Role::Follower {
            self.steal_at.get_or_insert(now + RESPONSE_TIMEOUT);
        }
    }

    pub(super) fn post(&self, message: Message, tab: &Tab, actions: &mut Vec<Action>) {
        if tab.has_peers && !tab.is_frozen {
            actions.push(Action::Post { key: self.key.clone(), message });
        }
    }

    pub(super) fn sync_now(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.has_waiting_calls = true;
        self.reset_growth();
        if matches!(self.role, Role::Follower) {
            actions.push(Action::Post { key: self.key.clone(), message: Message::Sync });
            self.steal_at.get_or_insert(now + RESPONSE_TIMEOUT);
        }
        self.is_sync_requested = true;
    }

    pub(super) fn lead(&mut self) {
        let was_stolen = self.role == Role::Stealing;
        // A follower that has waited in the queue has not stolen the lock.
        self.role = Role::Leader { was_stolen };
        (self.plan, self.check_at, self.steal_at) = (None, None, None);
    }

    pub(super) fn lose_lock(&mut self, tab: &Tab, now: Instant, actions: &mut Vec<Action>) {
        if tab.is_frozen || self.role == Role::Left {
            return;
        }
        if self.is_running {
            actions.push(self.stop_round(false));
        }
        self.role = Role::Follower;
        self.published = None;
        self.steal_at = None;
        self.check_at = Some(now + RESPONSE_TIMEOUT);
        actions.push(Action::RequestLock { key: self.key.clone() });
    }

    pub(super) fn freeze(&mut self, actions: &mut Vec<Action>) {
        if self.is_running {
            actions.push(self.stop_round(false));
        }
        self.role = Role::Follower;
        self.peers.clear();
        self.published = None;
        (self.plan, self.check_at, self.steal_at) = (None, None, None);
        actions.push(Action::Leave { key: self.key.clone() });
    }

    pub(super) fn receive(
        &mut self,
        from: String,
        message: Message,
        tab: &Tab,
        now: Instant,
        random: f64,
        actions: &mut Vec<Action>,
    ) {
        match message {
            Message::Ping { options, is_visible } => {
                let before = self.peers.iter().position(|peer| peer.tab == from);
                let before = before.map(|at| self.peers.swap_remove(at));
                if before.is_none_or(|before| is_visible && !before.is_visible) {
                    self.reset_growth();
                }
                self.peers.push(Peer { tab: from.clone(), options, is_visible, silent_rounds: 0 });
                if matches!(self.role, Role::Leader { .. }) {
                    if is_visible && !tab.is_visible {
                        self.hand_over(from, now, tab, actions);
                    } else {
                        // The next `publish()` responds.
                        self.published = None;
                    }
                }
            }
            Message::Plan(plan) => self.follow(from, plan, tab, now, random, actions),
            Message::Sync => {
                self.reset_growth();
                // A follower remembers the request: it may become the leader.
                self.is_sync_requested = true;
                self.published = None;
            }
            Message::HandOver { to, is_ready } => {
                if to == tab.id && self.role == Role::Follower {
                    if is_ready {
                        self.steal(actions);
                    } else {
                        self.steal_at = Some(now + PAGE_TIMEOUT);
                    }
                }
            }
            Message::RollCall => self.send_ping(tab, actions),
            Message::Bye => {
                self.peers.retain(|peer| peer.tab != from);
            }
        }
    }

    fn follow(
        &mut self,
        from: String,
        plan: Plan,
        tab: &Tab,
        now: Instant,
        random: f64,
        actions: &mut Vec<Action>,
    ) {
        if self.role != Role::Follower {
            return;
        }
        let known_rounds =
            self.plan.as_ref().filter(|(leader, _)| *leader == from).map(|(_, plan)| plan.rounds);
        if known_rounds.is_some_and(|known| plan.rounds > known) {
            self.settle(false, actions);
        }
        self.ended_at = plan.ended_at;
        self.steal_at = None;
        let own = self.own_interval(tab);
        let next = plan.next_at.or_else(|| own.map(|own| now + own));
        self.check_at =
            next.zip(own).map(|(next, own)| (next.max(now + RESPONSE_TIMEOUT) + own * 0.1 * random).ceil());
        let is_new_leader = self.plan.as_ref().is_none_or(|(leader, _)| *leader != from);
        let should_hand_over = tab.is_visible && !plan.is_visible;
        if is_new_leader || should_hand_over {
            // Tells a new leader the options of this tab, and asks a hidden leader to hand over.
            self.send_ping(tab, actions);
        }
        if is_new_leader && self.has_waiting_calls {
            // The previous leader may not have run the requested round.
            self.post(Message::Sync, tab, actions);
        }
        if should_hand_over {
            self.steal_at = Some(now + RESPONSE_TIMEOUT);
        }
        self.plan = Some((from, plan));
    }

    fn hand_over(&mut self, to: String, now: Instant, tab: &Tab, actions: &mut Vec<Action>) {
        let is_ready = !self.is_running;
        self.post(Message::HandOver { to: to.clone(), is_ready }, tab, actions);
        if !is_ready {
            actions.push(self.stop_round(true));
        }
        let until = is_ready.then(|| now + RESPONSE_TIMEOUT);
        self.role = Role::HandingOver { to, until };
    }

    pub(super) fn start_round(&mut self, actions: &mut Vec<Action>) {
        let steals = self.role == Role::Leader { was_stolen: true };
        self.role = Role::Leader { was_stolen: false };
        self.is_running = true;
        (self.is_due, self.is_sync_requested) = (false, false);
        actions.push(Action::StartRound { key: self.key.clone(), steals });
    }

    fn stop_round(&self, finishes_page: bool) -> Action {
        Action::StopRound { key: self.key.clone(), finishes_page }
    }

    pub(super) fn round_ended(
        &mut self,
        end: &RoundEnd,
        tab: &Tab,
        now: Instant,
        random: f64,
        actions: &mut Vec<Action>,
    ) {
        self.is_running = false;
        let is_stopped = end.error.as_deref() == Some("aborted");
        if !is_stopped {
            self.rounds += 1;
            self.ended_at = Some(now);
            self.settle(true, actions);
        }
        self.jitter = 0.9 + 0.2 * random;
        self.retry_at = end.retry_at.map(|at| at.min(now + MAX_RETRY_AFTER));
        match end.error.as_deref() {
            None if end.has_changes => (self.unchanged_rounds, self.failures) = (0, 0),
            None => (self.unchanged_rounds, self.failures) = (self.unchanged_rounds.saturating_add(1), 0),
            // Another tab has committed, the round was stopped, Graph has named a time, or the
            // schedule waits for a sign-in.
            Some("conflict" | "aborted" | "throttled" | "interaction" | "claims") => {}
            Some(_) => self.failures = self.failures.saturating_add(1),
        }
        for peer in &mut self.peers {
            peer.silent_rounds = peer.silent_rounds.saturating_add(1);
        }
        self.peers.retain(|peer| peer.silent_rounds <= MAX_SILENT_ROUNDS);
        if self.peers.iter().any(|peer| peer.silent_rounds == MAX_SILENT_ROUNDS) {
            self.post(Message::RollCall, tab, actions);
        }
        if let Role::HandingOver { to, until } = &mut self.role {
            *until = Some(now + RESPONSE_TIMEOUT);
            let message = Message::HandOver { to: to.clone(), is_ready: true };
            self.post(message, tab, actions);
        }
    }

    /// Settles the calls of `syncNow()`, because a round has ended or the tab leaves the query.
    fn settle(&mut self, is_local: bool, actions: &mut Vec<Action>) {
        self.is_sync_requested = false;
        if std::mem::take(&mut self.has_waiting_calls) {
            actions.push(Action::Synced { key: self.key.clone(), is_local });
        }
    }

    /// Runs the due action: leaves the query, checks a silent leader or steals its lock, or ends a
    /// hand-over.
    pub(super) fn tick(&mut self, tab: &Tab, now: Instant, random: f64, actions: &mut Vec<Action>) {
        // The clock may have been set back.
        self.ended_at = self.ended_at.map(|at| at.min(now));
        if self.leave_at.is_some_and(|at| at <= now) {
            self.leave(tab, actions);
            return;
        }
        if tab.is_frozen {
            return;
        }
        match &self.role {
            Role::Follower => {
                if self.steal_at.is_some_and(|at| at <= now) {
                    self.steal(actions);
                } else if self.check_at.is_some_and(|at| at <= now) {
                    self.send_ping(tab, actions);
                    self.steal_at.get_or_insert(now + RESPONSE_TIMEOUT);
                    let own = self.own_interval(tab);
                    self.check_at =
                        own.map(|own| (now + RESPONSE_TIMEOUT + own * (1.0 + 0.1 * random)).ceil());
                }
            }
            Role::HandingOver { to, until: Some(until) } if *until <= now => {
                self.peers.retain(|peer| peer.tab != *to);
                self.role = Role::Leader { was_stolen: false };
            }
            _ => {}
        }
    }

    fn steal(&mut self, actions: &mut Vec<Action>) {
        self.role = Role::Stealing;
        (self.check_at, self.steal_at) = (None, None);
        actions.push(Action::StealLock { key: self.key.clone() });
    }

    fn leave(&mut self, tab: &Tab, actions: &mut Vec<Action>) {
        if self.is_running {
            actions.push(self.stop_round(false));
        }
        self.settle(false, actions);
        self.post(Message::Bye, tab, actions);
        actions.push(Action::Leave { key: self.key.clone() });
        self.role = Role::Left;
    }

    /// Sends the plan to the followers and shows it in the status, if it has changed.
    pub(super) fn publish(&mut self, tab: &Tab, actions: &mut Vec<Action>) {
        if matches!(self.role, Role::Leader { .. }) {
            let plan = Plan {
                rounds: self.rounds,
                ended_at: self.ended_at,
                next_at: self.due_at(tab),
                is_running: self.is_running,
                is_visible: tab.is_visible,
            };
            if self.published.as_ref() != Some(&plan) {
                self.post(Message::Plan(plan.clone()), tab, actions);
                self.published = Some(plan);
            }
        }
        let leads = matches!(self.role, Role::Leader { .. } | Role::HandingOver { .. });
        let next =
            if leads { self.due_at(tab) } else { self.plan.as_ref().and_then(|(_, plan)| plan.next_at) };
        let shown = (!leads && self.plan.is_some(), !tab.is_online, next);
        if self.shown != Some(shown) {
            self.shown = Some(shown);
            let (is_following, is_offline, next_round_at) = shown;
            actions.push(Action::Show { key: self.key.clone(), is_following, is_offline, next_round_at });
        }
    }

    /// When a round of this tab is due. `None`: no round is due in the current state.
    pub(super) fn due_at(&self, tab: &Tab) -> Option<Instant> {
        let leads = matches!(self.role, Role::Leader { .. });
        if !leads || self.is_running || tab.is_frozen || self.handles.is_empty() {
            return None;
        }
        let at_once = Instant::from_millis(0.0);
        if self.is_sync_requested {
            return Some(at_once);
        }
        if !tab.is_online || tab.needs_sign_in {
            return None;
        }
        let interval = self.interval(tab)?;
        let Some(ended_at) = self.ended_at.filter(|_| !self.is_due) else {
            return Some(self.retry_at.unwrap_or(at_once));
        };
        let due = (ended_at + interval * self.jitter).ceil();
        Some(self.retry_at.map_or(due, |at| at.max(due)))
    }

    fn interval(&self, tab: &Tab) -> Option<Duration> {
        let options = self.combined_options()?;
        let is_visible = tab.is_visible || self.peers.iter().any(|peer| peer.is_visible);
        if !is_visible && options.hidden == Hidden::Pause {
            return None;
        }
        let growth = f64::from(1_u32 << self.unchanged_rounds.min(10)).min(MAX_GROWTH);
        let factor = if is_visible { growth } else { growth.max(HIDDEN_FACTOR) };
        let every = options.every.max(MIN_INTERVAL);
        let interval = every * factor;
        if self.failures == 0 {
            return Some(interval);
        }
        let longer = every * f64::from(1_u32 << self.failures.min(30));
        Some(interval.max(longer.min(MAX_FAILURE_INTERVAL)))
    }

    /// The interval at which this tab, as a follower, asks whether the leader is alive.
    fn own_interval(&self, tab: &Tab) -> Option<Duration> {
        let options = self.own_options()?;
        match (tab.is_visible, options.hidden) {
            (true, _) => Some(options.every),
            (false, Hidden::Slow) => Some(options.every * HIDDEN_FACTOR),
            (false, Hidden::Pause) => None,
        }
    }

    /// When `tick()` has something to do.
    pub(super) fn next_check(&self, tab: &Tab) -> Option<Instant> {
        let until = match &self.role {
            Role::HandingOver { until, .. } => *until,
            _ => None,
        };
        let of_follower = [self.check_at, self.steal_at]
            .into_iter()
            .flatten()
            .filter(|_| tab.has_peers)
            .reduce(Instant::min);
        [self.leave_at, until, of_follower].into_iter().flatten().reduce(Instant::min)
    }

    /// The combined options of this tab's handles.
    fn own_options(&self) -> Option<LiveOptions> {
        merge(self.handles.iter().map(|(_, options)| options))
    }

    /// The combined options of all tabs.
    fn combined_options(&self) -> Option<LiveOptions> {
        merge(
            self.handles
                .iter()
                .map(|(_, options)| options)
                .chain(self.peers.iter().map(|peer| &peer.options)),
        )
    }

    pub(super) fn reset_growth(&mut self) {
        self.unchanged_rounds = 0;
    }

    /// The network is back: a round that has failed is repeated at once.
    pub(super) fn forget_failures(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            self.is_due = true;
        }
    }

    pub(super) fn make_due(&mut self) {
        self.is_due = true;
        self.check_at = self.check_at.map(|_| Instant::from_millis(0.0));
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_running
    }

    /// Whether the schedule can drop this query. One that was started in a frozen tab has handles,
    /// and joins later.
    pub(super) fn has_left(&self) -> bool {
        self.role == Role::Left && self.handles.is_empty()
    }
}

/// Combines options: the shortest interval, and `Slow` if any of them has it.
fn merge<'a>(all: impl Iterator<Item = &'a LiveOptions>) -> Option<LiveOptions> {
    all.copied().reduce(|one, other| LiveOptions {
        every: one.every.min(other.every),
        hidden: one.hidden.min(other.hidden),
    })
}
