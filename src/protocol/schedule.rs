//! Decides when the live queries of one tab run rounds, and which of several tabs runs them.
//!
//! Each tab has a [`Schedule`]. Tabs with the same live query share a lock and a channel: the tab
//! that holds the lock leads, the others follow. The shell executes the actions of each step and
//! reports their results as inputs.
//!
//! # Rules
//!
//! 1. Only the leader of a query starts rounds, one at a time.
//! 2. A round is due when the interval has passed since the end of the last round of any tab. The
//!    interval is the shortest `every` of all tabs, ±10 %. It doubles with each round that brings
//!    nothing, up to 8 times `every`.
//! 3. While all tabs are hidden, the interval is at least 10 times `every`, or no round is due if
//!    all of them ask for a pause.
//! 4. A change, `syncNow()`, focus, a tab that becomes visible, a new tab and a network that is
//!    back end the growth of the interval.
//! 5. After a failure the interval is at least `every`, doubled with each failure in a row, up to
//!    15 minutes or `every`. A throttled query waits until Graph allows the next request.
//! 6. No round is due while the host has no network, nor after the user was asked to sign in, until
//!    the sign-in. `syncNow()` starts one all the same.
//! 7. A tab runs at most 4 rounds at once, and starts at most 60 in a minute. The round that has
//!    been due for the longest time starts first.
//! 8. A timer shows that the machine was asleep if the time since it was set exceeds both twice its
//!    delay and two minutes. All rounds are due then.
//! 9. A follower asks whether the leader is alive when the leader's next round is due, when its own
//!    tab becomes visible, and when its user calls `syncNow()`. If no message arrives in 3 seconds,
//!    it steals the lock.
//! 10. A leader asks tabs that were silent for three rounds whether they still run, and ignores
//!     those that stay silent.
//! 11. A hidden leader hands over to a visible tab, after the page at hand.
//! 12. A frozen tab leads no query. It joins again as a follower.
//! 13. A query whose last handle was stopped is left after a second.

use serde::Serialize;

use super::time::{Duration, Instant};
use live_query::LiveQuery;

mod live_query;
#[cfg(test)]
mod tests;

/// The maximum number of rounds of a tab that run at once.
pub const MAX_RUNNING: usize = 4;
/// The maximum number of rounds that a tab starts in a minute.
pub const MAX_STARTS: usize = 60;
/// The shortest interval. Handles cannot ask for less; a message of another tab could.
pub const MIN_INTERVAL: Duration = Duration::from_millis(5000.0);
const MINUTE: Duration = Duration::from_millis(60_000.0);
/// The least time without a timer after which the machine may have been asleep.
const SLEEP: Duration = Duration::from_millis(120_000.0);

/// What a handle asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Wish {
    /// The time between two rounds.
    pub every: Duration,
    /// What to do while the tab is hidden.
    pub hidden: Hidden,
}

/// What to do while all tabs are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hidden {
    /// Run rounds less often. It prevails over `Pause`.
    Slow,
    /// Run no rounds.
    Pause,
}

/// What has happened.
#[allow(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug)]
pub enum Input {
    /// A handle was made. `synced_at`: the end of the last complete round, if one is stored.
    Start { key: String, handle: u32, wish: Wish, synced_at: Option<Instant> },
    /// A handle was stopped.
    Stop { key: String, handle: u32 },
    /// `syncNow()` was called.
    SyncNow { key: String },
    /// The tab holds the query's lock.
    LockGranted { key: String },
    /// Another tab has stolen the lock, or the request for it has failed.
    LockLost { key: String },
    /// Another tab has sent a message.
    Received { key: String, from: String, message: Message },
    /// The round that [`Action::StartRound`] started has ended.
    RoundEnded { key: String, end: RoundEnd },
    /// The tab has become visible or hidden.
    Visibility { is_visible: bool },
    /// The host's network is back or lost.
    Network { is_online: bool },
    /// The user has come back to this tab.
    Focus,
    /// The tab is about to be frozen, or put into the back/forward cache.
    Freeze,
    /// The tab runs again.
    Thaw,
    /// The user has signed in, in any tab.
    SignedIn,
    /// The timer has fired.
    Timer,
}

/// How a round has ended.
#[derive(Clone, Debug, Default)]
pub struct RoundEnd {
    /// Whether it has changed the mirror.
    pub has_changes: bool,
    /// The code of the error that ended it.
    pub error: Option<String>,
    /// When Graph allows the next request, if it has throttled this one.
    pub retry_at: Option<Instant>,
}

/// A message to the other tabs with the same live query.
#[allow(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Message {
    /// Tells what this tab asks for. The leader responds with its plan.
    Ping { wish: Wish, is_visible: bool },
    /// From the leader, after each change.
    Plan(Plan),
    /// Asks the leader for a round.
    Sync,
    /// The leader hands over to this tab: now, or after the page at hand.
    HandOver { to: String, is_ready: bool },
    /// Asks which tabs still run: they respond with a ping.
    RollCall,
    /// This tab has left.
    Bye,
}

/// What a leader tells its followers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The number of rounds that this leader has ended.
    pub rounds: u32,
    /// The end of the last round.
    pub ended_at: Option<Instant>,
    /// When the next round is due. `None` while one runs, and while none is due.
    pub next_at: Option<Instant>,
    /// Whether a round runs.
    pub is_running: bool,
    /// Whether the leader's tab is visible.
    pub is_visible: bool,
}

/// What the shell has to do.
#[allow(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// Open the channel of the query and wait in the queue for its lock.
    Join { key: String },
    /// Wait in the queue for the lock again.
    RequestLock { key: String },
    /// Take the lock from the tab that holds it.
    StealLock { key: String },
    /// Release the lock or its request, and close the channel.
    Leave { key: String },
    /// Send a message to the other tabs.
    Post { key: String, message: Message },
    /// Start a round. `steals`: take its round lock from a tab that does not respond.
    StartRound { key: String, steals: bool },
    /// Stop the round that runs: after the page at hand, or at once.
    StopRound { key: String, after_page: bool },
    /// Settle the waiting calls of `syncNow()`. `here`: this tab has run the round.
    Synced { key: String, here: bool },
    /// Show when the next round is due, and whether another tab leads.
    Show { key: String, is_following: bool, next_round_at: Option<Instant> },
    /// Set the timer, instead of the one before.
    SetTimer { at: Option<Instant> },
}

/// The state of the tab that all its queries share.
#[derive(Debug)]
struct Tab {
    id: String,
    /// Whether the host has Web Locks and a channel. Without them each tab leads.
    has_peers: bool,
    is_visible: bool,
    is_online: bool,
    is_frozen: bool,
    needs_sign_in: bool,
}

/// The schedule of one tab.
#[derive(Debug)]
pub struct Schedule {
    tab: Tab,
    queries: Vec<LiveQuery>,
    /// When the rounds of the last minute were started.
    starts: Vec<Instant>,
    /// When the timer was set, and to which time.
    timer: Option<(Instant, Instant)>,
}

impl Schedule {
    /// The schedule of a visible tab with network. `id` names the tab in messages.
    pub fn new(id: String, has_peers: bool) -> Self {
        let tab =
            Tab { id, has_peers, is_visible: true, is_online: true, is_frozen: false, needs_sign_in: false };
        Self { tab, queries: Vec::new(), starts: Vec::new(), timer: None }
    }

    /// Takes an input, and returns what to do. `chance` is random, from 0 to 1.
    pub fn step(&mut self, input: Input, now: Instant, chance: f64) -> Vec<Action> {
        let mut actions = Vec::new();
        self.accept(input, now, chance, &mut actions);
        for query in self.queries.iter_mut() {
            query.tick(&self.tab, now, chance, &mut actions);
        }
        self.queries.retain(|query| !query.has_left());
        self.start_rounds(now, &mut actions);
        for query in self.queries.iter_mut() {
            query.publish(&self.tab, &mut actions);
        }
        let at = self.next_timer(now);
        if at != self.timer.map(|(_, at)| at) {
            self.timer = at.map(|at| (now, at));
            actions.push(Action::SetTimer { at });
        }
        actions
    }

    fn accept(&mut self, input: Input, now: Instant, chance: f64, actions: &mut Vec<Action>) {
        let Self { tab, queries, .. } = self;
        match input {
            Input::Start { key, handle, wish, synced_at } => {
                if find(queries, &key).is_none() {
                    queries.push(LiveQuery::new(key.clone(), synced_at));
                }
                if let Some(query) = find(queries, &key) {
                    query.start(handle, wish, tab, now, actions);
                }
            }
            Input::Stop { key, handle } => {
                if let Some(query) = find(queries, &key) {
                    query.stop(handle, tab, now, actions);
                }
            }
            Input::SyncNow { key } => {
                if let Some(query) = find(queries, &key) {
                    query.sync_now(now, actions);
                }
            }
            Input::LockGranted { key } => match find(queries, &key) {
                Some(query) if !tab.is_frozen => query.lead(),
                _ => actions.push(Action::Leave { key }),
            },
            Input::LockLost { key } => {
                if let Some(query) = find(queries, &key) {
                    query.lose_lock(tab, now, actions);
                }
            }
            Input::Received { key, from, message } => {
                if let Some(query) = find(queries, &key) {
                    query.receive(from, message, tab, now, chance, actions);
                }
            }
            Input::RoundEnded { key, end } => {
                tab.needs_sign_in |= matches!(end.error.as_deref(), Some("interaction" | "claims"));
                if let Some(query) = find(queries, &key) {
                    query.round_ended(&end, tab, now, chance, actions);
                }
                if end.error.is_none() {
                    // A round that `syncNow()` asked for may have got a token.
                    self.signed_in();
                }
            }
            Input::Visibility { is_visible } => {
                tab.is_visible = is_visible;
                for query in queries.iter_mut() {
                    query.visibility_changed(tab, now, actions);
                }
                if is_visible {
                    self.focus();
                }
            }
            Input::Network { is_online } => {
                tab.is_online = is_online;
                if is_online {
                    self.focus();
                    self.queries.iter_mut().for_each(LiveQuery::forget_failures);
                }
            }
            Input::Focus => self.focus(),
            Input::Freeze => {
                tab.is_frozen = true;
                for query in queries.iter_mut() {
                    query.freeze(actions);
                }
            }
            Input::Thaw => {
                if std::mem::take(&mut tab.is_frozen) {
                    // A sign-in of another tab may have been missed.
                    tab.needs_sign_in = false;
                    for query in queries.iter_mut() {
                        query.join(tab, now, actions);
                    }
                }
                self.focus();
            }
            Input::SignedIn => self.signed_in(),
            Input::Timer => {
                let was_asleep = self.timer.take().is_some_and(|(set_at, due)| {
                    let passed = now - set_at;
                    passed > (due - set_at) * 2.0 && passed > SLEEP
                });
                if was_asleep {
                    self.queries.iter_mut().for_each(LiveQuery::make_due);
                }
            }
        }
    }

    fn focus(&mut self) {
        self.queries.iter_mut().for_each(LiveQuery::focus);
    }

    fn signed_in(&mut self) {
        if std::mem::take(&mut self.tab.needs_sign_in) {
            self.queries.iter_mut().for_each(LiveQuery::make_due);
        }
    }

    /// Starts the rounds that are due, as far as the limits of the tab allow.
    fn start_rounds(&mut self, now: Instant, actions: &mut Vec<Action>) {
        // A clock that was set back must not block the tab.
        self.starts.retain(|start| *start <= now && now - *start < MINUTE);
        let Self { tab, queries, starts, .. } = self;
        let running = queries.iter().filter(|query| query.is_running()).count();
        let free = (MAX_RUNNING - running.min(MAX_RUNNING)).min(MAX_STARTS - starts.len().min(MAX_STARTS));
        for _ in 0..free {
            let due = queries.iter_mut().filter_map(|query| Some((query.due(tab)?, query)));
            let Some((_, query)) = due
                .filter(|(at, _)| *at <= now)
                .reduce(|one, other| if other.0 < one.0 { other } else { one })
            else {
                return;
            };
            starts.push(now);
            query.start_round(actions);
        }
    }

    /// When the next thing is due that no other input brings about.
    fn next_timer(&self, now: Instant) -> Option<Instant> {
        let Self { tab, queries, starts, .. } = self;
        if tab.is_frozen {
            return None;
        }
        let running = queries.iter().filter(|query| query.is_running()).count();
        let blocked_until =
            if starts.len() == MAX_STARTS { starts.first().map(|start| *start + MINUTE) } else { None };
        let earliest_start = blocked_until.unwrap_or(now);
        // The end of a round is an input.
        let may_start = running < MAX_RUNNING;
        queries
            .iter()
            .flat_map(|query| {
                let start = query.due(tab).filter(|_| may_start).map(|due| due.max(earliest_start));
                [start, query.next_check(tab)]
            })
            .flatten()
            .reduce(Instant::min)
            .map(|at| at.max(now))
    }
}

fn find<'a>(queries: &'a mut [LiveQuery], key: &str) -> Option<&'a mut LiveQuery> {
    queries.iter_mut().find(|query| query.key() == key)
}
